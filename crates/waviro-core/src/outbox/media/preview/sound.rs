//! Reads the duration of audio from its headers, or estimates the duration by the bit rate.

use std::time::Duration;

use lofty::config::ParseOptions;
use lofty::file::AudioFile;
use lofty::probe::Probe;
use waviro_link::Preview;

use super::{Source, whole};

/// Returns the seconds; nothing if the library does not support the format (AMR) or cannot read the
/// file.
pub(super) fn look(file: Source) -> Preview {
    Preview {
        seconds: duration(file).and_then(whole),
        ..Preview::default()
    }
}

fn duration(file: Source) -> Option<Duration> {
    let options = ParseOptions::new().read_tags(false).read_cover_art(false);
    let probe = Probe::new(file).options(options).guess_file_type().ok()?;
    Some(probe.read().ok()?.properties().duration())
}
