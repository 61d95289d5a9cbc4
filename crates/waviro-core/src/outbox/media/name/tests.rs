use proptest::prelude::*;

use super::*;

fn named(disposition: Option<&str>, path: &str, container: Container, mime: &str) -> String {
    let url = Url::parse("https://host.example/")
        .unwrap()
        .join(path)
        .unwrap();
    let names = Names::of(disposition, &url, &url);
    fitting(names.choose(container), container, mime)
}

fn pdf(disposition: &str, path: &str) -> String {
    named(Some(disposition), path, Container::Pdf, "application/pdf")
}

#[test]
fn the_host_names_the_file_before_its_url_does_in_every_way_that_hosts_write() {
    for (disposition, expected) in [
        (
            r#"attachment; filename="daftar harga.pdf""#,
            "daftar harga.pdf",
        ),
        (r#"attachment; filename="a;b\"c.pdf"; size=3"#, "a;b\"c.pdf"),
        ("inline; FileName=brosur.pdf", "brosur.pdf"),
        ("filename=brosur.pdf", "brosur.pdf"),
        ("attachment; filename='brosur mei.pdf'", "brosur mei.pdf"),
        ("attachment; filename=brosur mei.pdf", "brosur mei.pdf"),
        (
            "attachment; filename=\"x.pdf\"; filename*=UTF-8''daftar%20%E2%82%AC.pdf",
            "daftar €.pdf",
        ),
        (
            "attachment; filename*=utf-8'id'daftar%20%E2%82%AC.pdf; filename=x.pdf",
            "daftar €.pdf",
        ),
        ("attachment; filename*=ISO-8859-1''caf%E9.pdf", "café.pdf"),
        (
            "attachment; filename*=UTF-8''caf%E9.pdf; filename=kafe.pdf",
            "kafe.pdf",
        ),
        (
            "attachment; filename=\"=?UTF-8?B?ZGFmdGFyIGhhcmdhLnBkZg==?=\"",
            "daftar harga.pdf",
        ),
        (
            "attachment; filename=\"=?utf-8?Q?daftar_harga_=E2=82=AC=2Epdf?=\"",
            "daftar harga €.pdf",
        ),
        (
            "attachment; filename==?UTF-8?B?ZGFmdGFyIA==?= =?UTF-8?B?aGFyZ2EucGRm?=",
            "daftar harga.pdf",
        ),
        (
            "attachment; filename=\"daftar%20harga%20%E2%82%AC.pdf\"",
            "daftar harga €.pdf",
        ),
        (
            "attachment; filename=\"diskon 50% mei.pdf\"",
            "diskon 50% mei.pdf",
        ),
        ("attachment; filename=\"brosur é.pdf\"", "brosur é.pdf"),
        ("attachment", "unduh.pdf"),
        ("attachment; filename=\"\"", "unduh.pdf"),
        ("attachment; filename*=UTF-8''", "unduh.pdf"),
    ] {
        assert_eq!(
            pdf(disposition, "/a/unduh.pdf?x=1"),
            expected,
            "{disposition}"
        );
    }
    assert_eq!(
        named(
            None,
            "/a/daftar%20harga.pdf",
            Container::Pdf,
            "application/pdf"
        ),
        "daftar harga.pdf"
    );
    assert_eq!(
        named(None, "/", Container::Pdf, "application/pdf"),
        "file.pdf"
    );
}

#[test]
fn a_plausible_name_gets_no_second_extension() {
    use Container as C;
    let sheet = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
    for (path, container, mime, expected) in [
        ("/foto", C::Jpeg, "image/jpeg", "foto.jpg"),
        ("/foto.JPEG", C::Jpeg, "image/jpeg", "foto.JPEG"),
        ("/IMG_1.HEIC", C::Heif, "image/heic", "IMG_1.HEIC"),
        ("/unduh.php", C::Pdf, "application/pdf", "unduh.pdf"),
        ("/laporan.xlsx.php", C::Zip, sheet, "laporan.xlsx"),
        (
            "/download.php?file=laporan.xlsx",
            C::Zip,
            sheet,
            "laporan.xlsx",
        ),
        ("/download.php?id=7", C::Zip, sheet, "download.xlsx"),
        ("/data.csv.gz", C::Text, "text/csv", "data.csv"),
        ("/data.csv", C::Text, "text/csv", "data.csv"),
        ("/x.bin", C::Binary, "application/octet-stream", "x.bin"),
        ("/surat.docx", C::Pdf, "application/pdf", "surat.pdf"),
        ("/x.pdf", C::Binary, "application/octet-stream", "x.pdf"),
        ("/data.foo", C::Text, "text/plain", "data.foo"),
        ("/suara", C::Opus, "audio/ogg; codecs=opus", "suara.ogg"),
        (
            "/Ijazah%20S.Kom",
            C::Pdf,
            "application/pdf",
            "Ijazah S.Kom.pdf",
        ),
        ("/Budi%20A.Md", C::Pdf, "application/pdf", "Budi A.Md.pdf"),
        ("/Budi%20S.H", C::Pdf, "application/pdf", "Budi S.H.pdf"),
        ("/versi%201.2", C::Pdf, "application/pdf", "versi 1.2.pdf"),
        ("/catatan.md", C::Text, "text/markdown", "catatan.md"),
    ] {
        assert_eq!(named(None, path, container, mime), expected, "{path}");
    }
}

#[test]
fn of_two_urls_the_one_with_the_files_name_counts() {
    let requested = Url::parse("https://toko.example/brosur%20mei.pdf").unwrap();
    let found = Url::parse("https://cdn.example/blob/7f3a9c?sig=x").unwrap();
    let names = Names::of(None, &found, &requested);
    assert_eq!(names.choose(Container::Pdf), "brosur mei.pdf");
    assert_eq!(names.choose(Container::Zip), "7f3a9c");
}

#[test]
fn a_name_cannot_leave_its_folder_or_hide_its_extension() {
    for (written, expected) in [
        ("../../etc/passwd.pdf", "passwd.pdf"),
        (r"C:\\Users\\x\\a.pdf", "a.pdf"),
        (r"C:\Users\x\a.pdf", "a.pdf"),
        ("..", "file.pdf"),
        ("%2e%2e%2fa.pdf", "a.pdf"),
        ("a.pdf. .", "a.pdf"),
        ("a\u{202e}fdp.exe", "afdp.pdf"),
        ("a\u{61c}\u{2067}\u{ad}.pdf", "a.pdf"),
        ("\u{200b}\u{3164}", "file.pdf"),
        ("a\u{0}\nb.pdf", "ab.pdf"),
    ] {
        let disposition = format!("attachment; filename=\"{written}\"");
        assert_eq!(pdf(&disposition, "/"), expected, "{written:?}");
    }
    let long = format!("attachment; filename=\"{}.pdf\"", "x".repeat(500));
    assert_eq!(pdf(&long, "/"), format!("{}.pdf", "x".repeat(LONGEST - 4)));
}

proptest! {
    #[test]
    fn any_header_gives_a_plain_name(disposition in ".{0,200}", path in "[a-z%0-9/.]{0,60}") {
        let name = named(Some(&disposition), &format!("/x{path}"), Container::Png, "image/png");
        prop_assert!(!name.is_empty() && name.chars().count() <= LONGEST + 4);
        prop_assert!(!name.contains(['/', '\\', '\0', '\n', '\r']));
    }

    #[test]
    fn any_encoded_name_gives_a_plain_name(name in "(=\\?|utf-8|\\?B\\?|\\?q\\?|\\?=|'|%[0-9a-f]{2}|[a-z.=_ ]){0,20}") {
        for disposition in [format!("attachment; filename={name}"), format!("attachment; filename*=UTF-8''{name}")] {
            let name = named(Some(&disposition), "/x", Container::Png, "image/png");
            prop_assert!(!name.is_empty() && !name.contains(['/', '\\', '\0', '\n', '\r']), "{name:?}");
        }
    }
}
