//! Reads a sheet of a workbook as a table: its list of members is at its end, so it lies in memory whole.
//!
//! Rows are read in order, and put into pieces whose types any thread finds.

use std::{collections::VecDeque, sync::Arc};

use bytes::{Bytes, BytesMut};
use serde::Deserialize;

use super::{Archive, Cell, Meaning, Row, Rows, Seen, book, styles, texts::Texts};
use crate::{
    Error, Result,
    memo::Memo,
    processors::{Event, Halt, Parts, Tag},
    tables::{
        Format, ReadOptions,
        read::TableReader,
        text::{
            Assembly, Grammar, MOST_ROW_BYTES, PIECE_BYTES, Piece,
            sheet::{SheetColumns, write_row},
        },
        whole::check_size,
    },
};

/// Sheets that a message names.
const SHOWN_SHEETS: usize = 20;

/// Bytes of memory that the shared texts of a file of this size may take: zipped, they are a fifth to a twentieth.
pub fn most_text_bytes(size_bytes: u64) -> u64 {
    size_bytes.saturating_mul(20).clamp(1 << 20, 256 << 20)
}

/// Which sheet is read.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(untagged)]
pub enum SheetChoice {
    /// By its position, from 1 on
    Number(u64),
    /// By its name
    Name(String),
}

/// Reads one file.
pub struct XlsxReader {
    options: Arc<ReadOptions>,
    memo: Option<Memo>,
    file: BytesMut,
    waiting: VecDeque<Event>,
    /// None until the file has come, and once its sheet has ended.
    sheet: Option<Sheet>,
}

/// A sheet whose rows are being read.
struct Sheet {
    rows: Rows,
    meaning: Meaning,
    texts: Texts,
    assembly: Arc<Assembly>,
    /// A row that is known already.
    next: Option<Row>,
    /// The number of the last row that was put into a piece.
    line: u64,
    is_first: bool,
}

impl XlsxReader {
    /// Wait for the file; `memo` is what an earlier reading of it has found.
    pub fn new(options: &Arc<ReadOptions>, size_bytes: Option<u64>, memo: Option<Memo>) -> Result<Self> {
        let size_bytes = size_bytes.unwrap_or_default();
        check_size(size_bytes)?;
        let file = BytesMut::with_capacity(size_bytes as usize);
        Ok(Self { options: Arc::clone(options), memo, file, waiting: VecDeque::new(), sheet: None })
    }

    fn open(&mut self, file: Bytes) -> Result<()> {
        let most_text_bytes = most_text_bytes(file.len() as u64);
        let parts = Parts::whole(file);
        let (mut rows, meaning, texts) = open(&parts, self.options.sheet.as_ref(), most_text_bytes).map_err(failed)?;
        let first = next_row(&mut rows, &meaning)?;
        let first = first.ok_or_else(|| Error::NoColumns("the sheet has no cells with values".to_owned()))?;
        let columns = columns(&first, &texts, self.options.delimited.has_header)?;
        let (next, line) = if self.options.delimited.has_header { (None, first.number) } else { (Some(first), 0) };
        let grammar = (Grammar::Sheet(columns), Format::Xlsx);
        let assembly = Assembly::new(grammar, Arc::clone(&self.options), line, self.memo.as_ref())?;
        self.waiting.extend(assembly.schema_event());
        self.sheet = Some(Sheet { rows, meaning, texts, assembly, next, line, is_first: true });
        Ok(())
    }
}

impl TableReader for XlsxReader {
    fn push(&mut self, bytes: Bytes) -> Result<()> {
        check_size((self.file.len() + bytes.len()) as u64)?;
        self.file.extend_from_slice(&bytes);
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        let file = std::mem::take(&mut self.file).freeze();
        self.open(file)
    }

    fn pull(&mut self) -> Result<Option<Event>> {
        if let Some(event) = self.waiting.pop_front() {
            return Ok(Some(event));
        }
        let Some(sheet) = &mut self.sheet else { return Ok(None) };
        let piece = sheet.piece()?;
        let event = Event::Block(sheet.assembly.block(piece.clone()));
        if piece.is_last {
            self.sheet = None;
        }
        Ok(Some(event))
    }
}

impl Sheet {
    /// Put the next rows into a piece.
    fn piece(&mut self) -> Result<Piece> {
        let mut text = Vec::new();
        let mut is_last = false;
        while text.len() < PIECE_BYTES {
            let row = match self.next.take() {
                Some(row) => Some(row),
                None => next_row(&mut self.rows, &self.meaning)?,
            };
            let Some(row) = row else {
                is_last = true;
                break;
            };
            let cells = row.cells.iter().map(|(column, cell)| self.cell(*column, cell));
            let mut cells = cells.collect::<Result<Vec<_>>>()?;
            cells.retain(|(_, _, text)| !text.is_empty()); // also of shared texts, an empty one is none
            let start = text.len();
            write_row((row.number - self.line) as u32, &cells, &mut text);
            if text.len() - start > MOST_ROW_BYTES {
                let most = MOST_ROW_BYTES >> 20;
                return Err(Error::UnsupportedInput(format!("row {} has more than {most} MiB", row.number)));
            }
            self.line = row.number;
        }
        let is_first = std::mem::replace(&mut self.is_first, false);
        Ok(Piece { text: text.into(), is_first, is_last })
    }

