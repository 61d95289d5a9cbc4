//! What a phone shows of a file before it is opened, found out once, when the file is spooled.
//!
//! Files come from strangers' hosts, so nothing here may fail, only be missing: a file that cannot be read is sent all the same,
//! with as much as its header said. One file is looked at at a time, which bounds the memory of many at once; a reader that fails
//! when time is up ([`Bounded`]) ends a decoder that reads on, what a decoder does without reading is bounded before it begins
//! (`picture`), and a decoder's panic is the file's fault ([`unbroken`]).
//!
//! Left out: a film's thumbnail, which needs a video codec; a voice note's waveform, which needs the sound decoded; webm and mkv, which
//! phones do not play in a chat; and a PDF's pages: the pure libraries load the whole document and unpack its streams without a
//! bound, too much for a number under an icon.

mod film;
mod picture;
mod sound;

use std::fs::File;
use std::io::{BufReader, Error, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;
use waviro_link::{MediaKind, Preview};

use super::turns::Turns;

use crate::telemetry::panics;

/// A photo of 16 MiB takes a sixth of a second; whoever waits for the answer should not wait longer for a picture in it.
const LOOKING: Duration = Duration::from_secs(2);

/// Others may look first: some thirty of the largest photos, or hundreds of usual ones.
const WAITING: Duration = Duration::from_secs(5);

/// Small, so that a decoder asks often and learns in time that it is late.
const PART: usize = 1024;

/// A file that stops being readable when its time is up.
type Source = BufReader<Bounded<File>>;

/// Looks at files, one at a time. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Previews(Turns);

impl Previews {
    pub(super) fn new() -> Self {
        Self(Turns::new(1))
    }

    /// What is found out about the bot's file in two seconds. It waits for its turn no longer than five, and not past `latest`.
    pub(super) async fn of(
        &self,
        bot: i32,
        path: &Path,
        kind: MediaKind,
        mime: &str,
        latest: Instant,
    ) -> Preview {
        if kind == MediaKind::Document {
            return Preview::default();
        }
        let until = latest.min(Instant::now() + WAITING);
        let Ok(Some(turn)) = tokio::time::timeout_at(until, self.0.of(bot)).await else {
            tracing::info!("too many files at once: one goes without what phones show of it");
            return Preview::default();
        };
        let (path, mime) = (PathBuf::from(path), mime.to_owned());
        let until = Instant::now() + LOOKING;
        let looking = tokio::task::spawn_blocking(move || {
            // Kept until the memory is free again, also where nobody waits for it any more.
            let _turn = turn;
            look(&path, kind, &mime, until)
        });
        // Some grace: who is late stops at the next read.
        let looked = tokio::time::timeout_at(until + LOOKING / 4, looking).await;
        looked.map(Result::unwrap_or_default).unwrap_or_default()
    }

    /// Replaces a still picture that phones do not show in a chat by one that they show; the new media type. `None` where the file
    /// stays as it is: it moves, is too large, is broken, or too many others are looked at.
    pub(super) async fn still(
        &self,
        bot: i32,
        path: &Path,
        mime: &str,
        latest: Instant,
    ) -> Option<&'static str> {
        let until = latest.min(Instant::now() + WAITING);
        let turn = tokio::time::timeout_at(until, self.0.of(bot))
            .await
            .ok()??;
        let (path, mime) = (PathBuf::from(path), mime.to_owned());
        // It ends by itself: the file is replaced or not before anything goes on.
        let replacing = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            replace(&path, &mime, Instant::now() + LOOKING)
        });
        replacing.await.ok().flatten()
    }
}

/// Writes the picture that phones show in the place of the file. Blocks.
fn replace(path: &Path, mime: &str, until: Instant) -> Option<&'static str> {
    let file = File::open(path).ok()?;
    let permissions = file.metadata().ok()?.permissions();
    let file = BufReader::with_capacity(PART, Bounded { file, until });
    let (mime, bytes) = unbroken(|| picture::still(file, mime)).flatten()?;
    if bytes.len() as u64 > super::CAP {
        return None;
    }
    let shown = path.with_extension("shown");
    let written = std::fs::write(&shown, &bytes)
        .and_then(|()| std::fs::set_permissions(&shown, permissions))
        .and_then(|()| std::fs::rename(&shown, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&shown);
        return None;
    }
    Some(mime)
}

/// As much as can be found out `until` then. Blocks.
fn look(path: &Path, kind: MediaKind, mime: &str, until: Instant) -> Preview {
    let Ok(file) = File::open(path) else {
        return Preview::default();
    };
    let file = BufReader::with_capacity(PART, Bounded { file, until });
    let looking = || match kind {
        MediaKind::Image => picture::look(file, mime),
        MediaKind::Audio => sound::look(file),
        MediaKind::Video => film::look(file),
        MediaKind::Document => Preview::default(),
    };
    unbroken(looking).unwrap_or_default()
}

/// `None` where a decoder panics over a file: it is the file that is broken, not the gateway. Builds that check their arithmetic
/// do so over an Opus file whose length is nonsense.
fn unbroken<T>(looking: impl FnOnce() -> T) -> Option<T> {
    panics::expected(looking)
}

/// A phone shows 0:00 for nothing at all, so what is short is a second long.
fn whole(duration: Duration) -> Option<u32> {
    let rounded = duration.saturating_add(Duration::from_millis(500));
    u32::try_from(rounded.as_secs().max(1))
        .ok()
        .filter(|_| !duration.is_zero())
}

/// Fails from a moment on.
struct Bounded<R> {
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

#[cfg(test)]
mod tests;
