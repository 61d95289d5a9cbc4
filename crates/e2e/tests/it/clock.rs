//! Changes the machine's clock while the gateway runs. The process must not end, no work may stall,
//! and no endpoint may be flooded.

use std::collections::HashMap;
use std::time::Duration;

use e2e::clock::MachineClock;
use e2e::eventually;
use e2e::gateway::{Bot, Gateway, Server};
use e2e::hooks::{Answer, Hooks};
use e2e::proxy::{Mode, Proxy};
use tokio::time::timeout;
use wa_sim::{Phone, PhoneSpec, Sim};

use crate::{CUSTOMER, OWNER, Rules, received, shown};

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

/// Ten seconds before a 32-bit clock overflows.
const END_OF_32_BITS: i64 = 0x7fff_ffff - 10;

/// The number of messages with callbacks that wait for the next attempt at the change of the clock.
const WAITING: usize = 20;

/// The limit of concurrent requests to a failing endpoint; see docs/webhooks.md.
const CAP: usize = 2;

/// The change of the clock.
#[derive(Clone, Copy)]
enum Step {
    Forward(i64),
    Back(i64),
    To(i64),
}

/// The gateway accepts messages for this time without a connection.
const GRACE: &str = "delivery.grace_s = 600";

/// A shop with an adjustable clock and failing endpoints.
struct Machine {
    clock: MachineClock,
    gateway: Gateway,
    bot: Bot,
    customer: Phone,
    proxy: Proxy,
    hooks: Hooks,
    _sim: Sim,
}

impl Machine {
    async fn start() -> Self {
        let sim = Sim::start().await.unwrap();
        let proxy = Proxy::start(sim.addr()).await;
        let owner = sim.add_phone(PhoneSpec::new(OWNER, "Toko")).await;
        let customer = sim.add_phone(PhoneSpec::new(CUSTOMER, "Ani")).await;
        let clock = MachineClock::prepare();
        let server = Server::of(&sim, &proxy.wss_url());
        let environment = clock.environment();
        let mut gateway = Gateway::prepare(&server, GRACE, environment);
        gateway.run().await;
        let bot = gateway.linked_bot("toko", &owner).await;
        let hooks = Hooks::start().await;
        hooks.answer(Answer::Fixed(500, String::new()));
        Self {
            clock,
            gateway,
            bot,
            customer,
            proxy,
            hooks,
            _sim: sim,
        }
    }

    /// Sends [`WAITING`] messages and waits until each callback has failed at least once.
    async fn send_with_failing_callbacks(&self, name: &str) -> Vec<String> {
        let mut ids = Vec::new();
        for n in 0..WAITING {
            let (text, url) = (format!("{name} {n}"), self.hooks.url());
            ids.push(self.bot.accepted(CUSTOMER, &text, Some(&url)).await);
        }
        self.each_called(&ids, 1).await;
        ids
    }

    /// Returns the number of callback attempts for each message.
    fn calls(&self) -> HashMap<String, usize> {
        let mut calls = HashMap::new();
        for call in self.hooks.calls() {
            let id = call.json()["msgid"].as_str().unwrap_or_default().to_owned();
            *calls.entry(id).or_default() += 1;
        }
        calls
    }

    async fn each_called(&self, ids: &[String], times: usize) {
        eventually("callbacks of every message", async || {
            let calls = self.calls();
            let of = |id: &String| calls.get(id).copied().unwrap_or_default();
            if ids.iter().all(|id| of(id) >= times) {
                Ok(())
            } else {
                Err(calls.into_values().collect::<Vec<_>>())
            }
        })
        .await;
    }

