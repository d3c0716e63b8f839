//! Keeps of a file that passes what is looked at: its beginning and, where its format has more to tell there, its end.

use std::collections::VecDeque;

use bytes::Bytes;

use super::{
    super::{Event, Halt, Parts, Step, blocks::Blocks},
    Parameters, SAMPLE_BYTES, format, look,
};
use crate::{Error, Result};

/// Bytes at a file's end that are kept: footers grow with columns and row groups, and few are larger.
pub const TAIL_BYTES: usize = 8 << 20;

pub struct HeadersStep {
    parameters: Parameters,
    name: Bytes,
    size_bytes: u64,
    seen: Seen,
    records: VecDeque<Event>,
    passing: Option<Event>,
}

/// How far a file has passed.
enum Seen {
    /// Into the sample.
    Part(Blocks),
    /// Beyond it.
    More { sample: Bytes, tail: Option<Tail> },
}

impl HeadersStep {
    pub fn new(parameters: Parameters) -> Self {
        Self {
            parameters,
            name: Bytes::new(),
            size_bytes: 0,
            seen: Seen::Part(Blocks::new(SAMPLE_BYTES, None)),
            records: VecDeque::new(),
            passing: None,
        }
    }

    fn take(&mut self, bytes: &Bytes) {
        self.size_bytes += bytes.len() as u64;
        match &mut self.seen {
            Seen::Part(blocks) => {
                blocks.push(bytes.clone());
                // Only a byte beyond the sample tells that it is not the whole file.
                if self.size_bytes > SAMPLE_BYTES as u64
                    && let Some(sample) = blocks.full()
                {
                    let mut tail = format::of_magic(&sample).map(|_| Tail::new(&sample));
                    if let Some(tail) = &mut tail {
                        tail.push(&blocks.rest());
                    }
                    self.seen = Seen::More { sample, tail };
                }
            }
            Seen::More { tail: Some(tail), .. } => tail.push(bytes),
            Seen::More { tail: None, .. } => {}
        }
    }

    fn finish(&mut self) -> Result<()> {
        let seen = std::mem::replace(&mut self.seen, Seen::Part(Blocks::new(SAMPLE_BYTES, None)));
        let parts = match seen {
            Seen::Part(mut blocks) => Parts::whole(blocks.full().unwrap_or_else(|| blocks.rest())),
            Seen::More { sample, tail } => {
                Parts::ends(self.size_bytes, sample, tail.map(Tail::into_bytes).unwrap_or_default())
            }
        };
        let records = look(self.parameters, &self.name, &parts).map_err(|halt| match halt {
            Halt::Failed(error) => error,
            Halt::Lacks(range) => Error::UnsupportedInput(format!("its bytes {range:?} are not known")),
        })?;
        self.records.extend(records.into_iter().map(Event::Record));
        Ok(())
    }
}

impl Step for HeadersStep {
    fn push(&mut self, event: Event) -> Result<()> {
        match &event {
            Event::Begin { name, size_bytes, .. } => {
                self.name = name.clone();
                self.seen = Seen::Part(Blocks::new(SAMPLE_BYTES, *size_bytes));
            }
            Event::Bytes(bytes) => self.take(bytes),
            Event::End => self.finish()?,
            // No pipeline pushes these.
            Event::Table(_) | Event::Record(_) | Event::Rows(_) | Event::Part(_) | Event::Block(_) => {}
        }
        self.passing = Some(event);
        Ok(())
    }

    fn pull(&mut self) -> Result<Option<Event>> {
        Ok(self.records.pop_front().or_else(|| self.passing.take()))
    }
}

/// The last bytes of a file.
struct Tail(VecDeque<u8>);

impl Tail {
    /// Begin with the file's first bytes.
    fn new(beginning: &[u8]) -> Self {
        let mut tail = Self(VecDeque::new());
        tail.push(beginning);
        tail
    }

    /// Take the next bytes.
    fn push(&mut self, piece: &[u8]) {
        let kept = &piece[piece.len().saturating_sub(TAIL_BYTES)..];
        let surplus = (self.0.len() + kept.len()).saturating_sub(TAIL_BYTES);
        self.0.drain(..surplus);
        self.0.extend(kept);
    }

    /// Only at the end is it put in a row.
    fn into_bytes(self) -> Bytes {
        Vec::from(self.0).into()
    }
}
