//! The administration API, called through the gateway's real router. Each answer is checked against
//! the OpenAPI document.

mod auth;
mod bodies;
mod bots;
mod deliveries;
mod endpoints;
mod events;
mod idempotency;
mod keys;
mod linking;
mod media;
mod messages;
mod openapi;
mod pages;
mod rules;
mod secrets;
mod settings;
mod subscriptions;
mod tokens;
mod users;

use axum::body::Body;
use axum::http::{Method, Request};
use boon::{Compiler, Schemas};
use serde_json::{Value, json};
use waviro_store::TokenRole;

use super::test_app::{Answer, TestApp};

/// A gateway with an admin token.
pub struct ApiTest {
    pub app: TestApp,
    /// The admin token.
    pub admin: String,
    document: Value,
}

impl ApiTest {
    /// Starts a gateway with an online bot; its id is 1 and its name `toko`.
    pub async fn online() -> Self {
        Self::of(TestApp::online().await).await
    }

    /// Starts a gateway with an unlinked bot.
    pub async fn unlinked() -> Self {
        Self::of(TestApp::unlinked().await).await
    }

    /// Starts a gateway with an online bot and other settings.
    pub async fn with(settings: &[(&'static str, &str)]) -> Self {
        Self::of(TestApp::with(settings).await).await
    }

    async fn of(app: TestApp) -> Self {
        let (_, token) = app
            .inner
            .tokens()
            .add("admin", TokenRole::Admin, None)
            .await
            .unwrap();
        let request = Request::get("/v1/openapi.json")
            .body(Body::empty())
            .unwrap();
        let document = app.send(request).await.body;
        Self {
            app,
            admin: token.reveal().to_owned(),
            document,
        }
    }

    /// Creates a token for one bot.
    pub async fn token_of(&self, bot_id: i32) -> String {
        self.token(&format!("bot {bot_id}"), TokenRole::Bot(bot_id))
            .await
    }

    /// Creates a token with this name.
    pub async fn token(&self, name: &str, role: TokenRole) -> String {
        let tokens = self.app.inner.tokens();
        let (_, token) = tokens.add(name, role, None).await.unwrap();
        token.reveal().to_owned()
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, &self.admin, Body::empty())
            .await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.ask(Method::POST, path, &self.admin, body.to_string().into())
            .await
    }

    /// Returns the body of a GET without checking the OpenAPI document; for polling.
    pub async fn get_unvalidated(&self, path: &str) -> Value {
        let request = Request::get(path).header("Authorization", format!("Bearer {}", self.admin));
        let request = request.body(Body::empty()).unwrap();
        self.app.send(request).await.body
    }

    /// Sends a POST without checking the OpenAPI document, because the check takes time.
    pub async fn post_unvalidated(&self, path: &str, body: Value) -> Answer {
        let request = Request::post(path).header("Authorization", format!("Bearer {}", self.admin));
        self.app
            .send(request.body(body.to_string().into()).unwrap())
            .await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.ask(Method::PATCH, path, &self.admin, body.to_string().into())
            .await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.ask(Method::DELETE, path, &self.admin, Body::empty())
            .await
    }

    /// Sends any request with a token. The answer must match the OpenAPI document.
    pub async fn ask(&self, method: Method, path: &str, token: &str, body: Body) -> Answer {
        let request = Request::builder()
            .method(&method)
            .uri(path)
            .header("Authorization", format!("Bearer {token}"));
        self.send(request.body(body).unwrap()).await
    }

    /// Sends any request to a documented path and method.
    pub async fn send(&self, request: Request<Body>) -> Answer {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let answer = self.app.send(request).await;
        self.validate(&method, &path, &answer);
        answer
    }

    fn validate(&self, method: &Method, path: &str, answer: &Answer) {
        let what = format!("{method} {path}: {answer:?}");
        let template = self
            .template(path)
            .unwrap_or_else(|| panic!("undocumented: {what}"));
        let method = method.as_str().to_ascii_lowercase();
        let status = answer.status.as_u16().to_string();
        let documented = &self.document["paths"][&template][&method]["responses"][&status];
        assert!(documented.is_object(), "undocumented: {what}");
        assert_eq!(answer.headers["cache-control"], "no-store", "{what}");
        let Some(content) = documented.get("content") else {
            assert_eq!(answer.body, "", "{what}");
            return;
        };
        let kind = answer.headers["content-type"].to_str().unwrap();
        assert!(
            content[kind]["schema"].is_object(),
            "undocumented {kind}: {what}"
        );
        let escape = |text: &str| {
            text.replace('~', "~0")
                .replace('/', "~1")
                .replace('{', "%7B")
                .replace('}', "%7D")
        };
        let at = format!(
            "http://described/v1.json#/paths/{}/{method}/responses/{status}/content/{}/schema",
            escape(&template),
            escape(kind)
        );
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler.enable_format_assertions();
        compiler
            .add_resource("http://described/v1.json", self.document.clone())
            .unwrap();
        let schema = compiler.compile(&at, &mut schemas).unwrap();
        let fault = schemas.validate(&answer.body, schema).err();
        assert!(fault.is_none(), "{what}: {fault:?}");
    }

    /// Returns the path template in the document for this path.
    fn template(&self, path: &str) -> Option<String> {
        let paths = self.document["paths"].as_object().unwrap();
        let parts: Vec<_> = path.split('/').collect();
        let fits = |template: &&String| {
            let wanted: Vec<_> = template.split('/').collect();
            wanted.len() == parts.len()
                && wanted
                    .iter()
                    .zip(&parts)
                    .all(|(wanted, part)| wanted.starts_with('{') || wanted == part)
        };
        // A fixed segment of another template is not a parameter, so the template with the fewest
        // parameters wins.
        let all = paths.keys().filter(fits);
        all.min_by_key(|template| template.matches('{').count())
            .cloned()
    }

    /// Returns method and path of every operation, with `1` for each parameter.
    pub fn operations(&self) -> Vec<(Method, String)> {
        let mut all = Vec::new();
        for (path, item) in self.document["paths"].as_object().unwrap() {
            for method in item.as_object().unwrap().keys() {
                let method = method.to_uppercase().parse().unwrap();
                all.push((method, filled(path)));
            }
        }
        assert!(all.len() > 10, "{all:?}");
        all
    }
}

/// Replaces each parameter of a documented path by `1`.
pub fn filled(path: &str) -> String {
    let part = |part: &str| if part.starts_with('{') { "1" } else { part }.to_owned();
    path.split('/').map(part).collect::<Vec<_>>().join("/")
}

impl Answer {
    /// Expects the shape of RFC 9457; returns status and code of the problem.
    pub fn problem(&self) -> (u16, &str) {
        assert_eq!(
            self.headers["content-type"], "application/problem+json",
            "{self:?}"
        );
        assert_eq!(self.body["status"], self.status.as_u16(), "{self:?}");
        assert_eq!(
            self.body["request_id"],
            self.headers["x-request-id"].to_str().unwrap()
        );
        let code = self.body["code"].as_str().unwrap();
        assert_eq!(self.body["type"], format!("urn:waviro:problem:{code}"));
        let detail = self.body["detail"].as_str().unwrap();
        assert!(detail.ends_with('.') && detail.len() > 10, "{self:?}");
        (self.status.as_u16(), code)
    }

