//! The ranges in which the names of one directory are read: which there are, how far each is, and which is divided.
//!
//! A range begins behind a name and is read page by page. Who has nothing to do takes the rest of another one's range
//! from a name on that [`Sample`] guesses: near the directory's end, which nobody knows, some pages ahead; else in the
//! middle of the longest. Ranges are half-open and always cover what is not read yet, so that each name is taken once
//! and by one reader, whatever is guessed.

use std::{iter::successors, mem::replace, sync::Arc};

use super::{Page, sample::Sample};
use crate::scan::Span;

/// The ranges of one directory that are not read to their ends.
#[derive(Debug, Default)]
pub struct Ranges {
    ranges: Vec<Range>,
    next_id: u64,
    /// Pages that have come with names of their ranges.
    pages: usize,
    /// Ranges that turned out to be empty.
    misses: usize,
    /// Behind this name there is none, as a last page told.
    end: Option<Box<[u8]>>,
    /// The server does not begin where it is told to, so that ranges are worth nothing.
    is_serial: bool,
}

#[derive(Debug)]
struct Range {
    id: u64,
    /// What is left of it: behind the last name that was taken.
    left: Span,
    has_begun: bool,
    /// What its names look like, or those of the range that it was a part of.
    sample: Option<Arc<Sample>>,
    /// Pages that the next one who takes a part of it leaves, where its end is that of the directory; 0: nothing is left.
    step: u32,
}

/// What is taken of a page.
#[derive(Debug, PartialEq, Eq)]
pub struct Taken {
    /// Which of its items belong to the range, and were not taken before.
    pub items: std::ops::Range<usize>,
    /// What they cover; none: nothing.
    pub span: Option<Span>,
    /// The range is read to its end.
    pub is_last: bool,
}

impl Ranges {
    /// Ranges to be read, with their ids.
    pub fn new(spans: impl IntoIterator<Item = Span>) -> (Self, Vec<u64>) {
        let mut ranges = Self::default();
        let ids = spans.into_iter().map(|left| ranges.add(left, None, 1)).collect();
        (ranges, ids)
    }

    /// The name behind which a range begins, or goes on.
    pub fn after(&self, id: u64) -> Option<Box<[u8]>> {
        self.ranges.iter().find(|range| range.id == id)?.left.after.clone()
    }

    /// Divide a range, and give the id of the part that is new; none: there is nothing worth it.
    pub fn divide(&mut self) -> Option<u64> {
        if self.is_serial || self.misses > MOST_MISSES + self.pages {
            return None;
        }
        self.look_ahead().or_else(|| self.halve())
    }

    /// Take of a page what belongs to a range: at once, so that nobody else divides it there.
    pub fn take(&mut self, id: u64, page: &Page) -> Taken {
        let Some(range) = self.ranges.iter_mut().find(|range| range.id == id) else {
            return Taken { items: 0..0, span: None, is_last: true };
        };
        let names = page.names();
        let is_behind =
            |border: &Option<Box<[u8]>>, name: &[u8]| border.as_deref().is_some_and(|border| name <= border);
        let first = names.partition_point(|name| is_behind(&range.left.after, name));
        let end = match &range.left.end {
            Some(_) => names.partition_point(|name| is_behind(&range.left.end, name)).max(first),
            None => names.len(),
        };
        let last = names.last().map(|name| Box::<[u8]>::from(&**name)).filter(|last| range.left.contains(last));
        let is_whole = names.last().is_some_and(|last| range.left.end.as_deref().is_some_and(|end| **last >= *end));
        let is_last = page.is_last || is_whole;
        self.pages += usize::from(first < end);
        self.misses += usize::from(!range.has_begun && first == end);
        if page.is_last {
            let end = names.last().map_or_else(|| range.left.after.clone(), |last| Some((**last).into()));
            self.end = end.into_iter().chain(self.end.take()).min();
        }
        range.has_begun = true;
        if let Some(sample) = Sample::of(&names) {
            range.sample = Some(Arc::new(sample));
        }
        let span = match (is_last, last) {
            (true, _) => Some(range.left.clone()),
            (false, Some(last)) => {
                // Behind the first page nobody knows more than that there are others.
                range.step = if self.pages > 1 { (range.step * STEP_GROWTH).min(MOST_STEP) } else { 1 };
                let after = range.left.after.replace(last.clone());
                Some(Span { after, end: Some(last) })
            }
            (false, None) => None,
        };
        if is_last {
            // Nothing is left that somebody could take.
            (range.sample, range.step) = (None, 0);
        }
        Taken { items: first..end, span, is_last }
    }

    /// Take note that all of a range was handed over; tells whether it was the last one.
    pub fn end(&mut self, id: u64) -> bool {
        self.ranges.retain(|range| range.id != id);
        self.ranges.is_empty()
    }

