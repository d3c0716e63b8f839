//! Text forms of a listed file: a path, an NDJSON object, a CSV row.

use std::io::Write;

use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::DateTime;

use super::{Detail, listing::Listed};

/// How files are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The path's bytes as they are, and one byte behind each.
    Paths {
        /// `b'\n'`, or `0` for names that hold newlines.
        terminator: u8,
    },
    /// One JSON object a line: `path`, `path_b64` where the path is not UTF-8, and `size_bytes` and `modified_at`
    /// where sizes were asked for.
    Ndjson,
    /// RFC 4180 with a header line and LF: the same columns without `path_b64`; bytes that are not UTF-8 stay as they are.
    Csv,
}

impl Format {
    /// What comes before all files.
    pub(super) fn header(self, detail: Detail) -> &'static [u8] {
        match (self, detail) {
            (Self::Csv, Detail::Names) => b"path\n",
            (Self::Csv, Detail::Sizes) => b"path,size_bytes,modified_at\n",
            _ => b"",
        }
    }

    /// Append one file.
    pub(super) fn append(self, out: &mut Vec<u8>, path: &[u8], file: Listed<'_>, detail: Detail) {
        match self {
            Self::Paths { terminator } => {
                out.extend_from_slice(path);
                out.push(terminator);
            }
            Self::Ndjson => append_json(out, path, file, detail),
            Self::Csv => append_csv(out, path, file, detail),
        }
    }
}

fn append_json(out: &mut Vec<u8>, path: &[u8], file: Listed<'_>, detail: Detail) {
    let text = String::from_utf8_lossy(path);
    out.extend_from_slice(b"{\"path\":");
    serde_json::to_writer(&mut *out, &text).expect("a string is JSON, and memory takes it");
    if matches!(text, std::borrow::Cow::Owned(_)) {
        print(out, format_args!(",\"path_b64\":\"{}\"", BASE64_STANDARD.encode(path)));
    }
    if detail == Detail::Sizes {
        print(out, format_args!(",\"size_bytes\":{},\"modified_at\":\"", file.size_bytes));
        append_time(out, file.modified_ns);
        out.push(b'"');
    }
    out.extend_from_slice(b"}\n");
}

fn append_csv(out: &mut Vec<u8>, path: &[u8], file: Listed<'_>, detail: Detail) {
    if path.iter().any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r')) {
        out.push(b'"');
        for &byte in path {
            out.extend(std::iter::repeat_n(byte, if byte == b'"' { 2 } else { 1 }));
        }
        out.push(b'"');
    } else {
        out.extend_from_slice(path);
    }
    if detail == Detail::Sizes {
        print(out, format_args!(",{},", file.size_bytes));
        append_time(out, file.modified_ns);
    }
    out.push(b'\n');
}

/// RFC 3339 in UTC, with as many digits as the time has: none, 3, 6 or 9.
fn append_time(out: &mut Vec<u8>, nanoseconds: i64) {
    let time = DateTime::from_timestamp_nanos(nanoseconds);
    print(out, format_args!("{}", time.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)));
}

fn print(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("memory takes everything");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Kind;

    fn text(format: Format, path: &[u8], detail: Detail) -> Vec<u8> {
        let file = Listed { name: b"", kind: Kind::File, size_bytes: 7, modified_ns: 1_730_629_361_500_000_000 };
        let mut out = Vec::new();
        format.append(&mut out, path, file, detail);
        out
    }

    #[test]
    fn test_ndjson_of_path_that_is_not_utf8_has_its_bytes_in_base64() {
        assert_eq!(text(Format::Ndjson, b"a\n\"", Detail::Names), b"{\"path\":\"a\\n\\\"\"}\n");
        assert_eq!(
            text(Format::Ndjson, b"a\xff", Detail::Sizes),
            "{\"path\":\"a\u{fffd}\",\"path_b64\":\"Yf8=\",\"size_bytes\":7,\"modified_at\":\"2024-11-03T10:22:41.500Z\"}\n"
                .as_bytes()
        );
    }

    #[test]
    fn test_csv_quotes_what_would_break_a_row() {
        assert_eq!(text(Format::Csv, b"a b", Detail::Names), b"a b\n");
        assert_eq!(text(Format::Csv, b"a,\"b\n", Detail::Sizes), b"\"a,\"\"b\n\",7,2024-11-03T10:22:41.500Z\n");
    }
}