    /// Expects a problem; returns status, code and the named field.
    pub fn problem_and_field(&self) -> (u16, &str, &str) {
        let (status, code) = self.problem();
        (status, code, self.field())
    }

    /// Expects a success; returns the body.
    pub fn done(&self) -> &Value {
        assert!(self.status.is_success(), "{self:?}");
        &self.body
    }
}

#[tokio::test]
async fn an_unknown_path_is_404_and_another_method_is_405_with_the_allowed_methods() {
    let api = ApiTest::online().await;
    let ask = async |method: Method, path: &str| {
        let request = Request::builder().method(method).uri(path);
        api.app.send(request.body(Body::empty()).unwrap()).await
    };
    for path in [
        "/v1",
        "/v1/",
        "/v1/nothing",
        "/v1/bots/",
        "/v1/bots/1/x/y",
        "/v1/%FF",
        "/v1/bots/1/keys/",
    ] {
        assert_eq!(
            ask(Method::GET, path).await.problem(),
            (404, "not_found"),
            "{path}"
        );
    }
    for (method, path, allowed) in [
        (Method::PUT, "/v1/bots", "GET,HEAD,POST"),
        (Method::POST, "/v1/bots/1", "GET,HEAD,DELETE,PATCH"),
        (Method::GET, "/v1/bots/1/relink", "POST"),
        (Method::OPTIONS, "/v1/bots/1/keys", "GET,HEAD"),
    ] {
        let answer = ask(method, path).await;
        assert_eq!(answer.problem(), (405, "method_not_allowed"), "{path}");
        let mut said: Vec<_> = answer.headers["allow"]
            .to_str()
            .unwrap()
            .split(',')
            .collect();
        let mut wanted: Vec<_> = allowed.split(',').collect();
        said.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(said, wanted, "{path}");
    }
}

#[tokio::test]
async fn every_path_works_below_the_base_path_too() {
    let api = ApiTest::with(&[("server.base_path", "/bot1")]).await;
    let ask = async |method: Method, path: &str, body: &str| {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("Authorization", format!("Bearer {}", api.admin));
        api.app
            .send(request.body(Body::from(body.to_owned())).unwrap())
            .await
    };
    assert_eq!(
        ask(Method::GET, "/bot1/v1/bots/1", "").await.done()["name"],
        "toko"
    );
    let added = ask(Method::POST, "/bot1/v1/bots", r#"{"name":"dua"}"#).await;
    assert_eq!(added.headers["location"], "/bot1/v1/bots/2");
    let document = ask(Method::GET, "/bot1/v1/openapi.json", "").await;
    assert_eq!(document.done()["servers"], json!([{"url": "/bot1"}]));
    assert_eq!(api.document["servers"], json!([{"url": "/"}]));
    assert_eq!(
        ask(Method::GET, "/bot1/v1/nothing", "").await.problem().0,
        404
    );
    assert_eq!(ask(Method::PUT, "/bot1/v1/bots", "").await.problem().0, 405);
}

#[tokio::test]
async fn a_body_is_json_whatever_its_content_type_says() {
    let api = ApiTest::online().await;
    for (n, kind) in ["application/x-www-form-urlencoded", "text/plain", ""]
        .into_iter()
        .enumerate()
    {
        let request = Request::post("/v1/bots")
            .header("Authorization", format!("Bearer {}", api.admin))
            .header("Content-Type", kind)
            .body(Body::from(format!(
                "\u{feff} {{\"name\":\"bot {n}\", \"more\": 1}}\n"
            )));
        assert_eq!(api.send(request.unwrap()).await.status, 201, "{kind}");
    }
}

#[tokio::test]
async fn no_body_causes_a_5xx() {
    let api = ApiTest::with(&[("limits.qr_wait_s", "1")]).await;
    let large = "a".repeat(1100 * 1024);
    let bodies = [
        "",
        "{",
        "[]",
        "null",
        "1",
        "\"x\"",
        "{\"name\":1}",
        "{\"name\":\"\"}",
        "{\"name\":[]}",
        "\u{0}",
        "{\"name\":\"\\u0000\"}",
        "{\"number\":\"08123\"}",
        "{\"number\":6281200000001}",
        "{\"overlap_s\":-1}",
        "{\"overlap_s\":1e400}",
        "{\"overlap_s\":\"1\"}",
        "{\"name\":\"x\",\"role\":\"king\"}",
        &large,
    ];
    let takes_a_body = |method: &Method, path: &str| {
        let template = api.template(path).unwrap();
        let method = method.as_str().to_ascii_lowercase();
        api.document["paths"][&template][&method]["requestBody"].is_object()
    };
    for (method, path) in api.operations() {
        if !takes_a_body(&method, &path) {
            continue;
        }
        for body in bodies {
            let answer = api
                .ask(method.clone(), &path, &api.admin, body.to_owned().into())
                .await;
            assert!(
                answer.status.as_u16() < 500,
                "{method} {path} {body}: {answer:?}"
            );
            if body == "{" || body == "[]" {
                assert_eq!(answer.problem(), (400, "invalid_body"), "{method} {path}");
            }
            if body.len() > 1000 {
                assert_eq!(answer.problem(), (413, "body_too_large"), "{method} {path}");
            }
        }
    }
}
