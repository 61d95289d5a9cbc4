//! A full or broken disk. During the outage the gateway accepts no message and loses none;
//! afterwards the gateway works again by itself.

use std::time::Duration;

use e2e::disk::{Disk, DiskFault};
use e2e::eventually;
use e2e::gateway::{Bot, Gateway};
use e2e::hooks::Hooks;
use tokio::time::Instant;
use wa_sim::{Phone, PhoneSpec, Sim};

use crate::{CUSTOMER, OWNER, Rules, shows_exactly};

const OUTAGE: Duration = Duration::from_secs(4);

/// The time limit after the outage until everything works again.
const BACK_WITHIN: Duration = Duration::from_secs(5);

/// A shop with a disk that can fail.
pub(crate) struct OnDisk {
    pub(crate) sim: Sim,
    pub(crate) customer: Phone,
    pub(crate) disk: Disk,
    pub(crate) gateway: Gateway,
    pub(crate) bot: Bot,
}

impl OnDisk {
    pub(crate) async fn open() -> Self {
        let sim = Sim::start().await.unwrap();
        let owner = sim.add_phone(PhoneSpec::new(OWNER, "Toko")).await;
        let customer = sim.add_phone(PhoneSpec::new(CUSTOMER, "Ani")).await;
        let disk = Disk::prepare();
        let gateway = disk.gateway(&sim).await;
        let bot = gateway.linked_bot("toko", &owner).await;
        Self {
            sim,
            customer,
            disk,
            gateway,
            bot,
        }
    }
}

async fn accepts_and_loses_nothing_during(trouble: DiskFault) {
    let OnDisk {
        sim,
        customer,
        disk,
        mut gateway,
        bot,
    } = OnDisk::open().await;
    let hooks = Hooks::start().await;
    let rules = Rules(gateway.admin().await);
    rules.add("", &hooks.url()).await;
    let mut accepted = vec![bot.accepted(CUSTOMER, "sebelum", None).await];

    disk.fail(trouble);
    // The gateway can neither store this message nor acknowledge the message to WhatsApp.
    customer.send_text(OWNER, "apa kabar").await.unwrap();
    for n in 0..5 {
        let answer = bot.sendwa(CUSTOMER, &format!("penuh {n}"), None).await;
        assert!(!answer.status.is_success(), "{answer:?}");
        assert!(!answer.code().is_empty(), "{answer:?}");
    }
    let device = sim.devices().await.remove(0);
    assert!(
        sim.waiting(&device.id) > 0,
        "WhatsApp got an ack for a message that was not stored"
    );
    assert!(hooks.calls().is_empty());
    // The outage lasts long enough for a user to notice.
    let outage = tokio::time::timeout(OUTAGE, std::future::pending::<()>());
    outage.await.unwrap_err();
    assert!(hooks.calls().is_empty());
    assert!(!gateway.has_ended(), "{}", gateway.log());

    disk.mend();
    let mended = Instant::now();
    let id = eventually("a message to be accepted", async || {
        let answer = bot.sendwa(CUSTOMER, "sesudah", None).await;
        if answer.status.is_success() {
            Ok(answer.id())
        } else {
            Err(answer)
        }
    });
    accepted.push(id.await);
    assert!(mended.elapsed() < BACK_WITHIN, "{:?}", mended.elapsed());
    shows_exactly(&customer, &accepted).await;
    let posted = eventually("the message of the customer", async || {
        let calls = hooks.calls();
        if calls.is_empty() {
            Err(gateway.log())
        } else {
            Ok(calls)
        }
    });
    let posted = posted.await;
    assert_eq!(posted[0].json()["data"][0], "apa kabar");
    // After a restart with a working disk everything must still be there.
    gateway.kill().await;
    gateway.run().await;
    bot.wait_linked().await;
    accepted.push(bot.accepted(CUSTOMER, "besoknya", None).await);
    shows_exactly(&customer, &accepted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_full_disk_nothing_is_accepted_or_lost_and_the_gateway_recovers() {
    accepts_and_loses_nothing_during(DiskFault::Full).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_failing_disk_nothing_is_accepted_or_lost_and_the_gateway_recovers() {
    accepts_and_loses_nothing_during(DiskFault::Broken).await;
}
