//! `/v1/bots/{bot}/deliveries`, tested with the whole gateway and a scripted endpoint.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use waviro_link::ReceiptLevel;
use waviro_testing::hooks::Hooks;
use waviro_testing::samples::inbound;

use super::ApiTest;

const DELIVERIES: &str = "/v1/bots/1/deliveries";
const BUDI: &str = "6281300000001";
const ANSWER: &str = r#"{"success":true,"message":[{"type":"message","content":"siap"}]}"#;

/// Starts a gateway with a rule for all messages and the endpoint of the rule.
async fn api() -> (ApiTest, Hooks) {
    let api = ApiTest::with(&[("outbound.allow", "127.0.0.0/8")]).await;
    let hooks = Hooks::start().await;
    let body = json!({"url": hooks.url("hook").as_str()});
    api.post("/v1/bots/1/rules", body).await.done();
    (api, hooks)
}

async fn write(api: &ApiTest, id: &str, text: &str) {
    let link = api.app.link();
    link.inbound(vec![inbound(id, BUDI, text)]).await.unwrap();
}

/// Waits until the field of the delivery has the value, and returns the delivery.
async fn once(api: &ApiTest, id: i64, field: &str, value: Value) -> Value {
    let path = format!("{DELIVERIES}/{id}");
    let asked = async {
        loop {
            let shown = api.get_unvalidated(&path).await;
            if shown[field] == value {
                return shown;
            }
            tokio::task::yield_now().await;
        }
    };
    api.app.pass_until(asked).await;
    api.get(&path).await.done().clone()
}

