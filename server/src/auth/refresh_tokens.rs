//! Decides whether a refresh token is valid, and what its use changes.
//!
//! A session's refresh tokens have generations: the login's token is generation 0, and the successors of a token are one
//! generation later. Exactly one token of a session, the newest, has neither been used nor replaced.
//!
//! A client whose response was lost, or whose two windows refresh at once, sends a token that was already used. This does not
//! count as theft while the successor is unused: the token gets another successor, which replaces the unused one. A replaced
//! successor counts as the token that it was exchanged for, since another window may have received it. Once a token of the
//! newest generation is used, using any older token shows that two parties have the session, and ends it.

use jiff::{SignedDuration, Timestamp};

/// How long a refresh token is valid.
pub const TOKEN_LIFETIME: SignedDuration = SignedDuration::from_hours(60 * 24);
/// How long a session lasts, however often it is refreshed.
pub const SESSION_LIFETIME: SignedDuration = SignedDuration::from_hours(400 * 24);

/// The stored state of a refresh token and its session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The token's generation.
    pub generation: i64,
    /// Whether the token was exchanged for a successor.
    pub is_used: bool,
    /// Whether the token is the session's newest.
    pub is_newest: bool,
    /// When the token expires.
    pub expires_at: Timestamp,
    /// The generation of the session's newest token.
    pub newest_generation: i64,
    /// When the session started.
    pub started_at: Timestamp,
    /// Whether the session's account is disabled.
    pub is_disabled: bool,
}

/// What to do for a refresh token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The token is not valid. Nothing changes.
    Refuse,
    /// The token was stolen. Nobody can tell which party is the owner, so the session ends.
    EndSession,
    /// Issue a token, which becomes the newest.
    Issue {
        /// The new token's generation.
        generation: i64,
        /// When the new token expires.
        expires_at: Timestamp,
        /// Whether the presented token is used from now on. If not, the new token replaces the newest one.
        uses_token: bool,
    },
}

/// Decides what the use of a refresh token at this time does.
pub fn decide(facts: &Facts, now: Timestamp) -> Decision {
    let is_replaced = !facts.is_newest && facts.generation == facts.newest_generation;
    let is_parent = facts.is_used && facts.generation + 1 == facts.newest_generation;
    if !(facts.is_newest || is_replaced || is_parent) {
        return Decision::EndSession;
    }
    let end = facts.started_at + SESSION_LIFETIME;
    if facts.is_disabled || now > facts.expires_at || now > end {
        return Decision::Refuse;
    }
    Decision::Issue {
        generation: if facts.is_newest { facts.generation + 1 } else { facts.newest_generation },
        expires_at: first_expiry(now).min(end),
        uses_token: facts.is_newest,
    }
}

