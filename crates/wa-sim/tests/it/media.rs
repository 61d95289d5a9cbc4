//! Files between a linked client, the media host and phones.

use std::fmt::Write as _;

use reqwest::StatusCode;
use serde_json::{Value, json};
use waproto::buffa::MessageField;
use whatsapp_rust::download::MediaType;
use whatsapp_rust::media::{self, AudioOptions, DocumentOptions, ImageOptions, VideoOptions};
use whatsapp_rust::prelude::wa;
use whatsapp_rust::upload::{UploadOptions, UploadResponse};

use wa_sim::{InboxMessage, Phone, Sim};

use crate::client::{DEADLINE, TestClient, plain_http};

pub const SHOP: &str = "6281111111111";
const BUDI: &str = "6282222222222";
pub const BUDI_JID: &str = "6282222222222@s.whatsapp.net";

/// Returns pseudo-random bytes, so that a part in the wrong position is detected.
pub fn content(len: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_u32;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[0]
    };
    (0..len).map(next).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

pub async fn shop_and_budi(sim: &Sim) -> (Phone, TestClient, String) {
    let shop = sim.phone(SHOP).await;
    let budi = sim.phone(BUDI).await;
    let (client, device) = TestClient::paired(sim, &shop).await;
    (budi, client, device.id)
}

async fn upload(client: &TestClient, data: &[u8], kind: MediaType) -> UploadResponse {
    client
        .client
        .upload(data.to_vec(), kind, UploadOptions::default())
        .await
        .expect("uploaded")
}

pub async fn shown(phone: &Phone, id: &str) -> InboxMessage {
    phone
        .wait_for(DEADLINE, |message| message.id == id)
        .await
        .expect("arrives")
}

pub fn asked(client: &TestClient) -> Vec<String> {
    client.asked.lock().expect("no one panics").clone()
}

