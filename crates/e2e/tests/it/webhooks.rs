//! A customer's message reaches the rule's URL, and the reply reaches the customer's phone in order
//! and exactly once, also if the gateway or the webhook fails in between.

mod php;

use e2e::eventually;
use e2e::gateway::Gateway;
use e2e::hooks::{Answer, Hooks};
use e2e::proxy::{Mode, Proxy};
use serde_json::{Value, json};
use wa_sim::{Phone, Sim};

use crate::{CUSTOMER, OWNER, Shop, received};

const ASKED: &str = "penawaran#Jhon Doe#jhon@example.com";

/// The replies of the API document in one: three texts, a location, a song, a picture and a
/// document.
fn documented(hooks: &Hooks) -> Value {
    let text = json!({"type": "message", "content": "Webhook Response"});
    let song = hooks.host("your_audio_file.mp3", "audio/mpeg", song());
    let picture = hooks.host("your_image_file.png", "image/png", PNG);
    let document = hooks.host("your_document_file.pdf", "application/pdf", PDF);
    json!([
        text, text, text,
        {"type": "location", "content": [{"coordinate": "0.52596--101.426866"}]},
        {"type": "audio", "content": song},
        {"type": "image", "content": picture},
        {"type": "document", "content": document},
    ])
}

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01";
const PDF: &[u8] = b"%PDF-1.7\nbrosur";

fn song() -> Vec<u8> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../waviro-core/tests/fixtures/nada.mp3"
    );
    std::fs::read(path).unwrap()
}

/// Waits until the phone shows the seven messages of the documented reply, each once and in order.
async fn shows_the_documented_answer(phone: &Phone) {
    let kinds = eventually("the documented answer on the phone", async || {
        let shown = received(phone).await;
        let kinds: Vec<String> = shown.iter().map(|message| message.kind.clone()).collect();
        if kinds.len() >= 7 {
            Ok(kinds)
        } else {
            Err(kinds)
        }
    })
    .await;
    let expected = [
        "text", "text", "text", "location", "audio", "image", "document",
    ];
    assert_eq!(kinds, expected);
    let shown = received(phone).await;
    assert!(
        shown[..3]
            .iter()
            .all(|message| message.text == "Webhook Response")
    );
    let place = &shown[3].fields;
    assert_eq!(
        (place["latitude"].as_f64(), place["longitude"].as_f64()),
        (Some(0.52596), Some(-101.426_866))
    );
    for (at, bytes) in [(4, song()), (5, PNG.to_vec()), (6, PDF.to_vec())] {
        let media = phone.media(&shown[at].id).await.unwrap();
        assert!(media == bytes, "{} came as it was", shown[at].kind);
    }
}

/// Waits until all deliveries have ended, and checks that the phone shows nothing beyond the reply.
async fn assert_nothing_else(gateway: &Gateway, phone: &Phone, messages: usize) {
    eventually("all deliveries to have ended", async || {
        let deliveries = rows(
            gateway,
            "SELECT COUNT(*) FROM deliveries WHERE ended_at IS NULL",
        )
        .await;
        let pending = rows(gateway, "SELECT COUNT(*) FROM messages WHERE ack = 0").await;
        if (deliveries, pending) == (0, 0) {
            Ok(())
        } else {
            Err((deliveries, pending))
        }
    })
    .await;
    assert_eq!(received(phone).await.len(), messages);
}

