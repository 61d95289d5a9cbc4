//! Files between a linked client, the media host and phones.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use wacore::upload::encrypt_media_with_key;
use waproto::buffa::MessageField;
use whatsapp_rust::download::MediaType;
use whatsapp_rust::media::{self, AudioOptions, DocumentOptions, ImageOptions, VideoOptions};
use whatsapp_rust::prelude::wa;
use whatsapp_rust::upload::{UploadOptions, UploadResponse};

use wa_sim::{InboxMessage, Phone, Sim};

use crate::client::{DEADLINE, TestClient, plain_http};

const SHOP: &str = "6281111111111";
const BUDI: &str = "6282222222222";
const BUDI_JID: &str = "6282222222222@s.whatsapp.net";
const KEY: [u8; 32] = [7; 32];

/// Bytes that differ from place to place, so that a piece out of order does not go unseen.
fn content(len: usize) -> Vec<u8> {
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
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn shop_and_budi(sim: &Sim) -> (Phone, TestClient, String) {
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

async fn shown(phone: &Phone, id: &str) -> InboxMessage {
    phone
        .wait_for(DEADLINE, |message| message.id == id)
        .await
        .expect("arrives")
}

fn asked(client: &TestClient) -> Vec<String> {
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
            "image" => [
                ("mimetype", json!("image/jpeg")),
                ("thumbnail_size", json!(3)),
            ],
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
    // Only what is large is asked for first.
    let checks = asked(&client)
        .iter()
        .filter(|line| line.ends_with("&resume=1"))
        .count();
    assert_eq!(checks, 1, "{:?}", asked(&client));
}

#[tokio::test]
async fn the_media_host_takes_only_what_is_what_it_says_from_who_may() {
    let sim = Sim::start().await.expect("starts");
    let (_, client, _) = shop_and_budi(&sim).await;
    let auth = client
        .client
        .refresh_media_conn(false)
        .await
        .expect("answered")
        .auth;
    let encrypted = encrypt_media_with_key(b"content", MediaType::Image, Some(&KEY)).expect("fits");
    let token = URL_SAFE_NO_PAD.encode(encrypted.file_enc_sha256);
    let other = URL_SAFE_NO_PAD.encode([9; 32]);
    let base = sim.http_url();
    let post = async |path: String, body: Vec<u8>| {
        let response = plain_http().post(format!("{base}{path}")).body(body).send();
        let response = response.await.expect("answered");
        (
            response.status(),
            response.json::<Value>().await.expect("JSON"),
        )
    };
    let body = encrypted.data_to_upload;
    let refusals = [
        (format!("/mms/image/{other}?auth={auth}"), 400),
        (format!("/mms/image/short?auth={auth}"), 400),
        (format!("/mms/image/{token}"), 401),
        (format!("/mms/image/{token}?auth=stale"), 401),
        (format!("/mms/secret/{token}?auth={auth}"), 404),
        (format!("/mms/image/{token}?auth={auth}&file_offset=5"), 400),
    ];
    for (path, status) in refusals {
        let (got, error) = post(path.clone(), body.clone()).await;
        assert_eq!(got.as_u16(), status, "{path}: {error}");
        assert!(error["error"].is_string(), "{error}");
    }
    let resume = format!("/mms/image/{token}?auth={auth}&token={token}&resume=1");
    let (_, progress) = post(resume.clone(), Vec::new()).await;
    assert_eq!(progress, json!({ "resume": "0" }));
    let (status, kept) = post(format!("/mms/image/{token}?auth={auth}"), body.clone()).await;
    assert_eq!(status, StatusCode::OK);
    let (_, progress) = post(resume, Vec::new()).await;
    assert_eq!(progress["resume"], json!("complete"));
    assert_eq!(progress["direct_path"], kept["direct_path"]);

    let path = kept["direct_path"].as_str().expect("a path");
    let get = async |path: &str| {
        let response = plain_http().get(format!("{base}{path}")).send();
        let response = response.await.expect("answered");
        (response.status().as_u16(), response.bytes().await)
    };
    let (status, bytes) = get(path).await;
    assert_eq!((status, bytes.expect("read").to_vec()), (200, body));
    let (bare, _) = path.split_once('?').expect("signed");
    assert_eq!(get(bare).await.0, 403);
    assert_eq!(get(&path.replace("oh=", "oh=0")).await.0, 403);
    assert_eq!(get("/v/t62.7118-24/nothing").await.0, 404);
}

#[tokio::test]
async fn a_device_that_was_unlinked_may_not_upload() {
    let sim = Sim::start().await.expect("starts");
    let (_, client, _) = shop_and_budi(&sim).await;
    let auth = client
        .client
        .refresh_media_conn(false)
        .await
        .expect("answered")
        .auth;
    sim.phone(SHOP).await.logout_devices().await;
    let encrypted = encrypt_media_with_key(b"content", MediaType::Image, Some(&KEY)).expect("fits");
    let token = URL_SAFE_NO_PAD.encode(encrypted.file_enc_sha256);
    let url = format!("{}/mms/image/{token}?auth={auth}", sim.http_url());
    let post = plain_http().post(url).body(encrypted.data_to_upload);
    let status = post.send().await.expect("answered").status();
    assert_eq!(status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn an_upload_that_broke_off_is_resumed_where_it_ended() {
    let sim = Sim::start().await.expect("starts");
    let (budi, client, _) = shop_and_budi(&sim).await;
    let data = content(6 << 20);
    let encrypted = encrypt_media_with_key(&data, MediaType::Video, Some(&KEY)).expect("fits");
    let token = URL_SAFE_NO_PAD.encode(encrypted.file_enc_sha256);
    let auth = client
        .client
        .refresh_media_conn(false)
        .await
        .expect("answered")
        .auth;
    let half = 2_000_000;
    let mut socket = TcpStream::connect(sim.addr()).await.expect("open");
    let head = format!(
        "POST /mms/video/{token}?auth={auth} HTTP/1.1\r\nhost: {}\r\ncontent-length: {}\r\n\r\n",
        sim.addr(),
        encrypted.data_to_upload.len()
    );
    socket.write_all(head.as_bytes()).await.expect("written");
    let begun = &encrypted.data_to_upload[..half];
    socket.write_all(begun).await.expect("written");
    drop(socket);
    // The host notices the end of the connection in its own time.
    let resume = format!("{}/mms/video/{token}?auth={auth}&resume=1", sim.http_url());
    let noticed = async {
        loop {
            let answer = plain_http().post(&resume).send().await.expect("answered");
            let progress: Value = answer.json().await.expect("JSON");
            if progress["resume"] == json!(half.to_string()) {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, noticed)
        .await
        .expect("the half is kept");

    let options = UploadOptions::default().with_media_key(KEY);
    let upload = client
        .client
        .upload(data.clone(), MediaType::Video, options)
        .await
        .expect("uploaded");
    let last = asked(&client).pop().unwrap_or_default();
    assert!(last.ends_with(&format!("&file_offset={half}")), "{last}");
    let message = media::video_message(upload, VideoOptions::default());
    client.send_message(BUDI_JID, message, "RESUMED").await;
    shown(&budi, "RESUMED").await;
    assert_eq!(budi.media("RESUMED").await.as_deref(), Some(&data[..]));
}

#[tokio::test]
async fn a_file_that_fails_a_check_is_shown_with_the_reason() {
    let sim = Sim::start().await.expect("starts");
    let (budi, client, _) = shop_and_budi(&sim).await;
    let good = upload(&client, b"what was meant", MediaType::Image).await;
    let other = upload(&client, b"something else", MediaType::Image).await;
    type Spoil = fn(&mut UploadResponse, &UploadResponse);
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
    // The kind is part of the keys: a video's do not open an image.
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