    /// Take note that the server did not begin where a range does. Gives the range back to the one that it was taken
    /// from, if that is still read; else it is to be read from the directory's beginning on.
    pub fn give_back(&mut self, id: u64) -> bool {
        self.is_serial = true;
        let Some(index) = self.ranges.iter().position(|range| range.id == id) else { return true };
        let Span { after, end } = self.ranges[index].left.clone();
        // One that is at its end has its last page at hand, and asks for no more.
        let is_before = |range: &&mut Range| range.left.end.is_some() && range.left.end == after && range.step > 0;
        let Some(before) = self.ranges.iter_mut().find(is_before) else { return false };
        before.left.end = end;
        self.ranges.remove(index);
        true
    }

    fn add(&mut self, left: Span, sample: Option<Arc<Sample>>, step: u32) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.ranges.push(Range { id, left, has_begun: false, sample, step });
        id
    }

    /// Begin some pages behind whoever reads nearest to the directory's end.
    ///
    /// At first only so far as a directory of some pages reaches: each guess beyond its end is a request for nothing.
    fn look_ahead(&mut self) -> Option<u64> {
        let begun = self.ranges.iter().filter(|range| !range.has_begun).count();
        if begun >= AHEAD * self.pages || self.end.is_some() {
            return None;
        }
        let range = self.ranges.iter_mut().find(|range| range.left.end.is_none() && range.step > 0)?;
        let sample = range.sample.clone()?;
        // Where that is beyond all names that there can be, less.
        let mut steps = successors(Some(range.step), |step| (*step > 1).then_some(step / 2));
        let near = |step| Some((Some(sample.ahead(range.left.after.as_deref(), step)?), step));
        let (border, step) = steps.find_map(near)?;
        let end = replace(&mut range.left.end, border.clone());
        Some(self.add(Span { after: border, end }, Some(sample), step))
    }

    /// Take the second half of the longest range, as far as there is something to read.
    fn halve(&mut self) -> Option<u64> {
        let pages = |range: &Range| {
            let ends = [range.left.end.as_deref(), self.end.as_deref()];
            let (sample, end) = (range.sample.as_ref()?, ends.into_iter().flatten().min()?);
            let pages = sample.pages(range.left.after.as_deref(), end);
            let border = sample.middle(range.left.after.as_deref(), end).filter(|_| pages >= WORTH_PAGES)?;
            Some((pages, border))
        };
        let found = self.ranges.iter().enumerate().filter_map(|(index, range)| Some((index, pages(range)?)));
        let (index, (_, border)) = found.max_by(|(_, one), (_, other)| one.0.total_cmp(&other.0))?;
        let range = &mut self.ranges[index];
        let end = range.left.end.replace(border.clone());
        let (sample, step) = (range.sample.clone(), range.step);
        Some(self.add(Span { after: Some(border), end }, sample, step))
    }
}

