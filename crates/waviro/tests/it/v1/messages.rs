//! `/v1/bots/{bot}/messages`

use serde_json::{Value, json};
use waviro_link::{Content, LinkError, ReceiptLevel};
use waviro_testing::hooks::Hooks;
use waviro_testing::samples::inbound;
use waviro_testing::samples::{GROUP, number};

use super::ApiTest;

const MESSAGES: &str = "/v1/bots/1/messages";
const BUDI: &str = "6281300000001";
const SITI: &str = "6281300000002";

async fn send(api: &ApiTest, body: Value) -> String {
    let sent = api.post(MESSAGES, body).await;
    assert_eq!(sent.status, 202, "{sent:?}");
    let id = sent.body["id"].as_str().unwrap().to_owned();
    assert_eq!(sent.headers["location"], format!("{MESSAGES}/{id}"));
    id
}

/// Waits until the message has the state, and returns the message.
async fn once(api: &ApiTest, id: &str, state: &str) -> Value {
    let path = format!("{MESSAGES}/{id}");
    let asked = async {
        while api.get_unvalidated(&path).await["state"] != state {
            tokio::task::yield_now().await;
        }
    };
    api.app.pass_until(asked).await;
    api.get(&path).await.done().clone()
}

async fn texts(api: &ApiTest, query: &str) -> Vec<String> {
    let page = api.get(&format!("{MESSAGES}?{query}")).await;
    let rows = page.done()["data"].as_array().unwrap();
    rows.iter()
        .map(|row| row["text"].as_str().unwrap().to_owned())
        .collect()
}

