//! The types of columns of text, and how a cell becomes a value; never a guess that loses something.
//!
//! What `extract_headers` tells of a table is what `convert` makes of it.

use chrono::NaiveDate;
use schemars::JsonSchema;
use serde::Deserialize;

/// What a reader knows of a cell, beside its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tag {
    /// There is no value.
    Null,
    /// A value whose text tells its type.
    Bare,
    /// A value that is text whatever it looks like.
    Text,
    /// Quotes with nothing between them: empty text in a column of text, elsewhere no value.
    Empty,
    /// A date that may stand among times, as its midnight.
    Day,
    /// A list or an object, as JSON; text where nobody wants its parts.
    Nested,
}

/// The type of a column that was read from text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ColumnType {
    /// Integers of 64 bits
    Int64,
    /// Floating-point numbers of 64 bits
    Float64,
    /// `true` or `false`
    Boolean,
    /// `2026-01-31`
    Date,
    /// `2026-01-31 23:59:59.123456`, on whatever clock
    Timestamp,
    /// The same with `Z` or an offset, kept as the instant in UTC
    TimestampUtc,
    /// UTF-8
    Text,
}

/// What all cells of a column may be, as far as they were seen.
#[derive(Debug, Clone, Copy)]
pub struct Candidates {
    types: u8,
    has_values: bool,
}

/// Candidates by precedence: the first one that is left is taken.
const ORDER: [ColumnType; 6] = [
    ColumnType::Int64,
    ColumnType::Float64,
    ColumnType::Boolean,
    ColumnType::Date,
    ColumnType::Timestamp,
    ColumnType::TimestampUtc,
];

const fn bit(column_type: ColumnType) -> u8 {
    1 << column_type as u8
}

impl ColumnType {
    /// The name in parameters and records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Int64 => "int64",
            Self::Float64 => "float64",
            Self::Boolean => "boolean",
            Self::Date => "date",
            Self::Timestamp => "timestamp",
            Self::TimestampUtc => "timestamp_utc",
            Self::Text => "text",
        }
    }
}

impl Candidates {
    /// Nothing was seen.
    pub const ALL: Self = Self { types: u8::MAX, has_values: false };

    /// What one cell may be.
    pub fn of(tag: Tag, cell: &[u8]) -> Self {
        let mut candidates = Self::ALL;
        candidates.see(tag, cell);
        candidates
    }

    /// See another cell; it costs less, the less is left.
    pub fn see(&mut self, tag: Tag, cell: &[u8]) {
        self.types &= match tag {
            Tag::Null | Tag::Empty => return,
            Tag::Bare => candidates(cell, self.types),
            Tag::Text | Tag::Nested => 0,
            Tag::Day => bit(ColumnType::Date) | bit(ColumnType::Timestamp),
        };
        self.has_values = true;
    }

    /// See what others have seen.
    pub fn merge(&mut self, other: Self) {
        self.types &= other.types;
        self.has_values |= other.has_values;
    }

    /// Whether there was anything but nulls.
    pub fn have_values(&self) -> bool {
        self.has_values
    }

    /// Whether no cell to come can change the decision.
    pub fn are_decided(&self) -> bool {
        self.types == 0
    }

    /// Decide; a column without values is text.
    pub fn decide(&self) -> ColumnType {
        let left = ORDER.into_iter().find(|&column_type| self.has_values && self.types & bit(column_type) != 0);
        left.unwrap_or(ColumnType::Text)
    }
}

/// The types whose columns this cell may be in, without loss; it is not tried for others than these.
fn candidates(cell: &[u8], among: u8) -> u8 {
    const NUMBERS: u8 = bit(ColumnType::Int64) | bit(ColumnType::Float64);
    const TIMES: u8 = bit(ColumnType::Timestamp) | bit(ColumnType::TimestampUtc);
    let Some(&first) = cell.first() else { return 0 };
    match first {
        b'0'..=b'9' | b'-' => {
            if among & NUMBERS != 0
                && let Some(integer) = integer(cell)
            {
                let is_exact = integer.unsigned_abs() <= EXACT_IN_FLOAT64;
                return bit(ColumnType::Int64) | if is_exact { bit(ColumnType::Float64) } else { 0 };
            }
            if among & NUMBERS != 0 && is_float(cell) {
                return bit(ColumnType::Float64);
            }
            if among & bit(ColumnType::Date) != 0 && date(cell).is_some() {
                return bit(ColumnType::Date);
            }
            match if among & TIMES != 0 { timestamp(cell) } else { None } {
                Some((_, Zone::None)) => bit(ColumnType::Timestamp),
                Some((_, Zone::Offset)) => bit(ColumnType::TimestampUtc),
                None => 0,
            }
        }
        _ if boolean(cell).is_some() => bit(ColumnType::Boolean),
        _ if is_float(cell) => bit(ColumnType::Float64),
        _ => 0,
    }
}

