//! Columns of ndjson and json: the keys of all objects of the sample, in the order in which they appear first.

use std::{borrow::Cow, collections::HashMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use super::{
    MOST_COLUMNS,
    findings::{Findings, Rows},
    format::Format,
    kind::Kind,
    text::Text,
    too_many_columns,
};
use crate::{Error, Result};

/// Tell which of the two a text is, if it is one: an array of objects, or objects one after the other.
pub fn looks_like(text: &[u8]) -> Option<Format> {
    let text = text.trim_ascii_start();
    match text.first()? {
        b'[' if matches!(text[1..].trim_ascii_start().first(), Some(b'{' | b']')) => Some(Format::Json),
        b'{' if matches!(text[1..].trim_ascii_start().first(), Some(b'"' | b'}')) => Some(Format::Ndjson),
        _ => None,
    }
}

/// Find the columns.
pub fn read(text: &Text<'_>, format: Format) -> Result<Findings> {
    let mut columns = Columns::default();
    let mut objects = Objects::new(text, format)?;
    let before_bytes = objects.at;
    let mut count = 0;
    while let Some(object) = objects.next()? {
        count += 1;
        columns.take(&object)?;
    }
    if count == 0 && !text.is_whole {
        let seen = text.bytes.len();
        return Err(Error::UnsupportedInput(format!(
            "the first row is longer than the {seen} bytes that are looked at"
        )));
    }
    Ok(Findings {
        format,
        compression: text.compression,
        encoding: Some((text.encoding, text.is_marked)),
        dialect: None,
        header_likely: None,
        columns: columns.columns.into_iter().map(|(name, kind)| (name, kind.name().to_owned())).collect(),
        rows: Rows::of(text, count, before_bytes, objects.at),
    })
}

#[derive(Default)]
struct Columns {
    columns: Vec<(String, Kind)>,
    positions: HashMap<String, usize>,
}

impl Columns {
    fn take(&mut self, object: &Object<'_>) -> Result<()> {
        for (guess, (key, kind)) in object.0.iter().enumerate() {
            let at = self.position(guess, key)?;
            let column = &mut self.columns[at].1;
            *column = column.with(*kind).unwrap_or(Kind::Mixed);
        }
        Ok(())
    }

    /// The column of a key; most objects have all keys, in one order.
    fn position(&mut self, guess: usize, key: &str) -> Result<usize> {
        if self.columns.get(guess).is_some_and(|(name, _)| name == key) {
            return Ok(guess);
        }
        if let Some(&at) = self.positions.get(key) {
            return Ok(at);
        }
        let at = self.columns.len();
        if at == MOST_COLUMNS {
            return Err(too_many_columns(at + 1));
        }
        self.columns.push((key.to_owned(), Kind::Null));
        self.positions.insert(key.to_owned(), at);
        Ok(at)
    }
}

/// Walks over the objects of a text.
struct Objects<'t> {
    text: &'t Text<'t>,
    /// Objects are in an array, with commas between them.
    is_array: bool,
    number: u64,
    /// Where the last one ended.
    at: usize,
}

impl<'t> Objects<'t> {
    fn new(text: &'t Text<'_>, format: Format) -> Result<Self> {
        let mut objects = Self { text, is_array: false, number: 0, at: 0 };
        if format == Format::Json {
            match objects.peek() {
                (at, Some(b'[')) => (objects.is_array, objects.at) = (true, at + 1),
                // One object is a table of one row.
                (_, Some(b'{')) => {}
                (_, None) if text.is_whole => {
                    return Err(Error::TruncatedInput("the file has no JSON in it".to_owned()));
                }
                (at, _) => return Err(objects.corrupt(at, "an array of objects is expected")),
            }
        }
        Ok(objects)
    }

