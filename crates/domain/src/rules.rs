//! The rules of sync, each of which a simulation can switch off, to show what would be lost without it.
//!
//! In a program that is built without the feature `simulation` all rules hold, and asking costs nothing.

/// A rule of `docs/sync.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// A batch is sent unchanged until it is answered.
    FrozenOperations,
    /// The results of a response are applied before its changes.
    ResultsBeforeChanges,
    /// A response is applied only to the state that it was asked for.
    ResponsesBelong,
    /// An operation that takes a unique value waits until this device's other record has given it up.
    UniqueValuesAreHeld,
    /// Of records that wait for each other's value, one gives up its own first.
    OneGivesUpItsValue,
    /// What remains of a stale operation gets another id.
    StaleOperationsGetNewIds,
    /// Fields that the server has refused do not hold back the others.
    RefusedFieldsStayBehind,
    /// The removal of a duplicate does not remove the record that it is a duplicate of.
    RemovedDuplicatesAreDropped,
    /// Bases that a restored server has lost are forgotten.
    LostVersionsAreForgotten,
    /// Where a restored server has an older state of a record, ours comes after it.
    LaterStateIsSentAgain,
    /// What a restored server does not have is sent again.
    UnlistedRecordsAreSentAgain,
    /// Every device keeps aliases.
    AliasesAreLearned,
    /// References are compared through aliases.
    ReferencesAreReadThroughAliases,
    /// While a conflict is open, every device has the server's value.
    ServersValueIsLive,
    /// Conflicts are part of the record.
    ConflictsTravel,
    /// A choice counts as a write, also of the same value.
    DecisionsCountAsWrites,
    /// An edit of a field with a conflict closes it.
    EditsCloseConflicts,
    /// An alternative that either side has removed goes.
    RemovedAlternativesGo,
    /// A removal that has not seen an edit is a conflict.
    UnseenEditsOutliveRemovals,
    /// A stale removal that has seen everything is no conflict.
    SeenRemovalsStand,
    /// The server changes a record only if the base version is the current one.
    BaseVersionsAreCompared,
    /// The server remembers results, so that an operation that comes again has the same one.
    ResultsAreRemembered,
    /// The server keeps aliases for good.
    AliasesAreKept,
    /// The server checks whether a restored or edited record takes the unique value of another one.
    TakenValuesAreRejected,
    /// The server applies nothing of a request of another epoch, or with a cursor that it has not given.
    EpochsAreCompared,
    /// The server applies nothing of a batch that is older than those it remembers.
    LateBatchesAreIgnored,
}

impl Rule {
    /// All rules.
    pub const ALL: [Rule; 26] = [
        Rule::FrozenOperations,
        Rule::ResultsBeforeChanges,
        Rule::ResponsesBelong,
        Rule::UniqueValuesAreHeld,
        Rule::OneGivesUpItsValue,
        Rule::StaleOperationsGetNewIds,
        Rule::RefusedFieldsStayBehind,
        Rule::RemovedDuplicatesAreDropped,
        Rule::LostVersionsAreForgotten,
        Rule::LaterStateIsSentAgain,
        Rule::UnlistedRecordsAreSentAgain,
        Rule::AliasesAreLearned,
        Rule::ReferencesAreReadThroughAliases,
        Rule::ServersValueIsLive,
        Rule::ConflictsTravel,
        Rule::DecisionsCountAsWrites,
        Rule::EditsCloseConflicts,
        Rule::RemovedAlternativesGo,
        Rule::UnseenEditsOutliveRemovals,
        Rule::SeenRemovalsStand,
        Rule::BaseVersionsAreCompared,
        Rule::ResultsAreRemembered,
        Rule::AliasesAreKept,
        Rule::TakenValuesAreRejected,
        Rule::EpochsAreCompared,
        Rule::LateBatchesAreIgnored,
    ];

    /// Whether the rule is followed.
    #[must_use]
    #[inline]
    pub fn holds(self) -> bool {
        switches::holds(self as u64)
    }

    /// Switches the rule off for the process.
    #[cfg(feature = "simulation")]
    pub fn switch_off(self) {
        switches::switch_off(self as u64);
    }
}

#[cfg(feature = "simulation")]
mod switches {
    use std::sync::atomic::{AtomicU64, Ordering};

    /// A bit for each rule that is switched off.
    static OFF: AtomicU64 = AtomicU64::new(0);

    pub fn holds(rule: u64) -> bool {
        OFF.load(Ordering::Relaxed) & (1 << rule) == 0
    }

    pub fn switch_off(rule: u64) {
        OFF.fetch_or(1 << rule, Ordering::Relaxed);
    }
}

#[cfg(not(feature = "simulation"))]
mod switches {
    #[inline]
    pub const fn holds(_: u64) -> bool {
        true
    }
}
