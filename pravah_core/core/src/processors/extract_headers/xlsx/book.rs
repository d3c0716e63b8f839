//! What all sheets of a workbook share: their list, the formats of their numbers, and their texts.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    io::BufRead,
};

use quick_xml::{
    Reader,
    events::{BytesStart, Event},
};

use super::{
    super::super::Looked,
    archive::{Archive, Content},
};
use crate::{Error, Result};

/// Formats of cells that are kept: real workbooks have some hundreds.
const MOST_STYLES: usize = 1 << 16;

/// Walks over the elements of a member, up to its end or as far as it is seen.
pub struct Elements<R> {
    reader: Reader<R>,
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

impl<R: BufRead> Elements<R> {
    pub fn new(reader: R) -> Self {
        let mut reader = Reader::from_reader(reader);
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

/// Names of the sheets and of their members; none: there is no workbook in it.
pub fn sheets(archive: &Archive<'_>) -> Looked<Option<Vec<(String, String)>>> {
    let Some(book) = archive.content("xl/workbook.xml")? else { return Ok(None) };
    let targets = targets(archive)?;
    let mut sheets = Vec::new();
    let mut elements = Elements::new(book.reader());
    while let Some(element) = elements.next() {
        let Element::Start(start) = element else { continue };
        if name(&start) != "sheet" || sheets.len() == super::MOST_SHEETS {
            continue;
        }
        // Sheets of charts have members elsewhere.
        let member = attribute(&start, "id").and_then(|id| targets.get(&id).cloned());
        if let Some(member) = member.filter(|member| member.contains("worksheets/")) {
            sheets.push((attribute(&start, "name").unwrap_or_default(), member));
        }
    }
    if !elements.has_ended {
        return Err(Error::CorruptInput("no workbook: its list of sheets is no XML".to_owned()).into());
    }
    Ok(Some(sheets))
}

/// The member that each relation of the workbook leads to.
fn targets(archive: &Archive<'_>) -> Looked<HashMap<String, String>> {
    let mut targets = HashMap::new();
    let Some(relations) = archive.content("xl/_rels/workbook.xml.rels")? else { return Ok(targets) };
    let mut elements = Elements::new(relations.reader());
    while let Some(element) = elements.next() {
        let Element::Start(start) = element else { continue };
        if let (Some(id), Some(target)) = (attribute(&start, "Id"), attribute(&start, "Target")) {
            let member = target.strip_prefix('/').map_or_else(|| format!("xl/{target}"), str::to_owned);
            targets.insert(id, member);
        }
    }
    Ok(targets)
}

/// Which styles of cells show numbers as times, and whether with a time of day.
pub fn date_styles(styles: &Content) -> HashMap<usize, bool> {
    let mut dates = HashMap::new();
    let (mut own, mut is_within, mut position) = (HashMap::new(), false, 0);
    let mut elements = Elements::new(styles.reader());
    while let Some(element) = elements.next() {
        match element {
            Element::Start(start) => match name(&start).as_str() {
                "numFmt" => {
                    if let (Some(id), Some(code)) = (attribute(&start, "numFmtId"), attribute(&start, "formatCode"))
                        && own.len() < MOST_STYLES
                    {
                        own.insert(id, time_of_code(&code));
                    }
                }
                "cellXfs" => is_within = true,
                "xf" if is_within => {
                    let id = attribute(&start, "numFmtId").unwrap_or_default();
                    if let Some(has_time) = own.get(&id).copied().unwrap_or_else(|| time_of_id(&id))
                        && dates.len() < MOST_STYLES
                    {
                        dates.insert(position, has_time);
                    }
                    position += 1;
                }
                _ => {}
            },
            Element::End(name) if name == "cellXfs" => is_within = false,
            _ => {}
        }
    }
    dates
}

/// Whether a format of the standard shows a date, and with a time of day (ECMA-376, 18.8.30).
fn time_of_id(id: &str) -> Option<bool> {
    match id.parse().ok()? {
        14..=17 => Some(false),
        18..=22 | 45..=47 => Some(true),
        _ => None,
    }
}

/// The same of a format's code: letters of dates outside quotes, brackets and escapes.
fn time_of_code(code: &str) -> Option<bool> {
    let (mut letters, mut until) = (HashSet::new(), None);
    let mut rest = code.chars();
    while let Some(letter) = rest.next() {
        match (until, letter) {
            (Some(end), letter) => until = Some(end).filter(|end| *end != letter),
            (None, '"') => until = Some('"'),
            (None, '[') => until = Some(']'),
            (None, '\\' | '_' | '*') => drop(rest.next()),
            (None, ';') => break,
            (None, letter) => drop(letters.insert(letter.to_ascii_lowercase())),
        }
    }
    let has_time = letters.contains(&'h') || letters.contains(&'s');
    (has_time || letters.contains(&'y') || letters.contains(&'d')).then_some(has_time)
}

/// The shared texts at these positions.
pub fn shared_texts(shared: &Content, wanted: &BTreeSet<usize>) -> HashMap<usize, String> {
    let mut texts = HashMap::new();
    let Some(last) = wanted.last() else { return texts };
    let (mut position, mut words, mut is_text, mut is_reading) = (0, String::new(), false, false);
    let mut elements = Elements::new(shared.reader());
    while position <= *last
        && let Some(element) = elements.next()
    {
        match element {
            Element::Start(start) => match name(&start).as_str() {
                "t" => is_text = true,
                // How a word is pronounced is no part of it.
                "rPh" => is_reading = true,
                _ => {}
            },
            Element::Text(text) if is_text && !is_reading => words.push_str(&text),
            Element::Text(_) => {}
            Element::End(name) => match name.as_str() {
                "t" => is_text = false,
                "rPh" => is_reading = false,
                "si" => {
                    let text = std::mem::take(&mut words);
                    if wanted.contains(&position) {
                        texts.insert(position, text);
                    }
                    position += 1;
                }
                _ => {}
            },
        }
    }
    texts
}

/// A position as attributes and cells have it.
pub fn position(text: &str) -> Result<usize> {
    let parsed = text.trim().parse();
    parsed
        .map_err(|_| Error::CorruptInput(format!("no workbook: `{text}` should be the position of a text or a style")))
}
