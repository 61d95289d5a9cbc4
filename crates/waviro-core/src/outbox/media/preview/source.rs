//! The file of a decoder. The limits of the reader and of the call protect the gateway.

use std::fs::File;
use std::io::{BufReader, Error, ErrorKind, Read, Seek, SeekFrom};

use tokio::time::Instant;
use waviro_store::panics;

/// The size of the read buffer. Small, so that a decoder reads often and notices the deadline in
/// time.
const PART: usize = 1024;

/// A file that returns an error after its deadline.
pub(super) type Source = BufReader<Bounded<File>>;

/// A reader that fails after a deadline.
pub(super) struct Bounded<R> {
    file: R,
    until: Instant,
}

impl<R> Bounded<R> {
    fn in_time(&self) -> std::io::Result<()> {
        if Instant::now() < self.until {
            return Ok(());
        }
        Err(Error::new(ErrorKind::TimedOut, "the file takes too long"))
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, part: &mut [u8]) -> std::io::Result<usize> {
        self.in_time()?;
        self.file.read(part)
    }
}

impl<R: Seek> Seek for Bounded<R> {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.in_time()?;
        self.file.seek(to)
    }
}

/// Returns the file for a decoder, with a deadline.
pub(super) fn bounded(file: File, until: Instant) -> Source {
    BufReader::with_capacity(PART, Bounded { file, until })
}

/// Runs a decoder; `None` if the decoder panics. A panic means a broken file. For example, a build
/// with overflow checks panics over an Opus file with a nonsensical length.
pub(super) fn unbroken<T>(looking: impl FnOnce() -> T) -> Option<T> {
    panics::expected(looking)
}
