//! The media host over HTTP: the rules for uploads and downloads.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use wacore::upload::encrypt_media_with_key;
use whatsapp_rust::download::MediaType;
use whatsapp_rust::media::{self, VideoOptions};
use whatsapp_rust::upload::UploadOptions;

use wa_sim::Sim;

use crate::client::{DEADLINE, plain_http};
use crate::media::{BUDI_JID, SHOP, asked, content, shop_and_budi, shown};

const KEY: [u8; 32] = [7; 32];

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
    let (unsigned, _) = path.split_once('?').expect("signed");
    assert_eq!(get(unsigned).await.0, 403);
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
    // The host detects the closed connection some time later.
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
