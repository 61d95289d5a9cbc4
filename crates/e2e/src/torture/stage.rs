//! The environment of a torture run: a simulator behind an unreliable network, bots with both kinds
//! of addressing, customers, groups and endpoints.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::time::Instant;
use wa_sim::{InboxMessage, Phone, PhoneSpec, Sim};

use super::log::Log;
use super::plan::Plan;
use super::receiver::{Receiver, pause};
use crate::files::Files;
use crate::gateway::{Admin, Bot, Gateway, Server};
use crate::oracle::Seen;
use crate::proxy::Proxy;

/// The number of bots. The first account uses LIDs, the second phone numbers.
const BOTS: usize = 2;

/// The number of customers of all bots. Only twins go to the last customer.
const CUSTOMERS: usize = 5;

/// The number of customers in each bot's group.
pub(super) const MEMBERS: usize = 3;

/// The run is settled after this time without waiting work and without observations. The time is
/// longer than the interval in which a gateway or a phone repeats a request for missing data.
const CALM: Duration = Duration::from_secs(5);

/// A PNG of four pixels.
const PICTURE: &str = "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAFUlEQVR4nGM4oAAEBxgUDij8//8fACAIBf7nXezOAAAAAElFTkSuQmCC";

pub(super) struct Stage {
    pub(super) sim: Arc<Sim>,
    pub(super) admin: Admin,
    pub(super) proxy: Proxy,
    pub(super) gateway: Gateway,
    pub(super) receiver: Receiver,
    pub(super) bots: Vec<Bot>,
    pub(super) owners: Vec<String>,
    pub(super) customers: Vec<Phone>,
    pub(super) groups: Vec<String>,
    pub(super) files: Files,
}

impl Stage {
    pub(super) async fn set(plan: &Plan, log: &Log) -> Self {
        let sim = Sim::builder().seed(plan.seed).inbox_limit(1_000_000);
        let sim = sim.start().await.expect("a simulator");
        sim.faults().set_dedupe(plan.dedupe);
        let proxy = Proxy::start(sim.addr()).await;
        let mut customers = Vec::new();
        for n in 0..CUSTOMERS {
            let phone = PhoneSpec::new(format!("62813{n:08}"), format!("Pelanggan {n}"));
            customers.push(sim.add_phone(phone.lid_migrated(n % 2 == 0)).await);
        }
        let environment = plan.environment.iter();
        let environment = environment
            .map(|(name, value)| (*name, value.into()))
            .collect();
        let server = Server::of(&sim, &proxy.wss_url());
        let mut gateway = if plan.moments.is_empty() && plan.bug.is_none() {
            Gateway::prepare(&server, "", environment)
        } else {
            Gateway::of_torture(&server, "", environment)
        };
        gateway.set_env("TORTURE_BUG", plan.bug.as_deref());
        gateway.run().await;
        let receiver = Receiver::start(log).await;
        receiver.endpoints().belongs_to(gateway.url());
        let admin = gateway.admin().await;
        let (mut bots, mut owners, mut groups) = (Vec::new(), Vec::new(), Vec::new());
        for n in 0..BOTS {
            let number = format!("62812{n:08}");
            let owner = PhoneSpec::new(&number, format!("Toko {n}")).lid_migrated(n % 2 == 0);
            let owner = sim.add_phone(owner).await;
            bots.push(gateway.linked_bot(&format!("toko{n}"), &owner).await);
            let rules = format!("/v1/bots/toko{n}/rules");
            let rule = json!({"keyword": "", "url": receiver.endpoints().hook()});
            admin.post(&rules, rule).await;
            let subscriptions = format!("/v1/bots/toko{n}/subscriptions");
            let everything = json!({"url": receiver.endpoints().events(), "kinds": ["*"]});
            admin.post(&subscriptions, everything).await;
            let members: Vec<&str> = customers[..MEMBERS].iter().map(Phone::number).collect();
            let group = sim.create_group("Pelanggan", &number, &members).await;
            groups.push(group.id().to_owned());
            owners.push(number);
        }
        log.follow(sim.events(), groups.iter().cloned().collect());
        let files = vec![
            ("gambar.png", "image/png", picture()),
            ("surat.pdf", "application/pdf", document()),
        ];
        Self {
            sim: Arc::new(sim),
            admin,
            proxy,
            gateway,
            receiver,
            bots,
            owners,
            customers,
            groups,
            files: Files::start(files).await,
        }
    }

    /// Waits until no work has waited for [`CALM`], or until `within` has passed, and logs the
    /// final state.
    pub(super) async fn settle(&self, within: Duration, log: &Log) {
        let end = Instant::now() + within;
        let mut calm_since = None;
        loop {
            let pending = self
                .ask("SELECT COUNT(*) FROM messages WHERE ack = 0")
                .await;
            let deliveries = self.ask("SELECT COUNT(*) FROM deliveries WHERE ended_at IS NULL");
            let deliveries = deliveries.await;
            let devices = self.sim.devices().await;
            // A temporary bot leaves its device behind if the process ends between two steps, so
            // only the owners' devices count.
            let ours = devices.iter().filter(|it| self.owners.contains(&it.number));
            let stanzas: usize = ours.map(|it| self.sim.waiting(&it.id)).sum();
            let (now, seen) = (Instant::now(), log.len());
            if pending != 0 || deliveries != 0 || stanzas != 0 {
                calm_since = None;
            } else if calm_since.is_none_or(|(_, before)| before != seen) {
                calm_since = Some((now, seen));
            }
            if calm_since.is_some_and(|(since, _)| now - since > CALM) || now > end {
                let sound = self.gateway.has_sound_database().await;
                log.see(Seen::PeakCalls {
                    calls: self.receiver.endpoints().most(),
                });
                log.see(Seen::Settled {
                    pending,
                    deliveries,
                    stanzas: i64::try_from(stanzas).unwrap_or(i64::MAX),
                    sound,
                });
                return;
            }
            pause(Duration::from_millis(100)).await;
        }
    }

    /// Logs the bots' messages on the phones.
    pub(super) async fn read_phones(&self, log: &Log) {
        for phone in &self.customers {
            for message in phone.inbox().await {
                if !message.from_me && self.owners.contains(&message.from) {
                    log.see(Seen::Shown {
                        phone: phone.number().to_owned(),
                        id: message.id.clone(),
                        face: face(&message),
                    });
                }
            }
        }
    }

    async fn ask(&self, text: &'static str) -> i64 {
        self.gateway.ask_database(text).await
    }
}

fn picture() -> Bytes {
    STANDARD.decode(PICTURE).expect("base64").into()
}

/// Returns a PDF of some size without content.
fn document() -> Bytes {
    let mut text = b"%PDF-1.4\n".to_vec();
    text.extend(b"% sebuah surat\n".repeat(2_000));
    text.extend(b"%%EOF\n");
    text.into()
}

/// Returns the hash of a hosted file, as used in faces.
pub(super) fn hash(name: &str) -> String {
    match name {
        "gambar.png" => hex::encode(Sha256::digest(picture())),
        _ => hex::encode(Sha256::digest(document())),
    }
}

/// Returns the face of a message on a phone.
fn face(message: &InboxMessage) -> String {
    let field = |name: &str| message.fields.get(name).and_then(|value| value.as_str());
    let words = match message.kind.as_str() {
        "location" => field("name"),
        "contact" => field("display_name"),
        _ => Some(message.text.as_str()),
    };
    let words = words.unwrap_or_default();
    match field("sha256") {
        Some(hash) => format!("{} {words} {hash}", message.kind),
        None => format!("{} {words}", message.kind),
    }
}
