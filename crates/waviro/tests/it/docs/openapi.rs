//! `/docs/openapi.json` describes exactly the accepted requests and the answers.

use boon::{Compiler, Schemas};
use serde_json::{Value, json};

use super::{bodies, english, get};
use crate::openapi_snapshots::assert_reviewed;
use crate::test_app::TestApp;

/// The served description, used for checking bodies and answers.
pub struct Described(Value);

impl Described {
    pub async fn of(app: &TestApp) -> Self {
        let headers = [("Host", "127.0.0.1:8080"), ("Accept-Language", "en")];
        Self(get(app, "/docs/openapi.json", &headers).await.body)
    }

    fn operation(&self, endpoint: &str) -> &Value {
        &self.0["paths"][format!("/api/{endpoint}")]["post"]
    }

    /// Returns the error if the value violates the schema at `pointer` (below the operation).
    fn fault(&self, endpoint: &str, pointer: &str, value: &Value) -> Option<String> {
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler
            .add_resource("http://described/api.json", self.0.clone())
            .unwrap();
        let at = format!(
            "http://described/api.json#/paths/~1api~1{endpoint}/post/{pointer}/content/application~1json/schema"
        );
        let schema = compiler.compile(&at, &mut schemas).unwrap();
        let fault = schemas.validate(value, schema).err();
        fault.map(|fault| fault.to_string())
    }

    /// Returns whether the description allows this body.
    fn takes(&self, endpoint: &str, body: &Value) -> bool {
        self.fault(endpoint, "requestBody", body).is_none()
    }

    /// Fails if the description does not contain this answer.
    pub fn answers(&self, endpoint: &str, status: u16, body: &Value) {
        let documented = &self.operation(endpoint)["responses"][status.to_string()];
        assert!(documented.is_object(), "{endpoint} {status}: {body}");
        let fault = self.fault(endpoint, &format!("responses/{status}"), body);
        assert_eq!(fault, None, "{endpoint} {status}: {body}");
    }
}

#[tokio::test]
async fn the_description_is_the_one_that_was_reviewed() {
    let app = TestApp::online().await;
    for language in ["id", "en"] {
        let path = format!("/docs/openapi.json?lang={language}");
        let answer = get(&app, &path, &[("Host", "bot.example")]).await;
        assert_eq!(answer.headers["content-language"], language);
        assert_eq!(answer.headers["content-type"], "application/json");
        if language == "en" {
            assert_reviewed(answer.body, "docs/snapshots");
        }
    }
}

#[tokio::test]
async fn the_paths_are_in_the_documents_order_and_the_server_is_the_requested_host() {
    let app = TestApp::with(&[("server.base_path", "/bot1")]).await;
    let request = axum::http::Request::get("/bot1/docs/openapi.json")
        .header("Host", "wa.example.com")
        .header("X-Forwarded-Proto", "https");
    let request = request.body(axum::body::Body::empty()).unwrap();
    let response = tower::ServiceExt::oneshot(app.inner.router(), request).await;
    let body = axum::body::to_bytes(response.unwrap().into_body(), 1 << 20);
    let text = String::from_utf8(body.await.unwrap().to_vec()).unwrap();
    let places: Vec<Option<usize>> = english()
        .endpoints()
        .map(|endpoint| text.find(&format!("\"{}\": {{", endpoint.path())))
        .collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted());
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        document["servers"],
        json!([{"url": "https://wa.example.com/bot1"}])
    );
}

#[tokio::test]
async fn a_body_is_described_as_accepted_exactly_if_the_gateway_accepts_it() {
    let app = TestApp::online().await;
    let described = Described::of(&app).await;
    let mut wrong = Vec::new();
    let bodies = bodies::all();
    for (endpoint, body) in &bodies {
        let answer = app
            .post(&format!("/api/{endpoint}"), body.to_string())
            .await;
        let status = answer.status.as_u16();
        described.answers(endpoint, status, &answer.body);
        // Facts that a schema cannot describe: group membership and earlier messages.
        let code = answer.body["code"].as_str().unwrap_or_default();
        let taken = status == 200
            || code == "duplicate_message"
            || (code == "invalid_group"
                && answer.body["errorMessage"]
                    .as_str()
                    .unwrap()
                    .contains("anggota"));
        if taken != described.takes(endpoint, body) {
            let text: String = body.to_string().chars().take(200).collect();
            wrong.push(format!("{endpoint}: taken {taken}, {code}: {text}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "of {}:\n{}",
        bodies.len(),
        wrong.join("\n")
    );
}

#[tokio::test]
async fn every_other_refusal_is_described_too() {
    let app = TestApp::online().await;
    let described = Described::of(&app).await;
    let large = app.post("/api/sendwa", "a".repeat(1100 * 1024)).await;
    assert_eq!(large.refusal(), (413, "body_too_large"));
    described.answers("sendwa", 413, &large.body);
    let broken = app.post("/api/checknumber", "{").await;
    described.answers("checknumber", 400, &broken.body);
    let mut last = 0;
    for _ in 0..11 {
        let request = axum::http::Request::post("/api/groups").header("SecretKey", "wrong");
        let answer = app
            .send(request.body(axum::body::Body::empty()).unwrap())
            .await;
        last = answer.status.as_u16();
        described.answers("groups", last, &answer.body);
    }
    assert_eq!(last, 429);
}
