//! Reads the duration of audio from its headers, or estimates the duration by the bit rate.

use std::time::Duration;

use lofty::config::ParseOptions;
use lofty::file::AudioFile;
use lofty::probe::Probe;

use super::source::Source;

/// Returns the duration; nothing if the library does not support the format (AMR) or cannot read
/// the file.
pub(super) fn duration(file: Source) -> Option<Duration> {
    let options = ParseOptions::new().read_tags(false).read_cover_art(false);
    let probe = Probe::new(file).options(options).guess_file_type().ok()?;
    Some(probe.read().ok()?.properties().duration())
}
