//! Types of values: what a text may be read as, and what two values of one column have in common.

/// The type of a value, or of all values of a column that have been seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only empty ones.
    Null,
    Boolean,
    Int64,
    Float64,
    Date,
    Timestamp,
    Text,
    /// Of JSON: a document.
    Object,
    /// Of JSON: an array.
    List,
    /// Of JSON: now one, now another.
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
            Self::Date => "date",
            Self::Timestamp => "timestamp",
            Self::Text => "text",
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

    /// What `text` may be read as; blanks around it do not count.
    pub fn of_text(text: &[u8]) -> Self {
        let text = text.trim_ascii();
        match text {
            [] => Self::Null,
            [b'0'..=b'9' | b'+' | b'-' | b'.', ..] => {
                of_number(text).or_else(|| of_time(text)).or_else(|| is_no_number(text)).unwrap_or(Self::Text)
            }
            [b't' | b'T' | b'f' | b'F', ..] if is_boolean(text) => Self::Boolean,
            [b'n' | b'N' | b'i' | b'I', ..] => is_no_number(text).unwrap_or(Self::Text),
            _ => Self::Text,
        }
    }
}

fn is_boolean(text: &[u8]) -> bool {
    text.eq_ignore_ascii_case(b"true") || text.eq_ignore_ascii_case(b"false")
}

/// Values of floating point that have no digits, as programs write them.
fn is_no_number(text: &[u8]) -> Option<Kind> {
    let unsigned = text.strip_prefix(b"-").or_else(|| text.strip_prefix(b"+")).unwrap_or(text);
    matches!(unsigned, b"NaN" | b"nan" | b"inf" | b"Infinity").then_some(Kind::Float64)
}

fn digits(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// An integer of 64 bits, or a number with a point or an exponent. Zeros before it make it a code, such as that of a
/// postal district; so do more digits than 64 bits hold.
fn of_number(text: &[u8]) -> Option<Kind> {
    let unsigned = text.strip_prefix(b"-").or_else(|| text.strip_prefix(b"+")).unwrap_or(text);
    let whole = digits(unsigned);
    if whole > 1 && unsigned[0] == b'0' {
        return None;
    }
    let rest = &unsigned[whole..];
    if rest.is_empty() {
        let fits = whole < 19 || std::str::from_utf8(text).is_ok_and(|text| text.parse::<i64>().is_ok());
        return (whole > 0 && fits).then_some(Kind::Int64);
    }
    let (fraction, rest) = match rest.strip_prefix(b".") {
        Some(behind) => (digits(behind), &behind[digits(behind)..]),
        None => (0, rest),
    };
    let exponent = match rest {
        [] => true,
        [b'e' | b'E', exponent @ ..] => {
            let exponent = exponent.strip_prefix(b"-").or_else(|| exponent.strip_prefix(b"+")).unwrap_or(exponent);
            !exponent.is_empty() && digits(exponent) == exponent.len()
        }
        _ => false,
    };
    (whole + fraction > 0 && exponent).then_some(Kind::Float64)
}

/// `2026-02-28`, or that with a time of day: `2026-02-28T23:59:59.123+05:30`.
fn of_time(text: &[u8]) -> Option<Kind> {
    let (date, rest) = text.split_at_checked(10)?;
    if date[4] != b'-' || date[7] != b'-' {
        return None;
    }
    let (year, month, day) = (number(&date[..4])?, number(&date[5..7])?, number(&date[8..])?);
    chrono::NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)?;
    if rest.is_empty() {
        return Some(Kind::Date);
    }
    is_time_of_day(rest.strip_prefix(b"T").or_else(|| rest.strip_prefix(b" "))?)?.then_some(Kind::Timestamp)
}

fn is_time_of_day(text: &[u8]) -> Option<bool> {
    let (minutes, mut rest) = text.split_at_checked(5)?;
    let fits = minutes[2] == b':' && number(&minutes[..2])? < 24 && number(&minutes[3..])? < 60;
    if let Some(behind) = rest.strip_prefix(b":") {
        let (seconds, behind) = behind.split_at_checked(2)?;
        if number(seconds)? > 60 {
            return None;
        }
        rest = behind;
        if let Some(fraction) = rest.strip_prefix(b".") {
            let count = digits(fraction);
            if count == 0 {
                return None;
            }
            rest = &fraction[count..];
        }
    }
    Some(fits && is_zone(rest.trim_ascii_start()))
}

fn is_zone(text: &[u8]) -> bool {
    match text {
        [] | b"Z" | b"z" | b"UTC" => true,
        [b'+' | b'-', offset @ ..] => match offset {
            [a, b] => [a, b].iter().all(|byte| byte.is_ascii_digit()),
            [a, b, c, d] | [a, b, b':', c, d] => [a, b, c, d].iter().all(|byte| byte.is_ascii_digit()),
            _ => false,
        },
        _ => false,
    }
}

fn number(digits: &[u8]) -> Option<u32> {
    let all = digits.iter().all(u8::is_ascii_digit);
    all.then(|| digits.iter().fold(0, |number, digit| 10 * number + u32::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_texts_are_what_they_may_be_read_as() {
        for (kind, texts) in [
            (Kind::Null, vec!["", "  "]),
            (Kind::Int64, vec!["0", "-1", "+5", " 42 ", "9223372036854775807", "-9223372036854775808"]),
            (Kind::Float64, vec!["0.5", ".5", "5.", "-1e9", "1.5E-3", "NaN", "-inf", "0e0"]),
            (Kind::Boolean, vec!["true", "False", "TRUE"]),
            (Kind::Date, vec!["2026-02-28", "2024-02-29"]),
            (
                Kind::Timestamp,
                vec![
                    "2026-02-28 23:59",
                    "2026-02-28T23:59:59",
                    "2026-02-28T23:59:59.123456Z",
                    "2026-02-28 23:59:59+05:30",
                    "2026-02-28 23:59:59 UTC",
                ],
            ),
            (
                Kind::Text,
                vec![
                    "007",
                    "-007",
                    "00",
                    "01.5",
                    "9223372036854775808",
                    "1,5",
                    "-",
                    ".",
                    "e5",
                    "1e",
                    "1e+",
                    "1.2.3",
                    "0x1f",
                    "truer",
                    "yes",
                    "2026-02-30",
                    "2026-13-01",
                    "26-01-01",
                    "2026-01-01T",
                    "2026-01-01 24:00",
                    "2026-01-01 10:00:00.",
                    "2026-01-01 10:00+5",
                    "nano",
                    "Nancy",
                    "München",
                    "+",
                ],
            ),
        ] {
            for text in texts {
                assert_eq!(Kind::of_text(text.as_bytes()), kind, "{text}");
            }
        }
    }

    #[test]
    fn test_kinds_of_one_column_meet_where_one_holds_the_other() {
        assert_eq!(Kind::Null.with(Kind::Date), Some(Kind::Date));
        assert_eq!(Kind::Float64.with(Kind::Int64), Some(Kind::Float64));
        assert_eq!(Kind::Date.with(Kind::Timestamp), Some(Kind::Timestamp));
        assert_eq!(Kind::Boolean.with(Kind::Int64), None);
        assert_eq!(Kind::Text.with(Kind::Int64), None);
    }
}
