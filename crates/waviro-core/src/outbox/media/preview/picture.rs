//! Reads the size of a picture and makes a thumbnail.

use std::io::{Read, Seek};

use image::codecs::gif::GifDecoder;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::webp::WebPDecoder;
use image::imageops::overlay;
use image::metadata::Orientation;
use image::{
    AnimationDecoder, DynamicImage, GrayImage, ImageDecoder, ImageFormat, ImageReader, Limits,
    RgbImage, Rgba, RgbaImage,
};
use jpeg_decoder::{CodingProcess, ImageInfo, PixelFormat};
use waviro_link::Preview;

use super::source::{Source, unbroken};

/// The pixels of the thumbnail's longest side, as in WhatsApp's own clients.
const SIDE: u16 = 100;

/// JPEG qualities (of 100), tried in order until the thumbnail is small enough. Only noise needs
/// the lower qualities.
const QUALITIES: [u8; 3] = [70, 40, 10];

/// The JPEG quality (of 100) of a picture converted from another format.
const STILL: u8 = 90;

/// The most bytes of the thumbnail, which is sent inside the message. 3 KB is usual.
const THUMBNAIL: usize = 10 * 1024;

/// The most memory for decoding a picture, in bytes: 12 megapixels with transparency. A file of 16
/// MiB can claim 3,600 megapixels.
const DECODING: u64 = 48 * 1024 * 1024;

/// The most pixels times scans of a JPEG to decode, about half a second of work: a photo of 200
/// megapixels, or a photo of 60 megapixels with a scan for each colour. A file of 3 KB can ask for
/// 300 scans of 1,500 megapixels. The decoder does not read meanwhile, so a deadline in the reader
/// would not end the work.
const WALKING: u64 = 256_000_000;

/// Returns the size from the header, and a thumbnail if the picture can be decoded within the
/// limits.
pub(super) fn look(file: Source, mime: &str) -> Preview {
    let header = match mime {
        "image/jpeg" => jpeg(file),
        "image/png" => other(file, ImageFormat::Png, DECODING),
        // The decoders of GIF and WebP hold a second frame in memory.
        "image/gif" => other(file, ImageFormat::Gif, DECODING / 2),
        "image/webp" => other(file, ImageFormat::WebP, DECODING / 2),
        _ => None,
    };
    header.map(Header::preview).unwrap_or_default()
}

/// Converts a still picture in a format that phones do not show in a chat. Returns the media type
/// and the bytes: PNG for a picture with transparency, else JPEG. `None` if the picture is
/// animated, or cannot be decoded within the limits.
pub(super) fn still(mut file: Source, mime: &str) -> Option<(&'static str, Vec<u8>)> {
    let most = DECODING / 2;
    let format = match mime {
        "image/gif" => ImageFormat::Gif,
        "image/webp" => ImageFormat::WebP,
        _ => return None,
    };
    if moves(&mut file, format, most)? {
        return None;
    }
    file.rewind().ok()?;
    let Header { turn, decode, .. } = other(file, format, most)?;
    let mut picture = decode()?;
    picture.apply_orientation(turn);
    let is_clear = match &picture {
        DynamicImage::ImageRgba8(pixels) => pixels.pixels().any(|pixel| pixel.0[3] < 255),
        other => other.color().has_alpha(),
    };
    let mut bytes = std::io::Cursor::new(Vec::new());
    let mime = if is_clear {
        picture.write_to(&mut bytes, ImageFormat::Png).ok()?;
        "image/png"
    } else {
        let encoder = JpegEncoder::new_with_quality(&mut bytes, STILL);
        picture.into_rgb8().write_with_encoder(encoder).ok()?;
        "image/jpeg"
    };
    Some((mime, bytes.into_inner()))
}

/// Returns whether the picture has more than one frame; `None` if the limits do not allow the
/// check.
fn moves(file: &mut Source, format: ImageFormat, most: u64) -> Option<bool> {
    if format == ImageFormat::WebP {
        return Some(WebPDecoder::new(file).ok()?.has_animation());
    }
    let decoder = GifDecoder::new(file).ok()?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) * 4 > most {
        return None;
    }
    let frames = decoder.into_frames().take(2);
    Some(frames.flatten().count() > 1)
}

/// The facts from a picture's header, and a function to decode the picture.
struct Header {
    size: (u32, u32),
    /// The orientation of the camera.
    turn: Orientation,
    /// Decodes the picture, perhaps at a smaller size; `None` if the picture is broken or exceeds
    /// the limits.
    decode: Box<dyn FnOnce() -> Option<DynamicImage>>,
}

impl Header {
    fn preview(self) -> Preview {
        let (width, height) = self.size;
        Preview {
            size: Some(if is_sideways(self.turn) {
                (height, width)
            } else {
                (width, height)
            }),
            seconds: None,
            thumbnail: unbroken(self.decode)
                .flatten()
                .and_then(|picture| thumbnail(&picture, self.turn)),
        }
    }
}

