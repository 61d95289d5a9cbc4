use image::codecs::gif::GifEncoder;
use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ImageEncoder, ImageFormat, Rgb, RgbImage, Rgba, RgbaImage};
use proptest::prelude::*;

use super::*;

const RED: [u8; 3] = [200, 30, 30];
const BLUE: [u8; 3] = [30, 30, 200];

mod endless;
mod still;

/// Builds a picture with a red left half and a blue right half.
fn halves(width: u32, height: u32) -> DynamicImage {
    let colour = |x, _| Rgb(if x < width / 2 { RED } else { BLUE });
    RgbImage::from_fn(width, height, colour).into()
}

fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn fixture(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    std::fs::read(folder.join(name)).unwrap()
}

fn preview(kind: MediaKind, mime: &str, bytes: &[u8]) -> Preview {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    look(file.path(), kind, mime, Instant::now() + LOOKING)
}

fn picture(mime: &str, bytes: &[u8]) -> Preview {
    preview(MediaKind::Image, mime, bytes)
}

/// Decodes a thumbnail as a phone would.
fn shown(preview: &Preview) -> RgbImage {
    let jpeg = preview.thumbnail.as_deref().expect("a thumbnail");
    assert!(jpeg.len() <= 10 * 1024, "{} bytes", jpeg.len());
    let shown = image::load_from_memory_with_format(jpeg, ImageFormat::Jpeg).unwrap();
    shown.into_rgb8()
}

fn is_near(pixel: Rgb<u8>, expected: [u8; 3]) -> bool {
    let apart = |at: usize| pixel.0[at].abs_diff(expected[at]);
    (0..3).all(|at| apart(at) < 30)
}

/// Builds a JPEG with an orientation, as from a phone held in another way: a TIFF header, EXIF
/// 2.32, 4.6.4.
fn held(picture: &DynamicImage, orientation: u8) -> Vec<u8> {
    let mut exif = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    exif.extend([orientation, 0, 0, 0, 0, 0, 0]);
    let mut jpeg = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut jpeg, 60);
    encoder.set_exif_metadata(exif).unwrap();
    picture.write_with_encoder(encoder).unwrap();
    jpeg
}

#[test]
fn every_kind_of_picture_shows_its_size_and_a_small_jpeg_of_its_shape() {
    let large = halves(1200, 900);
    let mut gif = Vec::new();
    let frames = [large.to_rgba8(), large.fliph().to_rgba8()].map(image::Frame::new);
    GifEncoder::new(&mut gif).encode_frames(frames).unwrap();
    for (mime, bytes, size) in [
        (
            "image/jpeg",
            encoded(&large, ImageFormat::Jpeg),
            (1200, 900),
        ),
        ("image/png", encoded(&large, ImageFormat::Png), (1200, 900)),
        (
            "image/webp",
            encoded(&large, ImageFormat::WebP),
            (1200, 900),
        ),
        ("image/webp", fixture("foto.webp"), (160, 120)),
        ("image/jpeg", fixture("bertahap.jpg"), (160, 120)),
        ("image/jpeg", fixture("cetak.jpg"), (160, 120)),
        ("image/gif", gif, (1200, 900)),
    ] {
        let preview = picture(mime, &bytes);
        assert_eq!(preview.size, Some(size), "{mime}");
        let shown = shown(&preview);
        assert_eq!(shown.dimensions(), (100, 75), "{mime}");
        let (left, right) = (*shown.get_pixel(20, 40), *shown.get_pixel(80, 40));
        assert!(
            is_near(left, RED) && is_near(right, BLUE),
            "{mime} {left:?} {right:?}"
        );
    }
}

#[test]
fn the_thumbnail_of_noise_is_small_too_and_small_pictures_stay_as_they_are() {
    let mut seed = 7_u32;
    let noise = RgbImage::from_fn(100, 100, |_, _| {
        Rgb([0; 3].map(|_: u8| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            seed.to_be_bytes()[0]
        }))
    });
    let noise = DynamicImage::from(noise);
    shown(&picture("image/png", &encoded(&noise, ImageFormat::Png)));
    for (size, small) in [
        ((3, 2), (3, 2)),
        ((4000, 1), (100, 1)),
        ((1, 4000), (1, 100)),
    ] {
        let preview = picture(
            "image/png",
            &encoded(&halves(size.0, size.1), ImageFormat::Png),
        );
        assert_eq!(preview.size, Some(size));
        assert_eq!(shown(&preview).dimensions(), small);
    }
}

#[test]
fn a_photo_is_shown_as_the_camera_was_held() {
    let lying = halves(400, 200);
    for (orientation, size, top, bottom) in [(6, (200, 400), RED, BLUE), (8, (200, 400), BLUE, RED)]
    {
        let preview = picture("image/jpeg", &held(&lying, orientation));
        assert_eq!(preview.size, Some(size), "orientation {orientation}");
        let shown = shown(&preview);
        assert_eq!(shown.dimensions(), (size.0 / 4, size.1 / 4));
        let (above, below) = (*shown.get_pixel(25, 5), *shown.get_pixel(25, 95));
        assert!(
            is_near(above, top) && is_near(below, bottom),
            "{above:?} {below:?}"
        );
    }
}

