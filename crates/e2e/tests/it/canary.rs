//! Secrets stay out of the log and the metrics, and only the owner can read the files on disk.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::body::Bytes;
use e2e::eventually;
use e2e::files::Files;
use e2e::gateway::{Gateway, http_client};
use e2e::receiver::Receiver;
use reqwest::StatusCode;
use serde_json::{Value, json};
use wa_sim::{PhoneSpec, Sim};

use crate::{CUSTOMER, OWNER, PATIENCE, Shop, shown};

const STRANGER: &str = "6281399999999";
const ON_A_CARD: &str = "6281240000001";

/// Marker texts in messages, URLs and keys; the tests search for each marker.
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

/// A shop with a marker in everything that can hold a secret. Many requests fail.
struct Day {
    shop: Shop,
    canaries: Canaries,
    receiver: Receiver,
    /// A working notifyurl with markers in its path and query.
    notify: String,
    files: Files,
    group: String,
}

const FILE: &str = "kenariberkas.pdf";

impl Day {
    /// Starts the shop; `more` holds configuration lines.
    async fn begin(more: &str) -> Self {
        let mut canaries = Canaries::default();
        let sim = Sim::start().await.unwrap();
        let owner = sim
            .add_phone(PhoneSpec::new(OWNER, canaries.text("toko")))
            .await;
        let customer = sim
            .add_phone(PhoneSpec::new(CUSTOMER, canaries.text("ani")))
            .await;
        let gateway = Gateway::start_with(&sim, &sim.wss_url(), more).await;
        let bot = gateway.linked_bot("toko", &owner).await;
        let group = sim
            .create_group(&canaries.text("namagrup"), OWNER, &[CUSTOMER])
            .await;
        let group = group.id().to_owned();
        let file = Bytes::from_static(b"%PDF-1.7\nisi");
        let files = Files::start(vec![(FILE, "application/pdf", file)]).await;
        let receiver = Receiver::start().await;
        let notify = format!(
            "{}/{}?token={}",
            receiver.url(),
            canaries.text("jalur"),
            canaries.text("token")
        );
        canaries
            .0
            .extend([group.clone(), bot.key.clone(), FILE.to_owned()]);
        canaries
            .0
            .extend([OWNER, CUSTOMER, STRANGER, ON_A_CARD].map(ToOwned::to_owned));
        let shop = Shop {
            sim,
            gateway,
            bot,
            owner,
            customer,
        };
        Self {
            shop,
            canaries,
            receiver,
            notify,
            files,
            group,
        }
    }

    fn media(&mut self, url: &str, place: &str) -> Value {
        json!({"nohp": CUSTOMER, "mediaurl": url, "pesan": self.canaries.text(place)})
    }

    /// Sends accepted messages, with working and with failing callbacks.
    async fn taken(&mut self) {
        let text = self.canaries.text("teks");
        let id = self
            .shop
            .bot
            .accepted(CUSTOMER, &text, Some(&self.notify))
            .await;
        self.receiver.wait_acks(&id, &[1, 2, 3]).await;
        self.receiver
            .answer_with(Some(StatusCode::INTERNAL_SERVER_ERROR));
        let closed = format!("http://127.0.0.1:2/{}", self.canaries.text("tertutup"));
        for (url, place) in [(&self.notify, "gagal"), (&closed, "taktersambung")] {
            let text = self.canaries.text(place);
            let id = self.shop.bot.accepted(CUSTOMER, &text, Some(url)).await;
            shown(&self.shop.customer, &id).await;
        }
        eventually("a callback to be refused", async || {
            match self.receiver.refused() {
                0 => Err("none"),
                _ => Ok(()),
            }
        })
        .await;
        self.receiver.answer_with(None);
        let file = self.media(&self.files.url(FILE), "judul");
        let contact = json!({"name": self.canaries.text("kontak"), "numbers": [ON_A_CARD]});
        let place = self.canaries.text("tempat");
        for (path, body) in [
            ("/api/sendmedia", file),
            (
                "/api/sendlocation",
                json!({"nohp": CUSTOMER, "latitude": "1", "longitude": "2", "pesan": place}),
            ),
            (
                "/api/sendcontact",
                json!({"nohp": CUSTOMER, "contact": contact}),
            ),
            (
                "/api/sendwatogroup",
                json!({"groupid": self.group, "pesan": self.canaries.text("grup")}),
            ),
        ] {
            let answer = self.shop.bot.call(path, body).await;
            assert_eq!(answer.status, 200, "{path} {answer:?}");
            shown(&self.shop.customer, &answer.id()).await;
        }
    }