#[tokio::test]
async fn a_webhook_is_listed_with_each_attempt_and_the_outcome_of_its_reply() {
    let (api, hooks) = api().await;
    hooks.answer(500, "<h1>rusak</h1>");
    hooks.answer(200, ANSWER);
    write(&api, "A1", "halo").await;
    let shown = once(&api, 1, "state", json!("delivered")).await;
    assert_eq!(
        (&shown["kind"], &shown["subject"]),
        (&json!("keyword"), &json!("A1"))
    );
    assert_eq!(
        (&shown["chat"], &shown["source"]),
        (&json!(format!("{BUDI}@c.us")), &json!(1))
    );
    assert_eq!(
        (&shown["note"], &shown["note_code"]),
        (&json!("sent 1 messages"), &json!("sent"))
    );
    assert_eq!(
        (&shown["last_error_code"], &shown["last_status"]),
        (&json!("status"), &json!(500))
    );
    assert!(shown["replied_at"].is_string());
    let attempts = shown["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 2);
    assert_eq!(
        (&attempts[0]["status"], &attempts[0]["cause"]),
        (&json!(500), &json!("status 500"))
    );
    assert_eq!(attempts[0]["cause_code"], "status");
    assert_eq!(attempts[1]["cause_code"], Value::Null);
    assert_eq!(
        (&attempts[0]["answer"], &attempts[0]["address"]),
        (&json!("<h1>rusak</h1>"), &json!("127.0.0.1"))
    );
    assert_eq!(
        (&attempts[1]["status"], &attempts[1]["cause"]),
        (&json!(200), &Value::Null)
    );
    for (attempt, (body, id)) in attempts
        .iter()
        .zip(hooks.bodies().iter().zip(hooks.header("webhook-id")))
    {
        assert_eq!(
            (&attempt["body"], &attempt["webhook_id"]),
            (&json!(body), &json!(id))
        );
    }
    let listed = api.get(DELIVERIES).await.done()["data"].clone();
    assert_eq!(
        (listed.as_array().unwrap().len(), &listed[0]["id"]),
        (1, &json!(1))
    );
}

#[tokio::test]
async fn a_list_is_narrowed_by_each_of_its_parameters_and_shows_the_newest_first() {
    let (api, hooks) = api().await;
    for n in 1..=3 {
        if n == 2 {
            hooks.answer(410, "");
        }
        write(&api, &format!("A{n}"), "halo").await;
        once(&api, n, "under_way", json!(false)).await;
        // The answer to the second delivery has switched the rule off.
        api.patch("/v1/bots/1/rules/1", json!({"enabled": true}))
            .await
            .done();
    }
    let ids = async |query: &str| {
        let page = api.get(&format!("{DELIVERIES}?{query}")).await;
        let rows = page.done()["data"].as_array().unwrap();
        rows.iter()
            .map(|row| row["id"].as_i64().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids("").await, [3, 2, 1]);
    assert_eq!(ids("state=delivered").await, [3, 1]);
    assert_eq!(ids("state=gone").await, [2]);
    assert_eq!(ids("state=waiting").await, [0; 0]);
    assert_eq!(ids("kind=keyword&subject=A1").await, [1]);
    assert_eq!(ids("kind=callback").await, [0; 0]);
    assert_eq!(
        ids("since=2023-03-15T03:02:10Z&until=2100-01-01T00:00:00%2B07:00").await,
        [3, 2, 1]
    );
    assert_eq!(ids("until=2023-03-15T03:02:10Z").await, [0; 0]);
    let first = api.get(&format!("{DELIVERIES}?limit=2")).await;
    let next = first.done()["next"].as_str().unwrap();
    assert_eq!(ids(&format!("limit=2&cursor={next}")).await, [1]);
    for (field, query) in [
        ("state", "state=open"),
        ("kind", "kind=x"),
        ("since", "since=kemarin"),
        ("subject", "subject=%00"),
    ] {
        let answer = api.get(&format!("{DELIVERIES}?{query}")).await;
        assert_eq!(answer.problem_and_field(), (422, "invalid_field", field));
    }
}

#[tokio::test]
async fn a_replay_with_the_same_body_keeps_its_id_and_sends_no_second_reply() {
    let (api, hooks) = api().await;
    hooks.answer(200, ANSWER);
    write(&api, "A1", "halo").await;
    once(&api, 1, "state", json!("delivered")).await;
    hooks.answer(200, ANSWER);
    let path = format!("{DELIVERIES}/1/replay");
    let again = api.post(&path, Value::Null).await;
    assert_eq!(again.status, 202, "{again:?}");
    assert_eq!(
        (&again.body["id"], &again.body["state"]),
        (&json!(1), &json!("waiting"))
    );
    assert_eq!(
        api.post(&path, Value::Null).await.problem(),
        (409, "still_open")
    );
    let shown = once(&api, 1, "state", json!("delivered")).await;
    assert_eq!(
        (
            &shown["replays"],
            shown["attempts"].as_array().unwrap().len()
        ),
        (&json!(1), 2)
    );
    assert!(
        shown["note"]
            .as_str()
            .unwrap()
            .starts_with("nothing sent: posted again by hand")
    );
    assert_eq!(hooks.bodies()[0], hooks.bodies()[1]);
    let ids = hooks.header("webhook-id");
    assert_eq!(ids[0], ids[1]);
    assert_eq!(sent(&api), 1);
    // With `reply`, the replay sends the reply again.
    hooks.answer(200, ANSWER);
    api.post(&path, json!({"reply": true})).await.done();
    let shown = once(&api, 1, "state", json!("delivered")).await;
    assert_eq!(shown["note"], "sent 1 messages");
    until_sent(&api, 2).await;
}

/// The number of sent messages; a resent message counts once.
fn sent(api: &ApiTest) -> usize {
    let sent = api.app.link().sent();
    let ids: BTreeSet<_> = sent.iter().map(|message| message.id.as_str()).collect();
    ids.len()
}

async fn until_sent(api: &ApiTest, count: usize) {
    let asked = async {
        while sent(api) < count {
            tokio::task::yield_now().await;
        }
    };
    api.app.pass_until(asked).await;
    assert_eq!(sent(api), count);
}

#[tokio::test]
async fn a_replay_with_another_body_is_a_new_delivery() {
    let (api, hooks) = api().await;
    write(&api, "A1", "halo").await;
    once(&api, 1, "state", json!("delivered")).await;
    let path = format!("{DELIVERIES}/1/replay");
    for body in [json!("{"), json!(1), json!("")] {
        let answer = api.post(&path, json!({"body": body})).await;
        assert_eq!(answer.problem(), (422, "invalid_field"), "{body}");
    }
    hooks.answer(200, ANSWER);
    let again = api
        .post(&path, json!({"body": r#"{"keyword":"lain"}"#}))
        .await;
    assert_eq!(
        (&again.done()["id"], &again.body["replay_of"]),
        (&json!(2), &json!(1))
    );
    let shown = once(&api, 2, "state", json!("delivered")).await;
    // The first attempt sent no reply, so the reply of the replay goes to the chat.
    assert_eq!(
        (&shown["note"], &shown["chat"]),
        (&json!("sent 1 messages"), &json!(format!("{BUDI}@c.us")))
    );
    assert_eq!(hooks.bodies()[1], r#"{"keyword":"lain"}"#);
    let ids = hooks.header("webhook-id");
    assert_ne!(ids[0], ids[1]);
    assert_eq!(
        api.get(&format!("{DELIVERIES}/1")).await.done()["replays"],
        0
    );
}

#[tokio::test]
async fn a_replayed_callback_posts_only_the_current_ack_of_its_message() {
    let (api, hooks) = api().await;
    let notify = hooks.url("notify");
    let sent = api
        .app
        .sendwa(json!({"nohp": BUDI, "pesan": "halo", "notifyurl": notify.as_str()}))
        .await;
    let id = sent.message()["id"].as_str().unwrap().to_owned();
    let link = api.app.link();
    api.app.first_sent().await;
    hooks.wait_for(1).await;
    let sent = id.parse().unwrap();
    link.receipt(&sent, ReceiptLevel::Delivered).await.unwrap();
    hooks.wait_for(2).await;
    once(&api, 1, "state", json!("delivered")).await;
    let path = format!("{DELIVERIES}/1/replay");
    assert_eq!(
        api.post(&path, json!({"body": "{}"})).await.problem(),
        (422, "invalid_field")
    );
    api.post(&path, Value::Null).await.done();
    let shown = once(&api, 1, "state", json!("delivered")).await;
    let acks: Vec<_> = hooks
        .calls()
        .iter()
        .map(|call| call["ack"].clone())
        .collect();
    assert_eq!(acks, [1, 2, 2]);
    let attempts = shown["attempts"].as_array().unwrap();
    assert_eq!(attempts[2]["webhook_id"], format!("{id}.2"));
    assert_eq!(attempts[2]["body"], hooks.bodies()[2]);
}

#[tokio::test]
async fn failed_deliveries_of_a_period_are_replayed_except_those_without_a_rule() {
    let (api, hooks) = api().await;
    let other = json!({"keyword": "lain", "url": hooks.url("lain").as_str()});
    api.post("/v1/bots/1/rules", other).await.done();
    for n in 1..=3 {
        hooks.answer(410, "");
        write(&api, &format!("A{n}"), if n == 2 { "lain" } else { "halo" }).await;
        once(&api, n, "state", json!("gone")).await;
        api.patch("/v1/bots/1/rules/1", json!({"enabled": true}))
            .await
            .done();
    }
    let range = |state: &str| json!({"state": state, "since": "2023-03-15T00:00:00Z", "until": "2100-01-01T00:00:00Z"});
    let path = format!("{DELIVERIES}/replay");
    // The rule of the second delivery is off.
    let replayed = api.post(&path, range("gone")).await;
    assert_eq!(replayed.status, 202);
    assert_eq!(
        replayed.body,
        json!({"replayed": 2, "left_out": 1, "next_after": null})
    );
    let one = api
        .post(&format!("{DELIVERIES}/2/replay"), Value::Null)
        .await;
    assert_eq!(one.problem(), (409, "pointless"));
    for n in [1, 3] {
        once(&api, n, "state", json!("delivered")).await;
    }
    let none = json!({"replayed": 0, "left_out": 0, "next_after": null});
    assert_eq!(api.post(&path, range("given_up")).await.done(), &none);
    let mut callbacks = range("gone");
    callbacks["kind"] = json!("callback");
    assert_eq!(api.post(&path, callbacks).await.done(), &none);
    for (field, code, body) in [
        ("state", "missing_field", json!({})),
        ("state", "invalid_field", range("waiting")),
        (
            "since",
            "missing_field",
            json!({"state": "gone", "until": "2100-01-01T00:00:00Z"}),
        ),
        (
            "until",
            "invalid_field",
            json!({"state": "gone", "since": "2023-03-15T00:00:00Z", "until": 5}),
        ),
    ] {
        let answer = api.post(&path, body).await;
        assert_eq!(answer.problem_and_field(), (422, code, field));
    }
}

#[tokio::test]
async fn of_a_webhook_and_its_edited_replays_only_one_sends_a_reply() {
    let (api, hooks) = api().await;
    write(&api, "A1", "halo").await;
    once(&api, 1, "state", json!("delivered")).await;
    let path = format!("{DELIVERIES}/1/replay");
    let edited = json!({"body": r#"{"keyword":"lain"}"#});
    hooks.answer(200, ANSWER);
    assert_eq!(api.post(&path, edited.clone()).await.done()["id"], 2);
    // A delivery and its copies are posted one after the other, so that each copy knows the outcome
    // of the previous.
    assert_eq!(
        api.post(&path, Value::Null).await.problem(),
        (409, "still_open")
    );
    once(&api, 2, "note", json!("sent 1 messages")).await;
    hooks.answer(200, ANSWER);
    api.post(&path, Value::Null).await.done();
    let shown = once(&api, 1, "state", json!("delivered")).await;
    let note = shown["note"].as_str().unwrap();
    assert!(note.starts_with("nothing sent: posted again"), "{note}");
    // A copy of a copy belongs to the same original delivery.
    hooks.answer(200, ANSWER);
    let path = format!("{DELIVERIES}/2/replay");
    assert_eq!(api.post(&path, edited).await.done()["replay_of"], 1);
    let shown = once(&api, 3, "state", json!("delivered")).await;
    let note = shown["note"].as_str().unwrap();
    assert!(note.starts_with("nothing sent: posted again"), "{note}");
    assert_eq!(sent(&api), 1);
}

#[tokio::test]
async fn a_replayed_event_goes_to_the_current_url_of_its_subscription() {
    let api = ApiTest::with(&[("outbound.allow", "127.0.0.0/8")]).await;
    let hooks = Hooks::start().await;
    let wish = json!({"url": hooks.url("lama").as_str(), "kinds": ["message.received"]});
    let path = "/v1/bots/1/subscriptions";
    api.post(path, wish).await.done();
    write(&api, "A1", "halo").await;
    once(&api, 1, "state", json!("delivered")).await;
    let new = hooks.url("baru");
    let path = format!("{path}/1");
    api.patch(&path, json!({"url": new.as_str()})).await.done();
    let replay = format!("{DELIVERIES}/1/replay");
    api.post(&replay, Value::Null).await.done();
    let shown = once(&api, 1, "state", json!("delivered")).await;
    assert_eq!(shown["url"], new.as_str());
    assert_eq!(hooks.paths(), ["lama", "baru"]);
    assert_eq!(api.delete(&path).await.status, 204);
    let refused = api.post(&replay, Value::Null).await;
    assert_eq!(refused.problem(), (409, "pointless"));
}

#[tokio::test]
async fn a_delivery_of_another_bot_is_404() {
    let (api, _hooks) = api().await;
    api.post("/v1/bots", json!({"name": "dua"})).await.done();
    write(&api, "A1", "halo").await;
    once(&api, 1, "state", json!("delivered")).await;
    for path in [
        "/v1/bots/2/deliveries/1",
        "/v1/bots/1/deliveries/9",
        "/v1/bots/1/deliveries/x",
    ] {
        assert_eq!(api.get(path).await.problem(), (404, "no_such_thing"));
        let again = api.post(&format!("{path}/replay"), Value::Null).await;
        assert_eq!(again.problem(), (404, "no_such_thing"));
    }
    assert_eq!(
        api.get("/v1/bots/2/deliveries").await.done()["data"],
        json!([])
    );
}
