//! Reads the facts that a phone shows about a file before opening the file. Done once, when the
//! file is spooled.
//!
//! Files come from unknown hosts, so nothing here returns an error. A file that cannot be read is
//! sent all the same, with the facts from its header. Four limits protect the gateway:
//!
//! - One file is read at a time, which bounds the memory.
//! - A reader that fails at a deadline ([`source::bounded`]) stops a decoder that keeps reading.
//! - The work that a decoder does without reading is bounded before the start (`picture`).
//! - A decoder's panic counts as a broken file ([`unbroken`]).
//!
//! The module does not read:
//!
//! - a video's thumbnail, because it needs a video codec;
//! - a voice note's waveform, because it needs decoded sound;
//! - Webm and Matroska files, because phones do not play them in a chat;
//! - a PDF's number of pages, because the pure Rust libraries load the whole document and unpack
//!   its streams without a limit. Such a cost is too high for a number below an icon.

mod film;
mod picture;
mod sound;
mod source;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;
use waviro_link::{MediaKind, Preview};

use super::turns::Turns;
use crate::outbox::settings::FILE_CAP;
use source::unbroken;

/// The time limit for reading a file. A photo of 16 MiB takes a sixth of a second. The caller
/// should not wait longer for a preview.
const LOOKING: Duration = Duration::from_secs(2);

/// The longest wait for other files: about thirty of the largest photos, or hundreds of usual
/// photos.
const WAITING: Duration = Duration::from_secs(5);

/// Reads previews, one file at a time. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Previews(Turns);

impl Previews {
    pub(super) fn new() -> Self {
        Self(Turns::new(1))
    }

    /// Returns the facts about a bot's file that can be read within 2 s. The wait for a turn ends
    /// after 5 s, or at `latest`.
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
            tracing::info!("too many files at once; this file is sent without a preview");
            return Preview::default();
        };
        let (path, mime) = (PathBuf::from(path), mime.to_owned());
        let until = Instant::now() + LOOKING;
        let looking = tokio::task::spawn_blocking(move || {
            // Held until the memory is free again, even if the caller has stopped waiting.
            let _turn = turn;
            look(&path, kind, &mime, until)
        });
        // Some extra time: a late reader stops at its next read.
        let looked = tokio::time::timeout_at(until + LOOKING / 4, looking).await;
        looked.map(Result::unwrap_or_default).unwrap_or_default()
    }

    /// Replaces a still picture that phones do not show in a chat by a picture in a format that
    /// phones show. Returns the new media type, or `None` if the file is unchanged: an animation,
    /// too large, broken, or too many other files are waiting.
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
        // No timeout here: the deadline ends the work, and the caller must know whether the file
        // was replaced.
        let replacing = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            replace(&path, &mime, Instant::now() + LOOKING)
        });
        replacing.await.ok().flatten()
    }
}

/// Writes the converted picture in place of the file. Blocks.
fn replace(path: &Path, mime: &str, until: Instant) -> Option<&'static str> {
    let file = File::open(path).ok()?;
    let permissions = file.metadata().ok()?.permissions();
    let file = source::bounded(file, until);
    let (mime, bytes) = unbroken(|| picture::still(file, mime)).flatten()?;
    if bytes.len() as u64 > FILE_CAP {
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

/// Reads as many facts as possible `until` the deadline. Blocks.
fn look(path: &Path, kind: MediaKind, mime: &str, until: Instant) -> Preview {
    let Ok(file) = File::open(path) else {
        return Preview::default();
    };
    let file = source::bounded(file, until);
    let looking = || match kind {
        MediaKind::Image => picture::look(file, mime),
        MediaKind::Audio => Preview {
            seconds: sound::duration(file).and_then(whole),
            ..Preview::default()
        },
        MediaKind::Video => {
            let (size, duration) = film::size_and_duration(file);
            Preview {
                size,
                seconds: duration.and_then(whole),
                thumbnail: None,
            }
        }
        MediaKind::Document => Preview::default(),
    };
    unbroken(looking).unwrap_or_default()
}

/// Rounds to seconds, at least 1 s, because a phone shows 0:00 for an unknown duration.
fn whole(duration: Duration) -> Option<u32> {
    let rounded = duration.saturating_add(Duration::from_millis(500));
    u32::try_from(rounded.as_secs().max(1))
        .ok()
        .filter(|_| !duration.is_zero())
}

#[cfg(test)]
mod tests;
