//! Counters and the summary of a task's acknowledged entries: what a job's books and report are made of.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    effort::Effort,
    outcome::{Outcome, Row},
    processors::RowCounts,
};

/// Acknowledged entries by outcome, and their bytes. Absolute for the task.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Published, or read where nothing is published.
    pub done: u64,
    /// Left alone.
    pub skipped: u64,
    /// Failed.
    pub failed: u64,
    /// Gone when it was their turn.
    pub vanished: u64,
    /// Killed their worker.
    pub poisoned: u64,
    /// Bytes read.
    pub bytes_in: u64,
    /// Bytes of outputs.
    pub bytes_out: u64,
}

impl Counts {
    /// Acknowledged entries.
    pub fn entries(&self) -> u64 {
        self.done + self.skipped + self.failed + self.vanished + self.poisoned
    }
}

/// The account of one task.
#[derive(Debug, Default)]
pub struct Account {
    /// The counters.
    pub counts: Counts,
    /// What it took.
    pub effort: Effort,
    /// Requests to the source that were sent a second time, as their answers were late.
    pub hedged: u64,
    rows: Option<RowCounts>,
    summary: Summary,
}

/// What the report tells beside the counters. Bounded, whatever the number of entries.
#[derive(Debug, Default, Serialize)]
struct Summary {
    /// Entries by outcome and reason: `skipped:unchanged`, `failed:io_error`.
    reasons: BTreeMap<String, u64>,
    failures: Vec<FailureGroup>,
    slowest: Vec<Slow>,
    /// Nothing but time held off a worker that had lost its lease.
    #[serde(skip_serializing_if = "is_false")]
    weak_fencing: bool,
    /// Uploads may be left that could not be given up.
    #[serde(skip_serializing_if = "is_false")]
    uploads_left: bool,
    /// What became of the rows of tables.
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<Rows>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

/// The books of rows, under their names in wire forms.
#[derive(Debug, Serialize)]
struct Rows {
    #[serde(rename = "in")]
    input: u64,
    #[serde(rename = "out")]
    output: u64,
    filtered: u64,
    dropped: u64,
    quarantined: u64,
}

#[derive(Debug, Serialize)]
struct FailureGroup {
    kind: String,
    step: Option<String>,
    /// The first one's message, whole.
    message: String,
    /// The message without what differs from file to file: equal ones are one group, across tasks too.
    pattern: String,
    count: u64,
    examples: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Slow {
    path: String,
    duration_s: f64,
    size_bytes: u64,
}

/// Failure groups that are told apart by their messages; further ones join a group of their kind and step.
const GROUPS: usize = 100;
const EXAMPLES: usize = 3;
const SLOWEST: usize = 10;

impl Account {
    /// Count an acknowledged entry; `path` is asked for only where it is shown.
    pub fn add(&mut self, row: &Row, path: impl Fn() -> String) {
        let counts = &mut self.counts;
        match row.outcome {
            Outcome::Done => counts.done += 1,
            Outcome::Skipped => counts.skipped += 1,
            Outcome::Failed => counts.failed += 1,
            Outcome::Vanished => counts.vanished += 1,
            Outcome::Poisoned => counts.poisoned += 1,
            Outcome::Redo | Outcome::Moved => return,
        }
        counts.bytes_in += row.bytes_in;
        counts.bytes_out += row.bytes_out;
        if let Some(rows) = row.rows {
            let sum = self.rows.get_or_insert_default();
            *sum += rows;
            self.summary.rows = Some(Rows::from(*sum));
        }
        self.summary.add(row, path);
    }

    /// Say that nothing but time held off a worker that had lost its lease.
    pub fn was_weakly_fenced(&mut self) {
        self.summary.weak_fencing = true;
    }

    /// Say that uploads may be left, for which closing has to look.
    pub fn has_left_uploads(&mut self) {
        self.summary.uploads_left = true;
    }

    /// The summary as JSON.
    pub fn summary(&self) -> String {
        #[derive(Serialize)]
        struct Whole<'a> {
            #[serde(flatten)]
            summary: &'a Summary,
            #[serde(skip_serializing_if = "Effort::is_empty")]
            effort: &'a Effort,
            #[serde(skip_serializing_if = "Option::is_none")]
            hedged: Option<u64>,
        }
        let hedged = Some(self.hedged).filter(|count| *count > 0);
        let whole = Whole { summary: &self.summary, effort: &self.effort, hedged };
        serde_json::to_string(&whole).expect("a summary has string keys only")
    }
}

impl From<RowCounts> for Rows {
    fn from(counts: RowCounts) -> Self {
        let RowCounts { input, output, filtered, dropped, quarantined } = counts;
        Self { input, output, filtered, dropped, quarantined }
    }
}

impl Summary {
    fn add(&mut self, row: &Row, path: impl Fn() -> String) {
        if let Some(reason) = &row.reason {
            *self.reasons.entry(format!("{}:{}", row.outcome.word(), reason.kind)).or_default() += 1;
        }
        if matches!(row.outcome, Outcome::Failed | Outcome::Poisoned) {
            self.add_failure(row, &path);
        }
        let fastest = self.slowest.last().map_or(0.0, |slow| slow.duration_s);
        let duration_s = f64::from(row.duration_us) / 1e6;
        if row.duration_us > 0 && (self.slowest.len() < SLOWEST || duration_s > fastest) {
            self.slowest.push(Slow { path: path(), duration_s, size_bytes: row.bytes_in });
            self.slowest.sort_by(|a, b| b.duration_s.total_cmp(&a.duration_s));
            self.slowest.truncate(SLOWEST);
        }
    }

