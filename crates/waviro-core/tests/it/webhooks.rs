//! Keyword webhooks with a fake link: the posted data, the replies, and the behaviour after a
//! crash.

mod redirects;
mod rules;

use std::time::Duration;

use serde_json::json;
use waviro_link::fake::FakeConnector;
use waviro_link::{Content, Status, UnlinkedCause};
use waviro_testing::engine::{TestEngine, until};
use waviro_testing::hooks::{self, Hooks, deliveries, rule, texts, webhook_key};
use waviro_testing::samples::{OWN, number};
use waviro_testing::samples::{in_group, inbound};

const BUDI: &str = "6281300000001";
const GROUP: &str = "120363000000000001";

#[tokio::test]
async fn a_keyword_posts_the_documents_payload_and_the_answer_goes_back_in_order() {
    let gateway = TestEngine::online().await;
    let hooks = Hooks::start().await;
    rule(&gateway, "penawaran#", &hooks.url("hook")).await;
    hooks.answer(200, r#"{"success":true,"message":{"reply":[{"type":"message","content":"satu"},{"type":"message","content":"satu"},{"type":"location","content":[{"coordinate":"-6.2-106.8"}]}]}}"#);
    let text = "penawaran#Jhon Doe#jhon@example.com";
    gateway
        .link()
        .inbound(vec![inbound("A1", BUDI, text)])
        .await
        .unwrap();
    until(|| async { gateway.link().sent().len() }, |sent| *sent == 3).await;
    let key = webhook_key(&gateway).await;
    let expected = format!(
        r#"{{"keyword":"penawaran#","data":["Jhon Doe","jhon@example.com"],"webhookkey":"{key}","from":"{BUDI}"}}"#
    );
    assert_eq!(hooks.bodies(), [expected]);
    let sent = gateway.link().sent();
    assert!(
        sent.iter()
            .all(|message| message.to.address() == format!("{BUDI}@c.us"))
    );
    assert_eq!(texts(&gateway)[..2], ["satu", "satu"]);
    assert!(
        matches!(&sent[2].content, Content::Location(place) if (place.latitude, place.longitude) == (-6.2, 106.8))
    );
    let ended = deliveries(&gateway).await;
    assert_eq!(
        ended,
        [("delivered".to_owned(), "sent 3 messages".to_owned())]
    );
}

#[tokio::test]
async fn an_answer_that_was_built_by_hand_is_sent_and_the_delivery_says_how_it_was_read() {
    let gateway = TestEngine::online().await;
    let hooks = Hooks::start().await;
    rule(&gateway, "halo", &hooks.url("hook")).await;
    hooks.answer(
        200,
        "{\"success\":true,\"message\":[{\"type\":\"message\",\"content\":\"satu\ndua\"},]}",
    );
    hooks.answer(200, r#"{"success":true,"message":"Halo "Budi""}"#);
    for id in ["A1", "A2"] {
        let text = vec![inbound(id, BUDI, "halo")];
        gateway.link().inbound(text).await.unwrap();
    }
    let ended = until(
        || async { deliveries(&gateway).await },
        |ended| ended.iter().all(|(state, _)| state == "delivered") && ended.len() == 2,
    )
    .await;
    assert_eq!(texts(&gateway), ["satu\ndua"]);
    assert!(ended[0].1.contains("is not strict JSON"), "{ended:?}");
    assert!(
        ended[1].1.contains("quotation mark at line 1, column 33"),
        "{ended:?}"
    );
}

#[tokio::test]
async fn the_same_message_delivered_again_posts_nothing_again() {
    let gateway = TestEngine::online().await;
    let hooks = Hooks::start().await;
    rule(&gateway, "halo", &hooks.url("hook")).await;
    for _ in 0..3 {
        let twice = vec![inbound("A1", BUDI, "halo"), inbound("A1", BUDI, "halo")];
        gateway.link().inbound(twice).await.unwrap();
    }
    gateway
        .link()
        .inbound(vec![inbound("A2", BUDI, "halo lagi")])
        .await
        .unwrap();
    hooks.wait_for(2).await;
    let data: Vec<_> = hooks
        .calls()
        .iter()
        .map(|call| call["data"].clone())
        .collect();
    assert_eq!(data, [json!([]), json!(["lagi"])]);
}

#[tokio::test]
async fn what_matches_nothing_or_comes_from_the_bots_own_phone_posts_nothing() {
    let gateway = TestEngine::online().await;
    let hooks = Hooks::start().await;
    rule(&gateway, "halo", &hooks.url("hook")).await;
    let mut own = inbound("A1", BUDI, "halo");
    own.from_me = true;
    let other = inbound("A2", BUDI, "selamat pagi");
    let grouped = in_group(GROUP, "A3", BUDI, "halo");
    gateway
        .link()
        .inbound(vec![own, other, grouped])
        .await
        .unwrap();
    gateway
        .link()
        .inbound(vec![inbound("A4", BUDI, "HALO")])
        .await
        .unwrap();
    hooks.wait_for(1).await;
    assert_eq!(deliveries(&gateway).await.len(), 1);
}

#[tokio::test]
async fn a_failing_webhook_is_tried_again_under_the_same_id_and_answered_once() {
    let gateway = TestEngine::online().await;
    let hooks = Hooks::start().await;
    rule(&gateway, "halo", &hooks.url("hook")).await;
    let reply = r#"{"success":true,"message":[{"type":"message","content":"balas"}]}"#;
    hooks.answer(500, reply);
    hooks.answer(404, reply);
    hooks.answer(200, reply);
    gateway
        .link()
        .inbound(vec![inbound("A1", BUDI, "halo")])
        .await
        .unwrap();
    until(
        || async {
            gateway.pass(Duration::from_secs(2));
            texts(&gateway)
        },
        |texts| !texts.is_empty(),
    )
    .await;
    let ids = hooks.header("webhook-id");
    assert_eq!(ids.len(), 3);
    assert!(
        ids.iter().all(|id| *id == ids[0] && id.starts_with("msg_")),
        "{ids:?}"
    );
    assert_eq!(texts(&gateway), ["balas"]);
    assert!(
        hooks.header("content-length").len() == 3 && hooks.header("transfer-encoding").is_empty()
    );
}

#[tokio::test]
async fn an_answer_without_a_reply_sends_nothing_and_the_journal_says_why() {
    let gateway = TestEngine::online().await;
    let hooks = Hooks::start().await;
    rule(&gateway, "halo", &hooks.url("hook")).await;
    for (n, (body, why)) in [
        (
            r#"{"success":false,"message":"Unauthorized"}"#,
            "Unauthorized",
        ),
        ("OK", "not JSON"),
        ("", "empty"),
        (r#"{"success":true,"message":{"reply":[]}}"#, "empty"),
        (
            r#"{"success":true,"message":[{"type":"song","content":"x"}]}"#,
            "song",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        hooks.answer(200, body);
        gateway
            .link()
            .inbound(vec![inbound(&format!("A{n}"), BUDI, "halo")])
            .await
            .unwrap();
        let ended = until(
            || deliveries(&gateway),
            |ended| ended.len() == n + 1 && ended.iter().all(|(outcome, _)| outcome == "delivered"),
        )
        .await;
        let note = &ended[n].1;
        assert!(
            note.starts_with("nothing sent: ") && note.contains(why),
            "{note}"
        );
    }
    assert!(gateway.link().sent().is_empty());
}

#[tokio::test]
async fn two_questions_of_one_chat_are_answered_in_their_order() {
    let gateway = TestEngine::online().await;
    let hooks = Hooks::start().await;
    rule(&gateway, "", &hooks.url("hook")).await;
    hooks.echo_slowly(Duration::from_millis(60));
    let batch = (0..8)
        .map(|n| inbound(&format!("A{n}"), BUDI, &n.to_string()))
        .collect();
    gateway.link().inbound(batch).await.unwrap();
    until(|| async { texts(&gateway).len() }, |count| *count == 8).await;
    assert_eq!(
        texts(&gateway),
        (0..8).map(|n: i32| n.to_string()).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn a_crash_after_the_answer_asks_nobody_twice_and_sends_it_once() {
    let mut gateway = TestEngine::online().await;
    let hooks = Hooks::start().await;
    rule(&gateway, "halo", &hooks.url("hook")).await;
    // The download of the reply's file never ends. At the crash the answer is stored and the reply
    // is not yet sent.
    let hole = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let stuck = hole.local_addr().unwrap();
    let reply = json!({"success": true, "message": [
        {"type": "message", "content": "satu"},
        {"type": "image", "content": format!("http://{stuck}/a.png")},
    ]});
    hooks.answer(200, &reply.to_string());
    gateway
        .link()
        .inbound(vec![inbound("A1", BUDI, "halo")])
        .await
        .unwrap();
    until(|| hooks::answered(&gateway), |answered| *answered == 1).await;
    assert!(gateway.link().sent().is_empty());
    gateway
        .crash_and_restart(FakeConnector::online(number(OWN)))
        .await;
    drop(hole);
    until(
        || async {
            gateway.pass(Duration::from_secs(1));
            texts(&gateway)
        },
        |texts| !texts.is_empty(),
    )
    .await;
    assert_eq!(texts(&gateway), ["satu"]);
    assert_eq!(hooks.calls().len(), 1);
    let (outcome, note) = &deliveries(&gateway).await[0];
    assert_eq!(outcome, "delivered");
    assert!(
        note.starts_with("sent 1 messages; left out: a file of 127.0.0.1"),
        "{note}"
    );
}

#[tokio::test]
async fn the_sweep_leaves_the_first_file_of_an_answer_while_the_last_is_fetched() {
    let gateway = TestEngine::online().await;
    let hooks = Hooks::start().await;
    rule(&gateway, "halo", &hooks.url("hook")).await;
    let (host, last) = hooks::files().await;
    let reply = json!({"success": true, "message": [
        {"type": "image", "content": format!("http://{host}/now.png")},
        {"type": "image", "content": format!("http://{host}/later.png")},
    ]});
    hooks.answer(200, &reply.to_string());
    gateway
        .link()
        .inbound(vec![inbound("A1", BUDI, "halo")])
        .await
        .unwrap();
    let spooled = || async {
        let entries = std::fs::read_dir(gateway.engine.spool()).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        paths.collect::<Vec<_>>()
    };
    for path in until(spooled, |files| files.len() == 2).await {
        let file = std::fs::File::options().write(true).open(path).unwrap();
        let hours_ago = file.metadata().unwrap().modified().unwrap() - Duration::from_hours(2);
        file.set_modified(hours_ago).unwrap();
    }
    let stray = gateway.engine.spool().join("3EB0AAAAAAAAAAAAAAAA");
    let file = std::fs::File::create(&stray).unwrap();
    file.set_modified(std::time::UNIX_EPOCH).unwrap();
    let once = tokio_util::sync::CancellationToken::new();
    once.cancel();
    gateway.engine.outbox.clone().keep_swept(once).await;
    assert!(!stray.exists(), "what no task works on is swept");
    last.notify_one();
    until(|| async { gateway.link().sent().len() }, |sent| *sent == 2).await;
    let (_, note) = &deliveries(&gateway).await[0];
    assert_eq!(note, "sent 2 messages");
}

#[tokio::test]
async fn an_answer_for_a_bot_that_was_logged_out_sends_nothing_later() {
    let gateway = TestEngine::online().await;
    let hooks = Hooks::start().await;
    rule(&gateway, "halo", &hooks.url("hook")).await;
    hooks.echo_slowly(Duration::from_millis(100));
    gateway
        .link()
        .inbound(vec![inbound("A1", BUDI, "halo")])
        .await
        .unwrap();
    let gone = UnlinkedCause::LoggedOut("removed".to_owned());
    gateway.link().set_status(Status::Unlinked(gone));
    let ended = until(
        || deliveries(&gateway),
        |ended| ended.iter().all(|(outcome, _)| outcome == "delivered"),
    )
    .await;
    assert!(ended[0].1.contains("not linked"), "{ended:?}");
    assert!(gateway.link().sent().is_empty());
}

#[tokio::test]
async fn what_is_posted_is_signed_by_the_bots_secret_and_by_the_one_before_until_it_runs_out() {
    let gateway = TestEngine::online().await;
    let hooks = Hooks::start().await;
    rule(&gateway, "", &hooks.url("hook")).await;
    let secret = async |gateway: &TestEngine| {
        let store = &gateway.engine.store;
        store
            .secrets(gateway.bot.id())
            .await
            .unwrap()
            .unwrap()
            .signing
    };
    let post = async |id: &str| {
        let before = hooks.bodies().len();
        gateway
            .link()
            .inbound(vec![inbound(id, BUDI, "halo")])
            .await
            .unwrap();
        hooks.wait_for(before + 1).await;
    };
    post("A1").await;
    let old = secret(&gateway).await;
    let new = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let until_then = gateway.clock.now() + 86_400_000;
    let store = &gateway.engine.store;
    store
        .rotate_signing(gateway.bot.id(), new.to_owned(), until_then)
        .await
        .unwrap();
    gateway.pass(Duration::from_secs(3));
    post("A2").await;
    gateway.pass(Duration::from_hours(24));
    post("A3").await;
    let signed_by = |call: usize, secret: &str| {
        let (id, at) = (
            &hooks.header("webhook-id")[call],
            &hooks.header("webhook-timestamp")[call],
        );
        let expected = standardwebhooks::Webhook::new(secret).unwrap();
        let expected = expected
            .sign(id, at.parse().unwrap(), hooks.bodies()[call].as_bytes())
            .unwrap();
        let signatures = &hooks.header("webhook-signature")[call];
        signatures.split(' ').any(|signature| signature == expected)
    };
    assert!(signed_by(0, &old) && !signed_by(0, new));
    assert!(signed_by(1, &old) && signed_by(1, new));
    assert!(!signed_by(2, &old) && signed_by(2, new));
}
