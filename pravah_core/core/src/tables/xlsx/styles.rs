//! Which cells show their number as a time, and what such a number means.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, NaiveDate};

use super::{
    archive::{Content, Seen},
    book::{Element, Elements, attribute, name},
};
use crate::Result;

/// Formats of cells that are kept: real workbooks have some hundreds.
const MOST_STYLES: usize = 1 << 16;

/// Milliseconds of a day: times are kept to that, which is what is shown of them.
const DAY_MS: f64 = 86_400_000.0;

/// The days that a workbook knows: up to the end of the year 9999.
const LAST_DAY: f64 = 2_958_466.0;

/// How the number of a cell is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    Date,
    Timestamp,
    /// A time of day, or a span of time.
    Time,
}

/// The day that is counted from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Epoch {
    /// The first day of 1900 is 1, and there is a 29th of February in that year.
    Of1900,
    /// The first day of 1904 is 0.
    Of1904,
}

/// What a number means that is shown as a time.
#[derive(Debug, PartialEq, Eq)]
pub enum Moment {
    /// `2026-01-31`
    Day(String),
    /// `2026-01-31T23:59:59`
    Timestamp(String),
    /// `23:59:59`
    Time(String),
}

/// The styles that show numbers as times, by their position.
pub fn times(styles: &Content) -> Result<HashMap<usize, Shown>> {
    let mut times = HashMap::new();
    let (mut own, mut is_within, mut position) = (HashMap::new(), false, 0);
    let mut elements = Elements::new(styles);
    while let Some(element) = elements.next() {
        match element {
            Element::Start(start) => match name(&start).as_str() {
                "numFmt" => {
                    if let (Some(id), Some(code)) = (attribute(&start, "numFmtId"), attribute(&start, "formatCode"))
                        && own.len() < MOST_STYLES
                    {
                        own.insert(id, shown_by_code(&code));
                    }
                }
                "cellXfs" => is_within = true,
                "xf" if is_within => {
                    let id = attribute(&start, "numFmtId").unwrap_or_default();
                    if let Some(shown) = own.get(&id).copied().unwrap_or_else(|| shown_by_id(&id))
                        && times.len() < MOST_STYLES
                    {
                        times.insert(position, shown);
                    }
                    position += 1;
                }
                _ => {}
            },
            Element::End(name) if name == "cellXfs" => is_within = false,
            Element::End(name) if name == "xf" => elements.begin_part(),
            _ => {}
        }
    }
    if styles.seen == Seen::All && !elements.has_ended {
        return Err(elements.failure());
    }
    Ok(times)
}

/// How a format of the standard shows a number (ECMA-376, 18.8.30).
fn shown_by_id(id: &str) -> Option<Shown> {
    match id.parse().ok()? {
        14..=17 => Some(Shown::Date),
        22 => Some(Shown::Timestamp),
        18..=21 | 45..=47 => Some(Shown::Time),
        _ => None,
    }
}

/// The same of a format's code: letters of dates and times outside quotes, brackets and escapes.
fn shown_by_code(code: &str) -> Option<Shown> {
    let (mut letters, mut until) = (HashSet::new(), None);
    let mut rest = code.chars();
    while let Some(letter) = rest.next() {
        match (until, letter) {
            (Some(end), letter) => until = Some(end).filter(|end| *end != letter),
            (None, '"') => until = Some('"'),
            (None, '[') => until = Some(']'),
            (None, '\\' | '_' | '*') => drop(rest.next()),
            (None, ';') => break,
            (None, letter) => drop(letters.insert(letter.to_ascii_lowercase())),
        }
    }
    let has_time = letters.contains(&'h') || letters.contains(&'s');
    let has_date = letters.contains(&'y') || letters.contains(&'d');
    match (has_date, has_time) {
        (true, true) => Some(Shown::Timestamp),
        (true, false) => Some(Shown::Date),
        (false, true) => Some(Shown::Time),
        (false, false) => None,
    }
}

/// What the number of a cell means; none: it is a number, as no day of the calendar has it.
pub fn moment(number: &str, shown: Shown, epoch: Epoch) -> Option<Moment> {
    let serial: f64 = number.parse().ok()?;
    if !(0.0..LAST_DAY).contains(&serial) {
        return None;
    }
    let all_ms = (serial * DAY_MS).round() as i64;
    let (day, ms) = (all_ms.div_euclid(DAY_MS as i64), all_ms.rem_euclid(DAY_MS as i64));
    if shown == Shown::Time {
        let hours = day * 24 + ms / 3_600_000;
        let fraction = if ms % 1_000 == 0 { String::new() } else { format!(".{:03}", ms % 1_000) };
        return Some(Moment::Time(format!("{hours:02}:{:02}:{:02}{fraction}", ms / 60_000 % 60, ms / 1_000 % 60)));
    }
    let before = match epoch {
        Epoch::Of1904 => NaiveDate::from_ymd_opt(1904, 1, 1),
        // A day 0, and a day 60 that never was.
        Epoch::Of1900 if day == 0 || day == 60 => None,
        Epoch::Of1900 if day < 60 => NaiveDate::from_ymd_opt(1899, 12, 31),
        Epoch::Of1900 => NaiveDate::from_ymd_opt(1899, 12, 30),
    }?;
    let days = i64::from(before.to_epoch_days()) + day;
    let moment = DateTime::from_timestamp_millis(days * DAY_MS as i64 + ms)?.naive_utc();
    Some(match shown {
        // What a format hides is kept.
        Shown::Date if ms == 0 => Moment::Day(moment.date().to_string()),
        _ => Moment::Timestamp(format!("{moment:?}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_numbers_are_days_of_their_calendar() {
        let day = |text: &str| Some(Moment::Day(text.to_owned()));
        for (number, epoch, expected) in [
            ("1", Epoch::Of1900, day("1900-01-01")),
            ("59", Epoch::Of1900, day("1900-02-28")),
            ("60", Epoch::Of1900, None),
            ("61", Epoch::Of1900, day("1900-03-01")),
            ("45351", Epoch::Of1900, day("2024-02-29")),
            ("0", Epoch::Of1904, day("1904-01-01")),
            ("43889", Epoch::Of1904, day("2024-02-29")),
            ("2958465", Epoch::Of1900, day("9999-12-31")),
            ("2958466", Epoch::Of1900, None),
            ("-1", Epoch::Of1900, None),
            ("x", Epoch::Of1900, None),
            ("45351.5", Epoch::Of1900, Some(Moment::Timestamp("2024-02-29T12:00:00".to_owned()))),
        ] {
            assert_eq!(moment(number, Shown::Date, epoch), expected, "{number}");
        }
        let time = |number| moment(number, Shown::Time, Epoch::Of1900);
        assert_eq!(time("0.75"), Some(Moment::Time("18:00:00".to_owned())));
        assert_eq!(time("1.5000057870370371"), Some(Moment::Time("36:00:00.500".to_owned())));
    }

    #[test]
    fn test_codes_of_formats_tell_what_they_show() {
        for (code, expected) in [
            ("yyyy\\-mm\\-dd", Some(Shown::Date)),
            ("[$-409]d/m/yy h:mm AM/PM;@", Some(Shown::Timestamp)),
            ("[h]:mm:ss", Some(Shown::Time)),
            ("0.00\"days\"", None),
            ("#,##0 [Red]", None),
        ] {
            assert_eq!(shown_by_code(code), expected, "{code}");
        }
    }
}