    /// The next byte that is no blank, and where it is.
    fn peek(&self) -> (usize, Option<u8>) {
        let blanks = self.text.bytes[self.at..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        (self.at + blanks, self.text.bytes.get(self.at + blanks).copied())
    }

    /// The next object that is complete.
    fn next(&mut self) -> Result<Option<Object<'t>>> {
        let start = match self.peek() {
            (at, Some(_)) if !self.is_array => at,
            (_, None) if !self.is_array => return Ok(None),
            (at, Some(b',')) if self.number > 0 => {
                let before = std::mem::replace(&mut self.at, at + 1);
                let (start, _) = self.peek();
                self.at = before;
                start
            }
            (at, Some(b']')) => return self.end(at + 1),
            (at, Some(_)) if self.number == 0 => at,
            (at, Some(_)) => return Err(self.corrupt(at, "`,` or `]` is expected")),
            (_, None) => return self.cut("its array is not closed"),
        };
        let mut values = serde_json::Deserializer::from_slice(&self.text.bytes[start..]).into_iter::<Object<'t>>();
        match values.next() {
            Some(Ok(object)) => {
                self.at = start + values.byte_offset();
                self.number += 1;
                Ok(Some(object))
            }
            Some(Err(error)) if error.is_eof() => self.cut("its last object is not closed"),
            None => self.cut("its array is not closed"),
            Some(Err(error)) if error.is_data() => {
                Err(Error::UnsupportedInput(format!("row {} is no object, as rows of a table are", self.number + 1)))
            }
            Some(Err(error)) => Err(self.corrupt(start, &error.to_string())),
        }
    }

    /// Behind an array is nothing.
    fn end(&mut self, at: usize) -> Result<Option<Object<'t>>> {
        let last = std::mem::replace(&mut self.at, at);
        let (behind, byte) = self.peek();
        self.at = last;
        if byte.is_some() { Err(self.corrupt(behind, "nothing is expected behind the array")) } else { Ok(None) }
    }

    fn cut(&self, what: &str) -> Result<Option<Object<'t>>> {
        if self.text.is_whole { Err(Error::TruncatedInput(format!("the JSON is cut off: {what}"))) } else { Ok(None) }
    }

    fn corrupt(&self, at: usize, why: &str) -> Error {
        let line = 1 + memchr::memchr_iter(b'\n', &self.text.bytes[..at]).count();
        // The parser counts lines from where it began.
        let why = why.split(" at line ").next().unwrap_or(why);
        Error::CorruptInput(format!("row {}, at line {line}, is no JSON: {why}", self.number + 1))
    }
}

/// The keys of an object, and the types of their values.
struct Object<'t>(Vec<(Cow<'t, str>, Kind)>);

impl<'t> Deserialize<'t> for Object<'t> {
    fn deserialize<D: Deserializer<'t>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;

        impl<'t> Visitor<'t> for Keys {
            type Value = Object<'t>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'t>>(self, mut map: A) -> Result<Object<'t>, A::Error> {
                let mut keys = Vec::new();
                while let Some((Key(key), Shape(kind))) = map.next_entry()? {
                    keys.push((key, kind));
                }
                Ok(Object(keys))
            }
        }

        deserializer.deserialize_any(Keys)
    }
}

/// A key, borrowed where it has no escapes.
#[derive(Deserialize)]
struct Key<'t>(#[serde(borrow)] Cow<'t, str>);

/// The type of a value, whatever it is.
struct Shape(Kind);

impl<'t> Deserialize<'t> for Shape {
    fn deserialize<D: Deserializer<'t>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'t> Visitor<'t> for Any {
            type Value = Shape;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a value")
            }

            fn visit_unit<E>(self) -> Result<Shape, E> {
                Ok(Shape(Kind::Null))
            }

            fn visit_bool<E>(self, _: bool) -> Result<Shape, E> {
                Ok(Shape(Kind::Boolean))
            }

            fn visit_i64<E>(self, _: i64) -> Result<Shape, E> {
                Ok(Shape(Kind::Int64))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Shape, E> {
                Ok(Shape(if i64::try_from(number).is_ok() { Kind::Int64 } else { Kind::Float64 }))
            }

            fn visit_f64<E>(self, _: f64) -> Result<Shape, E> {
                Ok(Shape(Kind::Float64))
            }

            fn visit_str<E>(self, _: &str) -> Result<Shape, E> {
                Ok(Shape(Kind::Text))
            }

            fn visit_seq<A: SeqAccess<'t>>(self, mut list: A) -> Result<Shape, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Shape(Kind::List))
            }

            fn visit_map<A: MapAccess<'t>>(self, mut map: A) -> Result<Shape, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Shape(Kind::Object))
            }
        }

        deserializer.deserialize_any(Any)
    }
}
