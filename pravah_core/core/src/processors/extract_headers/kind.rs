//! Types of values of JSON, and what two of one column have in common.

/// The type of a value, or of all values of a column that have been seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only nulls.
    Null,
    Boolean,
    Int64,
    Float64,
    Text,
    /// Of xlsx, where JSON has text.
    Date,
    Timestamp,
    /// A document.
    Object,
    /// An array.
    List,
    /// Now one, now another.
    Mixed,
}

impl Kind {
    /// The name in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "boolean",
            Self::Int64 => "int64",
            Self::Float64 => "float64",
            Self::Text => "text",
            Self::Date => "date",
            Self::Timestamp => "timestamp",
            Self::Object => "object",
            Self::List => "list",
            Self::Mixed => "mixed",
        }
    }

    /// The type of both; none where only that holds both which takes everything.
    pub fn with(self, other: Self) -> Option<Self> {
        match (self, other) {
            (one, other) if one == other => Some(one),
            (Self::Null, one) | (one, Self::Null) => Some(one),
            (Self::Int64, Self::Float64) | (Self::Float64, Self::Int64) => Some(Self::Float64),
            (Self::Date, Self::Timestamp) | (Self::Timestamp, Self::Date) => Some(Self::Timestamp),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_kinds_of_one_column_meet_where_one_holds_the_other() {
        assert_eq!(Kind::Null.with(Kind::List), Some(Kind::List));
        assert_eq!(Kind::Float64.with(Kind::Int64), Some(Kind::Float64));
        assert_eq!(Kind::Boolean.with(Kind::Int64), None);
        assert_eq!(Kind::Text.with(Kind::Int64), None);
    }
}
