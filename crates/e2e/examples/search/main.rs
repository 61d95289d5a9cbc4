//! Measures the dashboard's search for messages:
//! `cargo run --release -p e2e --example search -- --messages 100000`.
//!
//! A bot and its customers exchange the messages over the real protocol; the customers write a
//! tenth. Then the program searches by id, by number, by state and by words, several times each,
//! and requests the pages as a browser does.
#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "an example reports and fails on the terminal"
)]

use std::time::Duration;

use clap::Parser;
use e2e::gateway::{Admin, Bot, Gateway, http_client};
use futures::{StreamExt, TryStreamExt};
use serde_json::json;
use tokio::time::Instant;
use wa_sim::{Phone, PhoneSpec, Sim};

/// The number of customers that share the messages.
const CUSTOMERS: usize = 40;

/// Concurrent sends.
const SIDE_BY_SIDE: usize = 32;

/// Every tenth message comes from a customer.
const HEARD: usize = 10;

/// Requests per page.
const TIMES: usize = 30;

/// The highest allowed time of a page in milliseconds.
const MARK: f64 = 200.0;

/// Words in the oldest message only, so the search reads all other messages first.
const RARE: &str = "kembalian ganjil";

const PASSWORD: &str = "kata sandi yang panjang";

/// Measures the dashboard's search for messages.
#[derive(Parser)]
struct Arguments {
    /// The number of messages; customers write a tenth of the messages.
    #[arg(long, default_value_t = 100_000)]
    messages: usize,
}

#[tokio::main]
async fn main() {
    let messages = Arguments::parse().messages;
    let sim = Sim::builder().inbox_limit(100).start().await;
    let sim = sim.expect("a simulator");
    let owner = sim.add_phone(PhoneSpec::new("6281200000001", "Toko")).await;
    let mut customers = Vec::new();
    for n in 0..CUSTOMERS {
        let spec = PhoneSpec::new(number(n), "Pelanggan");
        customers.push(sim.add_phone(spec).await);
    }
    let gateway = Gateway::start(&sim, &sim.wss_url()).await;
    let bot = gateway.linked_bot("toko", &owner).await;
    let admin = gateway.admin().await;
    let user = json!({"name": "ani", "password": PASSWORD, "role": "admin"});
    admin.post("/v1/users", user).await;
    let cookie = admin.log_in("ani", PASSWORD).await.expect("she may log in");

    let first = bot.accepted(&number(0), RARE, None).await;
    write(&bot, &customers, messages).await;
    quiet(&admin).await;

    let pages = [
        ("by id", first.as_str(), 1),
        ("by number", &number(7), 1),
        ("a word of all", "pesanan", 1),
        ("a word of one", RARE, 1),
        ("a word of none", "tidak pernah ditulis", 0),
        ("in other letters", "KEMBALIAN GANJIL", 1),
    ];
    println!("{messages} messages, each page {TIMES} times, milliseconds (mark {MARK}):");
    for (what, words, least) in pages {
        let words: String = words.replace(' ', "+");
        let path = format!("/dashboard/bots/1/messages?q={words}");
        let url = format!("{}{path}", gateway.url());
        let mut took = Vec::with_capacity(TIMES);
        for _ in 0..TIMES {
            let began = Instant::now();
            let page = http_client().get(&url).header("cookie", &cookie).send();
            let page = page.await.expect("the dashboard answers");
            assert!(page.status().is_success(), "{}", page.status());
            let text = page.text().await.expect("a page");
            took.push(began.elapsed().as_secs_f64() * 1000.0);
            let found = text.matches("/dashboard/bots/1/messages/").count();
            assert!(
                found >= least && (least > 0 || found == 0),
                "{what}: {found}"
            );
        }
        took.sort_by(f64::total_cmp);
        let (middle, slowest) = (took[TIMES / 2], took[TIMES - 1]);
        let held = if slowest <= MARK { "" } else { "  not met" };
        println!("{what:18} middle {middle:6.1}, slowest {slowest:6.1}{held}");
    }
}

/// Sends the messages; customers write a tenth of them.
async fn write(bot: &Bot, customers: &[Phone], messages: usize) {
    futures::stream::iter(0..messages)
        .map(|n| async move {
            let text = format!(
                "Pesanan {n} atas nama pelanggan kami sudah siap diambil; totalnya Rp {}.000.",
                n % 900 + 10
            );
            if n % HEARD == 0 {
                let phone = &customers[n % CUSTOMERS];
                phone.send_text("6281200000001", &text).await.map(drop)
            } else {
                bot.accepted(&number(n % CUSTOMERS), &text, None).await;
                Ok(())
            }
        })
        .buffer_unordered(SIDE_BY_SIDE)
        .try_collect::<()>()
        .await
        .expect("a customer's phone sends");
}

/// Waits until WhatsApp has acked every message.
async fn quiet(admin: &Admin) {
    let latest = Instant::now() + Duration::from_mins(10);
    while admin
        .get("/v1/bots/toko/messages?state=pending&limit=1")
        .await["data"]
        != json!([])
    {
        assert!(Instant::now() < latest, "the queue is never empty");
        let nothing = std::future::pending::<()>();
        let _ = tokio::time::timeout(Duration::from_millis(200), nothing).await;
    }
}

fn number(n: usize) -> String {
    format!("62813{n:08}")
}