#[test]
fn transparent_pixels_become_white() {
    let glass: DynamicImage = RgbaImage::from_pixel(300, 300, Rgba([0, 0, 0, 0])).into();
    for format in [ImageFormat::Png, ImageFormat::WebP, ImageFormat::Gif] {
        let preview = picture(format.to_mime_type(), &encoded(&glass, format));
        assert!(is_near(*shown(&preview).get_pixel(50, 50), [255; 3]));
    }
}

/// Each file claims 60,000 × 60,000 pixels, and has only the data that its decoder requires.
#[test]
fn a_decompression_bomb_shows_its_size_and_is_not_decoded() {
    let side = 60_000_u32.to_be_bytes();
    let short = &side[2..];
    let header = [&b"IHDR"[..], &side, &side, &[8, 6, 0, 0, 0]].concat();
    let part = |part: &[u8]| {
        let length = u32::try_from(part.len() - 4).unwrap().to_be_bytes();
        [&length[..], part, &crc32(part).to_be_bytes()].concat()
    };
    let zeros = [&b"IDAT\x78\x9c"[..], &[0; 64]].concat();
    let png = [&b"\x89PNG\r\n\x1a\n"[..], &part(&header), &part(&zeros)].concat();
    let small = encoded(&halves(16, 16), ImageFormat::Jpeg);
    let frame = position(&small, &[0xff, 0xc0]);
    let mut jpeg = small.clone();
    jpeg[frame + 5..frame + 7].copy_from_slice(short);
    jpeg[frame + 7..frame + 9].copy_from_slice(short);
    let mut in_passes = fixture("bertahap.jpg");
    let frame = position(&in_passes, &[0xff, 0xc2]);
    in_passes[frame + 5..frame + 7].copy_from_slice(short);
    in_passes[frame + 7..frame + 9].copy_from_slice(short);
    let mut gif = encoded(&halves(16, 16), ImageFormat::Gif);
    gif[6..10].copy_from_slice(&[0x60, 0xea, 0x60, 0xea]);
    for (mime, bytes) in [
        ("image/png", png),
        ("image/jpeg", jpeg),
        ("image/jpeg", in_passes),
        ("image/gif", gif),
    ] {
        let preview = picture(mime, &bytes);
        let expected = Preview {
            size: Some((60_000, 60_000)),
            ..Preview::default()
        };
        assert_eq!(preview, expected, "{mime}");
    }
}

fn position(bytes: &[u8], part: &[u8]) -> usize {
    bytes
        .windows(part.len())
        .position(|seen| seen == part)
        .unwrap()
}

/// Returns the checksum of a PNG chunk (PNG specification, annex D).
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 {
                0xedb8_8320 ^ (crc >> 1)
            } else {
                crc >> 1
            }
        })
    })
}

#[test]
fn a_truncated_or_invalid_picture_shows_the_readable_part() {
    let whole = encoded(&halves(640, 480), ImageFormat::Jpeg);
    let preview = picture("image/jpeg", &whole[..whole.len() / 2]);
    assert_eq!((preview.size, preview.thumbnail), (Some((640, 480)), None));
    for mime in [
        "image/jpeg",
        "image/png",
        "image/gif",
        "image/webp",
        "image/tiff",
    ] {
        assert_eq!(picture(mime, b"no picture at all"), Preview::default());
    }
}

#[test]
fn audio_has_its_duration() {
    for (name, seconds) in [
        ("nada.mp3", 3),
        ("nada-tanpa-xing.mp3", 3),
        ("catatan.ogg", 3),
        ("nada.oga", 3),
        ("nada.m4a", 3),
        ("nada.aac", 3),
        ("nada.flac", 1),
    ] {
        let preview = preview(MediaKind::Audio, "audio/x", &fixture(name));
        assert_eq!(preview.seconds, Some(seconds), "{name}");
        assert_eq!((preview.size, preview.thumbnail), (None, None));
    }
    let of = |samples: u32| preview(MediaKind::Audio, "audio/x-wav", &wav(samples)).seconds;
    assert_eq!(of(8000 * 61), Some(61));
    assert_eq!(of(800), Some(1), "a tenth of a second is not 0:00");
    let unknown = preview(MediaKind::Audio, "audio/amr", b"#!AMR\n\x3c\x08\0\0");
    assert_eq!(unknown, Preview::default());
}

