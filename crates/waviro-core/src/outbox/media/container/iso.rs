//! Reads the mp4 family (ISO 14496-12): videos, audio and pictures of phones in nested boxes.

use std::io::{Read, Seek, SeekFrom};

use super::Container;

/// The most boxes read of a file. A video has some dozens before its tracks are known.
const BOXES: usize = 2_000;

/// The kinds of tracks in a file.
#[derive(Debug, Default, Clone, Copy)]
struct Tracks {
    pictures: bool,
    sound: bool,
}

/// Returns whether a file with this head belongs to the family. Old files have no `ftyp`.
pub(super) fn is(head: &[u8]) -> bool {
    let size = head
        .first_chunk::<4>()
        .map(|size| u32::from_be_bytes(*size));
    match (size, head.get(4..8)) {
        (Some(8..=1024), Some(b"ftyp" | b"styp")) => true,
        // The four letters alone may be the start of a text, so the size is checked too.
        (Some(size), Some(b"moov" | b"mdat" | b"wide" | b"free" | b"skip" | b"pnot")) => {
            size < 0x1000_0000
        }
        _ => false,
    }
}

/// Returns the container, by the brand if the brand is clear, else by the file's tracks.
pub(super) fn container<F: Read + Seek>(file: &mut F, head: &[u8], is_sound: bool) -> Container {
    let length = head
        .first_chunk::<4>()
        .map_or(0, |size| u32::from_be_bytes(*size));
    let end = usize::try_from(length)
        .unwrap_or(usize::MAX)
        .min(head.len());
    let brands = || head.get(8..end).unwrap_or_default().chunks_exact(4);
    let brand = match head.get(4..8) {
        Some(b"ftyp" | b"styp") => head.get(8..12).unwrap_or_default(),
        _ => b"qt  ",
    };
    match brand {
        b"avif" | b"avis" => return Container::Avif,
        b"mif1" | b"msf1" | b"miaf" if brands().any(|other| matches!(other, b"avif" | b"avis")) => {
            return Container::Avif;
        }
        b"heic" | b"heix" | b"hevc" | b"hevx" | b"heim" | b"heis" | b"hevm" | b"hevs" | b"mif1"
        | b"msf1" | b"miaf" => return Container::Heif,
        // A raw picture of a Canon camera.
        b"crx " => return Container::Binary,
        // Audio books have pictures for their chapters, so the tracks are not read.
        b"M4A " | b"M4B " | b"M4P " | b"F4A " | b"F4B " => return Container::M4a,
        _ => {}
    }
    let tracks = tracks(file);
    if !tracks.pictures && (tracks.sound || is_sound) {
        return Container::M4a;
    }
    match brand {
        b"qt  " => Container::Quicktime,
        [
            b'3',
            b'g',
            b'p' | b'2' | b'e' | b'g' | b'h' | b'm' | b'r' | b's' | b't',
            ..,
        ] => Container::ThreeGp,
        _ => Container::Mp4,
    }
}

fn tracks<F: Read + Seek>(file: &mut F) -> Tracks {
    let mut tracks = Tracks::default();
    let mut budget = BOXES;
    if let Ok(end) = file.seek(SeekFrom::End(0)) {
        // A truncated file has the tracks read so far.
        let _ = walk(file, 0, end, &mut budget, &mut tracks);
    }
    tracks
}

/// Reads the boxes between two positions. Descends into the boxes on the way to a track's handler.
fn walk<F: Read + Seek>(
    file: &mut F,
    mut at: u64,
    end: u64,
    budget: &mut usize,
    tracks: &mut Tracks,
) -> std::io::Result<()> {
    while at + 8 <= end && *budget > 0 {
        *budget -= 1;
        file.seek(SeekFrom::Start(at))?;
        let mut header = [0; 8];
        file.read_exact(&mut header)?;
        let [s0, s1, s2, s3, name @ ..] = header;
        let (size, header) = match u32::from_be_bytes([s0, s1, s2, s3]) {
            0 => (end - at, 8),
            1 => {
                let mut long = [0; 8];
                file.read_exact(&mut long)?;
                (u64::from_be_bytes(long), 16)
            }
            size => (size.into(), 8),
        };
        if size < header {
            return Ok(());
        }
        let next = at.saturating_add(size).min(end);
        match &name {
            // Nested boxes cause recursion; the budget limits its depth.
            b"moov" | b"trak" | b"mdia" => walk(file, at + header, next, budget, tracks)?,
            b"hdlr" => {
                let mut inside = [0; 12];
                file.read_exact(&mut inside)?;
                match &inside[8..] {
                    b"vide" => tracks.pictures = true,
                    b"soun" => tracks.sound = true,
                    _ => {}
                }
            }
            _ => {}
        }
        at = next;
    }
    Ok(())
}
