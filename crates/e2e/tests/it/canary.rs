//! What is told to the gateway in confidence stays out of its log and its metrics, and on disk with its owner.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::body::Bytes;
use e2e::eventually;
use e2e::files::Files;
use e2e::gateway::{Gateway, http_client};
use e2e::receiver::Receiver;
use reqwest::StatusCode;
use serde_json::json;
use wa_sim::{PhoneSpec, Sim};

use crate::{CUSTOMER, OWNER, PATIENCE, Shop, shown};

const STRANGER: &str = "6281399999999";
const ON_A_CARD: &str = "6281240000001";

/// Texts that are planted and looked for, each under a name of its own.
#[derive(Default)]
struct Canaries(Vec<String>);

impl Canaries {
    fn text(&mut self, place: &str) -> String {
        let canary = format!("kenari{place}");
        self.0.push(canary.clone());
        canary
    }

    fn found_in(&self, text: &str) -> Vec<String> {
        let lines = text.lines();
        let with = |line: &&str| self.0.iter().any(|canary| line.contains(canary.as_str()));
        lines.filter(with).map(ToOwned::to_owned).collect()
    }
}

/// A day in the life of a shop where everything that can carry a secret carries one, and much of it fails.
async fn a_day_of_secrets(shop: &mut Shop, told: &mut Canaries) {
    let receiver = Receiver::start().await;
    let name = told.text("berkas");
    let leaked: &'static str = format!("{name}.pdf").leak();
    let file = Bytes::from_static(b"%PDF-1.7\nisi");
    let files = Files::start(vec![(leaked, "application/pdf", file)]).await;
    let group = shop
        .sim
        .create_group(&told.text("namagrup"), OWNER, &[CUSTOMER])
        .await;
    told.0.extend([group.id().to_owned(), shop.bot.key.clone()]);
    told.0
        .extend([OWNER, CUSTOMER, STRANGER, ON_A_CARD].map(ToOwned::to_owned));
    let bot = &shop.bot;

    // Taken, with a callback that works and one that does not.
    let notify = format!(
        "{}/{}?token={}",
        receiver.url(),
        told.text("jalur"),
        told.text("token")
    );
    let text = told.text("teks");
    let id = bot.accepted(CUSTOMER, &text, Some(&notify)).await;
    receiver.wait_acks(&id, &[1, 2, 3]).await;
    receiver.answer_with(Some(StatusCode::INTERNAL_SERVER_ERROR));
    bot.accepted(CUSTOMER, &told.text("gagal"), Some(&notify))
        .await;
    let closed = format!("http://127.0.0.1:1/{}", told.text("tertutup"));
    let id = bot
        .accepted(CUSTOMER, &told.text("tertutup2"), Some(&closed))
        .await;
    shown(&shop.customer, &id).await;
    eventually("a callback to be refused", async || {
        match receiver.refused() {
            0 => Err("none"),
            _ => Ok(()),
        }
    })
    .await;
    let media =
        |url: String, caption: &str| json!({"nohp": CUSTOMER, "mediaurl": url, "pesan": caption});
    let contact = json!({"name": told.text("kontak"), "numbers": [ON_A_CARD]});
    let place =
        json!({"nohp": CUSTOMER, "latitude": "1", "longitude": "2", "pesan": told.text("tempat")});
    for (path, body) in [
        (
            "/api/sendmedia",
            media(files.url(leaked), &told.text("judul")),
        ),
        ("/api/sendlocation", place),
        (
            "/api/sendcontact",
            json!({"nohp": CUSTOMER, "contact": contact}),
        ),
        (
            "/api/sendwatogroup",
            json!({"groupid": group.id(), "pesan": told.text("grup")}),
        ),
    ] {
        let answer = bot.call(path, body).await;
        assert_eq!(answer.status, 200, "{path} {answer:?}");
        shown(&shop.customer, &answer.id()).await;
    }

    // Refused, each for its own reason.
    let grup = json!({"groupid": "120363999999999999", "pesan": told.text("bukananggota")});
    told.0.push("120363999999999999".to_owned());
    for (path, body, code) in [
        (
            "/api/sendwa",
            json!({"nohp": STRANGER, "pesan": told.text("asing")}),
            "invalid_number",
        ),
        (
            "/api/sendwa",
            json!({"nohp": told.text("nomor"), "pesan": "halo"}),
            "invalid_number",
        ),
        (
            "/api/sendwa",
            json!({"nohp": CUSTOMER, "pesan": [told.text("daftar")]}),
            "invalid_text",
        ),
        ("/api/sendwatogroup", grup, "invalid_group"),
        (
            "/api/sendwa",
            json!({"nohp": CUSTOMER, "pesan": "a", "notifyurl": format!("http://10.0.0.1/{}", told.text("dalam"))}),
            "invalid_url",
        ),
        (
            "/api/sendwa",
            json!({"nohp": CUSTOMER, "pesan": "a", "notifyurl": format!("https://u:{}@host.example/", told.text("sandi"))}),
            "invalid_url",
        ),
        (
            "/api/sendmedia",
            media(files.url(&told.text("hilang")), "a"),
            "media_not_found",
        ),
        (
            "/api/sendmedia",
            media(format!("http://127.0.0.1:1/{}", told.text("mati")), "a"),
            "media_unreachable",
        ),
        (
            "/api/sendmedia",
            media(format!("http://{}.invalid/x", told.text("host")), "a"),
            "media_unreachable",
        ),
    ] {
        let answer = bot.call(path, body).await;
        assert_eq!(answer.code(), code, "{path} {answer:?}");
    }
    let thief = shop.gateway.bot(&told.text("kuncisalah"));
    assert_eq!(
        thief.sendwa(CUSTOMER, "a", None).await.code(),
        "invalid_secret_key"
    );
    for (path, body) in [
        (
            "/api/sendwa".to_owned(),
            format!("{{\"pesan\": {}", told.text("bukanjson")),
        ),
        (format!("/api/{}", told.text("alamat")), "{}".to_owned()),
        (
            format!("/api/getqr?secretkey={}", told.text("query")),
            "{}".to_owned(),
        ),
        ("/api/sendwa".to_owned(), told.text("besar").repeat(50_000)),
    ] {
        let asked = http_client()
            .post(format!("{}{path}", shop.gateway.url()))
            .header("SecretKey", &shop.bot.key)
            .header("X-Other", told.text("kepala"))
            .header("User-Agent", told.text("agen"))
            .body(body);
        asked.send().await.unwrap();
    }

    // Refused by WhatsApp, heard from others, linked, and all of it again after a kill.
    shop.sim.faults().nack_next(1, 463);
    let id = bot
        .accepted(CUSTOMER, &told.text("ditolak"), Some(&closed))
        .await;
    shop.customer
        .send_text(OWNER, &told.text("masuk"))
        .await
        .unwrap();
    shop.customer
        .send_text_to_group(group.id(), &told.text("masukgrup"))
        .await
        .unwrap();
    let device = shop.sim.devices().await.remove(0).id;
    eventually(
        "what was written to the bot to arrive",
        async || match shop.sim.waiting(&device) {
            0 => Ok(()),
            waiting => Err(waiting),
        },
    )
    .await;
    let second = shop.gateway.add_bot("kedua").await;
    let code = second.call("/api/getqr", json!({})).await;
    let code = code.body["message"]["qrcode"].as_str().unwrap().to_owned();
    told.0.extend(code.split(',').map(ToOwned::to_owned));
    told.0.push(second.key);
    shop.gateway.kill().await;
    shop.gateway.run().await;
    shop.bot.wait_linked().await;
    let last = shop
        .bot
        .accepted(CUSTOMER, &told.text("sesudah"), None)
        .await;
    let last = shown(&shop.customer, &last).await;
    assert!(last.id != id);
    shop.gateway.stop().await;
}

