//! The pages of deliveries: the list, the attempts of a delivery, and replays.

use serde_json::json;
use waviro_store::UserRole;
use waviro_testing::engine;
use waviro_testing::hooks::Hooks;
use waviro_testing::samples::inbound;

use super::messages::until;
use crate::pages::Visitor;
use crate::v1::ApiTest;

pub(super) const DELIVERIES: &str = "/dashboard/bots/1/deliveries";
const BUDI: &str = "6281300000001";

/// Starts a gateway with a webhook refused by its endpoint.
pub(super) async fn refused() -> (ApiTest, Hooks) {
    let api = ApiTest::with(&[("outbound.allow", "127.0.0.0/8")]).await;
    let hooks = Hooks::start().await;
    let body = json!({"url": hooks.url("hook").as_str()});
    api.post("/v1/bots/1/rules", body).await.done();
    hooks.answer(410, "");
    let link = api.app.link();
    link.inbound(vec![inbound("A1", BUDI, "halo")])
        .await
        .unwrap();
    until(&api, "/v1/bots/1/deliveries/1", "state", json!("gone")).await;
    (api, hooks)
}

#[tokio::test]
async fn a_delivery_is_posted_again_as_it_was_with_another_body_and_with_its_like() {
    let (api, hooks) = refused().await;
    let admin = Visitor::admin(&api.app).await;
    let one = format!("{DELIVERIES}/1");
    // The endpoint's 410 has switched the rule off.
    let again = [("do", "again")];
    let off = admin.post(&one, &again).await;
    off.refused(409).has(&["rule or subscription is off"]);
    let on = json!({"enabled": true});
    api.patch("/v1/bots/1/rules/1", on).await.done();

    assert_eq!(admin.post(&one, &again).await.leads_to(), one);
    until(&api, "/v1/bots/1/deliveries/1", "state", json!("delivered")).await;
    assert_eq!(hooks.bodies()[0], hooks.bodies()[1]);

    let edited = |body| [("do", "edited"), ("body", body)];
    let broken = admin.post(&one, &edited("{no")).await;
    broken.refused(422);
    broken.has(&["The body must be valid JSON.", ">{no</textarea>"]);
    let two = format!("{DELIVERIES}/2");
    let copied = admin.post(&one, &edited("{\"data\":\r\n[]}")).await;
    assert_eq!(copied.leads_to(), two);
    until(&api, "/v1/bots/1/deliveries/2", "state", json!("delivered")).await;
    assert_eq!(hooks.bodies()[2], "{\"data\":\n[]}");
    let copy = admin.page(&two).await;
    copy.has(&[&format!("href=\"{one}\"")]);

    let fields = [
        ("do", "again"),
        ("state", "delivered"),
        ("kind", "keyword"),
        ("past", "day"),
    ];
    let posted = admin.post(DELIVERIES, &fields).await;
    // A delivery and its copies are not posted at the same time.
    posted.shown().has(&["Posted again: 1.", "Left out: 1"]);
    api.app.pass_until(hooks.wait_for(4)).await;
    let nobody = [("do", "again"), ("state", "given_up"), ("past", "hour")];
    let posted = admin.post(DELIVERIES, &nobody).await;
    posted.has(&["Posted again: 0."]);
    let unknown = admin.post(DELIVERIES, &[("do", "x")]).await;
    unknown.refused(400);
}

#[tokio::test]
async fn failing_endpoints_are_listed_above_the_deliveries_and_resumed_there() {
    let api = ApiTest::with(&[("outbound.allow", "127.0.0.0/8")]).await;
    let admin = Visitor::admin(&api.app).await;
    let hooks = Hooks::start().await;
    let body = json!({"url": hooks.url("hook").as_str()});
    api.post("/v1/bots/1/rules", body).await.done();
    hooks.answer(500, "");
    let link = api.app.link();
    link.inbound(vec![inbound("A1", BUDI, "halo")])
        .await
        .unwrap();
    // The clock does not advance, so no delivery is retried.
    engine::until(
        || api.get_unvalidated("/v1/endpoints"),
        |listed| listed["data"][0]["waiting"] == 1,
    )
    .await;
    let endpoint = hooks.url("").to_string();
    let endpoint = endpoint.trim_end_matches('/');
    let page = admin.page(DELIVERIES).await;
    page.has(&[endpoint, "Failing since", "Next try"]);
    page.has(&["Retry scheduled"]);
    let operator = Visitor::new(&api.app, "kasir", UserRole::Operator(vec![1])).await;
    operator.page(DELIVERIES).await.lacks(&["Failing since"]);
    let fields = [("do", "on"), ("endpoint", endpoint)];
    operator.post(DELIVERIES, &fields).await.refused(403);
    let answer = admin.post(DELIVERIES, &fields).await;
    answer.has(&["posted now: 1."]);
    api.app.pass_until(hooks.wait_for(2)).await;
    let narrowed = |query: &str| format!("{DELIVERIES}?{query}");
    let to_it = format!("q={endpoint}/other.php");
    for (query, there) in [
        ("kind=keyword&past=day", true),
        ("kind=callback", false),
        ("q=A1", true),
        ("q=A2", false),
        (&*to_it, true),
        ("q=http://toko.example", false),
    ] {
        let page = admin.page(&narrowed(query)).await;
        let shown = page.text.contains(&format!("{DELIVERIES}/1"));
        assert_eq!(shown, there, "{query}");
    }
    admin.get(&narrowed("q=http://")).await.refused(422);
}
