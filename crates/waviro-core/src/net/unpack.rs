//! Decodes `Content-Encoding`: gzip, deflate, brotli and zstd, with limits for output and memory.
//!
//! Requests ask for the unencoded file, but some hosts always encode. Some hosts also name an
//! encoding for an unencoded body. A body without the signature of its encoding is therefore
//! returned unchanged.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};

use flate2::bufread::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use reqwest::header::{CONTENT_ENCODING, HeaderMap};
use ruzstd::decoding::{FrameDecoder, StreamingDecoder};
use waviro_store::panics;

/// The most encodings of one body. Real bodies have one.
const LAYERS: usize = 4;

/// The buffer size of a decoder, in bytes.
const PART: usize = 16 * 1024;

/// The most memory for a zstd frame, in bytes. A frame with a single segment needs memory for its
/// whole content at once.
const WINDOW: u64 = 16 * 1024 * 1024;

const GZIP: [u8; 3] = [0x1F, 0x8B, 8];
const ZSTD: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// gzip, RFC 1952.
    Gzip,
    /// zlib, RFC 1950, or raw deflate, RFC 1951.
    Deflate,
    /// RFC 7932.
    Brotli,
    /// RFC 8878.
    Zstd,
}

/// The reason for a failed decoding.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// The decoded body has more bytes than the cap.
    #[error("the decoded body is larger than {0} bytes")]
    TooLarge(u64),
    /// The body is broken, or the sink failed.
    #[error("the body cannot be decoded: {0}")]
    Broken(#[from] io::Error),
}

/// Returns the encodings of a body in the order of their application. Unknown names are left out:
/// hosts also send `none`, `utf-8` and other words.
pub(super) fn encodings(headers: &HeaderMap) -> Vec<Encoding> {
    let values = headers.get_all(CONTENT_ENCODING).into_iter();
    let texts = values.filter_map(|value| value.to_str().ok());
    let names = texts.flat_map(|text| text.split(','));
    let known = names.filter_map(|name| match name.trim().to_ascii_lowercase().as_str() {
        "gzip" | "x-gzip" => Some(Encoding::Gzip),
        "deflate" => Some(Encoding::Deflate),
        "br" => Some(Encoding::Brotli),
        "zstd" => Some(Encoding::Zstd),
        _ => None,
    });
    known.take(LAYERS).collect()
}

/// Decodes `source` into `sink`, at most `cap` bytes. Blocks. Returns the number of bytes.
///
/// # Errors
/// [`UnpackError`]; then the sink has only a part of the body.
pub fn unpack(
    source: impl Read,
    encodings: &[Encoding],
    cap: u64,
    sink: &mut impl Write,
) -> Result<u64, UnpackError> {
    // A panic of a decoder means a broken body.
    panics::expected(|| decode(source, encodings, cap, sink)).unwrap_or_else(|| {
        let broken = io::Error::new(ErrorKind::InvalidData, "the decoder panicked");
        Err(broken.into())
    })
}

fn decode(
    source: impl Read,
    encodings: &[Encoding],
    cap: u64,
    sink: &mut impl Write,
) -> Result<u64, UnpackError> {
    let mut reader: Box<dyn BufRead + '_> = Box::new(BufReader::with_capacity(PART, source));
    for encoding in encodings.iter().rev().take(LAYERS) {
        reader = layer(reader, *encoding)?;
    }
    let (mut part, mut size) = (vec![0; PART], 0);
    loop {
        let count = match reader.read(&mut part) {
            Ok(0) => return Ok(size),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        };
        size += count as u64;
        if size > cap {
            return Err(UnpackError::TooLarge(cap));
        }
        sink.write_all(&part[..count])?;
    }
}

fn layer<'r>(
    mut reader: Box<dyn BufRead + 'r>,
    encoding: Encoding,
) -> io::Result<Box<dyn BufRead + 'r>> {
    let start = reader.fill_buf()?;
    if start.is_empty() {
        return Ok(reader);
    }
    let decoder: Box<dyn Read + 'r> = match encoding {
        Encoding::Gzip if start.starts_with(&GZIP) => Box::new(MultiGzDecoder::new(reader)),
        Encoding::Zstd if start.starts_with(&ZSTD) || is_skippable(start) => Box::new(Frames {
            source: Some(reader),
            frame: None,
        }),
        Encoding::Gzip | Encoding::Zstd => return Ok(reader),
        Encoding::Deflate if is_zlib(start) => Box::new(ZlibDecoder::new(reader)),
        Encoding::Deflate => Box::new(DeflateDecoder::new(reader)),
        Encoding::Brotli => Box::new(brotli_decompressor::Decompressor::new(reader, PART)),
    };
    Ok(Box::new(BufReader::with_capacity(PART, decoder)))
}

/// Returns whether the first two bytes are a zlib header: a multiple of 31 (RFC 1950, 2.2).
fn is_zlib(start: &[u8]) -> bool {
    matches!(start, [method, flags, ..]
        if method & 15 == 8 && method >> 4 <= 7 && u16::from_be_bytes([*method, *flags]) % 31 == 0)
}

/// Returns whether a zstd frame has no content (RFC 8878, 3.1.2).
fn is_skippable(start: &[u8]) -> bool {
    matches!(start, [first, 0x2A, 0x4D, 0x18, ..] if first & 0xF0 == 0x50)
}

