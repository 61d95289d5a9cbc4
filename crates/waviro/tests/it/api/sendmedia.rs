//! `/api/sendmedia`. The end-to-end tests cover the real protocol.

use std::path::PathBuf;

use serde_json::{Value, json};
use waviro_link::{Content, Media, MediaKind};
use waviro_testing::engine::until;

use crate::test_app::{Answer, TestApp};
use crate::wire::{Stalled, host};

const PDF: &[u8] = b"%PDF-1.7\nbrosur";
const MP3: &[u8] = b"ID3\x04\0\0\0\0\0\0lagu";

async fn app() -> TestApp {
    TestApp::with(&[("outbound.allow", "127.0.0.0/8")]).await
}

fn to_ani(url: &str, pesan: &Value) -> String {
    json!({"nohp": "6282386000001", "mediaurl": url, "pesan": pesan}).to_string()
}

/// Sends the file to Ani.
async fn send(app: &TestApp, url: &str, pesan: Value) -> Answer {
    app.post("/api/sendmedia", to_ani(url, &pesan)).await
}

fn media(content: &Content) -> Media {
    match content {
        Content::Media(media) => (**media).clone(),
        other => panic!("{other:?}"),
    }
}

fn spooled(app: &TestApp) -> Vec<PathBuf> {
    let folder = app.data_dir().join("spool");
    let files = std::fs::read_dir(folder).unwrap();
    files.map(|entry| entry.unwrap().path()).collect()
}

