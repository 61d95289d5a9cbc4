//! Measures the recovery time after failures:
//! `cargo run --release -p e2e --example recovery -- --times 20`.
//!
//! The failures: the link is silent and then reset during a burst of messages; the account is
//! logged out while the link is down and the queue is full; the disk is full or broken for some
//! seconds. The program prints the duration of each recovery and fails if a duration exceeds its
//! mark or a message is lost.
#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::panic,
    reason = "an example reports and fails on the terminal"
)]

mod disk;
mod wire;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use e2e::eventually;
use e2e::gateway::{Bot, Gateway};
use e2e::proxy::{Mode, Proxy};
use e2e::receiver::Receiver;
use tokio::time::Instant;
use wa_sim::{Phone, PhoneSpec, Sim};
use wire::Wire;

const OWNER: &str = "6281200000001";
const CUSTOMER: &str = "6281300000001";

/// Messages per burst; the link falls silent in the middle.
const BURST: usize = 20;

/// Waiting messages at the logout of the account.
const QUEUE: usize = 500;

/// A shop behind a proxy that can break the link.
struct Shop {
    wire: Wire,
    proxy: Proxy,
    bot: Bot,
    owner: Phone,
    receiver: Receiver,
    /// Kept because dropping the gateway ends its process.
    _gateway: Gateway,
}

/// The effects of a silent link.
struct Silence {
    /// The time from the reset to the next login.
    login: Duration,
    /// The time from the login until the last unacked message was resent.
    resend: Duration,
    /// The number of messages resent although the gateway knew their acks.
    again: usize,
}

/// Measures the recovery time after failures of the link, the account and the disk.
#[derive(Parser)]
struct Arguments {
    /// The number of failures of the link, and of the disk (at most six).
    #[arg(long, default_value_t = 20)]
    times: usize,
}

#[tokio::main]
async fn main() -> ExitCode {
    let times = Arguments::parse().times;
    let shop = Shop::open().await;
    println!("{times} times each; middle and longest, milliseconds");
    let (mut logins, mut resends, mut again) = (Vec::new(), Vec::new(), 0);
    for n in 0..times {
        let silence = shop.silence(n).await;
        logins.push(silence.login);
        resends.push(silence.resend);
        again += silence.again;
    }
    let mut well = true;
    well &= show("a link that was cut is back", &mut logins, None);
    well &= show("what was unacked is out again", &mut resends, Some(2));
    println!("written again though known as taken {again:>8} (mark 0)");
    let (reported, late) = shop.logout().await;
    well &= show("500 waiting reported as failed", &mut [reported], Some(10));
    println!("of them written after linking anew  {late:>8} (mark 0)");
    let (mut accepts, mut questions) = (Vec::new(), Vec::new());
    for n in 0..times.min(disk::MOST) {
        let (accept, question) = disk::outage(n).await;
        accepts.push(accept);
        questions.push(question);
    }
    well &= show("the disk is back: accepts", &mut accepts, Some(5));
    well &= show("and posts what came meanwhile", &mut questions, Some(5));
    if well && again == 0 && late == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

impl Shop {
    async fn open() -> Self {
        let sim = Sim::start().await.expect("a simulator");
        let wire = Wire::follow(&sim);
        let proxy = Proxy::start(sim.addr()).await;
        let owner = sim.add_phone(PhoneSpec::new(OWNER, "Toko")).await;
        sim.add_phone(PhoneSpec::new(CUSTOMER, "Ani")).await;
        let gateway = Gateway::start(&sim, &proxy.wss_url()).await;
        let bot = gateway.linked_bot("toko", &owner).await;
        Self {
            wire,
            proxy,
            bot,
            owner,
            receiver: Receiver::start().await,
            _gateway: gateway,
        }
    }

    /// Makes the link silent in the middle of a burst and then resets the link.
    async fn silence(&self, n: usize) -> Silence {
        let mut ids = Vec::new();
        for message in 0..BURST {
            if message == BURST / 2 {
                self.proxy.set(Mode::Stall);
            }
            let text = format!("pesan {n} {message}");
            let url = Some(self.receiver.url());
            ids.push(self.bot.accepted(CUSTOMER, &text, url).await);
        }
        let known = ids.iter().filter(|id| !self.receiver.acks(id).is_empty());
        let taken: Vec<_> = known.map(|id| (id, self.wire.times_written(id))).collect();
        let cut = Instant::now();
        self.proxy.cut();
        self.proxy.set(Mode::Pass);
        eventually("every message to be acknowledged", async || {
            let missing = ids.iter().filter(|id| !self.wire.is_acked(id)).count();
            if missing == 0 { Ok(()) } else { Err(missing) }
        })
        .await;
        let login = self.wire.login_after(cut).expect("it logged in");
        let out = self.wire.last_written(&ids).expect("they were written");
        let again = |(id, before): &&(&String, usize)| self.wire.times_written(id) > *before;
        Silence {
            login: login - cut,
            resend: out.saturating_duration_since(login),
            again: taken.iter().filter(again).count(),
        }
    }

    /// Logs the account out while the link is down. Returns the time until every waiting message is
    /// reported as failed, and the number of waiting messages sent after the bot is linked again.
    async fn logout(&self) -> (Duration, usize) {
        let (receiver, wire) = (&self.receiver, &self.wire);
        self.proxy.set(Mode::Refuse);
        self.proxy.cut();
        let mut ids = Vec::new();
        for n in 0..QUEUE {
            let text = format!("antre {n}");
            ids.push(
                self.bot
                    .accepted(CUSTOMER, &text, Some(receiver.url()))
                    .await,
            );
        }
        self.owner.logout_devices().await;
        let back = Instant::now();
        self.proxy.set(Mode::Pass);
        eventually(
            "every message to be reported as failed",
            async || match receiver.count(-1) {
                QUEUE => Ok(()),
                reported => Err(reported),
            },
        )
        .await;
        let reported = back.elapsed();
        self.bot.link(&self.owner).await;
        let after = self.bot.accepted(CUSTOMER, "terhubung lagi", None).await;
        eventually("a message of the new link", async || {
            if wire.is_acked(&after) {
                Ok(())
            } else {
                Err("not yet")
            }
        })
        .await;
        assert_eq!(receiver.count(-1), QUEUE, "each is reported once");
        let written = ids.iter().filter(|id| wire.times_written(id) > 0);
        (reported, written.count())
    }
}

/// Prints the figures. Returns whether the longest time is within the mark, in seconds.
fn show(what: &str, spans: &mut [Duration], mark: Option<u64>) -> bool {
    spans.sort_unstable();
    let middle = spans.get(spans.len() / 2).map_or(0, Duration::as_millis);
    let longest = spans.last().map_or(0, Duration::as_millis);
    let wanted = mark.map_or(String::new(), |mark| format!(" (mark {})", mark * 1000));
    println!("{what:34} {middle:>8} {longest:>8}{wanted}");
    mark.is_none_or(|mark| longest <= u128::from(mark) * 1000)
}
