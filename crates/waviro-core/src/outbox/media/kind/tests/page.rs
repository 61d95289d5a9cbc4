//! Tests web pages, both in place of a file and as the wanted file.

use std::io::Cursor;

use url::Url;

use super::super::{About, Page, of};
use super::judge;

const PAGE: &[u8] = b"<!DOCTYPE html><html><body>Login</body></html>";

#[test]
fn a_page_in_the_place_of_a_file_is_refused() {
    for (content_type, path) in [
        (Some("text/html"), "foto.jpg"),
        (Some("image/jpeg"), "foto"),
        (Some("text/html"), "brosur.pdf"),
        (Some("text/html"), "film.MP4?x=1"),
        (Some("text/html"), "laporan.xlsx"),
        (Some("text/html"), "laporan.xls"),
        (Some("application/pdf"), "x"),
        (None, "lagu.mp3"),
        (None, "foto.jpg.php"),
    ] {
        assert_eq!(
            judge(PAGE, content_type, None, path),
            Err(Page { direct: None }),
            "{path}"
        );
    }
    let disposition = Some("attachment; filename=brosur.pdf");
    assert!(judge(PAGE, Some("text/html"), disposition, "x").is_err());
}

#[test]
fn a_page_that_is_meant_as_one_is_sent() {
    for (content_type, disposition, path, mime, name) in [
        ("text/html", None, "produk", "text/html", "produk.html"),
        ("text/html", None, "produk.html", "text/html", "produk.html"),
        ("text/html", None, "produk.php", "text/html", "produk.html"),
        ("text/plain", None, "kode.txt", "text/plain", "kode.txt"),
        (
            "application/vnd.ms-excel",
            None,
            "ekspor.php?x=1",
            "application/vnd.ms-excel",
            "ekspor.xls",
        ),
        (
            "application/vnd.ms-excel",
            Some("attachment; filename=laporan.xls"),
            "e.php",
            "application/vnd.ms-excel",
            "laporan.xls",
        ),
        (
            "text/html",
            Some("attachment; filename=laporan.xls"),
            "e.php",
            "application/vnd.ms-excel",
            "laporan.xls",
        ),
    ] {
        let judged = judge(PAGE, Some(content_type), disposition, path).unwrap();
        assert_eq!(
            (judged.mime.as_str(), judged.file_name.as_str()),
            (mime, name),
            "{path}"
        );
    }
}

#[test]
fn a_page_is_refused_where_a_picture_is_wanted_or_a_file_host_shows_it() {
    let page = |requested: &str, found: &str, no_page| {
        let (requested, found) = (Url::parse(requested).unwrap(), Url::parse(found).unwrap());
        let about = About {
            content_type: Some("text/html"),
            disposition: None,
            requested: &requested,
            found: &found,
            no_page,
        };
        of(&mut Cursor::new(PAGE), about).unwrap()
    };
    let toko = "https://toko.example/produk";
    assert!(page(toko, toko, false).is_ok());
    assert_eq!(page(toko, toko, true), Err(Page { direct: None }));
    let shared = "https://drive.google.com/file/d/1AbC/view";
    let direct = "https://drive.google.com/uc?export=download&id=1AbC";
    let found = Err(Page {
        direct: Some(direct.to_owned()),
    });
    assert_eq!(page(shared, shared, false), found);
    assert_eq!(
        page(shared, "https://accounts.google.com/login", false),
        found
    );
    assert_eq!(
        page(direct, "https://accounts.google.com/login", false),
        Err(Page { direct: None })
    );
}
