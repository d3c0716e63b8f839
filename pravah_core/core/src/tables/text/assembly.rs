//! Puts the pieces of a file together again: types are found out over a sample, then rows pass on in order.
//!
//! A piece is read by any thread; what is here happens in turn. The sample is the first pieces, which is the whole of
//! most files. A value behind it that no column can hold has the rest of the file surveyed, and then the file is read
//! once more with types that hold everything: never a null, and never another type half-way.

use std::sync::{
    Arc, Mutex, OnceLock, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use arrow_array::RecordBatch;
use bytes::{Bytes, BytesMut};
use serde_json::{Map, Value, json};

use super::{
    Grammar,
    fault::{BadRow, Fault, MOST_ROW_BYTES},
    rows::Extent,
    survey::{Survey, Surveyor},
    typed::{Typed, Typer, Typing},
};
use crate::{
    Error, Result,
    memo::Memo,
    processors::{Block, Event, RowCounts, Turn},
    tables::{BadRows, Format, ReadOptions},
};

/// The sample ends with the piece that reaches this size.
pub const SAMPLE_BYTES: usize = 8 << 20;

/// Bad rows of a file that are told where they are dropped.
const TOLD_ROWS: u64 = 100;

/// Bytes of records of one file, at most: they stay in memory until its window is recorded.
const MOST_RECORD_BYTES: usize = 32 << 20;

/// What all pieces of one file share.
pub struct Assembly {
    grammar: Grammar,
    format: Format,
    options: Arc<ReadOptions>,
    /// The types, once they are known.
    typing: OnceLock<Arc<Typing>>,
    /// The types were too narrow: the rest of the file is only surveyed.
    is_widening: AtomicBool,
    state: Mutex<State>,
}

/// What is known behind the pieces so far.
struct State {
    survey: Survey,
    /// Pieces of the sample, to be read again with types, and the ends of lines before each.
    sample: Vec<(Piece, u64)>,
    sample_bytes: usize,
    /// Ends of lines so far.
    lines: u64,
    /// The beginning of a row whose piece ended within it.
    carry: BytesMut,
    counts: RowCounts,
    record_bytes: usize,
}

/// Whole rows of a file.
#[derive(Debug, Clone)]
pub struct Piece {
    pub text: Bytes,
    pub is_first: bool,
    pub is_last: bool,
}

/// What the first reading of a piece gave.
enum Reading {
    Surveyed(Survey),
    Typed(Typed),
}

/// What the next reading of a file has to know of this one: everything that its columns may be.
struct Wider(Survey);

impl Assembly {
    /// Begin behind a header of so many lines; `memo` is what an earlier reading of the file has found.
    pub fn new(
        (grammar, format): (Grammar, Format),
        options: Arc<ReadOptions>,
        lines: u64,
        memo: Option<&Memo>,
    ) -> Result<Arc<Self>> {
        let wider = memo.and_then(Memo::get::<Wider>);
        let survey = wider.map_or_else(|| Survey::new(grammar.names()), |wider| wider.0.clone());
        let typing = OnceLock::new();
        if wider.is_some() {
            let _ = typing.set(Arc::new(Typing::decide(&survey, &options.types)?));
        }
        let state = State {
            survey,
            sample: Vec::new(),
            sample_bytes: 0,
            lines,
            carry: BytesMut::new(),
            counts: RowCounts::default(),
            record_bytes: 0,
        };
        let is_widening = AtomicBool::new(false);
        Ok(Arc::new(Self { grammar, format, options, typing, is_widening, state: Mutex::new(state) }))
    }

    /// The first table event of a file whose types are known from the beginning.
    pub fn schema_event(&self) -> Option<Event> {
        self.typing.get().map(|typing| Event::Table(RecordBatch::new_empty(Arc::clone(&typing.schema))))
    }

    /// The work on a piece.
    pub fn block(self: &Arc<Self>, piece: Piece) -> Block {
        let assembly = Arc::clone(self);
        Block::in_parts(move || {
            let read = assembly.read(&piece)?;
            Ok(Box::new(move || assembly.take(piece, read)) as Turn)
        })
    }

    /// Read a piece as far as it can be: with types where they are known.
    fn read(&self, piece: &Piece) -> Result<(Extent, Reading)> {
        match self.typing.get() {
            Some(typing) if !self.is_widening.load(Ordering::Relaxed) => {
                self.read_typed(piece, typing).map(|(extent, typed)| (extent, Reading::Typed(typed)))
            }
            _ => self.survey(piece).map(|(extent, found)| (extent, Reading::Surveyed(found))),
        }
    }

    fn read_typed(&self, piece: &Piece, typing: &Arc<Typing>) -> Result<(Extent, Typed)> {
        let read = |checks_text| -> Result<(Extent, Typed)> {
            let mut typer = Typer::new(typing, checks_text, self.stops_at_bad());
            let extent = self.grammar.read(piece, &mut typer);
            Ok((extent, typer.finish()?))
        };
        // Whole columns of text are looked at faster than cells, and only then is it asked which one is not.
        match read(false) {
            Err(Error::InvalidUtf8(_)) => read(true),
            read => read,
        }
    }

    fn survey(&self, piece: &Piece) -> Result<(Extent, Survey)> {
        let mut surveyor = Surveyor::new(self.grammar.names(), self.options.nested);
        let extent = self.grammar.read(piece, &mut surveyor);
        if surveyor.is_too_wide {
            let most = super::csv::MOST_COLUMNS;
            return Err(Error::UnsupportedInput(format!("the objects have more than {most} different fields")));
        }
        Ok((extent, surveyor.finish()))
    }

    /// Take a piece in its turn.
    fn take(self: &Arc<Self>, piece: Piece, read: (Extent, Reading)) -> Result<Vec<Event>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (piece, (extent, reading)) = if state.carry.is_empty() {
            (piece, read)
        } else {
            // The piece before ended within a row, which a count of quotes could not tell.
            let mut text = std::mem::take(&mut state.carry);
            text.extend_from_slice(&piece.text);
            let piece = Piece { text: text.freeze(), ..piece };
            let read = self.read(&piece)?;
            (piece, read)
        };
        let (extent, reading) = match reading {
            Reading::Typed(typed) if typed.is_misfit => {
                self.is_widening.store(true, Ordering::Relaxed);
                self.survey(&piece).map(|(extent, found)| (extent, Reading::Surveyed(found)))?
            }
            reading => (extent, reading),
        };
        let fails = matches!(&reading, Reading::Typed(typed) if !typed.bad.is_empty() && self.stops_at_bad());
        let piece = if fails { piece } else { carry(&mut state, self.format, piece, extent)? };
        let lines = state.lines;
        state.lines += u64::from(extent.lines);
        let mut events = match (self.typing.get(), reading) {
            (None, Reading::Surveyed(found)) => {
                state.survey.merge(&found);
                self.sample(&mut state, &piece, lines)?
            }
            (Some(_), reading) if self.is_widening.load(Ordering::Relaxed) => {
                let found = match reading {
                    Reading::Surveyed(found) => found,
                    Reading::Typed(_) => self.survey(&piece)?.1,
                };
                state.survey.merge(&found);
                Vec::new()
            }
            (_, Reading::Typed(typed)) => self.pass(&mut state, &piece, lines, typed)?,
            // It was read before the types were known, and they may be too narrow for it.
            (Some(typing), Reading::Surveyed(found)) => {
                let (_, typed) = self.read_typed(&piece, typing)?;
                if typed.is_misfit {
                    self.is_widening.store(true, Ordering::Relaxed);
                    state.survey.merge(&found);
                    Vec::new()
                } else {
                    self.pass(&mut state, &piece, lines, typed)?
                }
            }
        };
        if piece.is_last {
            if self.is_widening.load(Ordering::Relaxed) {
                return Err(Error::ReadAgain(Memo::new(Wider(state.survey.clone()))));
            }
            events.push(Event::Block(self.last_counts()));
        }
        Ok(events)
    }

    /// Whether nobody wants more than the first bad row.
    fn stops_at_bad(&self) -> bool {
        self.options.bad_rows == BadRows::Fail
    }

    /// Add a piece to the sample; once that is complete, the types are known, and its pieces are read with them.
    fn sample(self: &Arc<Self>, state: &mut State, piece: &Piece, lines: u64) -> Result<Vec<Event>> {
        state.sample_bytes += piece.text.len();
        state.sample.push((piece.clone(), lines));
        if state.sample_bytes < SAMPLE_BYTES && !piece.is_last {
            return Ok(Vec::new());
        }
        let sample = std::mem::take(&mut state.sample);
        let typing = match Typing::decide(&state.survey, &self.options.types) {
            Err(Error::NoColumns(told)) => return Err(self.first_fault(&sample)?.unwrap_or(Error::NoColumns(told))),
            decided => decided?,
        };
        let _ = self.typing.set(Arc::new(typing));
        let mut events = Vec::from_iter(self.schema_event());
        for (piece, lines) in sample {
            let assembly = Arc::clone(self);
            events.push(Event::Block(Block::events_in_turn(move || assembly.read_sample(&piece, lines))));
        }
        Ok(events)
    }

    /// Tell what is wrong with the first row, where none of them is right.
    fn first_fault(&self, sample: &[(Piece, u64)]) -> Result<Option<Error>> {
        let none = Arc::new(Typing::none());
        for (piece, lines) in sample {
            if let Some(bad) = self.read_typed(piece, &none)?.1.bad.first() {
                return Ok(Some(bad.fault.error(self.format, lines + u64::from(bad.line) + 1)));
            }
        }
        Ok(None)
    }

    /// Read a piece of the sample once more, with types.
    fn read_sample(&self, piece: &Piece, lines: u64) -> Result<Vec<Event>> {
        let Some(typing) = self.typing.get() else { return Ok(Vec::new()) };
        let (_, typed) = self.read_typed(piece, typing)?;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.pass(&mut state, piece, lines, typed)
    }

    /// Pass on rows that have types, behind so many ends of lines.
    fn pass(&self, state: &mut State, piece: &Piece, lines: u64, typed: Typed) -> Result<Vec<Event>> {
        if typed.is_misfit {
            // Its batch is not complete: to go on would lose rows without a word.
            let line = lines + 1;
            return Err(Error::InvalidPlan(format!("the rows behind line {line} do not fit the types found for them")));
        }
        let mut events = Vec::new();
        for bad in &typed.bad {
            events.extend(self.bad_row(state, piece, lines, bad)?.map(Event::Record));
        }
        state.counts.input += (typed.batch.num_rows() + typed.bad.len()) as u64;
        if typed.batch.num_rows() > 0 {
            events.push(Event::Table(typed.batch));
        }
        Ok(events)
    }

    /// Leave a bad row out, and give what is told of it; or have the file fail.
    fn bad_row(
        &self,
        state: &mut State,
        piece: &Piece,
        lines: u64,
        bad: &BadRow,
    ) -> Result<Option<Map<String, Value>>> {
        let line = lines + u64::from(bad.line) + 1;
        let error = bad.fault.error(self.format, line);
        let keeps_text = match self.options.bad_rows {
            BadRows::Fail => return Err(error),
            BadRows::Drop => {
                state.counts.dropped += 1;
                if state.counts.dropped > TOLD_ROWS {
                    return Ok(None);
                }
                false
            }
            BadRows::Quarantine => {
                state.counts.quarantined += 1;
                true
            }
        };
        let mut record = Map::new();
        record.insert("line".to_owned(), json!(line));
        record.insert("column".to_owned(), json!(bad.fault.column()));
        record.insert("kind".to_owned(), json!(error.kind()));
        record.insert("message".to_owned(), json!(error.to_string()));
        if keeps_text {
            let text = self.grammar.shown(&piece.text[bad.extent.clone()]);
            state.record_bytes += text.len();
            if state.record_bytes > MOST_RECORD_BYTES {
                let most = MOST_RECORD_BYTES >> 20;
                return Err(Error::UnsupportedInput(format!(
                    "up to line {line} there are more than {most} MiB of bad rows, too many to be quarantined"
                )));
            }
            record.insert("text".to_owned(), json!(text));
        }
        Ok(Some(record))
    }

    /// What became of all rows: made behind those of the sample, which may be all.
    fn last_counts(self: &Arc<Self>) -> Block {
        let assembly = Arc::clone(self);
        Block::events_in_turn(move || {
            let state = assembly.state.lock().unwrap_or_else(PoisonError::into_inner);
            Ok(vec![Event::Rows(state.counts)])
        })
    }
}

/// Keep the beginning of a row that ends in the next piece; gives the rows before it.
fn carry(state: &mut State, format: Format, piece: Piece, extent: Extent) -> Result<Piece> {
    let rest = piece.text.slice(extent.bytes..);
    if rest.len() > MOST_ROW_BYTES {
        return Err(Fault::TooLarge.error(format, state.lines + u64::from(extent.lines) + 1));
    }
    state.carry = BytesMut::from(&rest[..]);
    Ok(Piece { text: piece.text.slice(..extent.bytes), ..piece })
}
