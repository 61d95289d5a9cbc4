//! The mp4 family (ISO 14496-12): films, sound and pictures of phones in nested boxes.

use std::io::{Read, Seek, SeekFrom};

use super::Container;

/// Boxes that are read of one file. A film has some dozens before its tracks are known.
const BOXES: usize = 2_000;

/// What the file's tracks are.
#[derive(Debug, Default, Clone, Copy)]
struct Tracks {
    pictures: bool,
    sound: bool,
}

/// Whether the head is one of a file of this family. Old ones have no `ftyp`.
pub(super) fn is(head: &[u8]) -> bool {
    let size = head
        .first_chunk::<4>()
        .map(|size| u32::from_be_bytes(*size));
    match (size, head.get(4..8)) {
        (Some(8..=1024), Some(b"ftyp" | b"styp")) => true,
        // Four letters alone may be a text.
        (Some(size), Some(b"moov" | b"mdat" | b"wide" | b"free" | b"skip" | b"pnot")) => {
            size < 0x1000_0000
        }
        _ => false,
    }
}

/// The container, by the file's tracks and then by its brand.
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
        // A camera's raw picture.
        b"crx " => return Container::Binary,
        // The chapters of an audio book have pictures.
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
        // A file that ends too early has the tracks that were read until then.
        let _ = walk(file, 0, end, &mut budget, &mut tracks);
    }
    tracks
}

/// Reads the boxes between two places, and the boxes inside those that lead to a track's handler.
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
            // These boxes stand in one another, so the depth is bounded by the budget.
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