/// Pages in a range from which on it is divided: one is under way.
const WORTH_PAGES: f64 = 2.0;
/// Ranges that may have been begun and not answered, for each page that has come: after the first page so many as
/// list ten thousand names at once.
const AHEAD: usize = 8;
/// How much further ahead the next ones begin once a page has come: large directories have few and long ranges.
const STEP_GROWTH: u32 = 2;
const MOST_STEP: u32 = 1_024;
/// Empty ranges more than pages, from which on nothing is divided any more: guesses are worth nothing here.
const MOST_MISSES: usize = 32;

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, mem::take, ops::Bound};

    use proptest::prelude::*;

    use super::*;
    use crate::scan::Item;

    fn page(names: &[&[u8]], is_last: bool) -> Page {
        let file = |name: &&[u8]| Item::File { name: name.to_vec(), size_bytes: 0, modified_ns: 0, is_path: true };
        Page { items: names.iter().map(file).collect(), is_last, is_ordered: true }
    }

    /// What a server answers that begins behind a name.
    fn answer(names: &BTreeSet<Vec<u8>>, after: Option<&[u8]>, size: usize) -> Page {
        let behind = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut found: Vec<&[u8]> =
            names.range::<[u8], _>((behind, Bound::Unbounded)).take(size + 1).map(Vec::as_slice).collect();
        let is_last = found.len() <= size;
        found.truncate(size);
        page(&found, is_last)
    }

    /// Read a directory with many readers in an order that `choices` tells; give its names as they are taken, and the
    /// number of pages.
    fn read(names: &BTreeSet<Vec<u8>>, size: usize, choices: &[u8], ignores: bool) -> (Vec<Vec<u8>>, usize) {
        let (mut ranges, ids) = Ranges::new([Span::WHOLE]);
        // Each reader with the place at which the server goes on.
        let mut readers: Vec<(u64, Option<Box<[u8]>>)> = ids.into_iter().map(|id| (id, None)).collect();
        let (mut taken, mut pages, mut choices) = (Vec::new(), 0, choices.iter().cycle());
        let mut uncovered = vec![Span::WHOLE];
        while !readers.is_empty() {
            let choice = usize::from(*choices.next().expect("goes on"));
            if choice % 3 > 0
                && readers.len() < 16
                && let Some(id) = ranges.divide()
            {
                let after = if ignores { None } else { ranges.after(id) };
                readers.push((id, after));
                continue;
            }
            let index = choice % readers.len();
            let (id, at) = readers[index].clone();
            let page = answer(names, at.as_deref(), size);
            pages += 1;
            let begins = ranges.after(id);
            if ignores && at.is_none() && begins.is_some() && ranges.give_back(id) {
                readers.remove(index);
                continue;
            }
            let found = ranges.take(id, &page);
            readers[index].1 = page.names().last().map(|name| (**name).into());
            taken.extend(page.names()[found.items].iter().map(|name| name.to_vec()));
            if let Some(span) = found.span {
                let at = uncovered.iter().position(|left| span.lies_in(left)).expect("is covered once");
                let left = uncovered.swap_remove(at);
                uncovered.extend(left.without(&span));
            }
            if found.is_last {
                readers.remove(index);
                assert_eq!(ranges.end(id), readers.is_empty());
            }
        }
        assert_eq!(uncovered, []);
        (taken, pages)
    }

    fn names() -> impl Strategy<Value = BTreeSet<Vec<u8>>> {
        let name = prop_oneof![
            "[a-c]{0,3}",
            "2026/[0-9]{3}",
            "[0-9a-f]{4}",
            "hot/hot/hot/[0-9]{2}x{0,2}",
            "[😀-😏é~]{1,3}/?",
        ];
        proptest::collection::btree_set(name.prop_map(String::into_bytes), 0..400)
    }

    proptest! {
        #[test]
        fn test_ranges_take_each_name_once_in_whatever_order_pages_come(
            names in names(),
            size in 1_usize..40,
            choices in proptest::collection::vec(any::<u8>(), 1..50),
            ignores in any::<bool>(),
        ) {
            let (mut taken, _) = read(&names, size, &choices, ignores);
            taken.sort_unstable();
            prop_assert_eq!(taken, names.into_iter().collect::<Vec<_>>());
        }
    }

    /// Have so many threads read a directory, each a page at a time; give the number of times that they waited, and
    /// of pages.
    fn rounds(names: &BTreeSet<Vec<u8>>, size: usize) -> (usize, usize) {
        let (mut ranges, ids) = Ranges::new([Span::WHOLE]);
        let mut readers: Vec<(u64, Option<Box<[u8]>>)> = ids.into_iter().map(|id| (id, None)).collect();
        let (mut rounds, mut pages) = (0, 0);
        while !readers.is_empty() {
            while readers.len() < super::super::THREADS
                && let Some(id) = ranges.divide()
            {
                readers.push((id, ranges.after(id)));
            }
            rounds += 1;
            pages += readers.len();
            let answers: Vec<Page> = readers.iter().map(|(_, at)| answer(names, at.as_deref(), size)).collect();
            for ((id, at), page) in take(&mut readers).into_iter().zip(answers) {
                let at = page.names().last().map(|name| (**name).into()).or(at);
                if ranges.take(id, &page).is_last {
                    ranges.end(id);
                } else {
                    readers.push((id, at));
                }
            }
        }
        (rounds, pages)
    }

    fn counted(count: usize) -> BTreeSet<Vec<u8>> {
        (0..count).map(|number| format!("f{number:07}.csv").into_bytes()).collect()
    }

    fn hexadecimal(count: u64) -> BTreeSet<Vec<u8>> {
        let mixed = |number: u64| xxhash_rust::xxh3::xxh3_64(&number.to_le_bytes());
        (0..count).map(|number| format!("{:016x}-{number:04x}.json", mixed(number)).into_bytes()).collect()
    }

    #[test]
    fn test_ranges_of_ten_pages_that_are_counted_are_read_while_one_waits_twice() {
        assert_eq!(rounds(&counted(10_000), 1_000), (2, 10));
    }

    #[test]
    fn test_ranges_are_read_in_a_fifth_of_the_time_that_one_reader_takes() {
        let hot = counted(9_000).into_iter().chain(hexadecimal(1_000)).collect();
        let unpadded = (0..10_000).map(|number| format!("part-{number}").into_bytes()).collect();
        for names in [counted(20_000), counted(100_000), hexadecimal(10_000), hexadecimal(100_000), hot, unpadded] {
            let (rounds, pages) = rounds(&names, 100);
            let (one, least) = (names.len() / 100, names.len() / 100);
            assert!(rounds * 5 <= one, "{} names: {rounds} rounds, {pages} pages", names.len());
            assert!(pages <= least + least / 2 + 40, "{} names: {rounds} rounds, {pages} pages", names.len());
        }
    }

    #[test]
    fn test_ranges_of_two_pages_are_asked_for_no_more_often_than_guesses_may_miss() {
        let (rounds, pages) = rounds(&counted(1_001), 1_000);
        assert!(rounds == 2 && pages <= 2 + AHEAD, "{rounds} rounds, {pages} pages");
    }

    #[test]
    fn test_ranges_of_a_server_that_ignores_them_are_read_by_hardly_more_pages_than_one_reader_needs() {
        let names = (0..5_000).map(|number| format!("{number:06}").into_bytes()).collect();
        let (_, pages) = read(&names, 100, &[1, 1, 3], true);
        assert!(pages <= 50 + 32, "{pages} pages");
    }
}
