//! Title and headings of HTML, and which encoding it declares.

use std::{borrow::Cow, convert::Infallible};

use encoding_rs::Encoding;
use html5gum::{
    Span, Tokenizer,
    emitters::callback::{CallbackEmitter, CallbackEvent},
};
use serde_json::{Value, json};

use super::{
    document::{Document, MOST_FOUND, heading, tidy},
    text::Text,
};

/// First bytes that have the declaration: the standard wants it in 1,024, browsers look farther.
const DECLARED_BYTES: usize = 8 << 10;

/// Find title and headings.
pub fn read(text: &Text<'_>) -> Document {
    let declared = Outline::of(&text.bytes[..text.bytes.len().min(DECLARED_BYTES)]).charset;
    // A mark, or that it is valid UTF-8, says more than a declaration.
    let encoding = declared.as_deref().filter(|_| text.encoding == "latin-1");
    let encoding = encoding.and_then(|label| Encoding::for_label(label.as_bytes()));
    let decoded: Cow<'_, [u8]> = match encoding {
        Some(encoding) => match encoding.decode_without_bom_handling(&text.bytes).0 {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        },
        None if text.encoding == "latin-1" => Cow::Owned(text.string(&text.bytes).into_bytes()),
        None => Cow::Borrowed(&text.bytes),
    };
    let outline = Outline::of(&decoded);
    let found = vec![
        ("charset", json!(declared.map(|label| label.to_ascii_lowercase()))),
        ("language", json!(outline.language)),
        ("title", json!(outline.title)),
        ("headings", Value::from(outline.headings)),
    ];
    let document = Document::of("html", text, found);
    match encoding {
        // `Encoding::name` gives those of the standard, such as `Shift_JIS`.
        Some(encoding) => Document { encoding: Some(encoding.name()), ..document },
        None => document,
    }
}

/// What tags tell of a text.
#[derive(Default)]
struct Outline {
    charset: Option<String>,
    language: Option<String>,
    title: Option<String>,
    headings: Vec<Value>,
    /// The tag whose attributes come, and the name of the one whose value does.
    tag: Tag,
    attribute: Attribute,
    /// Level of the heading whose text comes, 0: the title.
    open: Option<u8>,
    words: String,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Tag {
    Html,
    Meta,
    #[default]
    Other,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Attribute {
    Charset,
    Content,
    Lang,
    #[default]
    Other,
}

impl Outline {
    fn of(text: &[u8]) -> Self {
        let mut outline = Self::default();
        let take = |event: CallbackEvent<'_>, _: Span<()>| -> Option<Infallible> {
            outline.take(&event);
            None
        };
        let mut emitter = CallbackEmitter::new(take);
        emitter.naively_switch_states(true);
        let Ok(()) = Tokenizer::new_with_emitter(text, emitter).finish();
        outline
    }

    fn take(&mut self, event: &CallbackEvent<'_>) {
        match *event {
            CallbackEvent::OpenStartTag { name } => self.begin(name),
            CallbackEvent::AttributeName { name } => {
                self.attribute = match name {
                    b"charset" => Attribute::Charset,
                    b"content" => Attribute::Content,
                    b"lang" => Attribute::Lang,
                    _ => Attribute::Other,
                };
            }
            CallbackEvent::AttributeValue { value } => self.value(&String::from_utf8_lossy(value)),
            CallbackEvent::String { value } if self.open.is_some() => {
                self.words.push_str(&String::from_utf8_lossy(value));
            }
            CallbackEvent::EndTag { name } if self.open.is_some() && opens(name) == self.open => self.end(),
            _ => {}
        }
    }

    fn begin(&mut self, name: &[u8]) {
        self.tag = match name {
            b"html" => Tag::Html,
            b"meta" => Tag::Meta,
            _ => Tag::Other,
        };
        self.attribute = Attribute::Other;
        if let Some(level) = opens(name) {
            // One that was not closed ends where the next one begins.
            self.end();
            self.open = Some(level);
        }
    }

    fn value(&mut self, value: &str) {
        let charset = match (self.tag, self.attribute) {
            (Tag::Meta, Attribute::Charset) => Some(value),
            (Tag::Meta, Attribute::Content) => value.split_once("charset=").map(|(_, charset)| charset),
            (Tag::Html, Attribute::Lang) => {
                self.language.get_or_insert_with(|| tidy(value));
                None
            }
            _ => None,
        };
        if let Some(charset) = charset {
            self.charset.get_or_insert_with(|| tidy(charset));
        }
    }

    fn end(&mut self) {
        let words = std::mem::take(&mut self.words);
        match self.open.take() {
            Some(0) => {
                self.title.get_or_insert_with(|| tidy(&words));
            }
            Some(level) if self.headings.len() < MOST_FOUND => self.headings.push(heading(level, &words)),
            _ => {}
        }
    }
}

/// The level of a heading's tag, 0 for the title's.
fn opens(name: &[u8]) -> Option<u8> {
    match name {
        b"title" => Some(0),
        [b'h', level @ b'1'..=b'6'] => Some(level - b'0'),
        _ => None,
    }
}
