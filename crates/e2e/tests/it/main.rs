//! End-to-end tests of the promises to users: the released gateway binary, a simulated WhatsApp
//! server and virtual phones.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    reason = "tests fail by panicking"
)]

mod accounts;
mod acks;
mod api;
mod canary;
mod checkpoint;
mod clients;
mod clock;
mod disk;
mod durable;
mod events;
mod groups;
mod handshake;
mod kills;
mod kinds;
mod link;
mod media;
mod tls;
mod torture;
mod upgrade;
mod webhooks;

use std::time::Duration;

use e2e::gateway::{Admin, Bot, Gateway};
use e2e::{PATIENCE, eventually};
use wa_sim::{InboxMessage, Phone, PhoneSpec, Sim};

/// A simulator, a gateway with one linked bot, and a customer.
struct Shop {
    sim: Sim,
    gateway: Gateway,
    bot: Bot,
    owner: Phone,
    customer: Phone,
}

const OWNER: &str = "6281200000001";
const CUSTOMER: &str = "6281300000001";

impl Shop {
    async fn open() -> Self {
        let sim = Sim::start().await.unwrap();
        let url = sim.wss_url();
        Self::open_at(sim, &url).await
    }

    /// Opens a shop whose gateway connects to the simulator through `link_url`.
    async fn open_at(sim: Sim, link_url: &str) -> Self {
        let owner = sim.add_phone(PhoneSpec::new(OWNER, "Toko")).await;
        let customer = sim.add_phone(PhoneSpec::new(CUSTOMER, "Ani")).await;
        let gateway = Gateway::start(&sim, link_url).await;
        let bot = gateway.linked_bot("toko", &owner).await;
        Self {
            sim,
            gateway,
            bot,
            owner,
            customer,
        }
    }
}

/// The rules of the shop's bot, managed with the administration API.
struct Rules(Admin);

impl Shop {
    async fn rules(&self) -> Rules {
        Rules(self.gateway.admin().await)
    }
}

impl Rules {
    async fn add(&self, keyword: &str, url: &str) -> serde_json::Value {
        let rule = serde_json::json!({"keyword": keyword, "url": url});
        self.0.post("/v1/bots/toko/rules", rule).await
    }

    async fn webhook_key(&self) -> String {
        let answer = self.0.get("/v1/bots/toko/webhook-key").await;
        answer["webhook_key"].as_str().unwrap().to_owned()
    }

    async fn signing_secret(&self) -> String {
        let answer = self.0.get("/v1/bots/toko/signing-secret").await;
        answer["signing_secret"].as_str().unwrap().to_owned()
    }
}

/// Returns the messages that the phone received from others, oldest first.
async fn received(phone: &Phone) -> Vec<InboxMessage> {
    let mut inbox = phone.inbox().await;
    inbox.retain(|message| !message.from_me);
    inbox
}

/// Waits until the phone shows the message, and returns the message.
async fn shown(phone: &Phone, id: &str) -> InboxMessage {
    let id = id.to_owned();
    phone
        .wait_for(PATIENCE, move |message| message.id == id)
        .await
        .unwrap()
}

/// Waits until the phone shows exactly these messages, each once, in any order.
async fn shows_exactly(phone: &Phone, ids: &[String]) {
    let mut expected = ids.to_vec();
    expected.sort();
    eventually("every accepted message on the phone, once", async || {
        let mut seen: Vec<_> = received(phone).await.into_iter().map(|m| m.id).collect();
        seen.sort();
        if seen == expected {
            Ok(())
        } else {
            Err(format!(
                "{} shown of {} accepted",
                seen.len(),
                expected.len()
            ))
        }
    })
    .await;
}

/// Measures the duration of a future.
async fn timed<T>(what: impl Future<Output = T>) -> (T, Duration) {
    let began = tokio::time::Instant::now();
    let done = what.await;
    (done, began.elapsed())
}
