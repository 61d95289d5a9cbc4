//! Tests the conversion of still pictures whose formats phones do not show in a chat.

use image::codecs::gif::GifEncoder;
use image::{ImageFormat, Rgba, RgbaImage};

use super::super::{LOOKING, replace};
use super::{BLUE, RED, encoded, fixture, halves, is_near};
use tokio::time::Instant;

/// Converts a picture. Returns the new media type and the new bytes.
fn replaced(mime: &str, bytes: &[u8]) -> (Option<&'static str>, Vec<u8>) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let shown = replace(file.path(), mime, Instant::now() + LOOKING * 10);
    (shown, std::fs::read(file.path()).unwrap())
}

#[test]
fn a_still_webp_or_gif_becomes_a_picture_that_phones_show() {
    let picture = halves(300, 200);
    let clear = RgbaImage::from_fn(64, 64, |x, _| {
        Rgba([200, 30, 30, if x < 32 { 0 } else { 255 }])
    });
    for (mime, bytes, expected, size) in [
        (
            "image/webp",
            encoded(&picture, ImageFormat::WebP),
            "image/jpeg",
            (300, 200),
        ),
        ("image/webp", fixture("foto.webp"), "image/jpeg", (160, 120)),
        (
            "image/gif",
            encoded(&picture, ImageFormat::Gif),
            "image/jpeg",
            (300, 200),
        ),
        (
            "image/webp",
            encoded(&clear.clone().into(), ImageFormat::WebP),
            "image/png",
            (64, 64),
        ),
        (
            "image/gif",
            encoded(&clear.into(), ImageFormat::Gif),
            "image/png",
            (64, 64),
        ),
    ] {
        let (shown, bytes) = replaced(mime, &bytes);
        assert_eq!(shown, Some(expected), "{mime}");
        let format = ImageFormat::from_mime_type(expected).unwrap();
        let made = image::load_from_memory_with_format(&bytes, format).unwrap();
        assert_eq!((made.width(), made.height()), size);
        if expected == "image/jpeg" {
            let made = made.into_rgb8();
            assert!(is_near(*made.get_pixel(size.0 / 4, 20), RED));
            assert!(is_near(*made.get_pixel(size.0 * 3 / 4, 20), BLUE));
        }
    }
}

#[test]
fn a_picture_that_moves_is_broken_or_too_large_stays_as_it_is() {
    let picture = halves(120, 90);
    let mut moving = Vec::new();
    let frames = [picture.to_rgba8(), picture.fliph().to_rgba8()].map(image::Frame::new);
    GifEncoder::new(&mut moving).encode_frames(frames).unwrap();
    // The extended form of a WebP file, with the animation flag.
    let mut moving_webp = b"RIFF\x2E\0\0\0WEBPVP8X\x0A\0\0\0\x02\0\0\0\x77\0\0\x59\0\0".to_vec();
    moving_webp.extend(b"ANIM\x06\0\0\0\0\0\0\0\0\0");
    let huge = b"GIF89a\xFF\xFF\xFF\xFF\0\0\0,\0\0\0\0\xFF\xFF\xFF\xFF\0\x02\x02L\x01\0;".to_vec();
    let whole = encoded(&picture, ImageFormat::WebP);
    for (mime, bytes) in [
        ("image/gif", moving),
        ("image/webp", moving_webp),
        ("image/gif", huge),
        ("image/webp", whole[..whole.len() / 2].to_vec()),
        ("image/gif", b"GIF89a".to_vec()),
        ("image/bmp", b"BM".to_vec()),
    ] {
        let (shown, left) = replaced(mime, &bytes);
        assert_eq!((shown, left == bytes), (None, true), "{mime}");
    }
}
