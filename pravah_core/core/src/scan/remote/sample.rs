//! What the names of a page look like, and where names lie that were not read yet: guesses, good for dividing work.
//!
//! Nothing depends on them but time: a range is read whatever its borders are, and one that turns out to be empty
//! costs one request. Names are taken for numbers. Each place in a name is a digit, whose values are the letters that
//! were seen there, and others of their kind: behind `f000999` follow `f001000` and, about as dense, `f007000`. The
//! same holds for UUIDs and for dates, which are no numbers that anybody counts with.

use std::{borrow::Cow, collections::BTreeSet, ops::Range};

/// The names of a page.
#[derive(Debug)]
pub struct Sample {
    first: Vec<char>,
    last: Vec<char>,
    count: usize,
    /// The letters that may stand at each place, in order.
    letters: Vec<Vec<char>>,
}

/// The digits that names are counted in, and what they are worth.
struct Digits {
    places: Range<usize>,
    /// The number of numbers.
    all: u128,
}

impl Sample {
    /// Learn from the names of a page, in order; none where they are too few or no text.
    pub fn of<'n>(names: &[Cow<'n, [u8]>]) -> Option<Self> {
        let looked_at = names.iter().step_by(names.len() / LOOKED_AT + 1).chain(names.last());
        let text = |name: &Cow<'n, [u8]>| Some(str::from_utf8(name).ok()?.chars().collect());
        let mut looked_at: Vec<Vec<char>> = looked_at.map(text).collect::<Option<_>>()?;
        if looked_at.len() < FEWEST {
            return None;
        }
        let longest = looked_at.iter().map(Vec::len).max()?;
        let mut seen = vec![BTreeSet::new(); longest];
        for name in &looked_at {
            seen.iter_mut().zip(name).for_each(|(seen, letter)| seen.extend([*letter]));
        }
        let last = looked_at.pop()?;
        Some(Self { first: looked_at.swap_remove(0), last, count: names.len(), letters: letters(&seen) })
    }

    /// A name that lies about so many pages behind another one.
    pub fn ahead(&self, from: Option<&[u8]>, pages: u32) -> Option<Box<[u8]>> {
        let from: Vec<char> = str::from_utf8(from?).ok()?.chars().collect();
        let digits = self.digits(&self.first, &self.last)?;
        let width = self.width(&digits)?.checked_mul(pages.into())?;
        let value = self.number(&from, &digits).checked_add(width).filter(|value| *value < digits.all)?;
        let name = self.name(&from, value, &digits)?;
        (*name > *String::from_iter(from).into_bytes()).then_some(name)
    }

    /// A name between two others.
    pub fn middle(&self, after: Option<&[u8]>, end: &[u8]) -> Option<Box<[u8]>> {
        let low: Vec<char> = str::from_utf8(after.unwrap_or_default()).ok()?.chars().collect();
        let high: Vec<char> = str::from_utf8(end).ok()?.chars().collect();
        let digits = self.digits(&low, &high)?;
        let (from, to) = (self.number(&low, &digits), self.number(&high, &digits));
        let name = self.name(&low, from + to.checked_sub(from)? / 2, &digits)?;
        (after.is_none_or(|after| *name > *after) && *name < *end).then_some(name)
    }

    /// How many pages lie between two names, about.
    pub fn pages(&self, after: Option<&[u8]>, end: &[u8]) -> f64 {
        let pages = || {
            let low: Vec<char> = str::from_utf8(after?).ok()?.chars().collect();
            let high: Vec<char> = str::from_utf8(end).ok()?.chars().collect();
            let digits = self.digits(&self.first, &self.last)?;
            let start = digits.places.start;
            if low.get(..start)? != high.get(..start)? {
                return None;
            }
            let between = self.number(&high, &digits).saturating_sub(self.number(&low, &digits));
            Some(between as f64 / self.width(&digits)? as f64)
        };
        pages().unwrap_or(f64::INFINITY)
    }

    /// What a page takes of the numbers. Where names are counted without a gap all of it; else a little less, as
    /// some pages' worth of numbers hold more names than a page.
    fn width(&self, digits: &Digits) -> Option<u128> {
        let between = self.number(&self.last, digits).checked_sub(self.number(&self.first, digits))?;
        let count = self.count as u128;
        if between + 1 == count { Some(count) } else { Some((between - between / 16).max(1)) }
    }

    /// The digits that tell two names apart: some behind the first that differs, all that may change before it.
    fn digits(&self, one: &[char], other: &[char]) -> Option<Digits> {
        let differs = (0..self.letters.len()).find(|place| one.get(*place) != other.get(*place))?;
        let radix = |place: usize| self.letters[place].len() as u128;
        let (mut all, mut end) = (1_u128, differs);
        while end < self.letters.len() && all < PRECISION {
            all *= radix(end);
            end += 1;
        }
        let mut start = differs;
        while start > 0 && all * radix(start - 1) <= MOST_NUMBERS {
            start -= 1;
            all *= radix(start);
        }
        Some(Digits { places: start..end, all })
    }

    fn number(&self, name: &[char], digits: &Digits) -> u128 {
        digits.places.clone().fold(0, |number, place| {
            let letters = &self.letters[place];
            let rank = name.get(place).map_or(0, |letter| letters.partition_point(|other| other < letter));
            number * letters.len() as u128 + rank.min(letters.len() - 1) as u128
        })
    }

    /// The name that a number stands for, which begins as another one does.
    fn name(&self, like: &[char], mut number: u128, digits: &Digits) -> Option<Box<[u8]>> {
        let mut name: Vec<char> = like.get(..digits.places.start)?.to_vec();
        let mut behind = Vec::with_capacity(digits.places.len());
        for letters in self.letters[digits.places.clone()].iter().rev() {
            let radix = letters.len() as u128;
            behind.push(letters[usize::try_from(number % radix).ok()?]);
            number /= radix;
        }
        name.extend(behind.into_iter().rev());
        Some(String::from_iter(name).into_bytes().into_boxed_slice())
    }
}