    fn cell<'c>(&'c self, column: usize, cell: &'c Cell) -> Result<(usize, Tag, &'c str)> {
        Ok(match cell {
            Cell::Shared(position) => (column, Tag::Text, shared(&self.texts, *position)?),
            Cell::Text(text) => (column, Tag::Text, text),
            Cell::Day(day) => (column, Tag::Day, day),
            other => (column, Tag::Bare, other.text()),
        })
    }
}

/// Find the sheet, and what its cells need.
fn open(parts: &Parts, wanted: Option<&SheetChoice>, most_text_bytes: u64) -> Result<(Rows, Meaning, Texts), Halt> {
    let archive = Archive::open(parts, Seen::All)?;
    let Some(book) = book::read(&archive)? else {
        return Err(Error::CorruptInput("no workbook: the zip file has no `xl/workbook.xml`".to_owned()).into());
    };
    let member = choose(&book.sheets, wanted)?;
    let Some(content) = archive.content(member)? else {
        return Err(Error::CorruptInput(format!("no workbook: the zip file has no `{member}`")).into());
    };
    let times = archive.content("xl/styles.xml")?.map(|content| styles::times(&content)).transpose()?;
    let texts = archive.content("xl/sharedStrings.xml")?;
    let texts = texts.map(|content| Texts::read(&content, most_text_bytes)).transpose()?.unwrap_or_default();
    let meaning = Meaning { times: times.unwrap_or_default(), epoch: book.epoch };
    Ok((Rows::new(&content), meaning, texts))
}

/// The member of the sheet that is wanted: of this name, else at this position, else the first one.
fn choose<'b>(sheets: &'b [(String, String)], wanted: Option<&SheetChoice>) -> Result<&'b str> {
    let (name, number) = match wanted {
        None => (String::new(), Some(1)),
        Some(SheetChoice::Number(number)) => (number.to_string(), Some(*number)),
        Some(SheetChoice::Name(name)) => (name.clone(), name.parse().ok()),
    };
    let named = sheets.iter().find(|(sheet, _)| wanted.is_some() && *sheet == name);
    let numbered = || number.and_then(|number| sheets.get(usize::try_from(number.checked_sub(1)?).ok()?));
    named.or_else(numbered).map(|(_, member)| member.as_str()).ok_or_else(|| {
        let shown: Vec<_> = sheets.iter().take(SHOWN_SHEETS).map(|(name, _)| format!("`{name}`")).collect();
        let more = if sheets.len() > SHOWN_SHEETS { ", …" } else { "" };
        let there = if shown.is_empty() { "no sheet with cells".to_owned() } else { shown.join(", ") };
        Error::NoSuchSheet(format!("the workbook has no sheet `{name}`; it has {there}{more}"))
    })
}

fn next_row(rows: &mut Rows, meaning: &Meaning) -> Result<Option<Row>> {
    let row = rows.next(meaning)?;
    if row.is_none() && !rows.has_ended {
        return Err(rows.failure());
    }
    Ok(row)
}

/// The columns from the first to the last one of the first row.
fn columns(row: &Row, texts: &Texts, has_header: bool) -> Result<SheetColumns> {
    let bounds = row.cells.keys().next().zip(row.cells.keys().next_back());
    let (&first, &last) = bounds.ok_or_else(|| Error::NoColumns("the first row has no cells".to_owned()))?;
    let name = |at: usize| match row.cells.get(&at).filter(|_| has_header) {
        Some(Cell::Shared(position)) => shared(texts, *position).map(|text| Some(text.to_owned())),
        cell => Ok(cell.map(|cell| cell.text().to_owned())),
    };
    let names = (first..=last).map(name).collect::<Result<Vec<_>>>()?;
    SheetColumns::named(first, names.into_iter().map(|name| name.filter(|name| !name.is_empty())).collect())
}

fn shared(texts: &Texts, position: usize) -> Result<&str> {
    texts.get(position).ok_or_else(|| {
        Error::CorruptInput(format!("the workbook is damaged: it has no text at the position {position}"))
    })
}

/// All of the file is there, so nothing of it lacks.
fn failed(halt: Halt) -> Error {
    match halt {
        Halt::Failed(error) => error,
        Halt::Lacks(range) => {
            Error::CorruptInput(format!("the workbook is damaged: its bytes {range:?} are not there"))
        }
    }
}
