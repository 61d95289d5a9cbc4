//! The samples of the documentation, sent to the gateway.

use serde_json::Value;
use waviro_link::Identity;
use waviro_testing::samples::{GROUP, OWN, number};
use waviro_web::docs::catalogue::Endpoint;

use super::english;
use super::openapi::Described;
use crate::test_app::TestApp;
use crate::wire;

#[tokio::test]
async fn every_sample_is_accepted_and_answered_as_documented() {
    for endpoint in english().endpoints() {
        // Each endpoint gets a new gateway, because the samples of two endpoints may be duplicates.
        let app = TestApp::with(&[("outbound.allow", "127.0.0.0/8")]).await;
        let described = Described::of(&app).await;
        let file = wire::host("", b"%PDF-1.7\nbrosur").await;
        let body = sample(endpoint);
        if body.contains("groupid") {
            assert!(body.contains(GROUP), "the group that the bot is in");
        }
        let answer = app
            .post(
                &endpoint.path(),
                body.replace("https://yourdomain/yourmedia.pdf", &file),
            )
            .await;
        assert_eq!(answer.status, 200, "{}: {answer:?}", endpoint.name);
        described.answers(&endpoint.name, 200, &answer.body);
        // The answer has the documented type, and the documented answers match the description.
        let shown: Value = serde_json::from_str(&endpoint.answers[0].body).unwrap();
        assert_eq!(
            answer.body["message"]["type"], shown["message"]["type"],
            "{}",
            endpoint.name
        );
        for sample in &endpoint.answers {
            let sample = serde_json::from_str(&sample.body).unwrap();
            described.answers(&endpoint.name, 200, &sample);
        }
    }
}

#[tokio::test]
async fn the_two_answers_about_linking_are_those_of_the_gateway() {
    let app = TestApp::unlinked().await;
    let described = Described::of(&app).await;
    let before = app.post("/api/getqr", "").await;
    assert_eq!(before.message()["isAuthenticated"], false);
    described.answers("getqr", 200, &before.body);
    app.link().scan(Identity {
        number: number(OWN),
        name: String::new(),
    });
    let after = app.post("/api/getqr", "").await;
    assert_eq!(after.message()["isAuthenticated"], true);
    described.answers("getqr", 200, &after.body);
}

#[test]
fn no_sample_contains_a_character_that_ends_a_quoted_body_in_a_shell() {
    for endpoint in english().endpoints() {
        let sample = sample(endpoint);
        assert!(!sample.contains(['\'', '\\', '$', '`']), "{sample}");
        assert_eq!(sample.is_empty(), endpoint.fields.is_empty());
    }
}

/// Returns the sample body as text, which is empty if the endpoint ignores the body.
fn sample(endpoint: &Endpoint) -> String {
    endpoint
        .sample()
        .map(|sample| sample.pretty())
        .unwrap_or_default()
}
