//! Recognizes web pages sent in place of files: shared links of file hosts, login pages, error
//! pages.

use url::Url;
use url::form_urlencoded::byte_serialize;

/// Returns the direct link to the file of a shared link. `None` if the URL is no shared link in a
/// known form, or is already direct.
pub(super) fn direct(url: &Url) -> Option<String> {
    let host = url.host_str()?.trim_end_matches('.');
    let parts: Vec<&str> = url.path_segments()?.collect();
    let query = |name: &str| {
        let mut pairs = url.query_pairs();
        let value = pairs.find(|(key, _)| key == name)?.1;
        Some(byte_serialize(value.as_bytes()).collect::<String>())
    };
    match host {
        "drive.google.com" => {
            // With several accounts logged in, Google puts `u/0` into the path.
            let id = match parts.as_slice() {
                ["file", "u", _, "d", id, ..] | ["file", "d", id, ..] => Some((*id).to_owned()),
                ["open" | "thumbnail", ..] => query("id"),
                ["uc", ..] if query("export").as_deref() != Some("download") => query("id"),
                _ => None,
            };
            let id = id.filter(|id| !id.is_empty())?;
            Some(format!(
                "https://drive.google.com/uc?export=download&id={id}"
            ))
        }
        "docs.google.com" => {
            let (kind, id) = match parts.as_slice() {
                [kind, "u", _, "d", id, ..] | [kind, "d", id, ..] => (*kind, *id),
                _ => return None,
            };
            if parts.contains(&"export") || id.is_empty() {
                return None;
            }
            let export = match kind {
                "document" => "export?format=docx",
                "spreadsheets" => "export?format=xlsx",
                "presentation" => "export/pptx",
                "file" => {
                    return Some(format!(
                        "https://drive.google.com/uc?export=download&id={id}"
                    ));
                }
                _ => return None,
            };
            Some(format!("https://docs.google.com/{kind}/d/{id}/{export}"))
        }
        "dropbox.com" | "www.dropbox.com" => {
            if query("dl").as_deref() == Some("1") || query("raw").as_deref() == Some("1") {
                return None;
            }
            let mut direct = url.clone();
            let others = url.query_pairs().filter(|(key, _)| key != "dl");
            let others: Vec<_> = others
                .map(|(key, value)| (key.into_owned(), value.into_owned()))
                .collect();
            direct
                .query_pairs_mut()
                .clear()
                .extend_pairs(others)
                .append_pair("dl", "1");
            Some(direct.into())
        }
        _ => None,
    }
}

/// Returns whether the host shows pages about files. A web page from such a host is never the file.
pub(super) fn is_viewer(url: &Url) -> bool {
    const HOSTS: [&str; 15] = [
        "drive.google.com",
        "drive.usercontent.google.com",
        "docs.google.com",
        "accounts.google.com",
        "photos.google.com",
        "photos.app.goo.gl",
        "dropbox.com",
        "onedrive.live.com",
        "1drv.ms",
        "app.box.com",
        "mediafire.com",
        "mega.nz",
        "wetransfer.com",
        "we.tl",
        "terabox.com",
    ];
    let host = url.host_str().unwrap_or_default().trim_end_matches('.');
    let host = host.strip_prefix("www.").unwrap_or(host);
    HOSTS.contains(&host) || host.ends_with(".sharepoint.com")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_link_of_a_file_host_has_its_direct_form() {
        let drive = Some("https://drive.google.com/uc?export=download&id=1AbC-d_9");
        for (shared, expected) in [
            (
                "https://drive.google.com/file/d/1AbC-d_9/view?usp=sharing",
                drive,
            ),
            ("https://drive.google.com/file/u/0/d/1AbC-d_9/view", drive),
            ("https://drive.google.com/open?id=1AbC-d_9", drive),
            ("https://drive.google.com/uc?id=1AbC-d_9", drive),
            (
                "https://drive.google.com/uc?export=download&id=1AbC-d_9",
                None,
            ),
            ("https://drive.google.com/drive/folders/1AbC-d_9", None),
            (
                "https://docs.google.com/spreadsheets/d/1AbC/edit#gid=0",
                Some("https://docs.google.com/spreadsheets/d/1AbC/export?format=xlsx"),
            ),
            (
                "https://docs.google.com/document/d/1AbC/edit",
                Some("https://docs.google.com/document/d/1AbC/export?format=docx"),
            ),
            (
                "https://www.dropbox.com/s/abc/daftar%20harga.pdf?dl=0",
                Some("https://www.dropbox.com/s/abc/daftar%20harga.pdf?dl=1"),
            ),
            (
                "https://www.dropbox.com/scl/fi/abc/foto.jpg?rlkey=xyz&dl=0",
                Some("https://www.dropbox.com/scl/fi/abc/foto.jpg?rlkey=xyz&dl=1"),
            ),
            (
                "https://www.dropbox.com/s/abc/foto.jpg",
                Some("https://www.dropbox.com/s/abc/foto.jpg?dl=1"),
            ),
            ("https://www.dropbox.com/s/abc/foto.jpg?dl=1", None),
            ("https://toko.example/file/d/1AbC/view", None),
        ] {
            let url = Url::parse(shared).unwrap();
            assert_eq!(direct(&url).as_deref(), expected, "{shared}");
        }
    }
}
