//! Tests a small file that asks for endless work.

use super::picture;

/// Builds a header of 1.5 gigapixels with one grey component, followed by scans without any coded
/// byte. For each scan a decoder walks over the whole picture without reading, so a deadline in the
/// reader does not stop the decoder.
fn endless(scans: usize) -> Vec<u8> {
    let segment = |marker: u8, body: &[u8]| {
        let length = u16::try_from(body.len() + 2).unwrap().to_be_bytes();
        [&[0xFF, marker], &length[..], body].concat()
    };
    let table = |class: u8| {
        let mut table = vec![class, 1];
        table.extend([0; 16]);
        segment(0xC4, &table)
    };
    let (height, width) = (24_000_u16.to_be_bytes(), 65_500_u16.to_be_bytes());
    let frame = [&[8], &height[..], &width[..], &[1, 1, 0x11, 0]].concat();
    let scan = segment(0xDA, &[1, 1, 0, 0, 63, 0]);
    [
        vec![0xFF, 0xD8],
        segment(0xDB, &[&[0][..], &[1; 64]].concat()),
        segment(0xC0, &frame),
        table(0x00),
        table(0x10),
        scan.repeat(scans),
        vec![0xFF, 0xD9],
    ]
    .concat()
}

#[test]
fn a_picture_with_endless_scans_shows_its_size_and_is_not_decoded() {
    for scans in [1, 20, 300] {
        let preview = picture("image/jpeg", &endless(scans));
        assert_eq!(preview.size, Some((65_500, 24_000)), "{scans}");
        assert_eq!(preview.thumbnail, None, "{scans}");
    }
}