/// Runs a query. The connection is read only, because the gateway may be writing.
async fn rows(gateway: &Gateway, text: &'static str) -> i64 {
    use sqlx::{ConnectOptions, Connection, Row};
    let file = gateway.folder().join("data/waviro.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(file)
        .read_only(true);
    let mut connection = options.connect().await.unwrap();
    let row = sqlx::query(text).fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    row.get(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keyword_typed_on_a_phone_posts_the_documents_payload_and_its_answer_arrives_in_order() {
    let shop = Shop::open().await;
    let hooks = Hooks::start().await;
    let rules = shop.rules().await;
    rules.add("penawaran#", &hooks.url()).await;
    let items = documented(&hooks);
    hooks.reply(&items);
    shop.customer.send_text(OWNER, ASKED).await.unwrap();
    shows_the_documented_answer(&shop.customer).await;
    let key = rules.webhook_key().await;
    let calls = hooks.calls();
    assert_eq!(calls.len(), 1);
    let payload = format!(
        r#"{{"keyword":"penawaran#","data":["Jhon Doe","jhon@example.com"],"webhookkey":"{key}","from":"{CUSTOMER}"}}"#
    );
    assert_eq!(calls[0].body, payload);
    assert_eq!(calls[0].header("content-length"), payload.len().to_string());
    assert_eq!(calls[0].header("transfer-encoding"), "");
    assert!(calls[0].header("webhook-signature").starts_with("v1,"));
    assert_nothing_else(&shop.gateway, &shop.customer, 7).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn from_is_the_phone_number_also_of_accounts_that_moved_to_lids() {
    let shop = Shop::open().await;
    let hooks = Hooks::start().await;
    shop.rules().await.add("", &hooks.url()).await;
    hooks.answer(Answer::Echo);
    let spec = wa_sim::PhoneSpec::new("6281300000009", "Moved").lid_migrated(true);
    let moved = shop.sim.add_phone(spec).await;
    moved.send_text(OWNER, "dari LID").await.unwrap();
    hooks.wait_calls(1).await;
    assert_eq!(hooks.calls()[0].json()["from"], "6281300000009");
    let answer = eventually("the answer", async || {
        received(&moved).await.pop().ok_or(())
    })
    .await;
    assert_eq!(answer.text, "jawab: dari LID");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_written_while_the_gateway_was_down_is_answered_after_the_start() {
    let mut shop = Shop::open().await;
    let hooks = Hooks::start().await;
    shop.rules().await.add("", &hooks.url()).await;
    hooks.answer(Answer::Echo);
    shop.gateway.stop().await;
    for n in 0..5 {
        shop.customer
            .send_text(OWNER, &n.to_string())
            .await
            .unwrap();
    }
    shop.gateway.run().await;
    answered_once(&shop.customer, 5).await;
    assert_nothing_else(&shop.gateway, &shop.customer, 5).await;
}

/// Waits until the phone shows one reply to each question.
async fn answered_once(phone: &Phone, questions: usize) {
    let mut expected: Vec<String> = (0..questions).map(|n| format!("jawab: {n}")).collect();
    expected.sort();
    eventually("each question answered once", async || {
        let shown = received(phone).await;
        let mut texts: Vec<String> = shown.into_iter().map(|message| message.text).collect();
        texts.sort();
        if texts == expected {
            Ok(())
        } else {
            Err(texts)
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_during_the_webhook_call_it_is_posted_again_and_answered_once() {
    let mut shop = Shop::open().await;
    let hooks = Hooks::start().await;
    shop.rules().await.add("penawaran#", &hooks.url()).await;
    let items = documented(&hooks);
    hooks.reply(&items);
    hooks.answers(false);
    shop.customer.send_text(OWNER, ASKED).await.unwrap();
    hooks.wait_calls(1).await;
    shop.gateway.kill().await;
    hooks.answers(true);
    shop.gateway.run().await;
    shows_the_documented_answer(&shop.customer).await;
    let calls = hooks.calls();
    assert_eq!(calls.len(), 2);
    assert_eq!(calls[0].header("webhook-id"), calls[1].header("webhook-id"));
    assert_nothing_else(&shop.gateway, &shop.customer, 7).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_the_moment_the_webhook_has_answered_it_is_answered_once() {
    let mut shop = Shop::open().await;
    let hooks = Hooks::start().await;
    shop.rules().await.add("penawaran#", &hooks.url()).await;
    let items = documented(&hooks);
    hooks.reply(&items);
    shop.customer.send_text(OWNER, ASKED).await.unwrap();
    hooks.wait_answered(1).await;
    shop.gateway.kill().await;
    shop.gateway.run().await;
    shows_the_documented_answer(&shop.customer).await;
    let calls = hooks.calls();
    assert!(calls.len() <= 2);
    assert_nothing_else(&shop.gateway, &shop.customer, 7).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_the_replys_files_are_fetched_it_is_not_posted_again_and_answered_once() {
    let mut shop = Shop::open().await;
    let hooks = Hooks::start().await;
    shop.rules().await.add("penawaran#", &hooks.url()).await;
    let items = documented(&hooks);
    hooks.reply(&items);
    hooks.files(false);
    shop.customer.send_text(OWNER, ASKED).await.unwrap();
    hooks.wait_asked_for("your_audio_file.mp3").await;
    shop.gateway.kill().await;
    hooks.files(true);
    assert!(received(&shop.customer).await.is_empty());
    shop.gateway.run().await;
    shows_the_documented_answer(&shop.customer).await;
    assert_eq!(hooks.calls().len(), 1);
    assert_nothing_else(&shop.gateway, &shop.customer, 7).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_with_the_answer_in_the_queue_it_goes_out_once_and_in_order() {
    let sim = Sim::start().await.unwrap();
    let proxy = Proxy::start(sim.addr()).await;
    let mut shop = Shop::open_at(sim, &proxy.wss_url()).await;
    let hooks = Hooks::start().await;
    shop.rules().await.add("penawaran#", &hooks.url()).await;
    let items = documented(&hooks);
    hooks.reply(&items);
    hooks.answers(false);
    shop.customer.send_text(OWNER, ASKED).await.unwrap();
    hooks.wait_calls(1).await;
    proxy.set(Mode::Stall);
    hooks.answers(true);
    eventually("the answer to be in the queue", async || {
        match rows(&shop.gateway, "SELECT COUNT(*) FROM messages").await {
            7 => Ok(()),
            other => Err(other),
        }
    })
    .await;
    shop.gateway.kill().await;
    proxy.cut();
    proxy.set(Mode::Pass);
    shop.gateway.run().await;
    shows_the_documented_answer(&shop.customer).await;
    assert_eq!(hooks.calls().len(), 1);
    assert_nothing_else(&shop.gateway, &shop.customer, 7).await;
}

/// Sixty questions, while the gateway is killed four times at random moments.
#[tokio::test(flavor = "multi_thread")]
async fn killed_again_and_again_every_webhook_is_answered_exactly_once() {
    let mut shop = Shop::open().await;
    let hooks = Hooks::start().await;
    shop.rules().await.add("", &hooks.url()).await;
    hooks.answer(Answer::Echo);
    for round in 0..4 {
        for n in 0..15 {
            let text = (round * 15 + n).to_string();
            shop.customer.send_text(OWNER, &text).await.unwrap();
        }
        hooks.wait_calls(round * 15 + 5).await;
        shop.gateway.kill().await;
        shop.gateway.run().await;
    }
    answered_once(&shop.customer, 60).await;
    assert_nothing_else(&shop.gateway, &shop.customer, 60).await;
    // A question may be posted again, but only under the same id.
    let mut ids = std::collections::HashMap::new();
    for call in hooks.calls() {
        let asked = call.json()["data"][0].clone();
        let id = call.header("webhook-id").to_owned();
        assert_eq!(
            *ids.entry(asked.to_string()).or_insert_with(|| id.clone()),
            id
        );
    }
    assert_eq!(ids.len(), 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_webhook_is_retried_until_it_answers_and_each_attempt_is_listed() {
    let shop = Shop::open().await;
    let hooks = Hooks::start().await;
    shop.rules().await.add("", &hooks.url()).await;
    hooks.answer(Answer::Fixed(500, "<b>Fatal error</b>".to_owned()));
    shop.customer.send_text(OWNER, "0").await.unwrap();
    hooks.wait_calls(1).await;
    hooks.answer(Answer::Echo);
    answered_once(&shop.customer, 1).await;
    let failed = "SELECT COUNT(*) FROM attempts WHERE status = 500 AND cause = 'status 500' AND answer = '<b>Fatal error</b>'";
    assert_eq!(rows(&shop.gateway, failed).await, 1);
    assert_eq!(
        rows(
            &shop.gateway,
            "SELECT COUNT(*) FROM attempts WHERE status = 200 AND cause IS NULL"
        )
        .await,
        1
    );
}