fn whats(message: &Value) -> Vec<&str> {
    let timeline = message["timeline"].as_array().unwrap();
    timeline
        .iter()
        .map(|one| one["what"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn each_kind_is_sent_to_persons_and_groups() {
    let api = ApiTest::online().await;
    for (body, kind, text) in [
        (json!({"to": BUDI, "text": "halo"}), "text", "halo"),
        (
            json!({"to": format!("{GROUP}@g.us"), "text": "halo"}),
            "text",
            "halo",
        ),
        (
            json!({"to": GROUP, "location": {"latitude": -6.2, "longitude": 106.8, "name": "Toko"}}),
            "location",
            "Toko",
        ),
        (
            json!({"to": BUDI, "contact": {"name": "Siti", "numbers": [SITI]}}),
            "contact",
            "Siti",
        ),
    ] {
        let id = send(&api, body).await;
        let shown = once(&api, &id, "sent").await;
        assert_eq!(
            (&shown["kind"], &shown["text"]),
            (&json!(kind), &json!(text))
        );
        match kind {
            "location" => assert_eq!(
                shown["location"],
                json!({"latitude": -6.2, "longitude": 106.8, "name": "Toko"})
            ),
            "contact" => assert_eq!(
                shown["contacts"],
                json!([{"name": "Siti", "numbers": [SITI]}])
            ),
            _ => assert_eq!(shown["members"], Value::Null),
        }
    }
    // A message with a slow ack is sent twice.
    let sent = api.app.link().sent();
    let place =
        |content: &Content| matches!(content, Content::Location(place) if place.longitude > 106.7);
    let card = |content: &Content| matches!(content, Content::Contact(card) if card.numbers == [number(SITI)]);
    assert_eq!(sent[0].content, Content::Text("halo".to_owned()));
    assert!(sent.iter().any(|message| place(&message.content)));
    assert!(sent.iter().any(|message| card(&message.content)));
}

#[tokio::test]
async fn a_message_shows_its_times_its_ack_and_each_callback() {
    let api = ApiTest::with(&[("outbound.allow", "127.0.0.0/8")]).await;
    let hooks = Hooks::start().await;
    let notify = hooks.url("notify");
    let id = send(
        &api,
        json!({"to": BUDI, "text": "halo", "notify_url": notify.as_str()}),
    )
    .await;
    once(&api, &id, "sent").await;
    let link = api.app.link();
    for (level, state) in [
        (ReceiptLevel::Delivered, "delivered"),
        (ReceiptLevel::Read, "read"),
    ] {
        link.receipt(&id.parse().unwrap(), level).await.unwrap();
        once(&api, &id, state).await;
    }
    hooks.wait_for(3).await;
    let ended = async {
        while api.get_unvalidated("/v1/bots/1/deliveries/1").await["state"] != "delivered" {
            tokio::task::yield_now().await;
        }
    };
    api.app.pass_until(ended).await;
    let shown = once(&api, &id, "read").await;
    for time in ["at", "sent_at", "delivered_at", "read_at"] {
        assert!(shown[time].is_string(), "{time}: {shown}");
    }
    let mut happened = whats(&shown);
    happened.sort_unstable();
    assert_eq!(
        happened,
        [
            "accepted",
            "delivered",
            "posted",
            "posted",
            "posted",
            "read",
            "sent"
        ]
    );
    assert_eq!(
        shown["deliveries"][0]["attempts"].as_array().unwrap().len(),
        3
    );
    assert_eq!(shown["notify_url"], notify.as_str());
}

#[tokio::test]
async fn a_refused_message_shows_a_stable_code_and_the_code_of_whatsapp() {
    let api = ApiTest::online().await;
    let link = api.app.link();
    link.keep_silent();
    let causes =
        |shown: &Value| ["cause", "cause_code", "whatsapp_code"].map(|field| shown[field].clone());
    let id = send(&api, json!({"to": BUDI, "text": "halo"})).await;
    let pending = api.get(&format!("{MESSAGES}/{id}")).await.done().clone();
    assert_eq!(causes(&pending), [Value::Null, Value::Null, Value::Null]);
    link.nack(&id.parse().unwrap(), "475").await;
    let refused = once(&api, &id, "failed").await;
    assert_eq!(
        causes(&refused),
        [json!("nack: 475"), json!("nack"), json!(475)]
    );
    let text = "item-not-found".to_owned();
    link.fail_next_send(LinkError::Denied { code: 404, text });
    let id = send(&api, json!({"to": GROUP, "text": "halo"})).await;
    let refused = once(&api, &id, "failed").await;
    assert_eq!(
        causes(&refused),
        [
            json!("refused: 404 item-not-found"),
            json!("refused"),
            json!(404)
        ]
    );
}

#[tokio::test]
async fn an_inbound_message_shows_its_webhook_and_the_webhook_reply() {
    let api = ApiTest::with(&[("outbound.allow", "127.0.0.0/8")]).await;
    let hooks = Hooks::start().await;
    api.post(
        "/v1/bots/1/rules",
        json!({"url": hooks.url("hook").as_str()}),
    )
    .await
    .done();
    hooks.answer(200, r#"{"success":true,"message":[{"type":"message","content":"satu"},{"type":"message","content":"dua"}]}"#);
    let link = api.app.link();
    link.inbound(vec![inbound("A1", BUDI, "halo")])
        .await
        .unwrap();
    let path = format!("{MESSAGES}/A1");
    let asked = async {
        while api.get_unvalidated(&path).await["replies"][1]["text"] != "dua" {
            tokio::task::yield_now().await;
        }
    };
    api.app.pass_until(asked).await;
    let shown = api.get(&path).await;
    let shown = shown.done();
    assert_eq!(
        (&shown["direction"], &shown["state"]),
        (&json!("in"), &json!("received"))
    );
    assert_eq!(
        (&shown["sender"], &shown["sender_name"]),
        (&json!(format!("{BUDI}@c.us")), &json!("Budi"))
    );
    let mut happened = whats(shown);
    happened.sort_unstable();
    assert_eq!(happened, ["posted", "received", "replied"]);
    assert_eq!(shown["replies"][0]["text"], "satu");
    assert_eq!(
        shown["replies"][0]["reply_of"],
        shown["deliveries"][0]["id"]
    );
}

#[tokio::test]
async fn the_log_is_narrowed_by_each_of_its_parameters_and_shows_the_newest_first() {
    let api = ApiTest::online().await;
    for (to, text) in [
        (BUDI, "Harga 100%"),
        (SITI, "harga_beras"),
        (BUDI, "kata \"dia\""),
        (BUDI, "Kopi ÉNAK"),
    ] {
        send(&api, json!({"to": to, "text": text})).await;
    }
    let link = api.app.link();
    for (id, text) in [
        ("A1", "apa \"harga\"?"),
        ("A2", "terima kasih"),
        ("A3", "harga!"),
    ] {
        link.inbound(vec![inbound(id, BUDI, text)]).await.unwrap();
    }
    assert_eq!(
        texts(&api, "").await,
        ["Kopi ÉNAK", "kata \"dia\"", "harga_beras", "Harga 100%"]
    );
    assert_eq!(
        texts(&api, "text=harga").await,
        ["harga_beras", "Harga 100%"]
    );
    assert_eq!(texts(&api, "text=%25").await, ["Harga 100%"]);
    assert_eq!(texts(&api, "text=_").await, ["harga_beras"]);
    assert_eq!(texts(&api, "text=%22dia%22").await, ["kata \"dia\""]);
    assert_eq!(texts(&api, "text=kopi+%C3%89").await, ["Kopi ÉNAK"]);
    assert_eq!(texts(&api, "text=kopi+%C3%A9nak").await, ["Kopi ÉNAK"]);
    assert_eq!(texts(&api, "text=%C3%A8").await, [""; 0]);
    // The JSON around the stored text must not match.
    for around in ["text=text", "text=%7B", "text=%5C"] {
        assert_eq!(texts(&api, around).await, [""; 0], "{around}");
    }
    assert_eq!(texts(&api, &format!("chat={SITI}")).await, ["harga_beras"]);
    assert_eq!(
        texts(&api, &format!("chat={BUDI}@c.us&text=harga")).await,
        ["Harga 100%"]
    );
    assert_eq!(texts(&api, "until=2023-03-15T03:02:10Z").await, [""; 0]);
    assert_eq!(texts(&api, "state=failed").await, [""; 0]);
    assert_eq!(
        texts(&api, "direction=in").await,
        ["harga!", "terima kasih", "apa \"harga\"?"]
    );
    assert_eq!(
        texts(&api, "direction=in&text=HARGA").await,
        ["harga!", "apa \"harga\"?"]
    );
    assert_eq!(
        texts(&api, "direction=in&text=%22").await,
        ["apa \"harga\"?"]
    );
    for direction in ["in", "out"] {
        let (mut seen, mut cursor) = (0, String::new());
        loop {
            let page = api
                .get(&format!("{MESSAGES}?direction={direction}&limit=1{cursor}"))
                .await;
            seen += page.done()["data"].as_array().unwrap().len();
            let Some(next) = page.body["next"].as_str() else {
                break;
            };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(seen, if direction == "in" { 3 } else { 4 });
    }
    for (field, query) in [
        ("direction", "direction=x"),
        ("state", "state=open"),
        ("since", "since=x"),
        ("cursor", "cursor=x"),
        ("text", "text=%00"),
    ] {
        let answer = api.get(&format!("{MESSAGES}?{query}")).await;
        assert_eq!(
            (answer.problem().0, &answer.body["field"]),
            (422, &json!(field))
        );
    }
}

#[tokio::test]
async fn an_invalid_message_is_refused_with_the_field() {
    let api = ApiTest::online().await;
    api.app.link().unregister(number(SITI));
    for (field, code, body) in [
        ("to", "missing_field", json!({"text": "a"})),
        ("to", "invalid_field", json!({"to": "0812", "text": "a"})),
        ("to", "not_registered", json!({"to": SITI, "text": "a"})),
        (
            "to",
            "not_in_group",
            json!({"to": "120363000000000009", "text": "a"}),
        ),
        ("text", "missing_field", json!({"to": BUDI})),
        ("text", "invalid_field", json!({"to": BUDI, "text": ""})),
        ("text", "invalid_field", json!({"to": BUDI, "text": " \n"})),
        (
            "text",
            "invalid_field",
            json!({"to": BUDI, "text": "\u{200b}\u{3164}"}),
        ),
        (
            "contact.name",
            "invalid_field",
            json!({"to": BUDI, "contact": {"name": "\u{2066} ", "numbers": [BUDI]}}),
        ),
        (
            "text",
            "invalid_field",
            json!({"to": BUDI, "text": "a", "location": {"latitude": 1, "longitude": 1}}),
        ),
        ("media", "invalid_field", json!({"to": BUDI, "media": "x"})),
        (
            "media.url",
            "missing_field",
            json!({"to": BUDI, "media": {}}),
        ),
        (
            "media.url",
            "url_refused",
            json!({"to": BUDI, "media": {"url": "http://10.0.0.5/a.jpg"}}),
        ),
        (
            "location.latitude",
            "missing_field",
            json!({"to": BUDI, "location": {"longitude": 1}}),
        ),
        (
            "location.longitude",
            "invalid_field",
            json!({"to": BUDI, "location": {"latitude": 1, "longitude": 181}}),
        ),
        (
            "contact.numbers",
            "invalid_field",
            json!({"to": BUDI, "contact": {"name": "a", "numbers": []}}),
        ),
        (
            "contact.name",
            "missing_field",
            json!({"to": BUDI, "contact": {"numbers": [BUDI]}}),
        ),
        (
            "notify_url",
            "url_refused",
            json!({"to": BUDI, "text": "a", "notify_url": "http://127.0.0.1/"}),
        ),
    ] {
        let answer = api.post(MESSAGES, body.clone()).await;
        assert_eq!(answer.problem_and_field(), (422, code, field), "{body}");
    }
    let first = send(&api, json!({"to": BUDI, "text": "a"})).await;
    let again = api.post(MESSAGES, json!({"to": BUDI, "text": "a"})).await;
    assert_eq!(again.problem(), (409, "duplicate_message"));
    assert!(again.body["detail"].as_str().unwrap().contains(&first));
    let unlinked = ApiTest::unlinked().await;
    let answer = unlinked
        .post(MESSAGES, json!({"to": BUDI, "text": "a"}))
        .await;
    assert_eq!(answer.problem(), (409, "not_connected"));
}

#[tokio::test]
async fn a_message_of_another_bot_is_404() {
    let api = ApiTest::online().await;
    api.post("/v1/bots", json!({"name": "dua"})).await.done();
    let id = send(&api, json!({"to": BUDI, "text": "a"})).await;
    for path in [
        format!("/v1/bots/2/messages/{id}"),
        format!("{MESSAGES}/X"),
        format!("{MESSAGES}/%00"),
    ] {
        assert_eq!(
            api.get(&path).await.problem(),
            (404, "no_such_thing"),
            "{path}"
        );
    }
    assert_eq!(
        api.get("/v1/bots/2/messages").await.done()["data"],
        json!([])
    );
}
