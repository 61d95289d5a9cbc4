//! Tests of the control API over HTTP.

use futures::StreamExt as _;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use whatsapp_rust::types::presence::ReceiptType;

use wa_sim::Sim;

use crate::client::{DEADLINE, TestClient, plain_http};

const SHOP: &str = "6281111111111";
const BUDI: &str = "6282222222222";

struct Api {
    http: Client,
    base: String,
}

impl Api {
    fn new(sim: &Sim) -> Self {
        Self {
            http: plain_http(),
            base: sim.http_url(),
        }
    }

    async fn get(&self, path: &str) -> (StatusCode, Value) {
        answer(self.http.get(format!("{}{path}", self.base))).await
    }

    async fn post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        answer(self.http.post(format!("{}{path}", self.base)).json(body)).await
    }

    async fn patch(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        answer(self.http.patch(format!("{}{path}", self.base)).json(body)).await
    }
}

async fn answer(request: reqwest::RequestBuilder) -> (StatusCode, Value) {
    let response = request.send().await.expect("answered");
    (response.status(), response.json().await.expect("JSON"))
}

#[tokio::test]
async fn a_client_is_linked_and_used_over_http_alone() {
    let sim = Sim::start().await.expect("starts");
    let api = Api::new(&sim);
    let (status, shop) = api
        .post(
            "/control/phones",
            &json!({ "number": SHOP, "name": "Shop" }),
        )
        .await;
    assert_eq!(
        (status, &shop["number"], &shop["online"]),
        (StatusCode::CREATED, &json!(SHOP), &json!(true))
    );
    let (status, _) = api
        .post(
            "/control/phones",
            &json!({ "number": SHOP, "name": "Other" }),
        )
        .await;
    assert_eq!(status, StatusCode::OK);
    api.post(
        "/control/phones",
        &json!({ "number": format!("+{BUDI}"), "name": "Budi" }),
    )
    .await;
    let (_, key) = api.get("/control/key").await;
    assert_eq!(key["ws_url"], json!(sim.ws_url()));

    let client = TestClient::start(&sim).await;
    let qr = client.qr().await;
    let (status, device) = api
        .post(
            &format!("/control/phones/{SHOP}/scan"),
            &json!({ "qr": qr }),
        )
        .await;
    assert_eq!(status, StatusCode::OK, "{device}");
    client.connected().await;
    let (_, devices) = api.get("/control/devices").await;
    assert_eq!(
        (&devices[0]["id"], &devices[0]["connected"]),
        (&device["id"], &json!(true))
    );

    client
        .send(&format!("{BUDI}@s.whatsapp.net"), "hello", "H-1")
        .await;
    client.receipt("H-1", ReceiptType::Read).await;
    let (_, messages) = api.get(&format!("/control/phones/{BUDI}/messages")).await;
    assert_eq!(messages[0]["id"], "H-1");
    for (field, value) in [
        ("chat", json!(SHOP)),
        ("from", json!(SHOP)),
        ("from_me", json!(false)),
        ("kind", json!("text")),
        ("text", json!("hello")),
    ] {
        assert_eq!(messages[0][field], value, "{messages}");
    }
    let (_, after) = api
        .get(&format!("/control/phones/{BUDI}/messages?after=H-1"))
        .await;
    assert_eq!(after, json!([]));

    let (_, sent) = api
        .post(
            &format!("/control/phones/{BUDI}/send"),
            &json!({ "to": SHOP, "text": "hi" }),
        )
        .await;
    assert_eq!(json!(client.text("hi").await.id), sent["id"]);
    let (_, group) = api
        .post(
            "/control/groups",
            &json!({ "name": "Team", "owner": BUDI, "members": [SHOP, "6283333333333"] }),
        )
        .await;
    let text = json!({ "groupid": group["groupid"], "text": "to all" });
    let (_, sent) = api
        .post(&format!("/control/phones/{BUDI}/send"), &text)
        .await;
    assert_eq!(json!(client.text("to all").await.id), sent["id"]);
    assert_eq!(
        api.get("/control/groups").await.1[0]["members"]
            .as_array()
            .map(Vec::len),
        Some(3)
    );
}

#[tokio::test]
async fn habits_chats_and_connections_are_driven_over_http() {
    let sim = Sim::start().await.expect("starts");
    let api = Api::new(&sim);
    let shop = sim.phone(SHOP).await;
    sim.phone(BUDI).await;
    let (client, device) = TestClient::paired(&sim, &shop).await;
    let habits = json!({ "receipts": "delivered", "receipt_delay_ms": 1, "ask_again_ms": 500 });
    let (_, budi) = api.patch(&format!("/control/phones/{BUDI}"), &habits).await;
    assert_eq!(
        (&budi["receipts"], &budi["receipt_delay_ms"]),
        (&json!("delivered"), &json!(1))
    );
    let by_default = api.get("/control/phones").await.1[0]["ask_again_ms"].clone();
    assert_eq!(
        (&budi["ask_again_ms"], &by_default),
        (&json!(500), &json!(3000))
    );
    client
        .send(&format!("{BUDI}@s.whatsapp.net"), "unread", "H-2")
        .await;
    client.receipt("H-2", ReceiptType::Delivered).await;
    let (_, read) = api
        .post(
            &format!("/control/phones/{BUDI}/read"),
            &json!({ "chat": SHOP }),
        )
        .await;
    assert_eq!(read, json!({ "read": 1 }));
    client.receipt("H-2", ReceiptType::Read).await;

    let id = device.id;
    let (_, dropped) = api
        .post(
            &format!("/control/devices/{id}/drop"),
            &json!({ "how": "abrupt" }),
        )
        .await;
    assert_eq!(dropped, json!({ "dropped": true }));
    let (_, out) = api
        .post(
            &format!("/control/phones/{SHOP}/logout-devices"),
            &json!({}),
        )
        .await;
    assert_eq!(out, json!({ "logged_out": 1 }));
}

