//! The list of a workbook's sheets, and its XML part by part.

use std::collections::HashMap;

use quick_xml::{
    Reader,
    events::{BytesStart, Event},
};

use super::{
    archive::{Archive, Bounded, Content},
    styles::Epoch,
};
use crate::{Error, Result, processors::Looked};

/// Walks over the elements of a member, up to its end or as far as it is seen.
pub struct Elements {
    reader: Reader<Bounded>,
    buffer: Vec<u8>,
    /// Whether all of it has been read.
    pub has_ended: bool,
}

/// A part of XML.
pub enum Element {
    Start(BytesStart<'static>),
    End(String),
    Text(String),
}

impl Elements {
    pub fn new(content: &Content) -> Self {
        let mut reader = Reader::from_reader(content.reader());
        reader.config_mut().expand_empty_elements = true;
        reader.config_mut().check_end_names = false;
        Self { reader, buffer: Vec::new(), has_ended: false }
    }

    /// The next part. What is cut, or is no XML, ends it.
    pub fn next(&mut self) -> Option<Element> {
        loop {
            self.buffer.clear();
            return Some(match self.reader.read_event_into(&mut self.buffer).ok()? {
                Event::Start(start) => Element::Start(start.into_owned()),
                Event::End(end) => Element::End(text(end.local_name().as_ref())),
                Event::Text(content) => Element::Text(text(content.as_ref())),
                Event::CData(content) => Element::Text(text(content.as_ref())),
                Event::GeneralRef(reference) => Element::Text(resolved(&reference)),
                Event::Eof => {
                    self.has_ended = true;
                    return None;
                }
                _ => continue,
            });
        }
    }

    /// Begin with another row or text, which may be as large as the one before.
    pub fn begin_part(&mut self) {
        self.reader.get_mut().begin_part();
    }

    /// Why there is no next part, where that is not the end.
    pub fn failure(&mut self) -> Error {
        let offset = self.reader.buffer_position();
        let failure = self.reader.get_mut().failure();
        failure.unwrap_or_else(|| Error::CorruptInput(format!("the XML of the workbook is damaged at byte {offset}")))
    }
}

fn text(bytes: impl AsRef<[u8]>) -> String {
    String::from_utf8_lossy(bytes.as_ref()).into_owned()
}

/// What a reference such as `&amp;` stands for.
fn resolved(reference: &quick_xml::events::BytesRef<'_>) -> String {
    if let Ok(Some(letter)) = reference.resolve_char_ref() {
        return letter.to_string();
    }
    let name = text(reference.as_ref());
    quick_xml::escape::resolve_predefined_entity(&name).unwrap_or_default().to_owned()
}

/// An element's name without its namespace.
pub fn name(start: &BytesStart<'_>) -> String {
    text(start.local_name().as_ref())
}

/// The value of an attribute, by its name without its namespace.
pub fn attribute(start: &BytesStart<'_>, wanted: &str) -> Option<String> {
    let mut attributes = start.attributes();
    attributes.with_checks(false);
    let found = attributes.flatten().find(|found| text(found.key.local_name().as_ref()) == wanted)?;
    let raw = text(&*found.value);
    Some(quick_xml::escape::unescape(&raw).map_or(raw.clone(), |value| value.into_owned()))
}

/// What a workbook says of itself.
pub struct Book {
    /// Names of the sheets and of their members.
    pub sheets: Vec<(String, String)>,
    pub epoch: Epoch,
}

/// Read what a workbook says of itself; none: there is none in the zip file.
pub fn read(archive: &Archive<'_>) -> Looked<Option<Book>> {
    let Some(content) = archive.content("xl/workbook.xml")? else { return Ok(None) };
    let targets = targets(archive)?;
    let mut book = Book { sheets: Vec::new(), epoch: Epoch::Of1900 };
    let mut elements = Elements::new(&content);
    while let Some(element) = elements.next() {
        let Element::Start(start) = element else { continue };
        match name(&start).as_str() {
            "workbookPr" if matches!(attribute(&start, "date1904").as_deref(), Some("1" | "true")) => {
                book.epoch = Epoch::Of1904;
            }
            "sheet" => {
                // Sheets of charts have members elsewhere.
                let member = attribute(&start, "id").and_then(|id| targets.get(&id).cloned());
                if let Some(member) = member.filter(|member| member.contains("worksheets/")) {
                    book.sheets.push((attribute(&start, "name").unwrap_or_default(), member));
                }
            }
            _ => {}
        }
    }
    if !elements.has_ended {
        return Err(Error::CorruptInput("no workbook: its list of sheets is no XML".to_owned()).into());
    }
    Ok(Some(book))
}

/// The member that each relation of the workbook leads to.
fn targets(archive: &Archive<'_>) -> Looked<HashMap<String, String>> {
    let mut targets = HashMap::new();
    let Some(relations) = archive.content("xl/_rels/workbook.xml.rels")? else { return Ok(targets) };
    let mut elements = Elements::new(&relations);
    while let Some(element) = elements.next() {
        let Element::Start(start) = element else { continue };
        if let (Some(id), Some(target)) = (attribute(&start, "Id"), attribute(&start, "Target")) {
            let member = target.strip_prefix('/').map_or_else(|| format!("xl/{target}"), str::to_owned);
            targets.insert(id, member);
        }
    }
    Ok(targets)
}

/// A position as attributes and cells have it.
pub fn position(text: &str) -> Result<usize> {
    let parsed = text.trim().parse();
    parsed
        .map_err(|_| Error::CorruptInput(format!("no workbook: `{text}` should be the position of a text or a style")))
}
