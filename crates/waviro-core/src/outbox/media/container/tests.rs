use std::io::Cursor;
use std::path::Path;

use super::*;

fn seen(bytes: &[u8]) -> Container {
    of(&mut Cursor::new(bytes), false).unwrap()
}

fn fixture(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    std::fs::read(folder.join(name)).unwrap()
}

fn in_box(name: [u8; 4], inside: &[u8]) -> Vec<u8> {
    let length = u32::try_from(inside.len() + 8).unwrap();
    [&length.to_be_bytes(), name.as_slice(), inside].concat()
}

/// Builds a file of the mp4 family with a brand and tracks. The `moov` box is at the end.
fn film(brand: [u8; 4], tracks: &[[u8; 4]]) -> Vec<u8> {
    let track = |handler: &[u8; 4]| {
        let handler = [&[0; 8], handler.as_slice(), &[0; 13]].concat();
        let media = in_box(
            *b"mdia",
            &[in_box(*b"mdhd", &[0; 24]), in_box(*b"hdlr", &handler)].concat(),
        );
        in_box(*b"trak", &media)
    };
    let tracks: Vec<u8> = tracks.iter().flat_map(track).collect();
    [
        in_box(
            *b"ftyp",
            &[brand.as_slice(), &[0, 0, 2, 0], b"isomiso2"].concat(),
        ),
        in_box(*b"mdat", &vec![7; 20_000]),
        in_box(*b"moov", &[in_box(*b"mvhd", &[0; 100]), tracks].concat()),
    ]
    .concat()
}

#[test]
fn sound_of_any_brand_is_sound_and_films_of_every_brand_are_films() {
    for brand in [
        b"M4A ", b"mp42", b"isom", b"dash", b"iso5", b"iso6", b"3gp4", b"mp41",
    ] {
        assert_eq!(
            seen(&film(*brand, &[*b"soun"])),
            Container::M4a,
            "{brand:?}"
        );
    }
    for brand in [
        b"isom", b"iso2", b"iso4", b"iso5", b"iso6", b"iso8", b"mp41", b"mp42", b"avc1", b"M4V ",
        b"M4VH", b"dash", b"MSNV", b"f4v ", b"XAVC", b"mp71", b"cmfc",
    ] {
        assert_eq!(
            seen(&film(*brand, &[*b"vide", *b"soun"])),
            Container::Mp4,
            "{brand:?}"
        );
    }
    for brand in [
        b"3gp4", b"3gp5", b"3gp6", b"3gp7", b"3ge6", b"3gg6", b"3g2a", b"3gr6", b"3gs7",
    ] {
        assert_eq!(
            seen(&film(*brand, &[*b"vide"])),
            Container::ThreeGp,
            "{brand:?}"
        );
    }
    assert_eq!(seen(&film(*b"qt  ", &[*b"vide"])), Container::Quicktime);
    for (name, container) in [
        ("film.mp4", Container::Mp4),
        ("bisu.3gp", Container::ThreeGp),
        ("tegak.mov", Container::Quicktime),
        ("nada.m4a", Container::M4a),
        ("nada.mp3", Container::Mp3),
        ("nada-tanpa-xing.mp3", Container::Mp3),
        ("nada.aac", Container::Aac),
        ("nada.flac", Container::Flac),
        ("nada.oga", Container::OggSound),
        ("catatan.ogg", Container::Opus),
        ("foto.webp", Container::Webp),
        ("cetak.jpg", Container::Jpeg),
    ] {
        assert_eq!(seen(&fixture(name)), container, "{name}");
    }
}

#[test]
fn a_film_whose_tracks_cannot_be_read_is_judged_by_brand_and_name() {
    let begun = b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41".as_slice();
    assert_eq!(seen(begun), Container::Mp4);
    let called_sound = of(&mut Cursor::new(begun), true).unwrap();
    assert_eq!(called_sound, Container::M4a);
    // Boxes without an end, nested boxes, and empty boxes.
    let nested = (0..3_000).fold(Vec::new(), |inside, _| in_box(*b"moov", &inside));
    for broken in [
        [begun, b"\0\0\0\0moov\0\0\0\0trak\0\0\0\0mdia"].concat(),
        [begun, b"\0\0\0\x01moov\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"].concat(),
        [begun, b"\0\0\0\x03moov"].concat(),
        [begun, nested.as_slice()].concat(),
    ] {
        assert_eq!(seen(&broken), Container::Mp4);
    }
}

