//! `/v1/bots/{bot}/rules/gateway`

use axum::http::{HeaderMap, HeaderName};
use serde_json::{Value, json};
use standardwebhooks::Webhook;
use waviro_testing::hooks::Hooks;

use super::super::ApiTest;
use super::RULES;

const TEST: &str = "/v1/bots/1/rules/test";

async fn api() -> (ApiTest, Hooks) {
    let api = ApiTest::with(&[("outbound.allow", "127.0.0.0/8")]).await;
    (api, Hooks::start().await)
}

async fn key(api: &ApiTest) -> String {
    let shown = api.get("/v1/bots/1/webhook-key").await;
    shown.done()["webhook_key"].as_str().unwrap().to_owned()
}

/// Returns whether the signature in the headers matches the body.
async fn signed(api: &ApiTest, headers: &HeaderMap, body: &str) -> bool {
    let shown = api.get("/v1/bots/1/signing-secret").await;
    let webhook = Webhook::new(shown.done()["signing_secret"].as_str().unwrap()).unwrap();
    let id = headers["webhook-id"].to_str().unwrap();
    let at = headers["webhook-timestamp"].to_str().unwrap();
    let signature = webhook.sign(id, at.parse().unwrap(), body.as_bytes());
    headers["webhook-signature"] == signature.unwrap()
}

#[tokio::test]
async fn the_test_of_a_rule_shows_the_exact_request_and_posts_nothing() {
    let (api, hooks) = api().await;
    for keyword in ["", "penawaran#"] {
        let body = json!({"keyword": keyword, "url": hooks.url("hook").as_str()});
        api.post(RULES, body).await.done();
    }
    let asked = json!({"text": "Penawaran#Jhon Doe#jhon@example.com", "from": "6282386000000"});
    let tested = api.post(TEST, asked).await;
    let tested = tested.done();
    assert_eq!(tested["rule"]["id"], 2);
    assert_eq!(tested["sent"], Value::Null);
    let expected = format!(
        r#"{{"keyword":"penawaran#","data":["Jhon Doe","jhon@example.com"],"webhookkey":"{}","from":"6282386000000"}}"#,
        key(&api).await
    );
    assert_eq!(tested["request"]["body"], expected);
    assert_eq!(tested["request"]["url"], hooks.url("hook").as_str());
    let headers: HeaderMap = (tested["request"]["headers"].as_object().unwrap().iter())
        .map(|(name, value)| {
            let name: HeaderName = name.parse().unwrap();
            (name, value.as_str().unwrap().parse().unwrap())
        })
        .collect();
    assert_eq!(headers["webhook-timestamp"], "1678849330");
    assert!(signed(&api, &headers, &expected).await);
    assert!(!signed(&api, &headers, "{}").await);
    assert!(hooks.bodies().is_empty());
}