#[tokio::test]
async fn a_file_waits_on_disk_until_the_server_has_the_message() {
    let app = app().await;
    app.link().keep_silent();
    let url = host(
        "Content-Disposition: attachment; filename=\"Brosur Mei.pdf\"\r\n",
        PDF,
    )
    .await;
    let answer = send(&app, &url, json!("Lihat")).await;
    assert_eq!(answer.message()["type"], "document");
    let sent = app.first_sent().await;
    let file = media(&sent.content);
    assert_eq!(file.kind, MediaKind::Document);
    assert_eq!(
        (file.mime.as_str(), file.file_name.as_str()),
        ("application/pdf", "Brosur Mei.pdf")
    );
    assert_eq!(file.caption.as_deref(), Some("Lihat"));
    assert_eq!(std::fs::read(&file.file).unwrap(), PDF);
    assert_eq!(spooled(&app), [file.file]);
    app.link().ack(&sent.id).await;
    app.pass_until(async {
        while !spooled(&app).is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_removed_spool_folder_is_made_again_for_its_owner_alone() {
    let app = app().await;
    let folder = app.data_dir().join("spool");
    std::fs::remove_dir_all(&folder).unwrap();
    let url = host("", PDF).await;
    let answer = send(&app, &url, json!("Lihat")).await;
    assert_eq!(answer.message()["type"], "document");
    let sent = app.first_sent().await;
    assert_eq!(std::fs::read(&media(&sent.content).file).unwrap(), PDF);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(&folder).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }
}

#[tokio::test]
async fn the_caption_of_audio_follows_as_a_text() {
    let app = app().await;
    let url = host("", MP3).await;
    let answer = send(&app, &url, json!("Dengarkan")).await;
    assert_eq!(answer.message()["type"], "audio");
    let link = app.link();
    app.pass_until(async {
        while link.sent().len() < 2 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let sent = link.sent();
    assert_eq!(media(&sent[0].content).caption, None);
    assert_eq!(sent[1].content, Content::Text("Dengarkan".to_owned()));
}

#[tokio::test]
async fn the_same_file_with_the_same_caption_right_after_is_a_duplicate() {
    let app = app().await;
    let url = host("", PDF).await;
    let elsewhere = host("", PDF).await;
    for (url, caption, taken) in [
        (&url, json!("Lihat"), true),
        (&url, json!("Lihat"), false),
        (&elsewhere, json!("Lihat"), false),
        (&elsewhere, json!("Lihat lagi"), true),
        (&elsewhere, Value::Null, true),
        (&elsewhere, json!(""), false),
    ] {
        let answer = send(&app, url, caption.clone()).await;
        if taken {
            answer.message();
        } else {
            assert_eq!(answer.refusal(), (400, "duplicate_message"), "{caption}");
        }
    }
}

#[tokio::test]
async fn an_incomplete_or_forbidden_mediaurl_is_refused_before_anything_is_fetched() {
    let app = TestApp::online().await;
    let url = host("", PDF).await;
    for (mediaurl, code) in [
        (json!(""), "missing_field"),
        (Value::Null, "missing_field"),
        (json!("brosur.pdf"), "invalid_url"),
        (json!("file:///etc/passwd"), "invalid_url"),
        (json!(5), "invalid_url"),
        (json!(url), "invalid_url"),
    ] {
        let body = json!({"nohp": "6282386000001", "mediaurl": mediaurl}).to_string();
        let answer = app.post("/api/sendmedia", body).await;
        assert_eq!(
            answer.refusal_and_field(),
            (400, code, "mediaurl"),
            "{mediaurl}"
        );
    }
    assert!(spooled(&app).is_empty());
}

#[tokio::test]
async fn a_page_in_the_place_of_a_file_is_refused_with_what_to_do() {
    let app = app().await;
    let url = host(
        "Content-Type: text/html\r\n",
        b"<!DOCTYPE html><title>Login</title>",
    )
    .await;
    let answer = send(&app, &format!("{url}/foto.jpg"), Value::Null).await;
    assert_eq!(
        answer.refusal_and_field(),
        (400, "media_is_page", "mediaurl")
    );
    let sentence = answer.body["errorMessage"].as_str().unwrap();
    assert!(
        sentence.contains("halaman web") && sentence.contains("tautan unduh langsung"),
        "{sentence}"
    );
    until(|| async { spooled(&app) }, Vec::is_empty).await;
    // An HTML page with the extension .html is sent as a document.
    let answer = send(&app, &format!("{url}/syarat.html"), Value::Null).await;
    assert_eq!(answer.message()["type"], "document");
}

#[tokio::test]
async fn a_file_arrives_decoded_from_every_content_encoding_of_its_host() {
    let app = app().await;
    let mut zip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut zip, PDF).unwrap();
    let zipped: &'static [u8] = zip.finish().unwrap().leak();
    for (at, (headers, body)) in [
        ("Content-Encoding: gzip\r\n", zipped),
        ("Content-Encoding: gzip\r\n", PDF),
        ("Content-Encoding: br\r\n", PDF),
        ("Content-Encoding: deflate\r\n", PDF),
    ]
    .into_iter()
    .enumerate()
    {
        let url = host(headers, body).await;
        let caption = json!(at.to_string());
        let answer = send(&app, &format!("{url}/brosur.pdf"), caption).await;
        assert_eq!(answer.message()["type"], "document", "{headers}");
        let link = app.link();
        app.pass_until(async {
            while link.sent().len() <= at {
                tokio::task::yield_now().await;
            }
        })
        .await;
        let file = media(&link.sent()[at].content);
        assert_eq!(
            (file.mime.as_str(), file.file_name.as_str()),
            ("application/pdf", "brosur.pdf")
        );
    }
    // A body that exceeds the limit after decompression, and a truncated body.
    let mut zeros = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut zeros, &vec![0; 17 << 20]).unwrap();
    let zeros: &'static [u8] = zeros.finish().unwrap().leak();
    for (body, code) in [
        (zeros, "media_too_large"),
        (&zipped[..zipped.len() / 2], "media_unreachable"),
    ] {
        let url = host("Content-Encoding: gzip\r\n", body).await;
        let answer = send(&app, &url, Value::Null).await;
        assert_eq!(answer.refusal(), (400, code));
    }
}

#[tokio::test]
async fn more_files_at_once_than_a_bot_may_fetch_are_429_and_texts_are_accepted() {
    let app = TestApp::with(&[
        ("outbound.allow", "127.0.0.0/8"),
        ("limits.fetches_per_bot", "2"),
    ])
    .await;
    let slow = Stalled::new().await;
    let asked = |n: u32| {
        app.post(
            "/api/sendmedia",
            to_ani(&format!("{}/{n}", slow.url), &json!("")),
        )
    };
    {
        let (one, two) = (asked(1), asked(2));
        tokio::pin!(one, two);
        let refused = async {
            slow.until_open(2).await;
            asked(3).await
        };
        let refused = tokio::select! {
            answer = &mut one => panic!("its host is silent: {answer:?}"),
            answer = &mut two => panic!("its host is silent: {answer:?}"),
            refused = refused => refused,
        };
        assert_eq!(refused.refusal(), (429, "too_many_fetches"));
        assert_eq!(refused.headers["retry-after"], "5");
        let text = app.sendwa(json!({"nohp": "6282386000001", "pesan": "halo"}));
        text.await.message();
    }
    // The clients have disconnected, so the gateway cancels the downloads and removes the files.
    slow.until_open(0).await;
    let left = || async { spooled(&app) };
    until(left, Vec::is_empty).await;
    let url = host("", PDF).await;
    let taken = send(&app, &url, json!("")).await;
    taken.message();
}

#[tokio::test]
async fn more_files_at_once_than_all_bots_may_fetch_are_429() {
    let app = TestApp::with(&[("outbound.allow", "127.0.0.0/8"), ("limits.fetches", "1")]).await;
    let slow = Stalled::new().await;
    let one = app.post("/api/sendmedia", to_ani(&slow.url, &json!("")));
    tokio::pin!(one);
    let refused = async {
        slow.until_open(1).await;
        let body = to_ani(&slow.url, &json!("lain"));
        app.post("/api/sendmedia", body).await
    };
    let refused = tokio::select! {
        answer = &mut one => panic!("its host is silent: {answer:?}"),
        refused = refused => refused,
    };
    assert_eq!(refused.refusal(), (429, "too_many_fetches"));
}

#[tokio::test]
async fn a_bot_with_too_many_waiting_files_accepts_no_more_until_some_are_sent() {
    let app = TestApp::with(&[
        ("outbound.allow", "127.0.0.0/8"),
        ("limits.waiting_files", "2"),
    ])
    .await;
    app.link().keep_silent();
    let url = host("", PDF).await;
    let ask = |n: u32| {
        app.post(
            "/api/sendmedia",
            to_ani(&format!("{url}/{n}.pdf"), &json!(n.to_string())),
        )
    };
    for n in 0..2 {
        ask(n).await.message();
    }
    let refused = ask(2).await;
    assert_eq!(refused.refusal(), (429, "too_many_files"));
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!(spooled(&app).len(), 2);
    let text = app.sendwa(json!({"nohp": "6282386000001", "pesan": "halo"}));
    text.await.message();
    let sent = app.first_sent().await;
    app.link().ack(&sent.id).await;
    let left = || async { spooled(&app).len() };
    until(left, |left| *left == 1).await;
    let status = || async { ask(2).await.status.as_u16() };
    until(status, |status| *status == 200).await;
    assert_eq!(ask(3).await.refusal(), (429, "too_many_files"));
}

#[tokio::test]
async fn a_bot_with_too_large_waiting_files_accepts_no_more() {
    let app = TestApp::with(&[
        ("outbound.allow", "127.0.0.0/8"),
        ("limits.waiting_files_mib", "1"),
    ])
    .await;
    app.link().keep_silent();
    let large: &'static [u8] = [PDF, &vec![b' '; 700 * 1024]].concat().leak();
    let url = host("", large).await;
    let ask = |n: u32| {
        app.post(
            "/api/sendmedia",
            to_ani(&format!("{url}/{n}.pdf"), &json!(n.to_string())),
        )
    };
    ask(0).await.message();
    assert_eq!(ask(1).await.refusal(), (429, "too_many_files"));
    let left = || async { spooled(&app).len() };
    until(left, |left| *left == 1).await;
    let small = host("", PDF).await;
    let body = to_ani(&small, &json!("kecil"));
    app.post("/api/sendmedia", body).await.message();
}

#[tokio::test]
async fn with_little_free_disk_space_texts_are_accepted_and_files_are_refused() {
    let app = TestApp::with(&[
        ("outbound.allow", "127.0.0.0/8"),
        ("limits.free_disk_mib", "1000000000"),
    ])
    .await;
    let url = host("", PDF).await;
    let refused = send(&app, &url, json!("")).await;
    assert_eq!(refused.refusal(), (503, "disk_full"));
    assert!(spooled(&app).is_empty());
    let text = app.sendwa(json!({"nohp": "6282386000001", "pesan": "halo"}));
    text.await.message();
}