/// The letters of each place. A number or a word is read as one: what stands at one of its places may stand at all.
fn letters(seen: &[BTreeSet<char>]) -> Vec<Vec<char>> {
    let is_open = |place: usize| seen[place].len() > 1 || seen[place].iter().all(char::is_ascii_digit);
    let mut all: Vec<Vec<char>> = seen.iter().map(|letters| letters.iter().copied().collect()).collect();
    let mut next = 0;
    while let Some(begin) = (next..seen.len()).find(|place| is_open(*place)) {
        let open = (begin..seen.len()).find(|place| !is_open(*place)).unwrap_or(seen.len());
        let letters = kin(&seen[begin..open].iter().flatten().copied().collect());
        // What stood still on the page belongs to it, too, if it is one of its letters.
        let belongs = |place: &usize| seen[*place].iter().all(|letter| letters.contains(letter));
        let start = begin - (next..begin).rev().take_while(belongs).count();
        let end = open + (open..seen.len()).take_while(|place| !is_open(*place) && belongs(place)).count();
        all[start..end].fill(letters);
        next = end;
    }
    all
}

/// Some letters, and those of their kind.
fn kin(letters: &BTreeSet<char>) -> Vec<char> {
    let has_digits = letters.iter().any(char::is_ascii_digit);
    for hexadecimal in ['a'..='f', 'A'..='F'] {
        let is_hexadecimal = |letter: &char| letter.is_ascii_digit() || hexadecimal.contains(letter);
        if has_digits && letters.iter().all(is_hexadecimal) && !letters.iter().all(char::is_ascii_digit) {
            return ('0'..='9').chain(hexadecimal).collect();
        }
    }
    let kinds = [('0'..='9'), ('A'..='Z'), ('a'..='z')];
    let kinds = kinds.into_iter().filter(|kind| letters.iter().any(|letter| kind.contains(letter))).flatten();
    kinds.chain(letters.iter().copied()).collect::<BTreeSet<char>>().into_iter().collect()
}

