//! `/api/groups`, and the group checks before sending to a group.

use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Value, json};
use waviro_link::{Chat, Inbound, InboundKind, OfflineCause, Sender, Status};
use waviro_testing::samples::{GROUP, group, number};

use crate::test_app::{START, TestApp};

const OTHER: &str = "120363000000000002";

async fn list(app: &TestApp) -> Value {
    app.post("/api/groups", "").await.message().clone()
}

async fn to_group(app: &TestApp, id: &str, text: &str) -> super::super::test_app::Answer {
    let body = json!({"groupid": id, "pesan": text}).to_string();
    app.post("/api/sendwatogroup", body).await
}

#[tokio::test]
async fn groups_come_with_name_and_last_activity_the_latest_first() {
    let app = TestApp::online().await;
    let made = START / 1000 - 3600;
    app.link()
        .set_groups(vec![group(GROUP, "Pelanggan"), group(OTHER, "Keluarga 👪")]);
    assert_eq!(
        list(&app).await,
        json!([
            {"groupid": GROUP, "groupname": "Pelanggan", "grouplastchat": made},
            {"groupid": OTHER, "groupname": "Keluarga 👪", "grouplastchat": made},
        ])
    );
    // First the bot sends to a group, then a member writes in another group.
    app.clock.advance(Duration::from_secs(10));
    to_group(&app, OTHER, "halo").await.message();
    assert_eq!(list(&app).await[0]["groupid"], OTHER);
    assert_eq!(list(&app).await[0]["grouplastchat"], START / 1000 + 10);
    let written = Inbound {
        id: "A1".parse().unwrap(),
        chat: Chat::Group(GROUP.parse().unwrap()),
        sender: Sender::Number(number("6282386000001")),
        alias: None,
        push_name: "Ani".to_owned(),
        at: UNIX_EPOCH + Duration::from_secs((START / 1000 + 20).unsigned_abs()),
        from_me: false,
        quoted: None,
        kind: InboundKind::Text("hai".to_owned()),
    };
    app.link().inbound(vec![written]).await.unwrap();
    let last = list(&app).await;
    assert_eq!(last[0]["groupid"], GROUP);
    assert_eq!(last[0]["grouplastchat"], START / 1000 + 20);
    assert_eq!(last[1]["grouplastchat"], START / 1000 + 10);
}

#[tokio::test]
async fn whatsapp_is_asked_once_until_it_says_that_groups_changed() {
    let app = TestApp::online().await;
    let before = app.link().lookups();
    for n in 0..3 {
        list(&app).await;
        to_group(&app, GROUP, &format!("halo {n}")).await.message();
    }
    assert_eq!(app.link().lookups() - before, 1);
    app.link().set_groups(vec![group(GROUP, "Nama baru")]);
    app.clock.advance(Duration::from_secs(2));
    assert_eq!(list(&app).await[0]["groupname"], "Nama baru");
    // Even if the groups change all the time, the gateway asks WhatsApp at most every two seconds.
    for _ in 0..5 {
        app.link().set_groups(Vec::new());
        list(&app).await;
    }
    assert_eq!(app.link().lookups() - before, 2);
    app.clock.advance(Duration::from_secs(2));
    assert_eq!(list(&app).await, json!([]));
}

#[tokio::test]
async fn a_group_that_the_bot_is_not_in_or_has_left_is_refused() {
    let app = TestApp::online().await;
    let stranger = to_group(&app, OTHER, "halo").await;
    assert_eq!(
        stranger.refusal_and_field(),
        (400, "invalid_group", "groupid")
    );
    to_group(&app, GROUP, "halo").await.message();
    app.link().set_groups(vec![group(OTHER, "Baru")]);
    app.clock.advance(Duration::from_secs(2));
    to_group(&app, OTHER, "halo").await.message();
    let left = to_group(&app, GROUP, "masih?").await;
    assert_eq!(left.refusal(), (400, "invalid_group"));
}

#[tokio::test]
async fn while_the_link_is_down_known_groups_are_served_and_unknown_groups_wait_for_the_link() {
    let app = TestApp::online().await;
    let down = || Status::Reconnecting {
        cause: OfflineCause::Ended("test".to_owned()),
    };
    app.link().set_status(down());
    let asked = app.pass_until(app.post("/api/groups", "")).await;
    assert_eq!(asked.refusal(), (400, "not_connected"));
    app.link().set_status(Status::Online);
    list(&app).await;
    app.link().set_status(down());
    assert_eq!(list(&app).await[0]["groupid"], GROUP);
    to_group(&app, GROUP, "nanti").await.message();
}

#[tokio::test]
async fn a_bot_that_is_not_linked_has_no_groups_to_show() {
    let app = TestApp::unlinked().await;
    let answer = app.post("/api/groups", "{}").await;
    assert_eq!(answer.refusal(), (400, "not_connected"));
}