#[tokio::test]
async fn a_text_without_a_rule_is_reported_and_a_rule_without_groups_ignores_groups() {
    let (api, hooks) = api().await;
    let body = json!({"keyword": "halo", "url": hooks.url("hook").as_str()});
    api.post(RULES, body).await.done();
    let group = "120363000000000001@g.us";
    let none = json!({"rule": null, "request": null, "sent": null});
    for asked in [
        json!({"text": "selamat pagi", "send": true}),
        json!({"text": "halo", "group": group, "send": true}),
    ] {
        assert_eq!(api.post(TEST, asked).await.done(), &none);
    }
    api.patch("/v1/bots/1/rules/1", json!({"groups": true}))
        .await
        .done();
    let tested = api
        .post(TEST, json!({"text": "halo", "group": group}))
        .await;
    let body = tested.done()["request"]["body"].as_str().unwrap();
    assert!(
        body.ends_with(r#","from":"","groupid":"120363000000000001@g.us"}"#),
        "{body}"
    );
    api.patch("/v1/bots/1/rules/1", json!({"enabled": false}))
        .await
        .done();
    assert_eq!(api.post(TEST, json!({"text": "halo"})).await.done(), &none);
    assert!(hooks.bodies().is_empty());
}

#[tokio::test]
async fn with_send_the_test_posts_once_and_shows_the_reply_without_sending_it() {
    let (api, hooks) = api().await;
    let body = json!({"keyword": "halo", "url": hooks.url("hook").as_str()});
    api.post(RULES, body).await.done();
    hooks.answer(
        200,
        r#"{"success":true,"message":[{"type":"message","content":"satu"},{"type":"tari"},
        {"type":"location","content":"-6.2,106.8"},{"type":"image","content":"https://toko.example/a.jpg","caption":"baru"}]}"#,
    );
    let tested = api.post(TEST, json!({"text": "halo", "send": true})).await;
    let sent = &tested.done()["sent"];
    assert_eq!(
        hooks.bodies(),
        [tested.body["request"]["body"].as_str().unwrap()]
    );
    let id = tested.body["request"]["headers"]["webhook-id"]
        .as_str()
        .unwrap();
    assert_eq!(hooks.header("webhook-id"), [id]);
    assert_eq!(
        hooks.header("user-agent"),
        [tested.body["request"]["headers"]["user-agent"]
            .as_str()
            .unwrap()]
    );
    assert_eq!(
        (&sent["status"], &sent["verdict"]),
        (&json!(200), &json!("delivered"))
    );
    assert_eq!(
        (&sent["address"], &sent["cause"]),
        (&json!("127.0.0.1"), &Value::Null)
    );
    assert!(
        sent["answer"]
            .as_str()
            .unwrap()
            .starts_with(r#"{"success":true"#)
    );
    let item = |kind: &str, text: Value, url: Value, coordinate: Value| json!({"type": kind, "text": text, "url": url, "coordinate": coordinate, "numbers": []});
    let reply = json!([
        item("text", json!("satu"), Value::Null, Value::Null),
        item("location", Value::Null, Value::Null, json!([-6.2, 106.8])),
        item(
            "image",
            json!("baru"),
            json!("https://toko.example/a.jpg"),
            Value::Null
        ),
    ]);
    assert_eq!(sent["reply"], reply);
    assert_eq!(sent["skipped"][0]["position"], 2);
    assert_eq!(sent["nothing_because"], Value::Null);
    // The test leaves no delivery and sends no message.
    assert_eq!(
        api.get("/v1/bots/1/deliveries").await.done()["data"],
        json!([])
    );
    assert!(api.app.link().sent().is_empty());
}

#[tokio::test]
async fn the_test_of_a_rule_explains_a_reply_that_sends_nothing() {
    let (api, hooks) = api().await;
    let body = json!({"keyword": "halo", "url": hooks.url("hook").as_str()});
    api.post(RULES, body).await.done();
    for (status, body, verdict, why) in [
        (
            200,
            r#"{"success":false,"message":"stok habis"}"#,
            "delivered",
            "stok habis",
        ),
        (200, "<h1>ok</h1>", "delivered", "not JSON"),
        (
            200,
            r#"{"success":true,"message":[{"type":"tari"}]}"#,
            "delivered",
            "all items",
        ),
        (
            500,
            r#"{"success":true,"message":[{"type":"message","content":"a"}]}"#,
            "retried",
            "status 500",
        ),
        (410, "", "switched_off", "status 410"),
    ] {
        hooks.answer(status, body);
        let tested = api.post(TEST, json!({"text": "halo", "send": true})).await;
        let sent = &tested.done()["sent"];
        assert_eq!(sent["verdict"], verdict, "{sent}");
        assert_eq!(sent["reply"], json!([]), "{sent}");
        let cause = sent["nothing_because"].as_str().unwrap();
        assert!(cause.contains(why), "{cause}");
    }
    // A test never switches a rule off.
    assert_eq!(api.get("/v1/bots/1/rules/1").await.done()["enabled"], true);
    let nobody = json!({"url": "http://127.0.0.1:2/"});
    api.patch("/v1/bots/1/rules/1", nobody).await.done();
    let tested = api.post(TEST, json!({"text": "halo", "send": true})).await;
    let sent = &tested.done()["sent"];
    assert_eq!(
        (&sent["status"], &sent["verdict"]),
        (&Value::Null, &json!("retried"))
    );
    assert!(
        sent["cause"].as_str().unwrap().starts_with("unreachable"),
        "{sent}"
    );
}

#[tokio::test]
async fn an_invalid_test_of_a_rule_is_refused_with_the_field() {
    let api = ApiTest::online().await;
    for (field, body) in [
        ("text", json!({})),
        ("text", json!({"text": ""})),
        ("text", json!({"text": "a\u{0}"})),
        ("text", json!({"text": 1})),
        ("from", json!({"text": "a", "from": "0812"})),
        ("group", json!({"text": "a", "group": "x"})),
        ("send", json!({"text": "a", "send": "ya"})),
    ] {
        let answer = api.post(TEST, body.clone()).await;
        assert_eq!(answer.problem().0, 422, "{body}");
        assert_eq!(answer.body["field"], field, "{body}");
    }
}