#[test]
fn formats_that_phones_cannot_play_are_recognised() {
    let mkv = |kind: &str, codecs: &[&str]| {
        let mut head = b"\x1A\x45\xDF\xA3\x93\x42\x82\x88".to_vec();
        head.extend(kind.bytes());
        for codec in codecs {
            head.extend([0x86, 0x80 | u8::try_from(codec.len()).unwrap()]);
            head.extend(codec.bytes());
        }
        head
    };
    for (bytes, container) in [
        (mkv("webm", &["A_OPUS"]), Container::WebmSound),
        (mkv("webm", &["V_VP9", "A_OPUS"]), Container::Webm),
        (
            mkv("matroska", &["V_MPEG4/ISO/AVC", "A_AAC"]),
            Container::Matroska,
        ),
        (mkv("matroska", &["A_FLAC"]), Container::MatroskaSound),
        (b"RIFF\x10\0\0\0WAVEfmt ".to_vec(), Container::Wav),
        (b"RIFF\x10\0\0\0AVI LIST".to_vec(), Container::Avi),
        (
            b"\x30\x26\xB2\x75\x8E\x66\xCF\x11\xA6\xD9".to_vec(),
            Container::Asf,
        ),
        (b"FLV\x01\x05\0\0\0\x09".to_vec(), Container::Flv),
        (b"ID3\x03\0\0\0\0\0\x02xxfLaC".to_vec(), Container::Flac),
        (b"#!AMR\n<".to_vec(), Container::Amr),
        (b"\0\0\0\x1CftypheicABCDmif1heic".to_vec(), Container::Heif),
        (b"\0\0\0\x1CftypavifABCDmif1avif".to_vec(), Container::Avif),
        (b"\0\0\0\x1Cftypmif1ABCDmif1avif".to_vec(), Container::Avif),
        (
            [b"OggS\0\x02".as_slice(), &[0; 22], b"\x80theora\x03\x02"].concat(),
            Container::OggFilm,
        ),
    ] {
        assert_eq!(
            seen(&bytes),
            container,
            "{:?}",
            String::from_utf8_lossy(&bytes)
        );
    }
}

#[test]
fn a_text_that_begins_like_something_else_is_a_text() {
    for text in [
        "BMKG: gempa 5,2 SR di Bengkulu, tidak berpotensi tsunami",
        "BM",
        "ID3 adalah tag",
        "PK 12 tahun 2026",
        "MZ,harga\n1,2",
        "GIF89 bukan gambar",
        "RIFF kata orang",
        "Rar!",
        "BZh adalah",
        "FORM isian AIFF",
        "fLaC",
        "OggS",
        "8BPS",
        "II* bab dua",
        "nama,harga\nkopi,5000\n",
        "<nama pembeli>, pesanan Anda siap",
        "a < b dan c > d",
        "\u{feff}nama;harga",
        "Rp\u{a0}5.000 – kopi",
        "cara free ongkir",
    ] {
        assert_eq!(seen(text.as_bytes()), Container::Text, "{text}");
    }
    let wide: Vec<u8> = "\u{feff}nama\tharga"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    assert_eq!(seen(&wide), Container::Text);
    assert_eq!(seen(b"Caf\xE9,Rp 5.000\nKopi,Rp 3.000"), Container::Text);
    assert_eq!(seen(b"\x01\x02\x03\x04nothing known"), Container::Binary);
    let bitmap = [
        b"BM\x36\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0".as_slice(),
        &[0; 40],
    ]
    .concat();
    assert_eq!(seen(&bitmap), Container::Bmp);
}