async fn shop(more: &str, told: &mut Canaries) -> Shop {
    let sim = Sim::start().await.unwrap();
    let owner = sim
        .add_phone(PhoneSpec::new(OWNER, told.text("toko")))
        .await;
    let customer = sim
        .add_phone(PhoneSpec::new(CUSTOMER, told.text("ani")))
        .await;
    let gateway = Gateway::start_with(&sim, &sim.ws_url(), more).await;
    let bot = gateway.linked_bot("toko", &owner).await;
    Shop {
        sim,
        gateway,
        bot,
        owner,
        customer,
    }
}

/// At the level that is the default, and at those that an operator turns on to look for a fault.
#[tokio::test(flavor = "multi_thread")]
async fn no_text_no_key_no_url_and_no_full_number_is_ever_logged() {
    for (more, says) in [
        ("", "refused"),
        ("log.format = \"json\"", "\"code\":\"invalid_number\""),
        ("log.level = \"debug\"", "answered"),
        ("log.level = \"trace\"", "answered"),
    ] {
        let mut told = Canaries::default();
        let mut shop = shop(more, &mut told).await;
        a_day_of_secrets(&mut shop, &mut told).await;
        let log = shop.gateway.log();
        assert!(log.contains(says) && log.contains("toko"), "{more}: {log}");
        let found = told.found_in(&log);
        assert!(found.is_empty(), "{more}: {found:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_tell_nothing_of_what_was_said_to_whom() {
    let mut told = Canaries::default();
    let mut shop = shop("", &mut told).await;
    let url = format!("{}/metrics", shop.gateway.url());
    let bot = &shop.bot;
    let id = bot.accepted(CUSTOMER, &told.text("teks"), None).await;
    shown(&shop.customer, &id).await;
    bot.sendwa(STRANGER, &told.text("asing"), None).await;
    bot.call(&format!("/api/{}", told.text("alamat")), json!({}))
        .await;
    told.0
        .extend([OWNER, CUSTOMER, STRANGER].map(ToOwned::to_owned));
    told.0.push(bot.key.clone());
    let metrics = http_client()
        .get(url)
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(metrics.contains("waviro_api_requests_total"), "{metrics}");
    assert_eq!(told.found_in(&metrics), Vec::<String>::new());
    shop.gateway.stop().await;
}

/// Every file and folder below, with its mode.
fn modes(folder: &Path) -> Vec<(PathBuf, u32)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        // A file that was there a moment ago may be gone: a log that the database folded in.
        let Ok(known) = entry.metadata() else {
            continue;
        };
        found.push((entry.path(), known.permissions().mode() & 0o777));
        if known.is_dir() {
            found.extend(modes(&entry.path()));
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn every_file_of_the_gateway_is_its_owners_alone() {
    let shop = Shop::open().await;
    let file = Bytes::from_static(b"%PDF-1.7\nrahasia");
    let files = Files::start(vec![("a.pdf", "application/pdf", file)]).await;
    // Until the server has it, a file on its way lies in the spool.
    shop.sim
        .faults()
        .set_ack_delay(PATIENCE + Duration::from_mins(1));
    let body = json!({"nohp": CUSTOMER, "mediaurl": files.url("a.pdf")});
    let answer = shop.bot.call("/api/sendmedia", body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let data = shop.gateway.folder().join("data");
    let found = modes(&data);
    let spooled = found
        .iter()
        .filter(|(path, _)| path.parent().unwrap().ends_with("spool"));
    assert_eq!(spooled.count(), 1, "{found:?}");
    assert!(
        found.iter().any(|(path, _)| path.ends_with("waviro.db")),
        "{found:?}"
    );
    for (path, mode) in found {
        let expected = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode, expected, "{}: {mode:o}", path.display());
    }
}
