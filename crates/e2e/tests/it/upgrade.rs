//! An upgrade from the data folder of an earlier release.
//!
//! `fixtures/data-0.1.0.tar.gz` was made by `fixtures/make-data-folder` with the binaries of the
//! release. The archive has the data folders of the gateway and of the simulator, and `facts.json`.

use std::path::Path;
use std::process::Command;

use e2e::eventually;
use e2e::gateway::{Gateway, Server};
use e2e::hooks::Hooks;
use e2e::receiver::Receiver;
use serde_json::Value;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use wa_sim::Sim;

use crate::{CUSTOMER, shown};

/// The release that made the archive, in the order of the versions.
const RELEASES: [&str; 1] = ["data-0.1.0.tar.gz"];

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_continues_with_the_data_folder_of_an_earlier_release() {
    for release in RELEASES {
        let old = tempfile::tempdir().unwrap();
        unpack(release, old.path());
        let facts = std::fs::read(old.path().join("facts.json")).unwrap();
        let facts: Value = serde_json::from_slice(&facts).unwrap();
        let sim = Sim::builder()
            .data_dir(old.path().join("sim"))
            .start()
            .await
            .unwrap();
        let (receiver, hooks) = (Receiver::start().await, Hooks::start().await);
        let mut gateway = Gateway::prepare(&Server::of(&sim, &sim.wss_url()), "", Vec::new());
        copy(&old.path().join("data"), &gateway.folder().join("data"));
        let host = facts["host"].as_str().unwrap();
        point_to(&gateway, host, receiver.url(), &hooks.url()).await;
        gateway.run().await;

        let admin = gateway.admin().await.with(facts["token"].as_str().unwrap());
        eventually("the bot to be online", async || {
            let bot = admin.get("/v1/bots/1").await;
            match bot["state"].as_str() {
                Some("online") => Ok(()),
                _ => Err(bot),
            }
        })
        .await;
        let mut now = Vec::new();
        for direction in ["out", "in"] {
            let path = format!("/v1/bots/1/messages?direction={direction}&limit=100");
            let page = admin.get(&path).await;
            now.extend(page["data"].as_array().unwrap().clone());
        }
        listed_as_before(&now, &facts);

        // The webhook that the earlier release could not post is posted.
        hooks.wait_calls(1).await;

        // A waiting callback and the receipts that the customer's phone sends now are posted.
        let waiting = facts["waiting"].as_str().unwrap();
        let customer = sim.find_phone(CUSTOMER).unwrap();
        customer.set_online(true);
        receiver.wait_acks(waiting, &[1, 2, 3]).await;

        // The idempotency key of the earlier release is still known.
        // A repeated request has the same bytes.
        let body = r#"{"to": "6281300000001", "text": "dengan kunci"}"#;
        let again = admin
            .post_with_key("/v1/bots/1/messages", "pesanan-1", body)
            .await;
        assert_eq!(again["id"], facts["with_key"]);

        // The key of the bot is valid, and the bot sends.
        let bot = gateway.bot(facts["secret"].as_str().unwrap());
        let id = bot
            .accepted(CUSTOMER, "sesudah upgrade", Some(receiver.url()))
            .await;
        shown(&customer, &id).await;
        receiver.wait_acks(&id, &[1, 2, 3]).await;
    }
}

fn unpack(archive: &str, to: &Path) {
    let archive = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures")
        .join(archive);
    let tar = Command::new("tar")
        .arg("xzf")
        .arg(archive)
        .arg("-C")
        .arg(to)
        .status();
    assert!(tar.unwrap().success(), "tar failed");
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-r").arg(from).arg(to).status();
    assert!(copied.unwrap().success(), "cp failed");
}

/// Points the URLs in the database from the endpoint of the script to the endpoints of the test.
async fn point_to(gateway: &Gateway, host: &str, receiver: &str, hooks: &str) {
    let file = gateway.folder().join("data/waviro.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
    let mut database = options.connect().await.unwrap();
    for (table, column) in [
        ("messages", "notify_url"),
        ("deliveries", "url"),
        ("rules", "url"),
    ] {
        for (path, here) in [("/bad-acks", receiver), ("/bad-hook", hooks)] {
            let text = format!("UPDATE {table} SET {column} = ? WHERE {column} = ?");
            let done = sqlx::query(AssertSqlSafe(text)).bind(here);
            let done = done.bind(format!("{host}{path}"));
            done.execute(&mut database).await.unwrap();
        }
    }
    database.close().await.unwrap();
}

/// Compares each message of the earlier release with the present list; the receipts of the last
/// message arrive only now.
fn listed_as_before(now: &[Value], facts: &Value) {
    let before = facts["messages"].as_array().unwrap();
    assert!(before.len() > 5, "the archive has too few messages");
    for old in before {
        let new = now.iter().find(|new| new["id"] == old["id"]);
        let new = new.unwrap_or_else(|| panic!("{old} is gone"));
        for (field, value) in old.as_object().unwrap() {
            if old["id"] == facts["waiting"]
                && ["state", "delivered_at", "read_at", "notify_url"].contains(&&**field)
            {
                continue;
            }
            assert_eq!(&new[field], value, "{field} of {old}");
        }
    }
}
