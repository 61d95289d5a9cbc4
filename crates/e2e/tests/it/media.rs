//! Files from a URL to the phone, identical in every byte.

use axum::body::Bytes;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use e2e::eventually;
use e2e::files::Files;
use image::codecs::jpeg::JpegEncoder;
use image::{ImageEncoder, ImageFormat, Rgb, RgbImage};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{CUSTOMER, OWNER, Shop, shown};

/// Returns `size` bytes that begin with the signature of the file type.
fn file(beginning: &[u8], size: usize) -> Bytes {
    let filling = (0..=250_u8).cycle();
    beginning
        .iter()
        .copied()
        .chain(filling)
        .take(size)
        .collect()
}

fn png() -> Bytes {
    file(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", 30_000)
}

fn voice() -> Bytes {
    file(
        b"OggS\0\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x13OpusHead\x01",
        9_000,
    )
}

const MOST: usize = 16 * 1024 * 1024;

async fn host() -> Files {
    Files::start(vec![
        ("foto", "application/octet-stream", png()),
        (
            "film.mp4",
            "video/mp4",
            file(b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2mp41", 6_000_000),
        ),
        ("catatan.ogg", "audio/ogg", voice()),
        (
            "daftar%20harga.pdf",
            "application/pdf",
            file(b"%PDF-1.7\n", MOST),
        ),
        (
            "besar.pdf",
            "application/pdf",
            file(b"%PDF-1.7\n", MOST + 1),
        ),
        (
            "daftar harga.pdf",
            "application/pdf",
            file(b"%PDF-1.7\n", MOST),
        ),
        ("kosong.pdf", "application/pdf", Bytes::new()),
    ])
    .await
}

async fn send(shop: &Shop, path: &str, body: Value) -> e2e::gateway::Answer {
    shop.bot.call(path, body).await
}

/// Waits until the spool is empty: a finished message leaves no file behind.
async fn nothing_is_spooled(shop: &Shop) {
    let spool = shop.gateway.folder().join("data/spool");
    eventually("the spool to be empty", async || {
        let left = std::fs::read_dir(&spool).unwrap().count();
        if left == 0 { Ok(()) } else { Err(left) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_file_arrives_as_it_was_with_its_caption_and_name() {
    let (shop, host) = (Shop::open().await, host().await);
    let group = shop.sim.create_group("Pelanggan", OWNER, &[CUSTOMER]).await;
    for (name, kind, mime, bytes) in [
        ("foto", "image", "image/png", png()),
        (
            "film.mp4",
            "video",
            "video/mp4",
            file(b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2mp41", 6_000_000),
        ),
        (
            "daftar%20harga.pdf",
            "document",
            "application/pdf",
            file(b"%PDF-1.7\n", MOST),
        ),
    ] {
        for (path, field, to) in [
            ("/api/sendmedia", "nohp", CUSTOMER),
            ("/api/sendmediatogroup", "groupid", group.id()),
        ] {
            let body = json!({field: to, "mediaurl": host.url(name), "pesan": "Lihat ini"});
            let answer = send(&shop, path, body).await;
            assert_eq!(answer.status, 200, "{name} {answer:?}");
            assert_eq!(answer.body["message"]["type"], kind);
            let message = shown(&shop.customer, &answer.id()).await;
            let message = serde_json::to_value(message).unwrap();
            assert_eq!(message["kind"], kind, "{message}");
            assert_eq!(message["mimetype"], mime);
            assert_eq!(message["text"], "Lihat ini");
            assert_eq!(message["sha256"], hex::encode(Sha256::digest(&bytes)));
            assert_eq!(message["size"], bytes.len());
            if kind == "document" {
                assert_eq!(message["file_name"], "daftar harga.pdf");
            }
        }
    }
    nothing_is_spooled(&shop).await;
}

/// Reads a fixture shared with the gateway's own tests.
fn fixture(name: &str) -> Bytes {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../waviro-core/tests/fixtures/"
    );
    std::fs::read(format!("{folder}{name}")).unwrap().into()
}

/// Builds a photo taken upright: the pixels lie on the side, and the EXIF orientation tells how to
/// rotate them.
fn upright_photo() -> Bytes {
    let lying = RgbImage::from_fn(1600, 1200, |x, y| {
        Rgb([
            u8::try_from(x / 8).unwrap(),
            u8::try_from(y / 8).unwrap(),
            90,
        ])
    });
    let mut jpeg = std::io::Cursor::new(Vec::new());
    let mut encoder = JpegEncoder::new(&mut jpeg);
    let turned = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    encoder.set_exif_metadata(turned.to_vec()).unwrap();
    lying.write_with_encoder(encoder).unwrap();
    jpeg.into_inner().into()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_shows_the_shape_the_picture_and_the_length_before_it_has_the_file() {
    let shop = Shop::open().await;
    let host = Files::start(vec![
        ("foto.jpg", "image/jpeg", upright_photo()),
        ("film.mov", "video/quicktime", fixture("tegak.mov")),
        ("lagu.mp3", "audio/mpeg", fixture("nada.mp3")),
        ("catatan.ogg", "audio/ogg", fixture("catatan.ogg")),
        ("rusak.png", "image/png", png()),
    ])
    .await;
    let shows = async |name: &str| {
        let body = json!({"nohp": CUSTOMER, "mediaurl": host.url(name)});
        let answer = send(&shop, "/api/sendmedia", body).await;
        assert_eq!(answer.status, 200, "{name} {answer:?}");
        serde_json::to_value(shown(&shop.customer, &answer.id()).await).unwrap()
    };
    let photo = shows("foto.jpg").await;
    assert_eq!(
        (&photo["width"], &photo["height"]),
        (&json!(1200), &json!(1600))
    );
    let thumbnail = BASE64.decode(photo["thumbnail"].as_str().unwrap()).unwrap();
    assert!(thumbnail.len() <= 10 * 1024, "{} bytes", thumbnail.len());
    let small = image::load_from_memory_with_format(&thumbnail, ImageFormat::Jpeg).unwrap();
    assert_eq!((small.width(), small.height()), (75, 100));
    // The left edge of the file is the top of the picture.
    let red = |x, y| small.to_rgb8().get_pixel(x, y).0[0];
    assert!(red(40, 5) < red(40, 95), "not turned");

    let film = shows("film.mov").await;
    assert_eq!(
        (&film["width"], &film["height"]),
        (&json!(120), &json!(160))
    );
    assert_eq!(
        (&film["kind"], &film["seconds"]),
        (&json!("video"), &json!(2))
    );

    let song = shows("lagu.mp3").await;
    assert_eq!(
        (&song["voice"], &song["seconds"]),
        (&json!(false), &json!(3))
    );
    let note = shows("catatan.ogg").await;
    assert_eq!(
        (&note["voice"], &note["seconds"]),
        (&json!(true), &json!(3))
    );

    let broken = shows("rusak.png").await;
    assert_eq!(
        (&broken["kind"], &broken["has_thumbnail"]),
        (&json!("image"), &json!(false))
    );
    assert_eq!(broken["sha256"], hex::encode(Sha256::digest(png())));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_voice_note_is_one_and_its_text_follows() {
    let (shop, host) = (Shop::open().await, host().await);
    let body = json!({"nohp": CUSTOMER, "mediaurl": host.url("catatan.ogg"), "pesan": "Dengarkan"});
    let answer = send(&shop, "/api/sendmedia", body).await;
    assert_eq!(answer.body["message"]["type"], "audio", "{answer:?}");
    let note = shown(&shop.customer, &answer.id()).await;
    let note = serde_json::to_value(note).unwrap();
    assert_eq!(
        (note["kind"].as_str(), &note["voice"]),
        (Some("audio"), &json!(true))
    );
    assert_eq!(note["sha256"], hex::encode(Sha256::digest(voice())));
    let text = shop
        .customer
        .wait_for(crate::PATIENCE, |message| message.text == "Dengarkan")
        .await
        .unwrap();
    let order: Vec<String> = shop
        .customer
        .inbox()
        .await
        .into_iter()
        .map(|one| one.id)
        .collect();
    let place = |id: &str| order.iter().position(|known| known == id);
    assert!(place(&answer.id()) < place(&text.id), "{order:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_fetched_is_refused_with_its_cause_and_leaves_nothing_behind() {
    let (shop, host) = (Shop::open().await, host().await);
    for (url, code) in [
        (host.url("besar.pdf"), "media_too_large"),
        (host.url("tidak-ada.jpg"), "media_not_found"),
        (host.url("kosong.pdf"), "media_empty"),
        (
            "http://127.0.0.1:2/foto.jpg".to_owned(),
            "media_unreachable",
        ),
        ("http://169.254.169.254/latest".to_owned(), "invalid_url"),
        ("ftp://host.example/foto.jpg".to_owned(), "invalid_url"),
    ] {
        let body = json!({"nohp": CUSTOMER, "mediaurl": url});
        let answer = send(&shop, "/api/sendmedia", body).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code()),
            (400, code),
            "{url} {answer:?}"
        );
        assert_eq!(answer.body["field"], "mediaurl");
    }
    let same = json!({"nohp": CUSTOMER, "mediaurl": host.url("foto")});
    let first = send(&shop, "/api/sendmedia", same.clone()).await;
    shown(&shop.customer, &first.id()).await;
    assert_eq!(
        send(&shop, "/api/sendmedia", same).await.code(),
        "duplicate_message"
    );
    nothing_is_spooled(&shop).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_the_answer_and_the_wire_a_file_still_arrives_once() {
    let mut shop = Shop::open().await;
    let host = Files::start(vec![("film.mov", "video/quicktime", fixture("tegak.mov"))]).await;
    let body = json!({"nohp": CUSTOMER, "mediaurl": host.url("film.mov"), "pesan": "sesudah mati"});
    let answer = send(&shop, "/api/sendmedia", body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    shop.gateway.kill().await;
    // The file's host is gone: the gateway must not need the host after accepting the message.
    drop(host);
    shop.gateway.run().await;
    let message = shown(&shop.customer, &answer.id()).await;
    assert_eq!(message.text, "sesudah mati");
    assert_eq!(message.fields["seconds"], json!(2));
    let times = shop.customer.inbox().await;
    let times = times.iter().filter(|one| one.id == answer.id()).count();
    assert_eq!(times, 1);
}
