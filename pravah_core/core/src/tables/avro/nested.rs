//! Values that no column holds, as text: arrays, maps, records and what is now of one type, now of another.
//!
//! They are JSON as tables of other formats have it; what stands in no array or record is without quotes.

use arrow_array::types::{Decimal256Type, DecimalType};
use arrow_buffer::i256;
use arrow_schema::TimeUnit;
use chrono::{DateTime, NaiveDate, NaiveTime};

use super::{
    Cursor, Stop,
    schema::{Clock, Decimal, Type, TypeId, Types},
};

/// How deep values may be in each other.
const MOST_DEPTH: usize = 64;

/// Bytes of one value's text, at most; elements without bytes of their own have text.
const MOST_TEXT_BYTES: usize = 16 << 20;

/// Write the next value as a text of its own.
pub fn write_text(types: &Types, id: TypeId, cursor: &mut Cursor<'_>, out: &mut Vec<u8>) -> Result<(), Stop> {
    match types.get(id) {
        Type::Text => out.extend_from_slice(cursor.text()?.as_bytes()),
        Type::Enum(symbols) => out.extend_from_slice(symbol(symbols, cursor)?.as_bytes()),
        _ => {
            let start = out.len();
            let mut nested = Nested { types, cursor, start };
            nested.write(id, out, 0)?;
            let is_quoted = out[start..].starts_with(b"\"");
            if is_quoted {
                out.pop();
                out.remove(start);
            }
        }
    }
    Ok(())
}

/// The symbol that the next number stands for.
pub fn symbol<'t>(symbols: &'t [String], cursor: &mut Cursor<'_>) -> Result<&'t str, Stop> {
    let at = cursor.long()?;
    let symbol = usize::try_from(at).ok().and_then(|at| symbols.get(at));
    symbol.map(String::as_str).ok_or_else(|| Stop::bad(format!("an enum has no symbol {at}")))
}

/// The branch that the next number stands for.
pub fn branch<T: Copy>(branches: &[T], cursor: &mut Cursor<'_>) -> Result<T, Stop> {
    let at = cursor.long()?;
    let branch = usize::try_from(at).ok().and_then(|at| branches.get(at));
    branch.copied().ok_or_else(|| Stop::bad(format!("a union has no branch {at}")))
}

/// The next decimal number, without its point.
pub fn decimal(decimal: &Decimal, cursor: &mut Cursor<'_>) -> Result<i256, Stop> {
    let bytes = match decimal.size {
        Some(size) => cursor.take(size)?,
        None => cursor.bytes()?,
    };
    let is_negative = bytes.first().is_some_and(|first| first & 0x80 != 0);
    let filler = if is_negative { 0xff } else { 0 };
    let surplus = bytes.len().saturating_sub(32);
    let (beyond, bytes) = bytes.split_at(surplus);
    let mut whole = [filler; 32];
    whole[32 - bytes.len()..].copy_from_slice(bytes);
    let keeps_sign = beyond.is_empty() || (whole[0] & 0x80 != 0) == is_negative;
    let number = i256::from_be_bytes(whole);
    let fits = keeps_sign
        && beyond.iter().all(|&byte| byte == filler)
        && Decimal256Type::is_valid_decimal_precision(number, decimal.precision);
    if fits { Ok(number) } else { Err(Stop::bad(format!("a decimal has more than {} digits", decimal.precision))) }
}

struct Nested<'t, 'c, 'b> {
    types: &'t Types,
    cursor: &'c mut Cursor<'b>,
    /// Where the text begins.
    start: usize,
}

impl Nested<'_, '_, '_> {
    fn write(&mut self, id: TypeId, out: &mut Vec<u8>, depth: usize) -> Result<(), Stop> {
        if depth == MOST_DEPTH {
            return Err(Stop::Beyond(format!("values are more than {MOST_DEPTH} deep in each other")));
        }
        if out.len() - self.start > MOST_TEXT_BYTES {
            return Err(Stop::Beyond(format!("a nested value has more than {} MiB of text", MOST_TEXT_BYTES >> 20)));
        }
        match self.types.get(id) {
            Type::Union(branches) => {
                let branch = branch(branches, self.cursor)?;
                self.write(branch, out, depth + 1)
            }
            &Type::Array(within) => {
                self.elements((b'[', b']'), out, |nested, out| nested.write(within, out, depth + 1))
            }
            &Type::Map(within) => self.elements((b'{', b'}'), out, |nested, out| {
                quote(nested.cursor.text()?, out);
                out.push(b':');
                nested.write(within, out, depth + 1)
            }),
            Type::Record(fields) => {
                out.push(b'{');
                for (at, (name, field)) in fields.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    quote(name, out);
                    out.push(b':');
                    self.write(*field, out, depth + 1)?;
                }
                out.push(b'}');
                Ok(())
            }
            simple => write_simple(simple, self.cursor, out),
        }
    }

    fn elements(
        &mut self,
        (open, close): (u8, u8),
        out: &mut Vec<u8>,
        mut write: impl FnMut(&mut Self, &mut Vec<u8>) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        out.push(open);
        let mut is_first = true;
        loop {
            let count = self.cursor.elements()?;
            if count == 0 {
                break;
            }
            for _ in 0..count {
                if !std::mem::replace(&mut is_first, false) {
                    out.push(b',');
                }
                write(self, out)?;
            }
        }
        out.push(close);
        Ok(())
    }
}

