//! What a text is about: by its beginning where that is unmistakable, then by its name, then by its form.

use super::{
    super::extract_headers::{dialect, json, text::Text},
    FileType, TYPES, extension, known,
};
use crate::processors::extract_headers::format::Format;

/// Types of text that are told by the extension of their name alone.
const BY_NAME: [&str; 13] =
    ["css", "csv", "email", "ini", "javascript", "markdown", "mbox", "python", "rust", "sql", "toml", "tsv", "yaml"];

/// Tell the type of a text; none: it is no text.
pub fn of(name: &[u8], text: &Text<'_>) -> Option<&'static FileType> {
    if !is_text(text) {
        return None;
    }
    let extension = extension(name);
    let named = extension.and_then(|extension| {
        TYPES.iter().find(|known| BY_NAME.contains(&known.name) && known.extensions.contains(&extension.as_str()))
    });
    Some(of_beginning(&text.bytes).map(known).or(named).unwrap_or_else(|| known(of_form(text))))
}

/// Whether it is text: no NULs, and hardly any other control characters.
pub fn is_text(text: &Text<'_>) -> bool {
    let is_control = |byte: &&u8| matches!(byte, 0..=8 | 14..=26 | 28..=31 | 127);
    let controls = text.bytes.iter().filter(is_control).count();
    memchr::memchr(0, &text.bytes).is_none() && controls * 100 <= text.bytes.len()
}

fn of_beginning(text: &[u8]) -> Option<&'static str> {
    let text = text.trim_ascii_start();
    let begins = |word: &str| text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word.as_bytes()));
    if text.starts_with(b"#!") {
        let line = text.split(|&byte| byte == b'\n').next().unwrap_or_default();
        let has = |word: &str| memchr::memmem::find(line, word.as_bytes()).is_some();
        return [("python", "python"), ("node", "javascript"), ("sh", "shell")]
            .into_iter()
            .find(|(word, _)| has(word))
            .map(|(_, name)| name);
    }
    if begins("<!doctype html") || begins("<html") {
        return Some("html");
    }
    if begins("<svg") {
        return Some("svg");
    }
    if begins("<?xml") {
        let is_within = |word: &str| memchr::memmem::find(&text[..text.len().min(4_096)], word.as_bytes()).is_some();
        return Some(if is_within("<svg") {
            "svg"
        } else if is_within("<html") {
            "html"
        } else {
            "xml"
        });
    }
    if text.starts_with(b"From ") && fields(text.split(|&byte| byte == b'\n').skip(1)) >= 2 {
        return Some("mbox");
    }
    (fields(text.split(|&byte| byte == b'\n')) >= 3).then_some("email")
}

/// Count fields of e-mail at the beginning of these lines, if all are such up to an empty one.
pub fn fields<'t>(lines: impl Iterator<Item = &'t [u8]>) -> usize {
    const NAMES: [&str; 12] = [
        "from",
        "to",
        "subject",
        "date",
        "message-id",
        "received",
        "return-path",
        "delivered-to",
        "mime-version",
        "content-type",
        "reply-to",
        "cc",
    ];
    let mut known = 0;
    for line in lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line)).take_while(|line| !line.is_empty()) {
        if line[0] == b' ' || line[0] == b'\t' {
            continue; // of the field before
        }
        let Some(colon) = memchr::memchr(b':', line) else { return 0 };
        // A name is printable ASCII without blanks (RFC 5322, 2.2).
        if colon == 0 || !line[..colon].iter().all(u8::is_ascii_graphic) {
            return 0;
        }
        known += usize::from(NAMES.iter().any(|name| line[..colon].eq_ignore_ascii_case(name.as_bytes())));
    }
    known
}

fn of_form(text: &Text<'_>) -> &'static str {
    match json::looks_like(&text.bytes) {
        Some(Format::Ndjson) if is_one_object(text) => return "json",
        Some(Format::Ndjson) => return "ndjson",
        Some(_) => return "json",
        None => {}
    }
    let start = text.bytes.trim_ascii_start();
    if start.first() == Some(&b'[') && serde_json::from_slice::<serde::de::IgnoredAny>(start).is_ok() {
        return "json";
    }
    if start.first() == Some(&b'<') && start.get(1).is_some_and(u8::is_ascii_alphabetic) {
        return "xml";
    }
    match dialect::of_unnamed(text).map(|dialect| dialect.delimiter) {
        Some(b'\t') => "tsv",
        Some(_) => "csv",
        None => "text",
    }
}

/// Whether nothing follows the first object, as far as it is seen: then lines are only its layout.
fn is_one_object(text: &Text<'_>) -> bool {
    let mut values = serde_json::Deserializer::from_slice(&text.bytes).into_iter::<serde::de::IgnoredAny>();
    match values.next() {
        Some(Ok(_)) => values.next().is_none(),
        Some(Err(error)) => error.is_eof(),
        None => true,
    }
}