fn jpeg(mut file: Source) -> Option<Header> {
    let scans = scans(&mut file).ok()?;
    let mut decoder = jpeg_decoder::Decoder::new(file);
    decoder.read_info().ok()?;
    let info = decoder.info()?;
    let turn = decoder.exif_data().and_then(Orientation::from_exif_chunk);
    Some(Header {
        size: (info.width.into(), info.height.into()),
        turn: turn.unwrap_or(Orientation::NoTransforms),
        decode: Box::new(move || {
            if !is_bearable(info, scans) {
                return None;
            }
            let (width, height) = decoder.scale(SIDE, SIDE).ok()?;
            let colours = info.pixel_format.pixel_bytes() as u64;
            // The decoder holds the picture twice: as planes and as interleaved pixels.
            let bytes = u64::from(width) * u64::from(height) * colours * 2;
            if bytes > DECODING {
                return None;
            }
            let bytes = decoder.decode().ok()?;
            coloured(info.pixel_format, width.into(), height.into(), bytes)
        }),
    })
}

/// Counts the scans in the file, including those of an embedded thumbnail, and rewinds the file. In
/// coded data the first byte of a marker is followed only by 0 or a restart marker (ITU T.81,
/// B.1.1.5).
fn scans(file: &mut Source) -> std::io::Result<u64> {
    let (mut scans, mut before) = (0, 0);
    for byte in file.by_ref().bytes() {
        let byte = byte?;
        scans += u64::from((before, byte) == (0xFF, 0xDA));
        before = byte;
    }
    file.rewind()?;
    Ok(scans)
}

/// Returns whether decoding takes a bounded amount of time and memory, at every scale.
fn is_bearable(info: ImageInfo, scans: u64) -> bool {
    let pixels = u64::from(info.width) * u64::from(info.height);
    if pixels.saturating_mul(scans) > WALKING {
        return false;
    }
    match info.coding_process {
        CodingProcess::DctSequential => true,
        // The decoder holds the whole picture until the last pass, with two bytes a value.
        CodingProcess::DctProgressive => {
            pixels * info.pixel_format.pixel_bytes() as u64 * 2 <= DECODING
        }
        // Lossless JPEG is used for X-rays. Phones do not show such pictures either.
        CodingProcess::Lossless => false,
    }
}

fn coloured(format: PixelFormat, width: u32, height: u32, bytes: Vec<u8>) -> Option<DynamicImage> {
    match format {
        PixelFormat::L8 => GrayImage::from_raw(width, height, bytes).map(Into::into),
        PixelFormat::RGB24 => RgbImage::from_raw(width, height, bytes).map(Into::into),
        // CMYK without its colour profile is good enough for a thumbnail.
        PixelFormat::CMYK32 => {
            let ink = |ink: u8, black: u8| {
                let light = (255 - u16::from(ink)) * (255 - u16::from(black)) / 255;
                u8::try_from(light).unwrap_or(u8::MAX)
            };
            let rgb = bytes
                .chunks_exact(4)
                .flat_map(|inks| [0, 1, 2].map(|at| ink(inks[at], inks[3])));
            RgbImage::from_raw(width, height, rgb.collect()).map(Into::into)
        }
        PixelFormat::L16 => None,
    }
}

fn other(file: Source, format: ImageFormat, most: u64) -> Option<Header> {
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(most);
    let mut reader = ImageReader::with_format(file, format);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().ok()?;
    let size = decoder.dimensions();
    if size.0 == 0 || size.1 == 0 {
        return None;
    }
    Some(Header {
        size,
        turn: decoder.orientation().unwrap_or(Orientation::NoTransforms),
        decode: Box::new(move || {
            if decoder.total_bytes() > most {
                return None;
            }
            DynamicImage::from_decoder(decoder).ok()
        }),
    })
}

fn is_sideways(turn: Orientation) -> bool {
    matches!(
        turn,
        Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH
    )
}

/// Returns the thumbnail as a JPEG: scaled down, rotated, and on white if the picture has
/// transparency.
fn thumbnail(picture: &DynamicImage, turn: Orientation) -> Option<Vec<u8>> {
    let side = u32::from(SIDE);
    let mut small = if picture.width().max(picture.height()) > side {
        picture.thumbnail(side, side)
    } else {
        picture.clone()
    };
    small.apply_orientation(turn);
    let mut flat = RgbaImage::from_pixel(small.width(), small.height(), Rgba([255; 4]));
    overlay(&mut flat, &small.to_rgba8(), 0, 0);
    let flat = DynamicImage::from(flat).into_rgb8();
    QUALITIES.into_iter().find_map(|quality| {
        let mut jpeg = Vec::new();
        let encoder = JpegEncoder::new_with_quality(&mut jpeg, quality);
        flat.write_with_encoder(encoder).ok()?;
        (jpeg.len() <= THUMBNAIL).then_some(jpeg)
    })
}
