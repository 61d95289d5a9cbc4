//! The states of a link, each with its cause.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use wa_sim::{Ban, Drop, InboxMessage};
use waviro_link::{LinkError, Status, UnlinkedCause};

use crate::{CUSTOMER, PATIENCE, World, text_to_customer};

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_is_seen_at_once_and_healed() {
    let world = World::linked().await;
    let device = world.sim.devices().await.remove(0).id;
    for (n, how) in [Drop::Abrupt, Drop::Clean].into_iter().enumerate() {
        assert!(world.sim.drop_device(&device, how).await);
        let cuts = |reports: &crate::Reports| {
            let seen = reports
                .states
                .iter()
                .filter(|s| matches!(s, Status::Reconnecting { .. }));
            (seen.count() > n).then_some(())
        };
        world.recorder.wait("the cut", cuts).await;
        world.online().await;
    }
    world.send("3EB00000000000000004", "sesudah putus").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logout_on_the_phone_unlinks_and_a_new_scan_links_again() {
    let world = World::linked().await;
    world.owner.logout_devices().await;
    world
        .recorder
        .wait_state("logged out", |s| {
            matches!(s, Status::Unlinked(UnlinkedCause::LoggedOut(_)))
        })
        .await;
    assert_eq!(world.link.identity(), None);
    let refused = world
        .link
        .send(&text_to_customer("3EB00000000000000005", "halo"), false)
        .await;
    assert!(matches!(refused, Err(LinkError::Offline)), "{refused:?}");
    world.scan().await;
    world.send("3EB00000000000000006", "terhubung lagi").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ban_says_until_when_and_the_link_stays_off() {
    let world = World::linked().await;
    let device = world.sim.devices().await.remove(0).id;
    world.sim.faults().ban(
        crate::OWNER,
        Ban {
            code: 101,
            expire_s: 3600,
        },
    );
    world.sim.drop_device(&device, Drop::Clean).await;
    let state = world
        .recorder
        .wait_state("the ban", |s| matches!(s, Status::Banned { .. }))
        .await;
    let Status::Banned { reason, until } = state else {
        unreachable!()
    };
    assert!(reason.starts_with("101"), "{reason}");
    let left = until
        .unwrap()
        .duration_since(std::time::SystemTime::now())
        .unwrap();
    assert!(
        left > Duration::from_secs(3500) && left <= Duration::from_hours(1),
        "{left:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outdated_client_says_so() {
    let world = World::linked().await;
    let device = world.sim.devices().await.remove(0).id;
    world.sim.faults().set_outdated(true);
    world.sim.drop_device(&device, Drop::Clean).await;
    world
        .recorder
        .wait_state("outdated", |s| *s == Status::ClientOutdated)
        .await;
    world.sim.faults().set_outdated(false);
    world.link.reconnect().await;
    world.online().await;
}

/// There are more receipts than the links have threads, and all wait for a lock held by another
/// task of the gateway. One bot may block only a few threads, because the socket is not read while
/// the receipts wait.
#[tokio::test(flavor = "multi_thread")]
async fn receipts_that_wait_hold_few_threads_and_let_the_gateway_go_on() {
    const MESSAGES: usize = 700;
    let world = World::linked().await;
    world.customer.set_online(false);
    for n in 0..MESSAGES {
        world.send(&format!("3EB0{n:016}"), "hari libur").await;
    }
    let acked = |reports: &crate::Reports| (reports.acks.len() == MESSAGES).then_some(());
    world.recorder.wait("every ack", acked).await;
    let recorder = &world.recorder;
    recorder.hold_database.store(true, Ordering::SeqCst);
    let written = world.owner.send_text(CUSTOMER, "dari kasir").await.unwrap();
    let kept = |_: &crate::Reports| recorder.database.try_lock().is_err().then_some(());
    recorder.wait("a waiting commit", kept).await;
    world.customer.set_online(true);
    let begun = || recorder.receipts_begun.load(Ordering::SeqCst);
    let many = |_: &crate::Reports| (begun() >= 60).then_some(());
    recorder.wait("receipts that wait", many).await;
    let device = world.sim.devices().await.remove(0).id;
    let sent = |_: &crate::Reports| (world.sim.waiting(&device) > MESSAGES).then_some(());
    recorder.wait("every receipt at the server", sent).await;
    // Only the receipts of a few frames; the simulator puts 64 stanzas into a frame.
    assert!(begun() < 300, "{} receipts wait at once", begun());
    recorder.release_database.notify_one();
    recorder.message(&written).await;
    let all = |reports: &crate::Reports| {
        let ids = reports.receipts.iter().map(|receipt| receipt.ids.len());
        (ids.sum::<usize>() >= MESSAGES).then_some(())
    };
    recorder.wait("every receipt", all).await;
}

/// The library waits for prekeys that never arrive, and then the connection is reset.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_to_be_written_ends_with_its_connection() {
    let world = World::linked().await;
    let device = world.sim.devices().await.remove(0).id;
    world.sim.faults().stall(&device, true);
    let link = Arc::clone(&world.link);
    let sending = async move {
        let message = text_to_customer("3EB00000000000000044", "kedua");
        link.send(&message, false).await
    };
    let cutting = async {
        // Waits until the library has sent the request for the customer's devices.
        tokio::time::timeout(Duration::from_millis(300), std::future::pending::<()>())
            .await
            .unwrap_err();
        world.sim.faults().stall(&device, false);
        assert!(world.sim.drop_device(&device, Drop::Abrupt).await);
    };
    let (sent, ()) = tokio::join!(sending, cutting);
    assert!(matches!(sent, Err(LinkError::Offline)), "{sent:?}");
    world.online().await;
    // The caller decides the order of the resends: the phone shows only this message until the
    // other is resent.
    world.send("3EB00000000000000045", "pertama").await;
    world.send("3EB00000000000000044", "kedua").await;
    let last = |shown: &InboxMessage| shown.id == "3EB00000000000000044";
    world.customer.wait_for(PATIENCE, last).await.unwrap();
    let inbox = world.customer.inbox().await;
    let ids: Vec<&str> = inbox.iter().map(|shown| shown.id.as_str()).collect();
    assert_eq!(ids, ["3EB00000000000000045", "3EB00000000000000044"]);
    assert_eq!(world.customer.duplicates(), 0);
}
