//! A disk that is full or broken for some seconds.

use std::time::Duration;

use e2e::disk::{Disk, DiskFault};
use e2e::eventually;
use e2e::hooks::Hooks;
use serde_json::json;
use tokio::time::Instant;
use wa_sim::{PhoneSpec, Sim};

use crate::{CUSTOMER, OWNER};

/// The outage lasts long enough for a user to notice.
const OUTAGE: Duration = Duration::from_secs(4);

/// The number of outages; each takes seconds.
pub(crate) const MOST: usize = 6;

/// Returns two times: until messages are accepted again, and until the customer's message from the
/// outage is posted.
pub(crate) async fn outage(n: usize) -> (Duration, Duration) {
    let trouble = [DiskFault::Full, DiskFault::Broken][n % 2];
    let sim = Sim::start().await.expect("a simulator");
    let owner = sim.add_phone(PhoneSpec::new(OWNER, "Toko")).await;
    let customer = sim.add_phone(PhoneSpec::new(CUSTOMER, "Ani")).await;
    let disk = Disk::prepare();
    let gateway = disk.gateway(&sim).await;
    let bot = gateway.linked_bot("toko", &owner).await;
    let hooks = Hooks::start().await;
    let rule = json!({"keyword": "", "url": hooks.url()});
    let admin = gateway.admin().await;
    admin.post("/v1/bots/toko/rules", rule).await;

    disk.fail(trouble);
    let sent = customer.send_text(OWNER, "apa kabar").await;
    sent.expect("the customer's phone sends");
    let nothing = std::future::pending::<()>();
    let _ = tokio::time::timeout(OUTAGE, nothing).await;
    assert!(hooks.calls().is_empty(), "posted without being kept");
    let refused = bot.sendwa(CUSTOMER, "penuh", None).await;
    assert!(!refused.status.is_success(), "{refused:?}");

    disk.mend();
    let mended = Instant::now();
    let accepts = eventually("a message to be accepted", async || {
        let answer = bot.sendwa(CUSTOMER, "sesudah", None).await;
        if answer.status.is_success() {
            Ok(mended.elapsed())
        } else {
            Err(answer)
        }
    });
    let posts = eventually("what the customer wrote to be posted", async || {
        if hooks.calls().is_empty() {
            Err("not yet")
        } else {
            Ok(mended.elapsed())
        }
    });
    tokio::join!(accepts, posts)
}
