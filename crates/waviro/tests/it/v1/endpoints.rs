//! `/v1/endpoints`

use axum::body::Body;
use axum::http::Method;
use serde_json::{Value, json};
use waviro_testing::hooks::Hooks;
use waviro_testing::samples::inbound;

use super::ApiTest;

#[tokio::test]
async fn an_endpoint_that_fails_is_listed_and_called_again_on_demand() {
    let api = ApiTest::with(&[("outbound.allow", "127.0.0.0/8")]).await;
    let hooks = Hooks::start().await;
    assert_eq!(
        api.get("/v1/endpoints").await.done(),
        &json!({"data": [], "next": null})
    );
    let body = json!({"url": hooks.url("hook").as_str()});
    api.post("/v1/bots/1/rules", body).await.done();
    hooks.answer(500, "");
    let link = api.app.link();
    link.inbound(vec![inbound("A1", "6281300000001", "halo")])
        .await
        .unwrap();
    let listed = async {
        loop {
            let shown = api.get_unvalidated("/v1/endpoints").await;
            if shown["data"][0]["waiting"] == 1 {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    // The clock does not advance, so no delivery is retried.
    listed.await;
    let shown = api.get("/v1/endpoints").await.done()["data"][0].clone();
    let port = hooks.url("").port().unwrap();
    let endpoint = format!("http://127.0.0.1:{port}");
    let expected = json!({"endpoint": endpoint, "failing_since": "2023-03-15T03:02:10Z", "last_error": "status 500", "last_error_code": "status", "last_status": 500, "off_at": null, "waiting": 1});
    assert_eq!(shown, expected);
    let on = api
        .post(
            "/v1/endpoints/on",
            json!({"endpoint": format!("{endpoint}/hook?x")}),
        )
        .await;
    assert_eq!(on.done(), &json!({"due": 1}));
    api.app.pass_until(hooks.wait_for(2)).await;
    let again = api
        .post("/v1/endpoints/on", json!({"endpoint": endpoint}))
        .await;
    assert_eq!(again.problem(), (404, "no_such_thing"));
    for body in [
        json!({"endpoint": "x"}),
        json!({"endpoint": 5}),
        Value::Null,
    ] {
        assert_eq!(api.post("/v1/endpoints/on", body).await.problem().0, 422);
    }
}

#[tokio::test]
async fn endpoints_are_for_admins() {
    let api = ApiTest::online().await;
    let token = api.token_of(1).await;
    let listed = api.ask(Method::GET, "/v1/endpoints", &token, Body::empty());
    assert_eq!(listed.await.problem(), (403, "admin_only"));
    let on = api.ask(Method::POST, "/v1/endpoints/on", &token, Body::from("{}"));
    assert_eq!(on.await.problem(), (403, "admin_only"));
}