    /// Sends requests that are refused, each for a different reason.
    async fn refused(&mut self) {
        let other_group = "120363999999999999".to_owned();
        self.canaries.0.push(other_group.clone());
        let lost = self.files.url(&self.canaries.text("hilang"));
        let dead = format!("http://127.0.0.1:2/{}", self.canaries.text("mati"));
        let inside = format!("http://10.0.0.1/{}", self.canaries.text("dalam"));
        let password = format!("https://u:{}@host.example/", self.canaries.text("sandi"));
        let text = |nohp: &str, text: String| json!({"nohp": nohp, "pesan": text});
        let told_at = |url: &str| json!({"nohp": CUSTOMER, "pesan": "a", "notifyurl": url});
        for (path, body, code) in [
            (
                "sendwa",
                text(STRANGER, self.canaries.text("asing")),
                "invalid_number",
            ),
            (
                "sendwa",
                text(&self.canaries.text("nomor"), "a".to_owned()),
                "invalid_number",
            ),
            (
                "sendwa",
                json!({"nohp": CUSTOMER, "pesan": [self.canaries.text("daftar")]}),
                "invalid_text",
            ),
            (
                "sendwatogroup",
                json!({"groupid": other_group, "pesan": self.canaries.text("bukananggota")}),
                "invalid_group",
            ),
            ("sendwa", told_at(&inside), "invalid_url"),
            ("sendwa", told_at(&password), "invalid_url"),
            (
                "sendmedia",
                self.media(&lost, "judulhilang"),
                "media_not_found",
            ),
            (
                "sendmedia",
                self.media(&dead, "judulmati"),
                "media_unreachable",
            ),
        ] {
            let answer = self.shop.bot.call(&format!("/api/{path}"), body).await;
            assert_eq!(answer.code(), code, "{path} {answer:?}");
        }
        let thief = self.shop.gateway.bot(&self.canaries.text("kuncisalah"));
        let caught = thief.sendwa(CUSTOMER, "a", None).await;
        assert_eq!(caught.code(), "invalid_secret_key");
        for (path, body, status) in [
            (
                "sendwa".to_owned(),
                format!("{{\"pesan\": {}", self.canaries.text("bukanjson")),
                400,
            ),
            (self.canaries.text("alamat"), "{}".to_owned(), 404),
            (
                format!("getqr?secretkey={}", self.canaries.text("query")),
                "{}".to_owned(),
                200,
            ),
            (
                "sendwa".to_owned(),
                self.canaries.text("besar").repeat(200_000),
                413,
            ),
        ] {
            let asked = http_client()
                .post(format!("{}/api/{path}", self.shop.gateway.url()))
                .header("SecretKey", &self.shop.bot.key)
                .header("X-Other", self.canaries.text("kepala"))
                .header("User-Agent", self.canaries.text("agen"))
                .body(body);
            assert_eq!(asked.send().await.unwrap().status(), status, "{path}");
        }
    }

    /// Sends a message refused by WhatsApp, receives messages, requests a QR code, and restarts the
    /// gateway after a kill.
    async fn later(&mut self) {
        self.shop.sim.faults().nack_next(1, 463);
        let text = self.canaries.text("ditolak");
        let id = self
            .shop
            .bot
            .accepted(CUSTOMER, &text, Some(&self.notify))
            .await;
        self.receiver.wait_acks(&id, &[-1]).await;
        let (text, to_all) = (self.canaries.text("masuk"), self.canaries.text("masukgrup"));
        self.shop.customer.send_text(OWNER, &text).await.unwrap();
        let sent = self
            .shop
            .customer
            .send_text_to_group(&self.group, &to_all)
            .await;
        sent.unwrap();
        let device = self.shop.sim.devices().await.remove(0).id;
        eventually("the messages to reach the bot", async || {
            match self.shop.sim.waiting(&device) {
                0 => Ok(()),
                waiting => Err(waiting),
            }
        })
        .await;
        let second = self.shop.gateway.add_bot("kedua").await;
        let code = second.call("/api/getqr", json!({})).await;
        let code = code.body["message"]["qrcode"].as_str().unwrap();
        assert!(code.starts_with("2@"), "{code}");
        // The long parts of the code are keys. The version before the first key and the digit at
        // the end are not.
        let keys = code.split(['@', ',']).filter(|part| part.len() > 20);
        self.canaries.0.extend(keys.map(ToOwned::to_owned));
        self.canaries.0.push(second.key);
        self.shop.gateway.kill().await;
        self.shop.gateway.run().await;
        self.shop.bot.wait_linked().await;
        let text = self.canaries.text("sesudah");
        let id = self.shop.bot.accepted(CUSTOMER, &text, None).await;
        shown(&self.shop.customer, &id).await;
    }
}

/// Tests the default log level and the levels that an operator uses for debugging.
#[tokio::test(flavor = "multi_thread")]
async fn no_text_no_key_no_url_and_no_full_number_is_ever_logged_or_counted() {
    for (more, says) in [
        ("", "refused"),
        ("log.format = \"json\"", "\"code\":\"invalid_number\""),
        ("log.level = \"debug\"", "answered"),
        ("log.level = \"trace\"", "answered"),
    ] {
        let mut day = Day::begin(more).await;
        day.taken().await;
        day.refused().await;
        let metrics = day.shop.gateway.metrics().await;
        day.later().await;
        day.shop.gateway.stop().await;
        let log = day.shop.gateway.log();
        assert!(log.contains(says) && log.contains("toko"), "{more}: {log}");
        assert!(metrics.contains("waviro_api_requests_total"), "{metrics}");
        for text in [log, metrics] {
            let found = day.canaries.found_in(&text);
            assert!(found.is_empty(), "{more}: {found:#?}");
        }
    }
}

/// Returns every file and folder below `folder` with its mode.
fn modes(folder: &Path) -> Vec<(PathBuf, u32)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        // A file may disappear in the meantime: SQLite removes its write-ahead log when the log is
        // no longer needed.
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
    // The file stays in the spool until the server acknowledges the message.
    shop.sim
        .faults()
        .set_ack_delay(PATIENCE + Duration::from_mins(1));
    let body = json!({"nohp": CUSTOMER, "mediaurl": files.url("a.pdf")});
    let answer = shop.bot.call("/api/sendmedia", body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let data = shop.gateway.folder().join("data");
    let found = modes(&data);
    // Checks the database and the spooled file, and also every file that the link created for
    // sending.
    for known in ["waviro.db".to_owned(), format!("spool/{}", answer.id())] {
        let there = found.iter().any(|(path, _)| path.ends_with(&known));
        assert!(there, "no {known} in {found:?}");
    }
    for (path, mode) in found {
        let expected = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode, expected, "{}: {mode:o}", path.display());
    }
}
