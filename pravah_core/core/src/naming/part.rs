//! Which of the outputs of one entry an output is, where a step makes several.

use crate::{Error, Result, plan::Plan};

/// What tells an output of an entry from the others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Part {
    /// Directories of its own, in front of its name; empty where there is none.
    pub directory: Vec<u8>,
    /// Its number among those of the same directory.
    pub number: u32,
}

/// The first one, by which an entry's outputs are named before anybody knows how many there are.
pub static FIRST_PART: Part = Part { directory: Vec::new(), number: 0 };

/// Digits of a number in a name, unless a template says it.
///
/// Never fewer and never more: so names are in the order of the numbers, however many there are, and those of two
/// entries can be equal only where all are.
pub const PART_DIGITS: usize = 5;

/// Outputs of one entry, at most: they are recorded together, some 100 bytes each.
pub const MOST_PARTS: u32 = 100_000;

/// Refuse names that can't tell the outputs of an entry apart, and numbers where each has one.
pub fn check(plan: &Plan) -> Result<()> {
    let refuse = |message: &str| Err(Error::InvalidTemplate(message.to_owned()));
    match (plan.expands(), plan.template()) {
        (true, _) if plan.only_output().is_some() => {
            refuse("the sink is one file, and a step makes several of each: a directory as sink holds them")
        }
        (true, Some(template)) if !template.needs_part() => {
            refuse("sink.path has no `{part}`, which numbers the outputs of each file")
        }
        (false, Some(template)) if template.needs_part() => {
            refuse("`{part}` in sink.path numbers the outputs of a step that makes several of a file, as `split` does")
        }
        _ => Ok(()),
    }
}

/// Put a number behind the stem of a name: `a.csv.gz` is `a-00000.csv.gz`.
pub(super) fn numbered(source: &[u8], output: &[u8], number: u32) -> Vec<u8> {
    let extensions = super::extensions::extensions(source, output);
    let stem = output.strip_suffix(extensions).unwrap_or(output);
    [stem, format!("-{number:0PART_DIGITS$}").as_bytes(), extensions].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbered_names_keep_their_extensions_and_are_in_order() {
        for (source, output, expected) in [
            ("a.csv", "a.csv", "a-00007.csv"),
            ("a.csv.gz", "a.csv.gz", "a-00007.csv.gz"),
            ("a.csv", "a.parquet", "a-00007.parquet"),
            ("README", "README", "README-00007"),
            ("report.2024.csv", "report.2024.csv.zst", "report.2024-00007.csv.zst"),
            (".bashrc", ".bashrc", ".bashrc-00007"),
        ] {
            assert_eq!(numbered(source.as_bytes(), output.as_bytes(), 7), expected.as_bytes(), "{source}");
        }
        let names: Vec<_> = [0, 1, 9, 10, 99, 100, 99_999].map(|number| numbered(b"a", b"a", number)).into();
        assert!(names.is_sorted());
    }
}