/// Whether [`float`] reads a cell. Digits with a point between them, as many as are read back, are no further looked
/// at: without an exponent nothing of a usual length is too large, or too small.
fn is_float(cell: &[u8]) -> bool {
    const SURELY: usize = 16;
    let unsigned = cell.strip_prefix(b"-").unwrap_or(cell);
    let is_digit = |&&byte: &&u8| byte.is_ascii_digit();
    let whole = unsigned.iter().take_while(is_digit).count();
    let rest = unsigned.get(whole + 1..).unwrap_or_default();
    let fraction = rest.iter().take_while(is_digit).count();
    let has_point = unsigned.get(whole) == Some(&b'.') && fraction > 0 && fraction == rest.len();
    if has_point && unsigned.len() <= SURELY && (whole == 1 || (whole > 1 && unsigned[0] != b'0')) {
        return true;
    }
    float(cell).is_some()
}

/// Up to here every integer is a float64.
pub const EXACT_IN_FLOAT64: u64 = 1 << 53;

/// Digits of a float64, at most, that come back from text and through text (IEEE 754).
const FLOAT64_DIGITS: usize = 17;

/// Read an integer of 64 bits in its only form: no plus, no leading zeros, no `-0`.
pub fn integer(cell: &[u8]) -> Option<i64> {
    let digits = cell.strip_prefix(b"-").unwrap_or(cell);
    let is_plain = match digits {
        [b'0'] => digits.len() == cell.len(),
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if is_plain { std::str::from_utf8(cell).ok()?.parse().ok() } else { None }
}

/// Read a number as JSON writes it, or `NaN`, `inf`, `-inf`; none where it is beyond a float64 or has more digits.
pub fn float(cell: &[u8]) -> Option<f64> {
    match cell {
        b"NaN" => return Some(f64::NAN),
        b"inf" => return Some(f64::INFINITY),
        b"-inf" => return Some(f64::NEG_INFINITY),
        _ => {}
    }
    let unsigned = cell.strip_prefix(b"-").unwrap_or(cell);
    let exponent_at = unsigned.iter().position(|byte| matches!(byte, b'e' | b'E')).unwrap_or(unsigned.len());
    let (mantissa, exponent) = unsigned.split_at(exponent_at);
    let point = mantissa.iter().position(|&byte| byte == b'.').unwrap_or(mantissa.len());
    let (whole, fraction) = (&mantissa[..point], mantissa.get(point + 1..));
    let is_whole = matches!(whole, [b'0'] | [b'1'..=b'9', ..]) && whole.iter().all(u8::is_ascii_digit);
    let is_digits = |digits: &[u8]| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let is_exponent = exponent.is_empty() || {
        let digits = &exponent[1..];
        is_digits(digits.strip_prefix(b"-").or(digits.strip_prefix(b"+")).unwrap_or(digits))
    };
    if !is_whole || !fraction.is_none_or(is_digits) || !is_exponent || significant(mantissa) > FLOAT64_DIGITS {
        return None;
    }
    let number: f64 = std::str::from_utf8(cell).ok()?.parse().ok()?;
    let underflows = number == 0.0 && significant(mantissa) > 0;
    (number.is_finite() && !underflows).then_some(number)
}

/// Count digits between the first and the last one that is not zero.
fn significant(mantissa: &[u8]) -> usize {
    let is_zero = |byte: &u8| matches!(byte, b'0' | b'.');
    let Some(first) = mantissa.iter().position(|byte| !is_zero(byte)) else { return 0 };
    let last = mantissa.iter().rposition(|byte| !is_zero(byte)).unwrap_or(first);
    mantissa[first..=last].iter().filter(|&&byte| byte != b'.').count()
}

/// Read `true` or `false`, in lower or upper case or with a capital.
pub fn boolean(cell: &[u8]) -> Option<bool> {
    match cell {
        b"true" | b"True" | b"TRUE" => Some(true),
        b"false" | b"False" | b"FALSE" => Some(false),
        _ => None,
    }
}

/// Read `2026-01-31` as days since 1970.
pub fn date(cell: &[u8]) -> Option<i32> {
    let &[a, b, c, d, b'-', e, f, b'-', g, h] = cell else { return None };
    let year = number(&[a, b, c, d])?;
    let day = NaiveDate::from_ymd_opt(year as i32, number(&[e, f])?, number(&[g, h])?).filter(|_| year > 0)?;
    Some(day.to_epoch_days())
}

/// Whether a time says on which clock it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Zone {
    /// It does not.
    None,
    /// `Z`, or an offset from UTC.
    Offset,
}

