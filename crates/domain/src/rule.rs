//! Rules for the values of fields.

/// The type of a field's column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    /// Text.
    Text,
    /// An integer of 32 bits.
    Integer,
    /// A flag; 0 or 1 in databases without a Boolean type.
    Boolean,
}

/// The rule for a field's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// A VIN, or a shorter number from before 1981; see [`crate::Vin`].
    Vin,
    /// Text of limited length.
    Text {
        /// The maximum number of Unicode code points.
        longest: usize,
        /// Whether CR and LF are allowed.
        line_breaks: bool,
    },
    /// A model year, from 1886 (the first automobile) to two years after the current year.
    Year,
    /// An integer in an inclusive range.
    Integer {
        /// The minimum.
        least: i64,
        /// The maximum.
        greatest: i64,
    },
    /// One of these strings.
    Choice(&'static [&'static str]),
    /// True or false.
    Boolean,
    /// A calendar date such as `2026-03-14`, from 1886 to two years after the current year.
    Date,
    /// An amount of money from 0 to 9 999 999.99, as decimal text.
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
    /// Creates a rule for text on a single line.
    #[must_use]
    pub const fn line(longest: usize) -> Rule {
        Rule::Text { longest, line_breaks: false }
    }

    /// Returns the column type for this rule.
    #[must_use]
    pub const fn column_kind(&self) -> ColumnKind {
        match self {
            Rule::Year | Rule::Integer { .. } => ColumnKind::Integer,
            Rule::Boolean => ColumnKind::Boolean,
            _ => ColumnKind::Text,
        }
    }
}
