//! How large a picture is, and a thumbnail of it.

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

use super::{Source, unbroken};

/// Pixels of the thumbnail's longest side, as WhatsApp's own clients make them.
const SIDE: u16 = 100;

/// Of 100, the first that makes it small enough. Only noise needs the others.
const QUALITIES: [u8; 3] = [70, 40, 10];

/// The quality of a picture that was made from another format, of 100.
const STILL: u8 = 90;

/// Bytes of the thumbnail, which travels inside the message; usual are 3 KB.
const THUMBNAIL: usize = 10 * 1024;

/// What decoding a picture may take, bytes: 12 megapixels with transparency. A file of 16 MiB can claim 3,600 of them.
const DECODING: u64 = 48 * 1024 * 1024;

/// Pixels times scans that a JPEG may make a decoder walk over, half a second's work: a photo of 200 megapixels, or one of 60 whose
/// colours come one after the other. A file of 3 KB can ask for 1,500 megapixels three hundred times, and is not read again
/// meanwhile, so that no deadline at the reader would end it.
const WALKING: u64 = 256_000_000;

/// The size as the header says it, and a thumbnail where the picture can be decoded within bounds.
pub(super) fn look(file: Source, mime: &str) -> Preview {
    let header = match mime {
        "image/jpeg" => jpeg(file),
        "image/png" => other(file, ImageFormat::Png, DECODING),
        // These decoders hold a frame of their own beside the picture.
        "image/gif" => other(file, ImageFormat::Gif, DECODING / 2),
        "image/webp" => other(file, ImageFormat::WebP, DECODING / 2),
        _ => None,
    };
    header.map(Header::preview).unwrap_or_default()
}

/// A still picture in a format that phones do not show in a chat, as a file that they show: a media type and bytes, a PNG where one
/// can see through it. `None` if the picture moves, or cannot be decoded within bounds.
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

/// Whether there is more than one frame; `None` where that cannot be found out within bounds.
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

/// What a picture's header says, and the way to the rest.
struct Header {
    size: (u32, u32),
    /// How the camera was held.
    turn: Orientation,
    /// At its size or smaller; `None` where it is broken or beyond the bounds.
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
            // Once in planes, once put together.
            let bytes = u64::from(width) * u64::from(height) * colours * 2;
            if bytes > DECODING {
                return None;
            }
            let bytes = decoder.decode().ok()?;
            coloured(info.pixel_format, width.into(), height.into(), bytes)
        }),
    })
}

/// How many scans begin in the file, a thumbnail's inside it included; at its beginning again. In what is coded a marker's first
/// byte never stands before another than 0 and the restart markers (ITU T.81, B.1.1.5).
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

/// Whether it takes a bounded amount of time and memory, whatever its scale.
fn is_bearable(info: ImageInfo, scans: u64) -> bool {
    let pixels = u64::from(info.width) * u64::from(info.height);
    if pixels.saturating_mul(scans) > WALKING {
        return false;
    }
    match info.coding_process {
        CodingProcess::DctSequential => true,
        // All of it is held until the last pass, two bytes each.
        CodingProcess::DctProgressive => {
            pixels * info.pixel_format.pixel_bytes() as u64 * 2 <= DECODING
        }
        // X-rays, which phones do not show either.
        CodingProcess::Lossless => false,
    }
}

fn coloured(format: PixelFormat, width: u32, height: u32, bytes: Vec<u8>) -> Option<DynamicImage> {
    match format {
        PixelFormat::L8 => GrayImage::from_raw(width, height, bytes).map(Into::into),
        PixelFormat::RGB24 => RgbImage::from_raw(width, height, bytes).map(Into::into),
        // Printers' colours, without their profile: near enough for a thumbnail.
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

/// Small, turned, and on white where one could see through it: a JPEG.
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
