//! Cuts bytes: at fixed offsets, or where lines end.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use memchr::{memchr, memchr_iter, memrchr};

use super::Limit;
use crate::{
    Error, Result,
    naming::Part,
    processors::{
        Event, SourcePath, Step,
        codecs::MAGIC_BYTES,
        unpack::{codec_of, codec_of_name},
    },
};

/// Most bytes of a line that is held until it is known to which part it belongs. A longer one begins a part: where
/// parts may be larger, memory must not grow with them.
pub const HELD_BYTES: usize = 64 << 20;

/// The part at hand, and the way out.
#[derive(Default)]
struct Parts {
    name: Bytes,
    path: Option<SourcePath>,
    source_bytes: Option<u64>,
    number: u32,
    /// What it has so far.
    size_bytes: u64,
    lines: u64,
    /// Bytes that are not cut yet: one part of them at a time, as there may be any number.
    rest: Bytes,
    given: VecDeque<Event>,
}

impl Parts {
    fn begin(&mut self, name: Bytes, path: Option<SourcePath>, source_bytes: Option<u64>) {
        (self.name, self.path, self.source_bytes) = (name, path, source_bytes);
        self.begin_part();
    }

    fn begin_part(&mut self) {
        self.given.push_back(Event::Part(Part { number: self.number, ..Part::default() }));
        let (name, path, source_bytes) = (self.name.clone(), self.path.clone(), self.source_bytes);
        self.given.push_back(Event::Begin { name, size_bytes: None, source_bytes, path });
        (self.size_bytes, self.lines) = (0, 0);
    }

    fn next_part(&mut self) {
        self.given.push_back(Event::End);
        self.number = self.number.saturating_add(1);
        self.begin_part();
    }

    fn give(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.size_bytes += bytes.len() as u64;
            self.given.push_back(Event::Bytes(bytes));
        }
    }

    /// Give so many of the bytes that are not cut yet.
    fn give_rest(&mut self, length: usize) {
        let bytes = self.rest.split_to(length.min(self.rest.len()));
        self.give(bytes);
    }
}

/// Cuts at each multiple of a number of bytes.
pub struct ByteCutter {
    limit_bytes: u64,
    parts: Parts,
}

impl ByteCutter {
    /// Begin before the file.
    pub fn new(limit_bytes: u64) -> Self {
        Self { limit_bytes, parts: Parts::default() }
    }
}

impl Step for ByteCutter {
    fn push(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Begin { name, source_bytes, path, .. } => self.parts.begin(name, path, source_bytes),
            Event::Bytes(bytes) => self.parts.rest = bytes,
            event => self.parts.given.push_back(event),
        }
        Ok(())
    }

    fn pull(&mut self) -> Result<Option<Event>> {
        if self.parts.given.is_empty() && !self.parts.rest.is_empty() {
            if self.parts.size_bytes >= self.limit_bytes {
                self.parts.next_part();
            }
            let room = self.limit_bytes - self.parts.size_bytes;
            self.parts.give_rest(usize::try_from(room).unwrap_or(usize::MAX));
        }
        Ok(self.parts.given.pop_front())
    }
}

/// Cuts behind lines.
pub struct LineCutter {
    limit: Limit,
    parts: Parts,
    /// The beginning of the file, until it has told whether it is compressed.
    start: Option<BytesMut>,
    /// The beginning of a line that may belong to the part at hand, or to the next one.
    held: BytesMut,
    /// Most bytes of it.
    held_bytes: usize,
    /// The last line of the part at hand has not ended: what follows belongs to it, whatever its size.
    is_open: bool,
    has_ended: bool,
}

impl LineCutter {
    /// Begin before the file.
    pub fn new(limit: Limit) -> Self {
        Self::holding(limit, HELD_BYTES)
    }

    /// The same, with another bound for lines that are held.
    pub(super) fn holding(limit: Limit, held_bytes: usize) -> Self {
        let (parts, start) = (Parts::default(), Some(BytesMut::new()));
        Self { limit, parts, start, held: BytesMut::new(), held_bytes, is_open: false, has_ended: false }
    }

