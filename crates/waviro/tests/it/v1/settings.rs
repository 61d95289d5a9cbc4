//! `/v1/bots/{bot}/settings`: the effect of each setting.

use std::time::Duration;

use axum::body::Body;
use axum::http::Method;
use serde_json::{Value, json};
use waviro_link::{OfflineCause, Status};
use waviro_testing::engine::{Receiver, endpoint};

use super::ApiTest;
use crate::test_app::Answer;

const PATH: &str = "/v1/bots/1/settings";
const ANI: &str = "6282386000001";

fn defaults() -> Value {
    json!({
        "duplicate_rule": {"enabled": true, "within_s": null},
        "pacing": {"per_minute": null, "jitter": 0.3, "typing": false},
        "group_acks": false, "grace_s": null, "allow": [],
    })
}

async fn say(api: &ApiTest, text: &str) -> Answer {
    let body = json!({"nohp": ANI, "pesan": text});
    api.app.sendwa(body).await
}

#[tokio::test]
async fn all_settings_are_shown_and_a_patch_changes_what_it_names() {
    let api = ApiTest::online().await;
    assert_eq!(*api.get(PATH).await.done(), defaults());
    let patch = json!({"pacing": {"per_minute": 20}, "grace_s": 300, "allow": ["10.0.0.5:8080"]});
    let changed = api.patch(PATH, patch).await;
    let mut wanted = defaults();
    wanted["pacing"]["per_minute"] = json!(20);
    wanted["grace_s"] = json!(300);
    wanted["allow"] = json!(["10.0.0.5:8080"]);
    assert_eq!(*changed.done(), wanted);
    assert_eq!(*api.get(PATH).await.done(), wanted);
    assert_eq!(*api.patch(PATH, json!({})).await.done(), wanted);
    let back = json!({"pacing": null, "grace_s": null, "allow": null});
    assert_eq!(*api.patch(PATH, back).await.done(), defaults());
}

#[tokio::test]
async fn a_bad_value_is_refused_with_its_name_and_changes_nothing() {
    let api = ApiTest::online().await;
    for (patch, field) in [
        (json!({"pacing": {"per_minute": 601}}), "pacing.per_minute"),
        (json!({"pacing": {"jitter": "much"}}), "pacing.jitter"),
        (
            json!({"duplicate_rule": {"within_s": 0}}),
            "duplicate_rule.within_s",
        ),
        (json!({"grace_s": -1}), "grace_s"),
        (json!({"group_acks": 1, "grace_s": 1}), "group_acks"),
        (json!({"allow": ["somewhere"]}), "allow"),
        (json!({"pace": 5, "grace_s": 1}), "settings"),
    ] {
        let refused = api.patch(PATH, patch.clone()).await;
        assert_eq!(
            refused.problem_and_field(),
            (422, "invalid_field", field),
            "{patch}"
        );
    }
    assert_eq!(*api.get(PATH).await.done(), defaults());
}

#[tokio::test]
async fn a_bots_own_token_changes_every_setting_except_the_networks() {
    let api = ApiTest::online().await;
    let token = api.token_of(1).await;
    let patch = async |body: Value| {
        let body = Body::from(body.to_string());
        api.ask(Method::PATCH, PATH, &token, body).await
    };
    let refused = patch(json!({"allow": ["127.0.0.1"], "group_acks": true})).await;
    assert_eq!(refused.problem(), (403, "admin_only"));
    assert_eq!(*api.get(PATH).await.done(), defaults());
    // Sending the shown settings back changes nothing.
    let same = patch(json!({"allow": [], "group_acks": true})).await;
    assert_eq!(same.done()["group_acks"], true);
}

#[tokio::test]
async fn the_duplicate_rule_can_be_bounded_in_time_and_switched_off() {
    let api = ApiTest::online().await;
    say(&api, "halo").await.message();
    api.app.clock.advance(Duration::from_hours(1));
    assert_eq!(
        say(&api, "halo").await.refusal(),
        (400, "duplicate_message")
    );
    api.patch(PATH, json!({"duplicate_rule": {"within_s": 60}}))
        .await
        .done();
    say(&api, "halo").await.message();
    api.app.clock.advance(Duration::from_mins(1));
    assert_eq!(
        say(&api, "halo").await.refusal(),
        (400, "duplicate_message")
    );
    api.app.clock.advance(Duration::from_secs(1));
    say(&api, "halo").await.message();
    api.patch(PATH, json!({"duplicate_rule": {"enabled": false}}))
        .await
        .done();
    let (one, other) = (say(&api, "halo").await, say(&api, "halo").await);
    assert_ne!(one.message()["id"], other.message()["id"]);
    api.patch(PATH, json!({"duplicate_rule": null}))
        .await
        .done();
    assert_eq!(
        say(&api, "halo").await.refusal(),
        (400, "duplicate_message")
    );
}

#[tokio::test]
async fn the_grace_time_is_the_bots_own() {
    let api = ApiTest::online().await;
    say(&api, "satu").await.message();
    api.patch(PATH, json!({"grace_s": 600})).await.done();
    api.app.link().set_status(Status::Reconnecting {
        cause: OfflineCause::Ended("the connection ended".to_owned()),
    });
    api.app.clock.advance(Duration::from_mins(9));
    say(&api, "dua").await.message();
    api.patch(PATH, json!({"grace_s": 0})).await.done();
    assert_eq!(say(&api, "tiga").await.refusal(), (400, "not_connected"));
}

#[tokio::test]
async fn a_network_of_the_bots_own_is_called_for_that_bot_alone() {
    let (receiver, address) = Receiver::start().await;
    let api = ApiTest::online().await;
    let body = |text: &str| {
        let url = endpoint(address, "a");
        json!({"nohp": ANI, "pesan": text, "notifyurl": url.as_str()})
    };
    let refused = api.app.sendwa(body("satu")).await;
    assert_eq!(refused.refusal(), (400, "invalid_url"));
    let allow = json!({"allow": [format!("127.0.0.1:{}", address.port())]});
    api.patch(PATH, allow).await.done();
    api.app.sendwa(body("dua")).await.message();
    assert_eq!(receiver.wait_for("a", 1).await, [1]);
    let added = api.post("/v1/bots", json!({"name": "lain"})).await;
    let other = added.done()["secret_key"].as_str().unwrap();
    let request = axum::http::Request::post("/api/sendwa").header("SecretKey", other);
    let request = request.body(Body::from(body("tiga").to_string())).unwrap();
    let refused = api.app.send(request).await;
    assert_eq!(refused.refusal(), (400, "invalid_url"));
}

#[tokio::test]
async fn a_file_of_the_bots_own_network_is_fetched() {
    let api = ApiTest::online().await;
    let url = crate::wire::host("", b"%PDF-1.7\nbrosur").await;
    let body = json!({"nohp": ANI, "mediaurl": url}).to_string();
    let refused = api.app.post("/api/sendmedia", body.clone()).await;
    assert_eq!(refused.refusal(), (400, "invalid_url"));
    api.patch(PATH, json!({"allow": ["127.0.0.0/8"]}))
        .await
        .done();
    let sent = api.app.post("/api/sendmedia", body).await;
    assert_eq!(sent.message()["type"], "document");
}
