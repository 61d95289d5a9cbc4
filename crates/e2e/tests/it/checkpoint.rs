//! Kills the gateway during a checkpoint, while SQLite copies pages from the write-ahead log into
//! the database. No message may be lost or sent twice.

use std::collections::HashSet;
use std::os::unix::process::ExitStatusExt;

use e2e::disk::DiskFault;
use e2e::eventually;
use e2e::gateway::Gateway;
use tokio::task::JoinSet;

use crate::disk::OnDisk;
use crate::{CUSTOMER, received};

/// Characters per text: a few hundred texts fill the write-ahead log.
const LONG: usize = 30_000;

/// More texts than the write-ahead log holds before a checkpoint.
const MOST: usize = 1500;

const SIGKILL: i32 = 9;

/// Concurrent clients.
const CLIENTS: usize = 8;

/// Sends until the gateway ends by itself; returns the ids of the accepted messages.
async fn send_until_it_ends(gateway: &mut Gateway, key: &str) -> Vec<String> {
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let bot = gateway.bot(key);
        clients.spawn(async move {
            let mut accepted = Vec::new();
            for n in (client..MOST).step_by(CLIENTS) {
                let text = format!("{n} {}", "panjang ".repeat(LONG / 8));
                let body = serde_json::json!({"nohp": CUSTOMER, "pesan": text});
                match bot.try_call("/api/sendwa", body).await {
                    Ok(answer) if answer.status.is_success() => accepted.push(answer.id()),
                    Ok(answer) => panic!("refused: {answer:?}"),
                    // The gateway ended before or after storing this message. The client got no
                    // answer, so both are allowed.
                    Err(_) => return accepted,
                }
            }
            accepted
        });
    }
    let accepted = clients.join_all().await.concat();
    // The connections end a moment before the process.
    let status = eventually("a checkpoint to end the process", async || {
        gateway.how_it_ended().ok_or("it lives")
    })
    .await;
    assert_eq!(status.signal(), Some(SIGKILL), "{status}");
    accepted
}

async fn nothing_is_lost_where_it_ends_at(moment: DiskFault) {
    let OnDisk {
        sim: _sim,
        customer,
        disk,
        mut gateway,
        bot,
    } = OnDisk::open().await;

    disk.fail(moment);
    let accepted = send_until_it_ends(&mut gateway, &bot.key).await;
    assert!(accepted.len() > 100, "{}", accepted.len());
    disk.mend();
    gateway.run().await;
    bot.wait_linked().await;
    let after = bot.accepted(CUSTOMER, "sesudah", None).await;

    // Every accepted message must be on the phone. A message without an answer may be there too,
    // but no message twice.
    let mut promised: HashSet<_> = accepted.into_iter().collect();
    promised.insert(after);
    let shown = eventually("the accepted messages on the phone", async || {
        let inbox = received(&customer).await;
        let ids: HashSet<_> = inbox.iter().map(|message| message.id.clone()).collect();
        match promised.difference(&ids).count() {
            0 => Ok(inbox),
            missing => Err(format!("{missing} are missing")),
        }
    })
    .await;
    let numbers: HashSet<_> = shown.iter().map(|message| &message.text).collect();
    assert_eq!(numbers.len(), shown.len(), "one is there twice");
    assert!(shown.len() <= promised.len() + CLIENTS, "{}", shown.len());
    assert!(gateway.has_sound_database().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_if_it_ends_before_the_first_page_is_written() {
    nothing_is_lost_where_it_ends_at(DiskFault::EndAtWrite(1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_if_it_ends_between_the_pages() {
    nothing_is_lost_where_it_ends_at(DiskFault::EndAtWrite(500)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_if_it_ends_before_the_pages_are_synced() {
    nothing_is_lost_where_it_ends_at(DiskFault::EndAtSync(1)).await;
}
