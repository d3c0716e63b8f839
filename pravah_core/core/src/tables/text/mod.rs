//! Reads text as a table: pieces of whole rows are read by any thread, and put together in order.
//!
//! - `cut`: where pieces end; `encoding`: other text than UTF-8
//! - `csv`, `ndjson`, `json`, `sheet`: the rows of a piece; `rows`: who takes them; `fault`: what may be wrong with them
//! - `survey`, `shape`: which types columns may have; `typed`, `columns`, `nested`: rows with types
//! - `assembly`: what happens in order

mod assembly;
mod columns;
mod csv;
mod cut;
mod encoding;
mod fault;
mod json;
mod ndjson;
mod nested;
mod rows;
mod shape;
pub mod sheet;
mod survey;
mod typed;

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;

use self::{
    csv::Csv,
    cut::{Cutter, RowEnd},
    encoding::Transcoder,
    rows::{Extent, RowSink},
    sheet::SheetColumns,
};
use super::{Delimited, Format, ReadOptions, read::TableReader};
use crate::{Result, memo::Memo, processors::Event};

pub use assembly::{Assembly, Piece, SAMPLE_BYTES};
pub use columns::data_type;
pub use cut::PIECE_BYTES;
pub use fault::MOST_ROW_BYTES;
pub use ndjson::JsonObject;

/// How rows are written.
pub enum Grammar {
    Delimited(Csv),
    Lines,
    Elements,
    Sheet(SheetColumns),
}

impl Grammar {
    /// The columns, where they are known before the rows.
    fn names(&self) -> &[String] {
        match self {
            Self::Delimited(csv) => &csv.names,
            Self::Sheet(columns) => &columns.names,
            Self::Lines | Self::Elements => &[],
        }
    }

    fn read<S: RowSink>(&self, piece: &Piece, sink: &mut S) -> Extent {
        match self {
            Self::Delimited(csv) => csv.read(&piece.text, piece.is_last, sink),
            Self::Lines => ndjson::read_lines(&piece.text, piece.is_last, sink),
            Self::Elements => json::read_elements(&piece.text, piece.is_first, piece.is_last, sink),
            Self::Sheet(columns) => columns.read(&piece.text, sink),
        }
    }

    /// Show a row of a piece to people.
    fn shown(&self, row: &[u8]) -> String {
        if let Self::Sheet(_) = self {
            return sheet::shown(row);
        }
        let text = row.strip_suffix(b"\n").unwrap_or(row);
        String::from_utf8_lossy(text.strip_suffix(b"\r").unwrap_or(text)).into_owned()
    }
}

/// Reads one file of text.
pub struct TextReader {
    format: Format,
    options: Arc<ReadOptions>,
    memo: Option<Memo>,
    transcoder: Transcoder,
    cutter: Cutter,
    /// None until the first piece has told how the text looks.
    assembly: Option<Arc<Assembly>>,
    waiting: VecDeque<Event>,
}

impl TextReader {
    /// Wait for the first bytes; `memo` is what an earlier reading of the file has found.
    pub fn new(format: Format, options: &Arc<ReadOptions>, memo: Option<Memo>) -> Self {
        let row_end = match format {
            Format::Ndjson => RowEnd::Line,
            Format::Json => RowEnd::Element,
            _ => options.delimited.quote.map_or(RowEnd::Line, RowEnd::Unquoted),
        };
        Self {
            format,
            options: Arc::clone(options),
            memo,
            transcoder: Transcoder::new(options.encoding),
            cutter: Cutter::new(row_end),
            assembly: None,
            waiting: VecDeque::new(),
        }
    }

    fn take(&mut self, mut text: Bytes, is_last: bool) -> Result<()> {
        let is_first = self.assembly.is_none();
        let assembly = match &self.assembly {
            Some(assembly) => assembly,
            None => {
                let (grammar, start) = self.begin(&text, is_last)?;
                let _ = text.split_to(start.bytes);
                let (options, lines) = (Arc::clone(&self.options), u64::from(start.lines));
                let assembly = Assembly::new((grammar, self.format), options, lines, self.memo.as_ref())?;
                self.waiting.extend(assembly.schema_event());
                self.assembly.insert(assembly)
            }
        };
        self.waiting.push_back(Event::Block(assembly.block(Piece { text, is_first, is_last })));
        Ok(())
    }

    fn begin(&self, text: &[u8], is_last: bool) -> Result<(Grammar, Extent)> {
        match self.format {
            Format::Ndjson => Ok((Grammar::Lines, Extent::default())),
            Format::Json => Ok((Grammar::Elements, json::begin(text)?)),
            format => {
                let mut delimited: Delimited = self.options.delimited;
                if format == Format::Tsv {
                    delimited.delimiter.get_or_insert(b'\t');
                }
                let (csv, start) = Csv::begin(&delimited, text, is_last)?;
                Ok((Grammar::Delimited(csv), start))
            }
        }
    }
}

impl TableReader for TextReader {
    fn push(&mut self, bytes: Bytes) -> Result<()> {
        self.transcoder.push(&bytes, &mut self.cutter)?;
        while let Some(piece) = self.cutter.piece() {
            self.take(piece, false)?;
        }
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        self.transcoder.end(&mut self.cutter)?;
        while let Some(piece) = self.cutter.piece() {
            self.take(piece, false)?;
        }
        let rest = self.cutter.rest();
        self.take(rest, true)
    }

    fn pull(&mut self) -> Result<Option<Event>> {
        Ok(self.waiting.pop_front())
    }
}