/// Builds a WAV file with silence: 8,000 samples a second, one byte a sample.
fn wav(samples: u32) -> Vec<u8> {
    let mut wav = b"RIFF".to_vec();
    wav.extend((36 + samples).to_le_bytes());
    wav.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    wav.extend(8000_u32.to_le_bytes());
    wav.extend(8000_u32.to_le_bytes());
    wav.extend(b"\x01\0\x08\0data");
    wav.extend(samples.to_le_bytes());
    wav.resize(44 + samples as usize, 128);
    wav
}

#[test]
fn a_video_has_its_displayed_size_and_duration() {
    for (name, size) in [
        ("film.mp4", (160, 120)),
        ("tegak.mov", (120, 160)),
        ("bisu.3gp", (160, 120)),
    ] {
        let preview = preview(MediaKind::Video, "video/mp4", &fixture(name));
        assert_eq!(
            (preview.size, preview.seconds),
            (Some(size), Some(2)),
            "{name}"
        );
        assert_eq!(preview.thumbnail, None);
    }
    let broken = &fixture("film.mp4")[..600];
    assert_eq!(
        preview(MediaKind::Video, "video/mp4", broken),
        Preview::default()
    );
}

#[test]
fn documents_and_missing_files_are_not_read() {
    let png = encoded(&halves(16, 16), ImageFormat::Png);
    assert_eq!(
        preview(MediaKind::Document, "image/png", &png),
        Preview::default()
    );
    let until = Instant::now() + LOOKING;
    let gone = look(Path::new("/nowhere"), MediaKind::Image, "image/png", until);
    assert_eq!(gone, Preview::default());
}

#[test]
fn a_panicking_decoder_gives_no_preview() {
    let nothing: Vec<Preview> = Vec::new();
    assert_eq!(unbroken(|| nothing[0].clone()), None);
}

#[test]
fn a_decoder_that_is_late_is_stopped_at_its_next_read() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), encoded(&halves(640, 480), ImageFormat::Jpeg)).unwrap();
    let late = Instant::now();
    assert_eq!(
        look(file.path(), MediaKind::Image, "image/jpeg", late),
        Preview::default()
    );
}

#[tokio::test]
async fn a_file_without_a_permit_in_time_gets_no_preview() {
    let previews = Previews::new();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), encoded(&halves(640, 480), ImageFormat::Png)).unwrap();
    let of = |latest| previews.of(1, file.path(), MediaKind::Image, "image/png", latest);
    let turn = previews.0.of(2).await.unwrap();
    assert_eq!(of(Instant::now()).await, Preview::default());
    drop(turn);
    assert_eq!(of(Instant::now() + WAITING).await.size, Some((640, 480)));
}

/// Returns a small file of each kind, with the kind and media type from the gateway.
fn real() -> Vec<(MediaKind, &'static str, Vec<u8>)> {
    let small = halves(48, 36);
    let mut files = vec![
        (
            MediaKind::Image,
            "image/png",
            encoded(&small, ImageFormat::Png),
        ),
        (
            MediaKind::Image,
            "image/gif",
            encoded(&small, ImageFormat::Gif),
        ),
        (
            MediaKind::Image,
            "image/webp",
            encoded(&small, ImageFormat::WebP),
        ),
        (MediaKind::Audio, "audio/x-wav", wav(400)),
    ];
    files.push((MediaKind::Image, "image/jpeg", held(&small, 6)));
    for (kind, mime, name) in [
        (MediaKind::Image, "image/jpeg", "bertahap.jpg"),
        (MediaKind::Image, "image/jpeg", "cetak.jpg"),
        (MediaKind::Image, "image/webp", "foto.webp"),
        (MediaKind::Audio, "audio/mpeg", "nada.mp3"),
        (MediaKind::Audio, "audio/ogg", "catatan.ogg"),
        (MediaKind::Audio, "audio/ogg", "nada.oga"),
        (MediaKind::Audio, "audio/m4a", "nada.m4a"),
        (MediaKind::Audio, "audio/aac", "nada.aac"),
        (MediaKind::Audio, "audio/x-flac", "nada.flac"),
        (MediaKind::Video, "video/mp4", "film.mp4"),
        (MediaKind::Video, "video/quicktime", "tegak.mov"),
        (MediaKind::Video, "video/3gpp", "bisu.3gp"),
    ] {
        files.push((kind, mime, fixture(name)));
    }
    files
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_after_a_known_header_cause_no_panic(
        kept in 4_usize..64,
        noise in proptest::collection::vec(any::<u8>(), 0..2000),
    ) {
        for (kind, mime, bytes) in real() {
            let kept = kept.min(bytes.len());
            preview(kind, mime, &[&bytes[..kept], &noise].concat());
        }
    }

    #[test]
    fn a_damaged_file_causes_no_panic(
        damages in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        cut in any::<prop::sample::Index>(),
    ) {
        for (kind, mime, mut bytes) in real() {
            for (at, byte) in &damages {
                let at = at.index(bytes.len().min(2000));
                bytes[at] = *byte;
            }
            bytes.truncate(cut.index(bytes.len()) + 1);
            preview(kind, mime, &bytes);
        }
    }
}
