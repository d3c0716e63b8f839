//! Cuts bytes: at fixed offsets, or where lines end.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use memchr::{memchr, memrchr};

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

/// The part at hand, and the way out.
#[derive(Default)]
struct Parts {
    name: Bytes,
    path: Option<SourcePath>,
    number: u32,
    /// What it has so far.
    size_bytes: u64,
    lines: u64,
    given: VecDeque<Event>,
}

impl Parts {
    fn begin(&mut self, name: Bytes, path: Option<SourcePath>) {
        (self.name, self.path) = (name, path);
        self.begin_part();
    }

    fn begin_part(&mut self) {
        self.given.push_back(Event::Part(Part { number: self.number, ..Part::default() }));
        let (name, path) = (self.name.clone(), self.path.clone());
        self.given.push_back(Event::Begin { name, size_bytes: None, path });
        (self.size_bytes, self.lines) = (0, 0);
    }

    fn next(&mut self) {
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
            Event::Begin { name, path, .. } => self.parts.begin(name, path),
            Event::Bytes(mut bytes) => {
                while !bytes.is_empty() {
                    if self.parts.size_bytes >= self.limit_bytes {
                        self.parts.next();
                    }
                    let rest = self.limit_bytes - self.parts.size_bytes;
                    let taken = usize::try_from(rest).map_or(bytes.len(), |rest| rest.min(bytes.len()));
                    self.parts.give(bytes.split_to(taken));
                }
            }
            event => self.parts.given.push_back(event),
        }
        Ok(())
    }

    fn pull(&mut self) -> Result<Option<Event>> {
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
    /// The last line of the part at hand has not ended: what follows belongs to it, whatever its size.
    is_open: bool,
}

impl LineCutter {
    /// Begin before the file.
    pub fn new(limit: Limit) -> Self {
        let (parts, start) = (Parts::default(), Some(BytesMut::new()));
        Self { limit, parts, start, held: BytesMut::new(), is_open: false }
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
        self.take(start.freeze());
        Ok(())
    }

    fn take(&mut self, bytes: Bytes) {
        match self.limit {
            Limit::Units(lines) => self.take_lines(bytes, lines),
            Limit::Bytes(limit) => self.take_bytes(bytes, limit),
        }
    }

    fn take_lines(&mut self, mut bytes: Bytes, lines: u64) {
        while !bytes.is_empty() {
            if self.parts.lines >= lines {
                self.parts.next();
            }
            let mut ends = memchr::memchr_iter(b'\n', &bytes);
            let wanted = usize::try_from(lines - self.parts.lines - 1).unwrap_or(usize::MAX);
            match ends.nth(wanted) {
                Some(end) => {
                    self.parts.lines = lines;
                    self.parts.give(bytes.split_to(end + 1));
                }
                None => {
                    self.parts.lines += memchr::memchr_iter(b'\n', &bytes).count() as u64;
                    self.parts.give(std::mem::take(&mut bytes));
                }
            }
        }
    }

    fn take_bytes(&mut self, mut bytes: Bytes, limit: u64) {
        if self.is_open {
            let end = memchr(b'\n', &bytes).map(|end| end + 1);
            self.parts.give(bytes.split_to(end.unwrap_or(bytes.len())));
            self.is_open = end.is_none();
        }
        if !self.held.is_empty() {
            let Some(end) = memchr(b'\n', &bytes) else { return self.hold(&bytes, limit) };
            self.held.extend_from_slice(&bytes.split_to(end + 1));
            let line = self.held.split().freeze();
            self.give_lines(line, limit);
        }
        let whole = memrchr(b'\n', &bytes).map_or(0, |end| end + 1);
        let lines = bytes.split_to(whole);
        self.give_lines(lines, limit);
        self.hold(&bytes, limit);
    }

    /// Keep the beginning of a line as long as it may fit into the part at hand; what can't begins the next one.
    fn hold(&mut self, bytes: &[u8], limit: u64) {
        self.held.extend_from_slice(bytes);
        if self.held.is_empty() {
            return;
        }
        if self.parts.size_bytes > 0 && self.parts.size_bytes + self.held.len() as u64 > limit {
            self.parts.next();
        }
        if self.parts.size_bytes == 0 {
            let line = self.held.split().freeze();
            self.parts.give(line);
            self.is_open = true;
        }
    }

    /// Give lines that are whole, as many at once as belong to one part.
    fn give_lines(&mut self, mut lines: Bytes, limit: u64) {
        while !lines.is_empty() {
            let rest = limit.saturating_sub(self.parts.size_bytes);
            let within = usize::try_from(rest).map_or(lines.len(), |rest| rest.min(lines.len()));
            let fitting = memrchr(b'\n', &lines[..within]).map(|end| end + 1);
            match fitting {
                Some(fitting) => self.parts.give(lines.split_to(fitting)),
                None if self.parts.size_bytes > 0 => self.parts.next(),
                None => {
                    let end = memchr(b'\n', &lines).map_or(lines.len(), |end| end + 1);
                    self.parts.give(lines.split_to(end)); // longer than a part may be
                }
            }
        }
    }
}

impl Step for LineCutter {
    fn push(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Begin { name, path, .. } => self.parts.begin(name, path),
            Event::Bytes(bytes) => match &mut self.start {
                Some(start) => {
                    start.extend_from_slice(&bytes);
                    return self.settle(false);
                }
                None => self.take(bytes),
            },
            Event::End => {
                self.settle(true)?;
                let rest = self.held.split().freeze();
                self.parts.give(rest);
                self.parts.given.push_back(Event::End);
            }
            event => self.parts.given.push_back(event),
        }
        Ok(())
    }

    fn pull(&mut self) -> Result<Option<Event>> {
        Ok(self.parts.given.pop_front())
    }
}
