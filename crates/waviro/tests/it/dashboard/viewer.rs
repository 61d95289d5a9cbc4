//! Secrets hidden from viewers on all pages and in the API: the queries of URLs, and signed links
//! to files.

use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::{Value, json};
use waviro_store::UserRole;
use waviro_testing::hooks::Hooks;
use waviro_testing::samples::inbound;
use waviro_testing::samples::picture;
use waviro_web::v1::auth::Caller;

use super::deliveries::DELIVERIES;
use super::messages::MESSAGES;
use super::rules::RULES;
use super::settings::SETTINGS;
use crate::pages::Visitor;
use crate::v1::ApiTest;

const BUDI: &str = "6281300000001";

/// A secret in the query of every URL.
const SECRET: &str = "r4hasia";

/// Starts a gateway with a secret in every possible URL. Returns the gateway, the endpoint of its
/// posts, and the id of a sent message.
async fn with_secrets() -> (ApiTest, Hooks, String) {
    let api = ApiTest::with(&[("outbound.allow", "127.0.0.0/8")]).await;
    let hooks = Hooks::start().await;
    let url = |path: &str| format!("{}?token={SECRET}", hooks.url(path));
    let said = format!("lihat https://toko.example/a?b={SECRET}");
    for _ in 0..3 {
        let answer =
            json!({"success": false, "see": format!("https:\\/\\/toko.example/x?y={SECRET}")});
        hooks.answer(200, &answer.to_string());
    }
    api.post("/v1/bots/1/rules", json!({"url": url("rule")}))
        .await
        .done();
    let events = json!({"url": url("events"), "kinds": ["message.received"]});
    api.post("/v1/bots/1/subscriptions", events).await.done();
    let link = api.app.link();
    link.inbound(vec![picture("A1"), inbound("A2", BUDI, &said)])
        .await
        .unwrap();
    let text = json!({"nohp": BUDI, "pesan": said, "notifyurl": url("notify")});
    let sent = api.app.sendwa(text).await;
    let id = sent.message()["id"].as_str().unwrap().to_owned();
    let posted = async {
        loop {
            let list = api.get_unvalidated("/v1/bots/1/deliveries").await;
            let rows = list["data"].as_array().unwrap();
            // The clock advances here, so the message's callback may or may not be in the list.
            let others = rows.iter().filter(|row| row["kind"] != "callback");
            if others.filter(|row| row["state"] == "delivered").count() == 3 {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    api.app.pass_until(posted).await;
    (api, hooks, id)
}

#[tokio::test]
async fn no_answer_shows_a_viewer_the_query_of_a_url_or_a_signed_link() {
    let (api, _hooks, sent) = with_secrets().await;
    let ask = async |role: UserRole, path: &str| -> Value {
        let caller = Caller::new(role.into(), "a session");
        let request = Request::builder().method(Method::GET).uri(path);
        let request = request.extension(caller).body(Body::empty()).unwrap();
        api.app.send(request).await.body
    };
    let operations = api.operations().into_iter();
    let mut paths: Vec<String> = operations
        .filter(|(method, _)| method == Method::GET)
        .map(|(_, path)| path)
        .filter(|path| !path.ends_with("openapi.json") && path != "/v1/events")
        .collect();
    paths.extend(
        ["?direction=in", "/A1", "/A2", &format!("/{sent}")]
            .map(|more| format!("/v1/bots/1/messages{more}")),
    );
    paths.extend(["2", "3"].map(|id| format!("/v1/bots/1/deliveries/{id}")));
    let mut hidden = 0;
    for path in paths {
        let (seen, all) = (
            ask(UserRole::Viewer, &path).await.to_string(),
            ask(UserRole::Admin, &path).await.to_string(),
        );
        for secret in [SECRET, "signature=", "expires="] {
            assert!(!seen.contains(secret), "{path}: {seen}");
        }
        hidden += usize::from(all.contains(SECRET) || all.contains("signature="));
    }
    assert!(hidden >= 9, "only {hidden} answers held a secret");
    // The viewer still sees the URL without its query.
    let rule = ask(UserRole::Viewer, "/v1/bots/1/rules/1").await;
    let url = rule["url"].as_str().unwrap();
    assert!(url.ends_with("/rule?…"), "{url}");
}

#[tokio::test]
async fn no_page_shows_a_viewer_the_query_of_a_url_or_a_signed_link() {
    let (api, _hooks, sent) = with_secrets().await;
    let viewer = Visitor::new(&api.app, "lihat", UserRole::Viewer).await;
    let admin = Visitor::admin(&api.app).await;
    let mut paths = vec![
        "/dashboard".to_owned(),
        MESSAGES.to_owned(),
        format!("{MESSAGES}?direction=in"),
        DELIVERIES.to_owned(),
        RULES.to_owned(),
        format!("{RULES}/1"),
        SETTINGS.to_owned(),
    ];
    paths.extend(["A1", "A2", &sent].map(|id| format!("{MESSAGES}/{id}")));
    paths.extend(["1", "2", "3"].map(|id| format!("{DELIVERIES}/{id}")));
    let mut hidden = 0;
    for path in paths {
        viewer
            .page(&path)
            .await
            .lacks(&[SECRET, "signature=", "expires="]);
        let all = admin.page(&path).await;
        hidden += usize::from(all.text.contains(SECRET));
    }
    assert!(hidden >= 6, "only {hidden} pages held a secret");
}
