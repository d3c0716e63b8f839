//! The headings of Markdown (CommonMark).

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use serde_json::{Value, json};

use super::{
    document::{Document, MOST_FOUND, heading, tidy},
    text::Text,
};

/// Bytes that are looked at: the parser takes about fifty for each.
const PARSED_BYTES: usize = 192 << 10;

/// Find the headings.
pub fn read(text: &Text<'_>) -> Document {
    let part = &text.bytes[..text.bytes.len().min(PARSED_BYTES)];
    let source = text.string(part);
    let mut headings: Vec<Value> = Vec::new();
    let (mut level, mut words) = (None, String::new());
    let mut title = None;
    // Without this option the last line of front matter would be taken for a heading.
    for event in Parser::new_ext(&source, Options::ENABLE_YAML_STYLE_METADATA_BLOCKS) {
        match event {
            Event::Start(Tag::Heading { level: found, .. }) => {
                (level, words) = (Some(found as u8), String::new());
            }
            Event::Text(part) | Event::Code(part) if level.is_some() => words.push_str(&part),
            Event::SoftBreak | Event::HardBreak if level.is_some() => words.push(' '),
            Event::End(TagEnd::Heading(_)) => {
                let found = level.take().unwrap_or(1);
                if title.is_none() && found == 1 {
                    title = Some(tidy(&words));
                }
                headings.push(heading(found, &words));
            }
            _ => {}
        }
        if headings.len() == MOST_FOUND {
            break;
        }
    }
    let found = vec![("title", json!(title)), ("headings", Value::from(headings))];
    let document = Document::of("markdown", text, found);
    Document { exact: text.is_whole && part.len() == text.bytes.len(), ..document }
}