#[test]
fn a_web_page_is_distinguished_from_xml_and_text() {
    for page in [
        "<!DOCTYPE html><html>",
        "\u{feff}\n <!doctype HTML PUBLIC \"-//W3C//DTD\">",
        "<!-- cache --><html lang=id>",
        "<?xml version=\"1.0\"?>\n<!DOCTYPE html PUBLIC \"x\"><html xmlns=\"x\"/>",
        "<br />\n<b>Warning</b>: file not found in /var/www/unduh.php",
        "<script>location='/login'</script>",
    ] {
        assert_eq!(seen(page.as_bytes()), Container::Html, "{page}");
    }
    for xml in [
        "<?xml version=\"1.0\"?><kml/>",
        "<svg xmlns=\"http://www.w3.org/2000/svg\"/>",
        "<!DOCTYPE svg PUBLIC \"x\"><svg/>",
        "<data><a>1</a></data>",
    ] {
        assert_eq!(seen(xml.as_bytes()), Container::Xml, "{xml}");
    }
}

#[test]
fn what_a_zip_an_ole_file_and_an_xml_file_hold_tells_their_format() {
    let inside = |bytes: &[u8], container| inside::format(&mut Cursor::new(bytes), container);
    for (part, expected) in [
        (
            "word/document.xml",
            Some("application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        ),
        (
            "xl/workbook.xml",
            Some("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        ),
        (
            "AndroidManifest.xml",
            Some("application/vnd.android.package-archive"),
        ),
        ("doc.kml", Some("application/vnd.google-earth.kmz")),
        ("foto/1.jpg", None),
    ] {
        assert_eq!(inside(&zip(part), Container::Zip), expected, "{part}");
    }
    for broken in [
        b"PK\x03\x04".as_slice(),
        b"PK\x05\x06\0\0",
        &[b"PK\x05\x06".as_slice(), &[0xFF; 18]].concat(),
    ] {
        assert_eq!(inside(broken, Container::Zip), None);
    }
    let mut ole = b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1".to_vec();
    ole.resize(512 * 3, 0);
    ole[30] = 9;
    ole[48] = 1;
    for (at, name) in [(1024, "Root Entry"), (1152, "Workbook")] {
        let wide: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        ole[at..at + wide.len()].copy_from_slice(&wide);
    }
    assert_eq!(
        inside(&ole, Container::Ole),
        Some("application/vnd.ms-excel")
    );
    assert_eq!(inside(&ole[..600], Container::Ole), None);
    for (xml, expected) in [
        (
            "<?xml version='1.0'?><!-- a > b --><gpx creator='x'>",
            Some("application/gpx+xml"),
        ),
        (
            "<?xml version='1.0'?>\n<kml xmlns='x'>",
            Some("application/vnd.google-earth.kml+xml"),
        ),
        ("<?xml version='1.0'?><a:svg>", Some("image/svg+xml")),
        ("<?xml version='1.0'?><faktur/>", None),
        ("<?xml", None),
    ] {
        assert_eq!(inside(xml.as_bytes(), Container::Xml), expected, "{xml}");
    }
}

/// Builds a zip file with one empty entry.
pub(in super::super) fn zip(name: &str) -> Vec<u8> {
    let length = u16::try_from(name.len()).unwrap().to_le_bytes();
    let local = [
        b"PK\x03\x04".as_slice(),
        &[0; 22],
        &length,
        &[0, 0],
        name.as_bytes(),
    ]
    .concat();
    let central = [
        b"PK\x01\x02".as_slice(),
        &[0; 24],
        &length,
        &[0; 16],
        name.as_bytes(),
    ]
    .concat();
    let (size, at) = (
        u32::try_from(central.len()).unwrap(),
        u32::try_from(local.len()).unwrap(),
    );
    let end = [
        b"PK\x05\x06".as_slice(),
        &[0, 0, 0, 0, 1, 0, 1, 0],
        &size.to_le_bytes(),
        &at.to_le_bytes(),
        &[0, 0],
    ];
    [local, central, end.concat()].concat()
}