fn write_simple(simple: &Type, cursor: &mut Cursor<'_>, out: &mut Vec<u8>) -> Result<(), Stop> {
    match simple {
        Type::Null => out.extend_from_slice(b"null"),
        Type::Boolean => out.extend_from_slice(if boolean(cursor)? { b"true" } else { b"false" }),
        Type::Int => out.extend(cursor.int()?.to_string().into_bytes()),
        Type::Long => out.extend(cursor.long()?.to_string().into_bytes()),
        Type::Float => {
            let value = f32::from_le_bytes(cursor.array()?);
            float(f64::from(value), serde_json::to_string(&value).ok(), out);
        }
        Type::Double => {
            let value = f64::from_le_bytes(cursor.array()?);
            float(value, serde_json::to_string(&value).ok(), out);
        }
        Type::Text => quote(cursor.text()?, out),
        Type::Enum(symbols) => quote(symbol(symbols, cursor)?, out),
        Type::Bytes => hexadecimal(cursor.bytes()?, out),
        &Type::Fixed(size) => hexadecimal(cursor.take(size)?, out),
        Type::Decimal(shape) => {
            let number = decimal(shape, cursor)?;
            out.extend(Decimal256Type::format_decimal(number, shape.precision, shape.scale).into_bytes());
        }
        Type::Date => {
            let days = cursor.int()?;
            temporal(NaiveDate::from_epoch_days(days).map(|day| day.to_string()), i64::from(days), out);
        }
        Type::TimeMillis => time_of_day(i64::from(cursor.int()?), 1_000, out),
        Type::TimeMicros => time_of_day(cursor.long()?, 1_000_000, out),
        &Type::Timestamp(unit, clock) => timestamp(cursor.long()?, unit, clock, out),
        Type::Array(_) | Type::Map(_) | Type::Record(_) | Type::Union(_) => {} // are written by their elements
    }
    Ok(())
}

/// The next byte, which is 0 or 1.
pub fn boolean(cursor: &mut Cursor<'_>) -> Result<bool, Stop> {
    match cursor.array()? {
        [0] => Ok(false),
        [1] => Ok(true),
        [other] => Err(Stop::bad(format!("{other} is no boolean"))),
    }
}

fn quote(text: &str, out: &mut Vec<u8>) {
    out.extend(serde_json::Value::from(text).to_string().into_bytes());
}

fn hexadecimal(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend(bytes.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()));
    out.push(b'"');
}

/// Numbers that JSON does not have are text.
fn float(value: f64, digits: Option<String>, out: &mut Vec<u8>) {
    let text = match digits {
        Some(digits) if value.is_finite() => digits,
        _ if value.is_nan() => "\"NaN\"".to_owned(),
        _ if value > 0.0 => "\"inf\"".to_owned(),
        _ => "\"-inf\"".to_owned(),
    };
    out.extend(text.into_bytes());
}

/// A time as text; one beyond the calendar stays a number.
fn temporal(text: Option<String>, number: i64, out: &mut Vec<u8>) {
    let text = text.map_or_else(|| number.to_string(), |text| format!("\"{text}\""));
    out.extend(text.into_bytes());
}

fn time_of_day(number: i64, per_second: i64, out: &mut Vec<u8>) {
    let nanos = number.rem_euclid(per_second) * (1_000_000_000 / per_second);
    let seconds = u32::try_from(number.div_euclid(per_second)).ok();
    let time = seconds.and_then(|seconds| NaiveTime::from_num_seconds_from_midnight_opt(seconds, nanos as u32));
    temporal(time.map(|time| time.to_string()), number, out);
}

fn timestamp(number: i64, unit: TimeUnit, clock: Clock, out: &mut Vec<u8>) {
    let moment = match unit {
        TimeUnit::Nanosecond => Some(DateTime::from_timestamp_nanos(number)),
        TimeUnit::Microsecond => DateTime::from_timestamp_micros(number),
        _ => DateTime::from_timestamp_millis(number),
    };
    let zone = if clock == Clock::Utc { "Z" } else { "" };
    temporal(moment.map(|moment| format!("{:?}{zone}", moment.naive_utc())), number, out);
}
