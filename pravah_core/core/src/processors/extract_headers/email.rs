//! The header fields of an e-mail (RFC 5322, with encoded words of RFC 2047), or of the first one of an mbox.

use mail_parser::{DateTime, MessageParser};
use serde_json::{Value, json};

use super::{
    document::{Document, MOST_FOUND, named, tidy},
    format::Format,
    text::Text,
};
use crate::{Error, Result};

/// Find the header fields.
pub fn read(text: &Text<'_>, format: Format) -> Result<Document> {
    let mut message = &text.bytes[..];
    let mut found = Vec::new();
    if format == Format::Mbox {
        // Each message has a line before it (RFC 4155).
        let end = memchr::memchr(b'\n', message).map_or(message.len(), |end| end + 1);
        let messages = 1 + memchr::memmem::find_iter(message, b"\nFrom ").count();
        found.push(("messages", json!(text.is_whole.then_some(messages))));
        message = &message[end..];
    }
    // Without a field that is named, all known ones would be taken apart.
    let parser = MessageParser::new().header_text("Subject").default_header_text();
    let parsed = parser.parse_headers(message);
    let parsed = parsed.filter(|parsed| !parsed.headers().is_empty());
    let parsed = parsed.ok_or_else(|| Error::CorruptInput("it has no header fields, as an e-mail does".to_owned()))?;
    let value = |name: &str| {
        let field = parsed.headers().iter().find(|field| field.name().eq_ignore_ascii_case(name));
        field.and_then(|field| field.value.as_text())
    };
    let date = value("Date").and_then(DateTime::parse_rfc822).filter(DateTime::is_valid);
    let fields = parsed.headers().iter().take(MOST_FOUND);
    let fields = fields.map(|field| named(field.name(), field.value.as_text().unwrap_or_default()));
    for (key, name) in [("subject", "Subject"), ("from", "From"), ("to", "To"), ("message_id", "Message-ID")] {
        found.push((key, json!(value(name).map(tidy))));
    }
    found.push(("date", json!(date.map(|date| date.to_rfc3339()))));
    found.push(("fields", Value::from_iter(fields)));
    Ok(Document::of(format.name(), text, found))
}