/// Read `2026-01-31T23:59:59` or with a blank, with up to six digits behind the second, and `Z` or `+05:30`:
/// microseconds since 1970, in UTC where there is an offset.
pub fn timestamp(cell: &[u8]) -> Option<(i64, Zone)> {
    let (day, time) = cell.split_at_checked(10)?;
    let days = i64::from(date(day)?);
    let (&[b'T' | b' ', a, b, b':', c, d, b':', e, f], rest) = time.split_first_chunk::<9>()? else { return None };
    let (hour, minute, second) = (number(&[a, b])?, number(&[c, d])?, number(&[e, f])?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (micros, rest) = fraction(rest)?;
    let seconds = days * 86_400 + i64::from(hour * 3_600 + minute * 60 + second);
    let (offset_s, zone) = match rest {
        [] => (0, Zone::None),
        [b'Z'] => (0, Zone::Offset),
        [sign @ (b'+' | b'-'), a, b, b':', c, d] => {
            let (hours, minutes) = (number(&[*a, *b])?, number(&[*c, *d])?);
            let offset_s = i64::from(hours * 3_600 + minutes * 60);
            (if *sign == b'+' { offset_s } else { -offset_s }, Zone::Offset)
        }
        _ => return None,
    };
    Some(((seconds - offset_s) * 1_000_000 + i64::from(micros), zone))
}

fn fraction(rest: &[u8]) -> Option<(u32, &[u8])> {
    let Some(digits) = rest.strip_prefix(b".") else { return Some((0, rest)) };
    let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = digits.split_at(count);
    if !(1..=6).contains(&count) {
        return None;
    }
    Some((number(digits)? * 10_u32.pow(6 - count as u32), rest))
}

/// Read a few digits.
fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |number, byte| byte.is_ascii_digit().then(|| number * 10 + u32::from(byte - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decided(cells: &[&str]) -> ColumnType {
        let mut candidates = Candidates::ALL;
        for cell in cells {
            candidates.see(if cell.is_empty() { Tag::Null } else { Tag::Bare }, cell.as_bytes());
        }
        candidates.decide()
    }

    #[test]
    fn test_type_is_the_first_that_holds_every_cell_without_loss() {
        use ColumnType::*;
        for (cells, expected) in [
            (&["1", "-2", "", "9223372036854775807"][..], Int64),
            (&["1", "9223372036854775808"], Text),
            (&["007"], Text),
            (&["1", "007"], Text),
            (&["+5"], Text),
            (&["1", "2.5", "1e3", "NaN", "-inf"], Float64),
            (&["-0", "1"], Float64),
            (&["9007199254740993", "0.5"], Text),
            (&["3.14159265358979324"], Text),
            (&["1e999"], Text),
            (&["1e-999"], Text),
            (&["1.", "2"], Text),
            (&[".5"], Text),
            (&["0x10"], Text),
            (&["1_000"], Text),
            (&["true", "FALSE", ""], Boolean),
            (&["true", "1"], Text),
            (&["2024-02-29", "1999-12-31"], Date),
            (&["2023-02-29"], Text),
            (&["0000-01-01"], Text),
            (&["2024-02-29", "2024-02-29T00:00:00"], Text),
            (&["2024-02-29 01:02:03", "2024-02-29T01:02:03.5"], Timestamp),
            (&["2024-02-29T01:02:03.1234567"], Text),
            (&["2024-02-29T23:59:60"], Text),
            (&["2024-02-29T01:02:03Z", "2024-02-29T01:02:03+05:30"], TimestampUtc),
            (&["2024-02-29T01:02:03Z", "2024-02-29T01:02:03"], Text),
            (&["", ""], Text),
            (&[" 1"], Text),
        ] {
            assert_eq!(decided(cells), expected, "{cells:?}");
        }
    }

    #[test]
    fn test_numbers_that_are_not_read_are_those_that_would_be() {
        for cell in [
            "0.5",
            "-0.5",
            "00.5",
            "1.",
            ".5",
            "1.5.5",
            "-",
            "-.5",
            "1-2",
            "12.34",
            "999999999999.999",
            "0.0",
            "-0.0",
            "1234567890123.1234",
            "12345678901234.123456",
            "0.00000000000000001",
            "1e5",
            "1.5e5",
            "1.5e",
            "0x1.5",
            "5",
        ] {
            assert_eq!(is_float(cell.as_bytes()), float(cell.as_bytes()).is_some(), "{cell}");
        }
    }

    #[test]
    fn test_cells_are_seen_the_same_whatever_was_seen_before() {
        let cells = [
            "5",
            "9007199254740993",
            "2.5",
            "-0",
            "2024-02-29",
            "2024-02-29 01:02:03",
            "2024-02-29T01:02:03Z",
            "true",
            "NaN",
            "x",
            "20240229",
            "1e5",
            "",
        ];
        let see = |cell: &str| if cell.is_empty() { Tag::Null } else { Tag::Bare };
        for first in cells {
            for second in cells {
                let mut together = Candidates::ALL;
                together.see(see(first), first.as_bytes());
                let (mut one, mut other) = (together, Candidates::ALL);
                one.see(see(second), second.as_bytes());
                other.see(see(second), second.as_bytes());
                together.merge(other);
                assert_eq!((one.types, one.has_values), (together.types, together.has_values), "{first}, {second}");
            }
        }
    }

    #[test]
    fn test_times_are_microseconds_since_1970_in_utc() {
        assert_eq!(timestamp(b"1970-01-02 00:00:01.5"), Some((86_401_500_000, Zone::None)));
        assert_eq!(timestamp(b"1970-01-01T05:30:00+05:30"), Some((0, Zone::Offset)));
        assert_eq!(timestamp(b"1969-12-31T23:59:59.999999Z"), Some((-1, Zone::Offset)));
        assert_eq!(date(b"1970-01-02"), Some(1));
    }
}
