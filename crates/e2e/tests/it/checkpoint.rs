//! An end in the middle of a checkpoint, where pages of the log are written into the database: nothing is lost and nothing doubled.

use std::collections::HashSet;
use std::os::unix::process::ExitStatusExt;

use e2e::disk::Trouble;
use e2e::eventually;
use e2e::gateway::Gateway;
use tokio::task::JoinSet;

use crate::disk::OnDisk;
use crate::{CUSTOMER, received};

/// Characters of a text: a few hundred of them fill the log.
const LONG: usize = 30_000;

/// More texts than the log holds before it goes into the database.
const MOST: usize = 1500;

const SIGKILL: i32 = 9;

/// Clients that send at a time.
const CLIENTS: usize = 8;

/// Sends until the gateway ends by itself; what it accepted.
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
                    // It has ended, before or after this was kept: nobody was promised anything.
                    Err(_) => return accepted,
                }
            }
            accepted
        });
    }
    let accepted = clients.join_all().await.concat();
    // Its connections end a moment before it does.
    let status = eventually("a checkpoint to end the process", async || {
        gateway.how_it_ended().ok_or("it lives")
    })
    .await;
    assert_eq!(status.signal(), Some(SIGKILL), "{status}");
    accepted
}

async fn nothing_is_lost_where_it_ends_at(moment: Trouble) {
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

    // What was promised is there. What nobody was answered may be there too, but nothing twice.
    let mut promised: HashSet<_> = accepted.into_iter().collect();
    promised.insert(after);
    let shown = eventually("what was promised on the phone", async || {
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
async fn nothing_is_lost_where_it_ends_before_the_first_page_is_written() {
    nothing_is_lost_where_it_ends_at(Trouble::EndAtWrite(1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_where_it_ends_among_the_pages() {
    nothing_is_lost_where_it_ends_at(Trouble::EndAtWrite(500)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_where_it_ends_before_the_pages_are_synced() {
    nothing_is_lost_where_it_ends_at(Trouble::EndAtSync(1)).await;
}
