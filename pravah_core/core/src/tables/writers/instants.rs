//! Instants as text, digit by digit: the same text as that of [`ArrayFormatter`], in a tenth of its time.
//!
//! A large file has one or two of them in each row, and formatting them takes longer than all else that a row of CSV
//! is made of.

use arrow_array::{
    Array,
    cast::AsArray,
    types::{
        ArrowTimestampType, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
        TimestampSecondType,
    },
};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::{ArrowError, DataType, TimeUnit};

use super::text_form::Texts;

/// Write instants, of UTC where they have a zone.
pub fn instants(array: &dyn Array) -> Result<Texts, ArrowError> {
    match array.data_type() {
        DataType::Timestamp(TimeUnit::Second, _) => of::<TimestampSecondType>(array, 1),
        DataType::Timestamp(TimeUnit::Millisecond, _) => of::<TimestampMillisecondType>(array, 1_000),
        DataType::Timestamp(TimeUnit::Microsecond, _) => of::<TimestampMicrosecondType>(array, 1_000_000),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => of::<TimestampNanosecondType>(array, 1_000_000_000),
        _ => Texts::formatted(array),
    }
}

fn of<T: ArrowTimestampType>(array: &dyn Array, per_s: i64) -> Result<Texts, ArrowError> {
    let values = array.as_primitive::<T>();
    let zone: &[u8] = if values.timezone().is_some() { b"Z" } else { b"" };
    let options = FormatOptions::new().with_display_error(false);
    let formatter = ArrayFormatter::try_new(array, &options)?;
    Texts::of(array, |row, data| {
        let value = values.value(row);
        let (seconds, part) = (value.div_euclid(per_s), value.rem_euclid(per_s));
        match date_of(seconds.div_euclid(DAY_S)) {
            Some(date) => {
                write_date(date, data);
                write_time(seconds.rem_euclid(DAY_S), part * (1_000_000_000 / per_s), data);
                data.extend_from_slice(zone);
            }
            // Years of more or fewer than four digits, and those that there are not.
            None => data.extend_from_slice(formatter.value(row).try_to_string()?.as_bytes()),
        }
        Ok(())
    })
}

const DAY_S: i64 = 86_400;
/// Days of 400 years, after which the calendar repeats itself.
const ERA_DAYS: i64 = 146_097;

/// Give year, month and day of a day since 1970, for years of four digits.
///
/// After Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`: years begin in March, so
/// that the day that some have more is their last one.
fn date_of(day: i64) -> Option<(u32, u32, u32)> {
    const MARCH_OF_YEAR_0: i64 = 719_468;
    let day = day.checked_add(MARCH_OF_YEAR_0)?;
    let (era, of_era) = (day.div_euclid(ERA_DAYS), day.rem_euclid(ERA_DAYS));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (0..=9_999).contains(&year).then_some((year as u32, month as u32, of_month as u32))
}

fn write_date((year, month, day): (u32, u32, u32), data: &mut Vec<u8>) {
    let mut text = *b"0000-00-00T";
    text[..2].copy_from_slice(&two(year / 100));
    text[2..4].copy_from_slice(&two(year % 100));
    text[5..7].copy_from_slice(&two(month));
    text[8..10].copy_from_slice(&two(day));
    data.extend_from_slice(&text);
}

/// Seconds have as many digits behind them as are needed, in threes.
fn write_time(of_day_s: i64, nanoseconds: i64, data: &mut Vec<u8>) {
    let (of_day_s, nanoseconds) = (of_day_s as u32, nanoseconds as u32);
    let mut text = *b"00:00:00.000000000";
    text[..2].copy_from_slice(&two(of_day_s / 3_600));
    text[3..5].copy_from_slice(&two(of_day_s / 60 % 60));
    text[6..8].copy_from_slice(&two(of_day_s % 60));
    let mut rest = nanoseconds;
    for digit in text[9..].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    let length = match nanoseconds {
        0 => 8,
        whole if whole % 1_000_000 == 0 => 12,
        whole if whole % 1_000 == 0 => 15,
        _ => 18,
    };
    data.extend_from_slice(&text[..length]);
}

/// A number below 100 as two digits.
fn two(number: u32) -> [u8; 2] {
    [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8]
}

#[cfg(test)]
mod tests {
    use arrow_array::{ArrayRef, TimestampMicrosecondArray, TimestampNanosecondArray, TimestampSecondArray};
    use std::sync::Arc;

    use super::*;

    /// The text of each value by this module and by the library; an error is none.
    fn both(array: &ArrayRef) -> Vec<[Option<String>; 2]> {
        let options = FormatOptions::new().with_display_error(false);
        let formatter = ArrayFormatter::try_new(array, &options).expect("formats");
        let rows = (0..array.len()).map(|row| array.slice(row, 1)).enumerate();
        rows.map(|(row, one)| {
            let ours = instants(&one).ok();
            let ours = ours.map(|texts| String::from_utf8(texts.get(0).expect("is there").to_vec()).expect("text"));
            [ours, formatter.value(row).try_to_string().ok()]
        })
        .collect()
    }

    #[test]
    fn test_instants_have_the_text_that_the_library_gives_them() {
        let mut values = vec![0, 1, -1, 1_000, 1_000_000, i64::MIN, i64::MAX, 951_782_400, 951_868_799, 4_107_542_400];
        // A day of each month around leap years and the ends of years with four digits, and by steps of a prime.
        values.extend((-3_000..9_000).map(|step: i64| step * 26_297_443));
        values.extend((-62_170_000_000..-62_160_000_000).step_by(1_234_567));
        values.extend((253_400_000_000..253_405_000_000).step_by(765_431));
        let scaled =
            |by: i64, part: i64| values.iter().filter_map(move |value| value.checked_mul(by)?.checked_add(part));
        let arrays: Vec<ArrayRef> = vec![
            Arc::new(TimestampSecondArray::from(values.clone())),
            Arc::new(TimestampSecondArray::from(values.clone()).with_timezone_utc()),
            Arc::new(TimestampMicrosecondArray::from_iter_values(scaled(1_000_000, 120_000))),
            Arc::new(TimestampMicrosecondArray::from_iter_values(scaled(1_000_000, 7)).with_timezone_utc()),
            Arc::new(TimestampNanosecondArray::from_iter_values(scaled(1_000_000_000, 123_456_789))),
        ];
        for array in arrays {
            for [ours, theirs] in both(&array) {
                assert_eq!(ours, theirs);
            }
        }
    }
}
