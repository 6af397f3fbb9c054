//! What fields may hold.

/// What a field's column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    /// Text.
    Text,
    /// An integer of 32 bits.
    Integer,
    /// A flag; 0 or 1 where the database has no type for it.
    Boolean,
}

/// What a field may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// A VIN or a number from before 1981; see [`crate::Vin`].
    Vin,
    /// At most this many characters (Unicode code points); line breaks only where `line_breaks`.
    Text {
        /// Characters at most.
        longest: usize,
        /// Whether it may have CR and LF.
        line_breaks: bool,
    },
    /// 1886 (the first automobile) to two years after the current one.
    Year,
    /// Between these two.
    Integer {
        /// The least.
        least: i64,
        /// The greatest.
        greatest: i64,
    },
    /// One of these, as written.
    Choice(&'static [&'static str]),
    /// True or false.
    Boolean,
    /// A day of the calendar, `2026-03-14`, from 1886 to two years after the current one.
    Date,
    /// An amount of money, 0 to 9 999 999.99, as decimal text.
    Amount,
    /// An ISO 4217 code, such as `EUR`.
    Currency,
    /// The id of a record of another collection.
    Reference {
        /// The name of that collection.
        collection: &'static str,
    },
}

impl Rule {
    /// Text of one line.
    #[must_use]
    pub const fn line(longest: usize) -> Rule {
        Rule::Text { longest, line_breaks: false }
    }

    /// What a column of such a field holds.
    #[must_use]
    pub const fn column_kind(&self) -> ColumnKind {
        match self {
            Rule::Year | Rule::Integer { .. } => ColumnKind::Integer,
            Rule::Boolean => ColumnKind::Boolean,
            _ => ColumnKind::Text,
        }
    }
}