/// Names from which something can be learned.
const FEWEST: usize = 16;
/// Names of a page that are looked at: letters repeat, and a page has a thousand names.
const LOOKED_AT: usize = 64;
/// Numbers among which a page is told from the next one.
const PRECISION: u128 = 1_000_000;
/// The most that is counted in; what is worth more stays as it is.
const MOST_NUMBERS: u128 = 1 << 100;

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(names: &[String]) -> Sample {
        let names: Vec<_> = names.iter().map(|name| Cow::from(name.as_bytes())).collect();
        Sample::of(&names).expect("is a sample")
    }

    fn text(name: Option<Box<[u8]>>) -> Option<String> {
        name.map(|name| String::from_utf8(name.into()).expect("is text"))
    }

    #[test]
    fn test_names_that_are_counted_are_divided_into_whole_pages() {
        let names: Vec<String> = (0..1000).map(|number| format!("2026-f{number:06}.csv")).collect();
        let sample = sample(&names);
        let last = b"2026-f000999.csv".as_slice();
        assert_eq!(text(sample.ahead(Some(last), 1)).as_deref(), Some("2026-f001999.csv"));
        assert_eq!(text(sample.ahead(Some(last), 70)).as_deref(), Some("2026-f070999.csv"));
        assert_eq!(text(sample.middle(Some(last), b"2026-f004999.csv")).as_deref(), Some("2026-f002999.csv"));
        assert!((sample.pages(Some(last), b"2026-f004999.csv") - 4.0).abs() < 0.01);
    }

    #[test]
    fn test_hexadecimal_names_are_divided_beyond_the_letters_that_came() {
        let mut names: Vec<String> =
            (0_u64..1000).map(|each| format!("{:08x}-{each:04x}", (each * 429_497) % (1 << 28))).collect();
        names.sort();
        let sample = sample(&names);
        let ahead = text(sample.ahead(Some(b"0fffffff-0000"), 12)).expect("has a place");
        assert!(("b"..="d").contains(&ahead.as_str()), "{ahead}");
    }

    #[test]
    fn test_names_without_a_place_between_them_are_not_divided() {
        let names: Vec<String> = (0..99).map(|number| format!("{number:02}")).collect();
        let sample = sample(&names);
        assert_eq!(sample.middle(Some(b"10"), b"11"), None);
        assert_eq!(sample.middle(Some(b"10"), b"10"), None);
        assert_eq!(sample.ahead(Some(b"98"), 1), None);
        assert!(Sample::of(&vec![Cow::from(b"a".as_slice()); 3]).is_none());
        assert!(Sample::of(&vec![Cow::from(b"\xff".as_slice()); 99]).is_none());
    }

    #[test]
    fn test_names_of_other_letters_are_divided_between_them() {
        let names: Vec<String> =
            (0_u32..200).map(|number| format!("{}x", char::from_u32(0x1F300 + number).expect("is one"))).collect();
        let sample = sample(&names);
        let middle = text(sample.middle(Some(names[10].as_bytes()), names[150].as_bytes())).expect("has a place");
        assert!(names[10] < middle && middle < names[150], "{middle}");
    }

    #[test]
    fn test_places_that_stood_still_are_counted_on_where_their_letters_are_known() {
        let letter = |digit: u32| char::from_u32(0x1F600 + digit).expect("is one");
        let name = |number: u32| String::from_iter([1000, 100, 10, 1].map(|each| letter(number / each % 10)));
        let names: Vec<String> = (0..100).map(name).collect();
        assert_eq!(text(sample(&names).ahead(Some(names[99].as_bytes()), 20)), Some(name(2_099)));
    }
}