/// When a token that is issued now expires, unless its session ends before.
pub fn first_expiry(now: Timestamp) -> Timestamp {
    now + TOKEN_LIFETIME
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The rules as they are documented, on a tree of tokens.
    #[derive(Default)]
    struct Model {
        tokens: Vec<ModelToken>,
        is_ended: bool,
    }

    struct ModelToken {
        parent: Option<usize>,
        is_used: bool,
        is_replaced: bool,
    }

    impl Model {
        fn add(&mut self, parent: Option<usize>) {
            self.tokens.push(ModelToken { parent, is_used: false, is_replaced: false });
        }

        /// Whether the token gets a successor.
        fn present(&mut self, token: usize) -> bool {
            if self.is_ended {
                return false;
            }
            // A replaced token counts as its parent.
            let token =
                if self.tokens[token].is_replaced { self.tokens[token].parent.expect("a parent") } else { token };
            let is_used_after = self.tokens.iter().any(|it| it.parent == Some(token) && it.is_used);
            if is_used_after {
                self.is_ended = true;
                return false;
            }
            for successor in self.tokens.iter_mut().filter(|it| it.parent == Some(token)) {
                successor.is_replaced = true;
            }
            self.tokens[token].is_used = true;
            self.add(Some(token));
            true
        }
    }

    /// What a store keeps.
    struct Stored {
        tokens: Vec<(i64, bool, Timestamp)>,
        newest: usize,
        started_at: Timestamp,
        is_ended: bool,
    }

    impl Stored {
        fn new() -> Stored {
            let start = Timestamp::UNIX_EPOCH;
            Stored { tokens: vec![(0, false, first_expiry(start))], newest: 0, started_at: start, is_ended: false }
        }

        fn facts(&self, token: usize) -> Facts {
            let (generation, is_used, expires_at) = self.tokens[token];
            let is_newest = token == self.newest;
            let newest_generation = self.tokens[self.newest].0;
            let started_at = self.started_at;
            Facts { generation, is_used, is_newest, expires_at, newest_generation, started_at, is_disabled: false }
        }

        fn present(&mut self, token: usize, now: Timestamp) -> bool {
            if self.is_ended {
                return false;
            }
            match decide(&self.facts(token), now) {
                Decision::Refuse => false,
                Decision::EndSession => {
                    self.is_ended = true;
                    false
                }
                Decision::Issue { generation, expires_at, uses_token } => {
                    self.tokens[token].1 |= uses_token;
                    self.newest = self.tokens.len();
                    self.tokens.push((generation, false, expires_at));
                    true
                }
            }
        }
    }

    proptest! {
        #[test]
        fn decisions_follow_the_documented_rules(presented in prop::collection::vec(any::<prop::sample::Index>(), 1..40)) {
            let (mut model, mut stored) = (Model::default(), Stored::new());
            model.add(None);
            for index in presented {
                // Mostly the newest tokens, since older ones end the session.
                let recent = stored.tokens.len().saturating_sub(4);
                let token = recent + index.index(stored.tokens.len() - recent);
                prop_assert_eq!(stored.present(token, Timestamp::UNIX_EPOCH), model.present(token));
                prop_assert_eq!(stored.is_ended, model.is_ended);
                prop_assert_eq!(stored.tokens.len(), model.tokens.len());
            }
        }

        /// A client that retries, and windows that share what they store, never lose their session.
        #[test]
        fn a_client_that_uses_its_latest_token_keeps_its_session(lost in prop::collection::vec(any::<bool>(), 1..60)) {
            let mut stored = Stored::new();
            let mut held = 0;
            for is_lost in lost {
                prop_assert!(stored.present(held, Timestamp::UNIX_EPOCH));
                if !is_lost {
                    held = stored.newest;
                }
            }
        }
    }

    #[test]
    fn a_token_that_is_used_after_its_successor_ends_the_session() {
        let mut stored = Stored::new();
        assert!(stored.present(0, Timestamp::UNIX_EPOCH) && stored.present(1, Timestamp::UNIX_EPOCH));
        assert_eq!(decide(&stored.facts(0), Timestamp::UNIX_EPOCH), Decision::EndSession);
    }

    #[test]
    fn a_session_ends_after_400_days_however_often_it_is_refreshed() {
        let mut stored = Stored::new();
        for day in 1..=400 {
            let now = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * day);
            assert!(stored.present(stored.newest, now), "day {day}");
        }
        let later = Timestamp::UNIX_EPOCH + SESSION_LIFETIME + SignedDuration::from_secs(1);
        assert_eq!(decide(&stored.facts(stored.newest), later), Decision::Refuse);
    }

    #[test]
    fn expired_tokens_and_disabled_accounts_are_refused() {
        let stored = Stored::new();
        let last = Timestamp::UNIX_EPOCH + TOKEN_LIFETIME;
        assert!(matches!(decide(&stored.facts(0), last), Decision::Issue { .. }));
        assert_eq!(decide(&stored.facts(0), last + SignedDuration::from_secs(1)), Decision::Refuse);
        let disabled = Facts { is_disabled: true, ..stored.facts(0) };
        assert_eq!(decide(&disabled, Timestamp::UNIX_EPOCH), Decision::Refuse);
    }
}