#[tokio::test]
async fn mistakes_are_answered_with_a_sentence() {
    let sim = Sim::start().await.expect("starts");
    let api = Api::new(&sim);
    sim.phone(SHOP).await;
    let phone = format!("/control/phones/{SHOP}");
    let mistakes = [
        (api.get("/control/nothing").await, 404),
        (api.get("/control/phones/628000/messages").await, 404),
        (api.get("/control/devices/%FF").await, 400),
        (
            api.get(&format!("{phone}/messages?after=a&after=b")).await,
            400,
        ),
        (api.post("/control/phones", &json!({ "number": "12" })).await, 400),
        (api.post("/control/phones", &json!({ "name": "No one" })).await, 400),
        (api.post("/control/phones", &json!([])).await, 400),
        (api.post(&format!("{phone}/scan"), &json!({ "qr": "nonsense" })).await, 400),
        (api.post(&format!("{phone}/scan"), &json!({ "qr": "2@a,YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=,YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=,YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=,1" })).await, 409),
        (api.post(&format!("{phone}/enter-code"), &json!({ "code": "ABCD1234" })).await, 409),
        (api.post(&format!("{phone}/send"), &json!({ "text": "to whom" })).await, 400),
        (api.post(&format!("{phone}/send"), &json!({ "to": "628000", "text": "x" })).await, 404),
        (api.post(&format!("{phone}/send"), &json!({ "groupid": "1", "text": "x" })).await, 404),
        (api.patch(&phone, &json!({ "receipts": "sometimes" })).await, 400),
        (api.patch(&phone, &json!({ "mood": "good" })).await, 400),
        (api.patch("/control/faults", &json!({ "gravity": 9 })).await, 400),
        (api.patch("/control/faults", &json!({ "dedupe": "yes" })).await, 400),
        (api.post("/control/groups", &json!({ "name": "x", "owner": "me", "members": [] })).await, 400),
        (api.post("/control/devices/628:1/drop", &json!({})).await, 404),
        (api.patch("/control/phones", &json!({})).await, 405),
    ];
    for (index, ((status, body), expected)) in mistakes.into_iter().enumerate() {
        assert_eq!(status.as_u16(), expected, "mistake {index}: {body}");
        let sentence = body["error"].as_str().unwrap_or_default();
        assert!(sentence.len() > 20, "mistake {index}: {body}");
    }
    let raw = api
        .http
        .post(format!("{}{phone}/send", api.base))
        .body("{")
        .send()
        .await
        .expect("answered");
    assert_eq!(raw.status(), StatusCode::BAD_REQUEST);
    assert!(raw.json::<Value>().await.expect("JSON")["error"].is_string());
}

#[tokio::test]
async fn a_foreign_host_name_is_refused() {
    let sim = Sim::start().await.expect("starts");
    let api = Api::new(&sim);
    let ask = |host: &'static str| {
        api.http
            .get(format!("{}/control/phones", api.base))
            .header("host", host)
            .send()
    };
    assert_eq!(
        ask("rebound.example").await.expect("answered").status(),
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        ask("localhost:4000").await.expect("answered").status(),
        StatusCode::OK
    );
}

#[tokio::test]
async fn faults_are_turned_one_at_a_time() {
    let sim = Sim::start().await.expect("starts");
    let api = Api::new(&sim);
    let (_, state) = api
        .patch(
            "/control/faults",
            &json!({ "ack_delay_ms": 20, "dedupe": true }),
        )
        .await;
    assert_eq!(
        (&state["ack_delay_ms"], &state["dedupe"]),
        (&json!(20), &json!(true))
    );
    api.patch("/control/faults", &json!({ "dedupe": false }))
        .await;
    let (_, state) = api.get("/control/faults").await;
    assert_eq!(
        (&state["ack_delay_ms"], &state["dedupe"]),
        (&json!(20), &json!(false))
    );
}

#[tokio::test]
async fn events_are_streamed() {
    let sim = Sim::start().await.expect("starts");
    let api = Api::new(&sim);
    let (shop, budi) = (sim.phone(SHOP).await, sim.phone(BUDI).await);
    let response = api
        .http
        .get(format!("{}/control/events", api.base))
        .send()
        .await
        .expect("answered");
    let mut stream = response.bytes_stream();
    let id = shop.send_text(budi.number(), "hello").await.expect("sent");
    let found = tokio::time::timeout(DEADLINE, async {
        let mut all = String::new();
        while let Some(Ok(part)) = stream.next().await {
            all.push_str(&String::from_utf8_lossy(&part));
            if all.contains("phone_message") && all.contains(&id) {
                return true;
            }
        }
        false
    });
    assert!(found.await.expect("in time"));
}