    /// Checks that a message goes out, its acks arrive, a customer's message is posted to the
    /// webhook, and the signature carries the current time of the clock.
    async fn works(&self, name: &str) {
        let hooks = Hooks::start().await;
        let rules = Rules(self.gateway.admin().await);
        let keyword = format!("{name}#");
        rules.add(&keyword, &hooks.url()).await;
        let id = self.bot.accepted(CUSTOMER, name, Some(&hooks.url())).await;
        shown(&self.customer, &id).await;
        self.customer
            .send_text(OWNER, &format!("{keyword}a"))
            .await
            .unwrap();
        // The callbacks of acks 1 and 2, and the webhook call.
        hooks.wait_calls(3).await;
        let signed_at = hooks.calls()[0].header("webhook-timestamp").to_owned();
        let signed_at: i64 = signed_at.parse().unwrap();
        let ahead = signed_at - self.clock.now();
        assert!((-60..=1).contains(&ahead), "signed {ahead} s ahead");
    }

    async fn restart(&mut self) {
        self.gateway.kill().await;
        self.gateway.run().await;
        self.bot.wait_linked().await;
    }
}

/// Changes the clock while callbacks wait, then restarts the gateway with the changed clock.
async fn continues_after(step: Step) {
    let mut machine = Machine::start().await;
    let ids = machine.send_with_failing_callbacks("satu").await;
    // Even if many callbacks become due at once, the calls stay within the limit.
    machine.hooks.answers(false);
    let before = machine.hooks.calls().len();
    match step {
        Step::Forward(seconds) => machine.clock.shift(seconds),
        Step::Back(seconds) => machine.clock.shift(-seconds),
        Step::To(moment) => machine.clock.set(moment),
    }
    eventually("an attempt", async || {
        let more = machine.hooks.calls().len() - before;
        if more > 0 { Ok(()) } else { Err(()) }
    })
    .await;
    // One second is long enough to see a flood.
    let nothing = std::future::pending::<()>();
    timeout(Duration::from_secs(1), nothing).await.unwrap_err();
    let under_way = machine.hooks.calls().len() - before;
    assert!(under_way <= CAP, "{under_way} under way");
    machine.hooks.answers(true);
    machine.each_called(&ids, 2).await;
    let most = machine.calls().into_values().max();
    // Besides the first attempt, one attempt was already due and one follows from the change of the
    // clock.
    assert!(most <= Some(3), "{most:?} attempts");
    machine.works("berjalan").await;

    machine.restart().await;
    if matches!(step, Step::Back(_)) {
        // The stored retry times were computed before the change and now lie far in the future. The
        // restarted gateway must not wait so long.
        machine.each_called(&ids, 3).await;
    }
    machine.works("mulai").await;
    for id in &ids {
        shown(&machine.customer, id).await;
    }
    let texts = received(&machine.customer).await;
    assert_eq!(texts.len(), WAITING + 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_hour_forward_costs_one_early_attempt() {
    continues_after(Step::Forward(HOUR)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_forward_costs_one_early_attempt() {
    continues_after(Step::Forward(DAY)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_hour_back_delays_no_message_by_an_hour() {
    continues_after(Step::Back(HOUR)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_back_delays_no_message_by_a_day() {
    continues_after(Step::Back(DAY)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_beyond_32_bits_changes_nothing() {
    continues_after(Step::To(END_OF_32_BITS)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_waits_for_the_link_is_sent_after_any_change_of_the_clock() {
    let machine = Machine::start().await;
    // The first message also looks up the customer's number.
    let mut ids = vec![machine.bot.accepted(CUSTOMER, "halo", None).await];
    shown(&machine.customer, &ids[0]).await;
    machine.proxy.set(Mode::Refuse);
    for (n, shift) in [3 * DAY, -3 * DAY, 0, 400 * DAY].into_iter().enumerate() {
        let text = n.to_string();
        ids.push(machine.bot.accepted(CUSTOMER, &text, None).await);
        machine.clock.shift(shift);
    }
    machine.proxy.set(Mode::Pass);
    for id in &ids {
        shown(&machine.customer, id).await;
    }
    let order: Vec<String> = received(&machine.customer)
        .await
        .into_iter()
        .map(|message| message.text)
        .collect();
    assert_eq!(order, ["halo", "0", "1", "2", "3"]);
}
