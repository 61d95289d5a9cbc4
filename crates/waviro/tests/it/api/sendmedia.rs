//! `/api/sendmedia`; over the real protocol in the end-to-end tests.

use std::path::PathBuf;

use serde_json::{Value, json};
use waviro_link::{Content, Media, MediaKind};

use crate::front::Front;
use crate::wire::host;

const PDF: &[u8] = b"%PDF-1.7\nbrosur";
const MP3: &[u8] = b"ID3\x04\0\0\0\0\0\0lagu";

async fn front() -> Front {
    Front::with(&[("outbound.allow", "127.0.0.0/8")]).await
}

fn to_ani(url: &str, pesan: &Value) -> String {
    json!({"nohp": "6282386000001", "mediaurl": url, "pesan": pesan}).to_string()
}

fn media(content: &Content) -> Media {
    match content {
        Content::Media(media) => (**media).clone(),
        other => panic!("{other:?}"),
    }
}

fn spooled(front: &Front) -> Vec<PathBuf> {
    let folder = front.data_dir().join("spool");
    let files = std::fs::read_dir(folder).unwrap();
    files.map(|entry| entry.unwrap().path()).collect()
}

#[tokio::test]
async fn a_file_waits_on_disk_until_the_server_has_the_message() {
    let front = front().await;
    front.link().keep_silent();
    let url = host(
        "Content-Disposition: attachment; filename=\"Brosur Mei.pdf\"\r\n",
        PDF,
    )
    .await;
    let answer = front
        .post("/api/sendmedia", to_ani(&url, &json!("Lihat")))
        .await;
    assert_eq!(answer.message()["type"], "document");
    let sent = front.first_sent().await;
    let file = media(&sent.content);
    assert_eq!(file.kind, MediaKind::Document);
    assert_eq!(
        (file.mime.as_str(), file.file_name.as_str()),
        ("application/pdf", "Brosur Mei.pdf")
    );
    assert_eq!(file.caption.as_deref(), Some("Lihat"));
    assert_eq!(std::fs::read(&file.file).unwrap(), PDF);
    assert_eq!(spooled(&front), [file.file]);
    front.link().ack(&sent.id).await;
    front
        .pass_until(async {
            while !spooled(&front).is_empty() {
                tokio::task::yield_now().await;
            }
        })
        .await;
}

#[tokio::test]
async fn what_stands_under_audio_follows_as_a_text() {
    let front = front().await;
    let url = host("", MP3).await;
    let answer = front
        .post("/api/sendmedia", to_ani(&url, &json!("Dengarkan")))
        .await;
    assert_eq!(answer.message()["type"], "audio");
    let link = front.link();
    front
        .pass_until(async {
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
    let front = front().await;
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
        let answer = front.post("/api/sendmedia", to_ani(url, &caption)).await;
        if taken {
            answer.message();
        } else {
            assert_eq!(answer.refusal(), (400, "duplicate_message"), "{caption}");
        }
    }
}

#[tokio::test]
async fn an_incomplete_or_forbidden_mediaurl_is_refused_before_anything_is_fetched() {
    let front = Front::online().await;
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
        let answer = front.post("/api/sendmedia", body).await;
        assert_eq!(answer.refusal(), (400, code), "{mediaurl}");
        assert_eq!(answer.body["field"], "mediaurl");
    }
    assert!(spooled(&front).is_empty());
}