/// Reads all frames of a zstd body in turn. The library reads only a single frame.
struct Frames<R: Read> {
    /// The source between two frames.
    source: Option<R>,
    frame: Option<StreamingDecoder<R, FrameDecoder>>,
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, part: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(mut frame) = self.frame.take() {
                let count = frame.read(part)?;
                if count > 0 {
                    self.frame = Some(frame);
                    return Ok(count);
                }
                self.source = Some(frame.into_inner());
            }
            let Some(mut source) = self.source.take() else {
                return Ok(0);
            };
            let start = source.fill_buf()?;
            if start.is_empty() {
                return Ok(0);
            }
            if is_skippable(start) {
                let mut header = [0; 8];
                source.read_exact(&mut header)?;
                let [.., a, b, c, d] = header;
                let length = u32::from_le_bytes([a, b, c, d]).into();
                io::copy(&mut source.by_ref().take(length), &mut io::sink())?;
                self.source = Some(source);
                continue;
            }
            let mut decoder = FrameDecoder::new();
            decoder.set_max_window_size(WINDOW);
            let frame = StreamingDecoder::new_with_decoder(source, decoder);
            let invalid = |error| io::Error::new(ErrorKind::InvalidData, error);
            self.frame = Some(frame.map_err(invalid)?);
        }
    }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

    use super::*;

    const CAP: u64 = 1 << 20;
    /// "Halo, dunia! " ten times, from the encoder of Node.js.
    const BROTLI: &str = "1b8100f81d89712cca46b5932508125987b084b9e934b6b73a116034f02bd34f00";

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn raw_deflate(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        compress_to_vec(bytes, CompressionLevel::Fastest)
    }

    fn plain(bytes: &[u8], encodings: &[Encoding]) -> Result<Vec<u8>, UnpackError> {
        let mut sink = Vec::new();
        unpack(bytes, encodings, CAP, &mut sink).map(|_| sink)
    }

    fn text() -> Vec<u8> {
        "daftar harga; ".repeat(5_000).into_bytes()
    }

    #[test]
    fn every_encoding_gives_the_body_back_alone_and_one_over_the_other() {
        use Encoding::{Brotli, Deflate, Gzip, Zstd};
        let text = text();
        for (bytes, encodings) in [
            (gzip(&text), vec![Gzip]),
            (
                [gzip(&text[..700]), gzip(&text[700..])].concat(),
                vec![Gzip],
            ),
            (zlib(&text), vec![Deflate]),
            (raw_deflate(&text), vec![Deflate]),
            (zstd(&text), vec![Zstd]),
            (
                [zstd(&text[..700]), zstd(&text[700..])].concat(),
                vec![Zstd],
            ),
            (
                [b"\x50\x2A\x4D\x18\x03\0\0\0abc", zstd(&text).as_slice()].concat(),
                vec![Zstd],
            ),
            (zstd(&gzip(&text)), vec![Gzip, Zstd]),
            (gzip(&zlib(&zstd(&text))), vec![Zstd, Deflate, Gzip]),
        ] {
            assert!(plain(&bytes, &encodings).unwrap() == text, "{encodings:?}");
        }
        let brotli = hex::decode(BROTLI).unwrap();
        let expected = "Halo, dunia! ".repeat(10).into_bytes();
        assert_eq!(plain(&brotli, &[Brotli]).unwrap(), expected);
    }

    #[test]
    fn a_body_that_is_not_encoded_stays_as_it_is() {
        for bytes in [
            b"%PDF-1.7\nx".as_slice(),
            b"nama,harga\n",
            b"\x89PNG\r\n\x1A\n",
        ] {
            for encoding in [Encoding::Gzip, Encoding::Zstd] {
                assert_eq!(plain(bytes, &[encoding]).unwrap(), bytes);
            }
        }
        assert_eq!(plain(b"", &[Encoding::Brotli]).unwrap(), b"");
    }

    #[test]
    fn a_small_body_that_becomes_a_large_one_ends_at_the_cap() {
        let zeros = vec![0; 40 << 20];
        for (bytes, encodings) in [
            (gzip(&zeros), vec![Encoding::Gzip]),
            (zlib(&zeros), vec![Encoding::Deflate]),
            (gzip(&gzip(&zeros)), vec![Encoding::Gzip, Encoding::Gzip]),
            (zstd(&zeros), vec![Encoding::Zstd]),
        ] {
            let mut sink = Vec::new();
            let failed = unpack(bytes.as_slice(), &encodings, CAP, &mut sink);
            assert!(
                matches!(failed, Err(UnpackError::TooLarge(CAP))),
                "{failed:?}"
            );
            assert!(sink.len() as u64 <= CAP);
        }
    }

    #[test]
    fn a_frame_that_asks_for_much_memory_and_a_broken_body_are_refused() {
        // A zstd window of 2 GB.
        let greedy = [ZSTD.as_slice(), &[0x00, 0xA8, 0x01, 0, 0]].concat();
        assert!(matches!(
            plain(&greedy, &[Encoding::Zstd]),
            Err(UnpackError::Broken(_))
        ));
        let whole = gzip(&text());
        let failed = plain(&whole[..whole.len() / 2], &[Encoding::Gzip]);
        assert!(matches!(failed, Err(UnpackError::Broken(_))), "{failed:?}");
        let brotli = hex::decode(BROTLI).unwrap();
        let failed = plain(&brotli[..20], &[Encoding::Brotli]);
        assert!(matches!(failed, Err(UnpackError::Broken(_))), "{failed:?}");
    }

    #[test]
    fn the_header_names_encodings_in_their_order_whatever_else_it_says() {
        use Encoding::{Brotli, Deflate, Gzip};
        let mut headers = HeaderMap::new();
        for value in ["GZip , br", "none", "identity, x-gzip", "deflate"] {
            headers.append(CONTENT_ENCODING, value.parse().unwrap());
        }
        assert_eq!(encodings(&headers), [Gzip, Brotli, Gzip, Deflate]);
    }
}