    fn add_failure(&mut self, row: &Row, path: &impl Fn() -> String) {
        let Some(reason) = &row.reason else { return };
        let pattern = failure_pattern(&reason.message);
        let full = self.failures.len() >= GROUPS;
        let known = self
            .failures
            .iter_mut()
            .find(|group| group.kind == reason.kind && group.step == reason.step && (group.pattern == pattern || full));
        match known {
            Some(group) => {
                group.count += 1;
                if group.examples.len() < EXAMPLES {
                    group.examples.push(path());
                }
            }
            None => self.failures.push(FailureGroup {
                kind: reason.kind.clone(),
                step: reason.step.clone(),
                message: reason.message.clone(),
                pattern,
                count: 1,
                examples: vec![path()],
            }),
        }
    }
}

/// A message without what differs from file to file: words with a digit (numbers, sums) become `N`, quoted names `…`.
pub fn failure_pattern(message: &str) -> String {
    let outside = |part: &str| {
        part.split_inclusive(|letter: char| !letter.is_ascii_alphanumeric())
            .map(|word| match word.find(|letter: char| letter.is_ascii_digit()) {
                Some(_) => format!("N{}", word.trim_start_matches(|letter: char| letter.is_ascii_alphanumeric())),
                None => word.to_owned(),
            })
            .collect::<String>()
    };
    let parts = message.split('`').enumerate();
    parts.map(|(at, part)| if at % 2 == 0 { outside(part) } else { "`…`".to_owned() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Reason;

    fn failed(index: u32, message: &str) -> Row {
        let reason = Reason { kind: "corrupt_input".into(), step: Some("decompress".into()), message: message.into() };
        Row::unread(index, Outcome::Failed, reason)
    }

    #[test]
    fn add_failures_alike_but_for_numbers_and_names_makes_one_group() {
        let mut account = Account::default();
        for index in 0..5 {
            account.add(&failed(index, &format!("bad block at byte {index}7 of `f{index}`")), || format!("f{index}"));
        }
        let summary: serde_json::Value = serde_json::from_str(&account.summary()).expect("is JSON");
        assert_eq!(account.counts.failed, 5);
        assert_eq!(summary["reasons"]["failed:corrupt_input"], 5);
        assert_eq!(summary["failures"].as_array().expect("is a list").len(), 1);
        assert_eq!(summary["failures"][0]["message"], "bad block at byte 07 of `f0`");
        assert_eq!(summary["failures"][0]["pattern"], "bad block at byte N of `…`");
        assert_eq!(summary["failures"][0]["examples"], serde_json::json!(["f0", "f1", "f2"]));
    }

    #[test]
    fn add_rows_of_tables_sums_their_books() {
        let mut account = Account::default();
        assert!(!account.summary().contains("rows"));
        for input in [3, 5] {
            let rows = RowCounts { input, output: input - 1, dropped: 1, ..RowCounts::default() };
            account.add(&Row { rows: Some(rows), ..Row::done(0) }, String::new);
        }
        let summary: serde_json::Value = serde_json::from_str(&account.summary()).expect("is JSON");
        let books = serde_json::json!({"in": 8, "out": 6, "filtered": 0, "dropped": 2, "quarantined": 0});
        assert_eq!(summary["rows"], books);
    }

    #[test]
    fn failure_pattern_of_sums_in_hex_is_one() {
        let pattern = "content's CRC-N is N, N is stored";
        assert_eq!(failure_pattern("content's CRC-32 is 7be04556, 7ae04556 is stored"), pattern);
        assert_eq!(failure_pattern("content's CRC-32 is 12345678, 0a1b2c3d is stored"), pattern);
    }

    #[test]
    fn add_more_groups_than_are_kept_still_counts_every_failure() {
        let mut account = Account::default();
        let word = |n: usize| "abcdefghij".chars().nth(n).expect("is a letter");
        for index in 0..300 {
            let message: String = [word(index % 10), word(index / 10 % 10), word(index / 100)].iter().collect();
            account.add(&failed(0, &message), String::new);
        }
        let summary: serde_json::Value = serde_json::from_str(&account.summary()).expect("is JSON");
        let groups = summary["failures"].as_array().expect("is a list");
        assert_eq!(groups.len(), GROUPS);
        assert_eq!(groups.iter().map(|group| group["count"].as_u64().expect("is a count")).sum::<u64>(), 300);
    }
}
