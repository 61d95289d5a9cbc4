//! Reads the size and the duration of videos in the mp4 family: mp4, mov and 3gp.

use std::time::Duration;

use mp4parse::{MediaContext, Track, TrackHeaderBox, TrackType};

use super::source::Source;

/// Returns the displayed size and the duration from the video's header, if the header can be read.
pub(super) fn size_and_duration(mut source: Source) -> (Option<(u32, u32)>, Option<Duration>) {
    let Ok(film) = mp4parse::read_mp4(&mut source) else {
        return (None, None);
    };
    let pictures = film
        .tracks
        .iter()
        .find(|track| track.track_type == TrackType::Video);
    let size = pictures
        .and_then(|track| track.tkhd.as_ref())
        .and_then(shown);
    (size, longest(&film))
}

/// Returns the track's size, rotated by its matrix: phones store an upright video as a rotated
/// landscape video.
fn shown(track: &TrackHeaderBox) -> Option<(u32, u32)> {
    // 16.16 fixed point, ISO 14496-12, 8.3.2.
    let (width, height) = (track.width >> 16, track.height >> 16);
    if width == 0 || height == 0 {
        return None;
    }
    let quarter = track.matrix.a == 0 && track.matrix.d == 0 && track.matrix.b != 0;
    Some(if quarter {
        (height, width)
    } else {
        (width, height)
    })
}

fn longest(film: &MediaContext) -> Option<Duration> {
    let whole = film.tracks.iter().filter_map(length).max();
    // In a fragmented file the tracks have no duration, but the movie has a duration.
    let fragments = || {
        let length = film.mvex.as_ref()?.fragment_duration?.0;
        duration(length, film.timescale?.0)
    };
    whole.filter(|length| !length.is_zero()).or_else(fragments)
}

fn length(track: &Track) -> Option<Duration> {
    duration(track.duration?.0, track.timescale?.0)
}

fn duration(ticks: u64, a_second: u64) -> Option<Duration> {
    let millis = u128::from(ticks) * 1000;
    let millis = millis.checked_div(u128::from(a_second))?;
    u64::try_from(millis).ok().map(Duration::from_millis)
}