fn sticker(upload: UploadResponse) -> wa::Message {
    wa::Message {
        sticker_message: MessageField::some(wa::message::StickerMessage {
            direct_path: Some(upload.direct_path),
            media_key: Some(upload.media_key.to_vec()),
            file_sha256: Some(upload.file_sha256.to_vec()),
            file_enc_sha256: Some(upload.file_enc_sha256.to_vec()),
            file_length: Some(upload.file_length),
            mimetype: Some("image/webp".to_owned()),
            ..Default::default()
        }),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_file_of_every_kind_arrives_whole_with_what_its_kind_says() {
    let sim = Sim::start().await.expect("starts");
    let (budi, client, _) = shop_and_budi(&sim).await;
    let kinds: [(&str, usize, MediaType); 5] = [
        ("image", 100_001, MediaType::Image),
        ("video", 6 << 20, MediaType::Video),
        ("audio", 16, MediaType::Audio),
        ("document", 3 << 20, MediaType::Document),
        ("sticker", 1, MediaType::Sticker),
    ];
    for (kind, size, media_type) in kinds {
        let data = content(size);
        let upload = upload(&client, &data, media_type).await;
        let sha256 = hex(&upload.file_sha256);
        let message = match kind {
            "image" => media::image_message(
                upload,
                ImageOptions {
                    caption: Some("look".to_owned()),
                    jpeg_thumbnail: Some(vec![1, 2, 3]),
                    ..Default::default()
                },
            ),
            "video" => media::video_message(
                upload,
                VideoOptions {
                    duration_seconds: Some(9),
                    ..Default::default()
                },
            ),
            "audio" => media::audio_message(
                upload,
                AudioOptions {
                    ptt: Some(true),
                    duration_seconds: Some(4),
                    ..Default::default()
                },
            ),
            "document" => media::document_message(
                upload,
                DocumentOptions {
                    mimetype: Some("application/pdf".to_owned()),
                    file_name: Some("bill.pdf".to_owned()),
                    page_count: Some(2),
                    ..Default::default()
                },
            ),
            _ => sticker(upload),
        };
        let id = format!("FILE-{kind}");
        client.send_message(BUDI_JID, message, &id).await;
        let shown = shown(&budi, &id).await;
        assert_eq!(shown.kind, kind);
        assert_eq!(shown.fields.get("media_error"), None, "{shown:?}");
        assert_eq!(shown.fields["sha256"], json!(sha256));
        assert_eq!(shown.fields["size"], json!(size));
        let own = match kind {
            "image" => [("thumbnail", json!("AQID")), ("thumbnail_size", json!(3))],
            "video" => [("seconds", json!(9)), ("has_thumbnail", json!(false))],
            "audio" => [("voice", json!(true)), ("seconds", json!(4))],
            "document" => [("file_name", json!("bill.pdf")), ("page_count", json!(2))],
            _ => [
                ("mimetype", json!("image/webp")),
                ("has_thumbnail", json!(false)),
            ],
        };
        for (field, value) in own {
            assert_eq!(shown.fields.get(field), Some(&value), "{kind} {field}");
        }
        assert_eq!(budi.media(&id).await.as_deref(), Some(&data[..]), "{kind}");
    }
    assert_eq!(shown(&budi, "FILE-image").await.text, "look");
    // Only for a large file, the client asks the host first (`resume=1`).
    let checks = asked(&client)
        .iter()
        .filter(|line| line.ends_with("&resume=1"))
        .count();
    assert_eq!(checks, 1, "{:?}", asked(&client));
}

/// Makes the description of a file wrong, if needed with the data of another file.
type Spoil = fn(&mut UploadResponse, &UploadResponse);

#[tokio::test]
async fn a_file_that_fails_a_check_is_shown_with_the_reason() {
    let sim = Sim::start().await.expect("starts");
    let (budi, client, _) = shop_and_budi(&sim).await;
    let good = upload(&client, b"what was meant", MediaType::Image).await;
    let other = upload(&client, b"something else", MediaType::Image).await;
    let spoiled: [(&str, Spoil, &str); 6] = [
        ("hash", |file, _| file.file_sha256[0] ^= 1, "file_sha256"),
        (
            "encrypted-hash",
            |file, _| file.file_enc_sha256[0] ^= 1,
            "file_enc_sha256",
        ),
        ("key", |file, _| file.media_key[0] ^= 1, "MAC"),
        (
            "file",
            |file, other| file.direct_path.clone_from(&other.direct_path),
            "file_enc_sha256",
        ),
        (
            "signature",
            |file, _| file.direct_path = file.direct_path.replace("oh=", "oh=0"),
            "403",
        ),
        (
            "path",
            |file, _| file.direct_path = "/v/t62.7118-24/gone".to_owned(),
            "404",
        ),
    ];
    for (what, spoil, reason) in spoiled {
        let mut file = good.clone();
        spoil(&mut file, &other);
        let message = media::image_message(file, ImageOptions::default());
        client.send_message(BUDI_JID, message, what).await;
        let shown = shown(&budi, what).await;
        assert_eq!(shown.kind, "image");
        let error = shown.fields.get("media_error").and_then(Value::as_str);
        let error = error.unwrap_or_default();
        assert!(error.contains(reason), "{what}: {:?}", shown.fields);
        assert_eq!(shown.fields.get("sha256"), None);
        assert_eq!(budi.media(what).await, None);
    }
    // The kind of a file is part of the key derivation: the keys of a video do not decrypt an
    // image.
    let message = media::video_message(good, VideoOptions::default());
    client.send_message(BUDI_JID, message, "kind").await;
    assert!(
        shown(&budi, "kind")
            .await
            .fields
            .contains_key("media_error")
    );
}

#[tokio::test]
async fn files_outlive_a_restart_and_a_damaged_one_is_noticed() {
    let dir = tempfile::tempdir().expect("a directory");
    let sim = Sim::builder().data_dir(dir.path()).start().await;
    let sim = sim.expect("starts");
    let (budi, client, _) = shop_and_budi(&sim).await;
    let file = upload(&client, b"to be kept", MediaType::Document).await;
    let message = media::document_message(file.clone(), DocumentOptions::default());
    client.send_message(BUDI_JID, message.clone(), "KEPT").await;
    let before = shown(&budi, "KEPT").await;
    client.shutdown().await;
    sim.stop().await;

    let sim = Sim::builder().data_dir(dir.path()).start().await;
    let sim = sim.expect("starts");
    let budi = sim.phone(BUDI).await;
    assert_eq!(shown(&budi, "KEPT").await.fields, before.fields);
    let kept = budi.media("KEPT").await;
    assert_eq!(kept.as_deref(), Some(&b"to be kept"[..]));

    for entry in std::fs::read_dir(dir.path().join("media")).expect("there") {
        std::fs::write(entry.expect("there").path(), b"damaged").expect("written");
    }
    assert_eq!(budi.media("KEPT").await, None);
    let (client, _) = TestClient::paired(&sim, &sim.phone(SHOP).await).await;
    client.send_message(BUDI_JID, message, "DAMAGED").await;
    let fields = shown(&budi, "DAMAGED").await.fields;
    assert!(fields.contains_key("media_error"), "{fields:?}");
}

#[tokio::test]
async fn a_file_is_read_over_the_control_api() {
    let sim = Sim::start().await.expect("starts");
    let (budi, client, _) = shop_and_budi(&sim).await;
    let data = content(5_000);
    let file = upload(&client, &data, MediaType::Image).await;
    let message = media::image_message(file, ImageOptions::default());
    client.send_message(BUDI_JID, message, "OVER-HTTP").await;
    shown(&budi, "OVER-HTTP").await;
    let base = format!("{}/control/phones/{BUDI}", sim.http_url());
    let listed: Value = plain_http()
        .get(format!("{base}/messages"))
        .send()
        .await
        .expect("answered")
        .json()
        .await
        .expect("JSON");
    assert_eq!(listed[0]["size"], json!(5_000));
    assert_eq!(
        listed[0].get("download"),
        None,
        "the key is no one's business"
    );
    let got = plain_http().get(format!("{base}/media/OVER-HTTP")).send();
    let got = got.await.expect("answered");
    assert_eq!(got.headers()["content-type"], "image/jpeg");
    assert_eq!(got.bytes().await.expect("read"), data);
    for (number, id) in [(BUDI, "NOTHING"), ("6289999999999", "OVER-HTTP")] {
        let url = format!("{}/control/phones/{number}/media/{id}", sim.http_url());
        let got = plain_http().get(url).send().await.expect("answered");
        assert_eq!(got.status(), StatusCode::NOT_FOUND);
    }
}
