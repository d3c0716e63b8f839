//! Streams the paths of regular files to a descriptor: `find -type f`, in parallel.
//!
//! Each thread fills a buffer with whole lines and writes it in one go while no other writes.

use std::{
    ops::ControlFlow,
    os::fd::BorrowedFd,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use rustix::io::{Errno, retry_on_intr};

use super::{
    Detail, Format, Scanner,
    count::{Count, append_name},
    directory::{Directory, lock},
    listing::Listing,
    walk::{End, Visitor},
};
use crate::{Error, Result, entry::Kind};

pub(super) fn write(scanner: &Scanner, descriptor: BorrowedFd<'_>, format: Format) -> Result<Count> {
    let output = &Output { descriptor, ended: Mutex::new(Ok(())) };
    if output.write(format.header(scanner.detail)).is_break() {
        return finish(output, Vec::new());
    }
    let writer = |_| Writer {
        output,
        format,
        detail: scanner.detail,
        text: Vec::with_capacity(BUFFER_BYTES * 5 / 4),
        path: Vec::new(),
        written: Instant::now(),
        count: Count::default(),
    };
    let mut writers = scanner.walk((0..scanner.threads).map(writer).collect())?;
    let _ = writers.iter_mut().try_for_each(Writer::flush);
    finish(output, writers.into_iter().map(|writer| writer.count).collect())
}

fn finish(output: &Output<'_>, counts: Vec<Count>) -> Result<Count> {
    match *lock(&output.ended) {
        // The reader has seen enough (`| head`).
        Ok(()) | Err(Errno::PIPE) => Ok(Count::sum(counts)),
        Err(errno) => Err(Error::system("write the listing")(errno)),
    }
}

/// The descriptor, and the error that ended writing to it.
struct Output<'o> {
    descriptor: BorrowedFd<'o>,
    ended: Mutex<Result<(), Errno>>,
}

impl Output<'_> {
    fn write(&self, mut bytes: &[u8]) -> ControlFlow<()> {
        let mut ended = lock(&self.ended);
        while ended.is_ok() && !bytes.is_empty() {
            match retry_on_intr(|| rustix::io::write(self.descriptor, bytes)) {
                Ok(count) => bytes = &bytes[count..],
                // Somebody made the terminal or pipe non-blocking; it is shared with them, so it stays so.
                Err(Errno::AGAIN) => thread::sleep(FULL_PIPE_PAUSE),
                Err(errno) => *ended = Err(errno),
            }
        }
        if ended.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }
}

struct Writer<'w> {
    output: &'w Output<'w>,
    format: Format,
    detail: Detail,
    text: Vec<u8>,
    path: Vec<u8>,
    written: Instant,
    count: Count,
}

impl Writer<'_> {
    fn flush(&mut self) -> ControlFlow<()> {
        let flow = self.output.write(&self.text);
        self.text.clear();
        self.written = Instant::now();
        flow
    }
}

impl Visitor for Writer<'_> {
    fn entries(&mut self, directory: &Directory, listing: &mut Listing) -> ControlFlow<()> {
        self.count.take(directory, listing);
        self.path.clear();
        directory.append_path(&mut self.path);
        let length = self.path.len();
        for file in listing.iter().filter(|listed| listed.kind == Kind::File) {
            append_name(&mut self.path, file.name);
            self.format.append(&mut self.text, &self.path, file, self.detail);
            self.path.truncate(length);
            if self.text.len() >= BUFFER_BYTES {
                self.flush()?;
            }
        }
        ControlFlow::Continue(())
    }

    fn end(&mut self, directory: &Arc<Directory>, end: End) -> ControlFlow<()> {
        self.count.take_end(directory, end);
        if !self.text.is_empty() && self.written.elapsed() > LONGEST_WAIT {
            return self.flush();
        }
        ControlFlow::Continue(())
    }
}

/// Bytes per write: a pipe takes 64 KiB at once, and larger writes take the lock less often.
const BUFFER_BYTES: usize = 256 << 10;

/// A slow scan shows what it has found after this time.
const LONGEST_WAIT: Duration = Duration::from_millis(100);

/// Pause before a full, non-blocking pipe is tried again: a reader empties one in about this time.
const FULL_PIPE_PAUSE: Duration = Duration::from_millis(1);