    /// Refuse what has lines only when it has been decompressed.
    fn settle(&mut self, is_all: bool) -> Result<()> {
        let Some(start) = self.start.take_if(|start| is_all || start.len() >= MAGIC_BYTES) else { return Ok(()) };
        if let Some(codec) = codec_of(codec_of_name(&self.parts.name), &start) {
            let name = codec.name();
            return Err(Error::NotText(format!(
                "it is compressed ({name}), and split looks for lines: decompress first"
            )));
        }
        self.parts.rest = start.freeze();
        Ok(())
    }

    /// Give lines up to the number that a part has.
    fn cut_by_lines(&mut self, lines: u64) {
        if self.parts.lines >= lines {
            self.parts.next_part();
        }
        let wanted = usize::try_from(lines - self.parts.lines - 1).unwrap_or(usize::MAX);
        match memchr_iter(b'\n', &self.parts.rest).nth(wanted) {
            Some(end) => {
                self.parts.lines = lines;
                self.parts.give_rest(end + 1);
            }
            None => {
                self.parts.lines += memchr_iter(b'\n', &self.parts.rest).count() as u64;
                self.parts.give_rest(usize::MAX);
            }
        }
    }

    /// Give the next lines that belong to one part, as far as they are there.
    fn cut_by_bytes(&mut self, limit: u64) {
        if self.is_open {
            let end_of_line = memchr(b'\n', &self.parts.rest).map(|end| end + 1);
            self.is_open = end_of_line.is_none();
            return self.parts.give_rest(end_of_line.unwrap_or(usize::MAX));
        }
        let near = &self.parts.rest[..self.parts.rest.len().min(self.held_bytes - self.held.len())];
        let Some(end_of_line) = memchr(b'\n', near).map(|end| end + 1) else { return self.hold(limit) };
        if !self.held.is_empty() {
            self.held.extend_from_slice(&self.parts.rest.split_to(end_of_line));
            let line = self.held.split().freeze();
            if self.parts.size_bytes > 0 && self.parts.size_bytes + line.len() as u64 > limit {
                self.parts.next_part();
            }
            return self.parts.give(line);
        }
        let room = usize::try_from(limit.saturating_sub(self.parts.size_bytes)).unwrap_or(usize::MAX);
        let within = &near[..room.min(near.len())];
        match memrchr(b'\n', within) {
            Some(end) => self.parts.give_rest(end + 1),
            None if self.parts.size_bytes > 0 => self.parts.next_part(),
            None => self.parts.give_rest(end_of_line), // longer than a part may be
        }
    }

    /// Keep the beginning of a line as long as it may fit into the part at hand; what can't begins the next one.
    fn hold(&mut self, limit: u64) {
        let length = self.parts.rest.len().min(self.held_bytes - self.held.len());
        self.held.extend_from_slice(&self.parts.rest.split_to(length));
        let is_too_long = !self.parts.rest.is_empty() || self.parts.size_bytes + self.held.len() as u64 > limit;
        if self.parts.size_bytes > 0 && is_too_long {
            self.parts.next_part();
        }
        if self.parts.size_bytes == 0 {
            let line = self.held.split().freeze();
            self.parts.give(line);
            self.is_open = true;
        }
    }
}

impl Step for LineCutter {
    fn push(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Begin { name, source_bytes, path, .. } => self.parts.begin(name, path, source_bytes),
            Event::Bytes(bytes) => match &mut self.start {
                Some(start) => {
                    start.extend_from_slice(&bytes);
                    self.settle(false)?;
                }
                None => self.parts.rest = bytes,
            },
            Event::End => self.has_ended = true,
            event => self.parts.given.push_back(event),
        }
        Ok(())
    }

    fn pull(&mut self) -> Result<Option<Event>> {
        if self.has_ended {
            self.settle(true)?;
        }
        if self.parts.given.is_empty() && !self.parts.rest.is_empty() {
            match self.limit {
                Limit::Units(lines) => self.cut_by_lines(lines),
                Limit::Bytes(limit) => self.cut_by_bytes(limit),
            }
        }
        if self.parts.given.is_empty() && self.parts.rest.is_empty() && std::mem::take(&mut self.has_ended) {
            let line = self.held.split().freeze();
            self.parts.give(line);
            self.parts.given.push_back(Event::End);
        }
        Ok(self.parts.given.pop_front())
    }
}
