//! A scripted endpoint for webhooks, and access to the results in the database.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde_json::Value;
use sqlx::{Connection, Row};
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;
use url::Url;
use waviro_core::bots::Profiles;
use waviro_link::Content;
use waviro_store::clock::Clock;
use waviro_store::{AddRule, NewRule};

use crate::engine::{TestEngine, text_of, until};

/// Records the calls and answers as scripted, then with an empty reply.
#[derive(Clone)]
pub struct Hooks(Arc<Mutex<Script>>, SocketAddr);

#[derive(Default)]
struct Script {
    arrived: Vec<(String, HeaderMap, String)>,
    answers: VecDeque<(u16, String)>,
    echo: Option<Duration>,
}

impl Hooks {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let hooks = Self(Arc::default(), listener.local_addr().unwrap());
        let app = Router::new()
            .route("/{path}", axum::routing::post(Self::take))
            .with_state(hooks.clone());
        TaskTracker::new().spawn(async move { axum::serve(listener, app).await });
        hooks
    }

    pub fn url(&self, path: &str) -> Url {
        format!("http://{}/{path}", self.1).parse().unwrap()
    }

    /// Scripts the next answer.
    pub fn answer(&self, status: u16, body: &str) {
        let mut script = self.0.lock().unwrap();
        script.answers.push_back((status, body.to_owned()));
    }

    /// Replies with the first entry of `data` as a text, after a delay that shrinks with each call.
    pub fn echo_slowly(&self, first: Duration) {
        self.0.lock().unwrap().echo = Some(first);
    }

    pub fn bodies(&self) -> Vec<String> {
        let script = self.0.lock().unwrap();
        script
            .arrived
            .iter()
            .map(|(_, _, body)| body.clone())
            .collect()
    }

    pub fn calls(&self) -> Vec<Value> {
        let parse = |body: String| serde_json::from_str(&body).unwrap();
        self.bodies().into_iter().map(parse).collect()
    }

    pub fn paths(&self) -> Vec<String> {
        let script = self.0.lock().unwrap();
        script
            .arrived
            .iter()
            .map(|(path, ..)| path.clone())
            .collect()
    }

    /// Returns the values of a header in all calls.
    pub fn header(&self, name: &str) -> Vec<String> {
        let script = self.0.lock().unwrap();
        let values = script
            .arrived
            .iter()
            .filter_map(|(_, headers, _)| headers.get(name));
        values
            .map(|value| value.to_str().unwrap().to_owned())
            .collect()
    }

    pub async fn wait_for(&self, calls: usize) {
        until(|| async { self.bodies().len() }, |count| *count >= calls).await;
    }

    async fn take(
        State(hooks): State<Self>,
        Path(path): Path<String>,
        headers: HeaderMap,
        body: String,
    ) -> (StatusCode, String) {
        let (scripted, echo) = {
            let mut script = hooks.0.lock().unwrap();
            script.arrived.push((path, headers, body.clone()));
            let echo = script.echo;
            script.echo = echo.map(|echo| echo * 2 / 3);
            (script.answers.pop_front(), echo)
        };
        if let Some(pause) = echo {
            Clock::system().sleep(pause).await;
            let call: Value = serde_json::from_str(&body).unwrap();
            let data = call["data"][0].as_str().unwrap_or("kosong");
            let reply = serde_json::json!({"success": true, "message": [{"type": "message", "content": data}]});
            return (StatusCode::OK, reply.to_string());
        }
        let (status, body) =
            scripted.unwrap_or((200, r#"{"success":true,"message":[]}"#.to_owned()));
        (StatusCode::from_u16(status).unwrap(), body)
    }
}

/// Starts a host for pictures: `/now.png` is served at once, every other picture after a
/// notification.
pub async fn files() -> (SocketAddr, Arc<Notify>) {
    const PICTURE: &[u8] = b"\x89PNG\r\n\x1a\n and more";
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let released = Arc::new(Notify::new());
    let wait = Arc::clone(&released);
    let picture = |Path(name): Path<String>| async move {
        if name != "now.png" {
            wait.notified().await;
        }
        PICTURE
    };
    let app = Router::new().route("/{name}", axum::routing::get(picture));
    TaskTracker::new().spawn(async move { axum::serve(listener, app).await });
    (address, released)
}

/// Adds a rule for messages from persons only and returns the id.
pub async fn rule(gateway: &TestEngine, keyword: &str, url: &Url) -> i64 {
    rule_with(gateway, keyword, url, false).await
}

pub async fn rule_with(gateway: &TestEngine, keyword: &str, url: &Url, in_groups: bool) -> i64 {
    let new = NewRule {
        keyword: keyword.to_owned(),
        folded: keyword.to_lowercase(),
        url: url.clone(),
        enabled: true,
        in_groups,
        timeout_s: None,
    };
    let store = &gateway.engine.store;
    match store
        .add_rule(gateway.bot.id(), new, gateway.clock.now())
        .await
        .unwrap()
    {
        AddRule::Done(rule) => rule.id,
        other => panic!("{other:?}"),
    }
}

pub async fn webhook_key(gateway: &TestEngine) -> String {
    let profiles = Profiles::new(gateway.engine.store.clone(), gateway.clock.clone());
    let profile = profiles.of(gateway.bot.id()).await.unwrap();
    profile.webhook_key().to_owned()
}

/// Returns the sent texts.
pub fn texts(gateway: &TestEngine) -> Vec<String> {
    let sent = gateway.link().sent();
    let texts = sent
        .iter()
        .filter(|sent| matches!(sent.content, Content::Text(_)));
    texts.map(|sent| text_of(&sent.content)).collect()
}

/// Returns outcome and note of every delivery, oldest first; empty for an unfinished delivery.
pub async fn deliveries(gateway: &TestEngine) -> Vec<(String, String)> {
    let text = "SELECT COALESCE(fate, ''), COALESCE(note, '') FROM deliveries ORDER BY id";
    rows(gateway, text)
        .await
        .iter()
        .map(|row| (row.get(0), row.get(1)))
        .collect()
}

/// Returns the number of webhooks with an unsent reply.
pub async fn answered(gateway: &TestEngine) -> usize {
    rows(
        gateway,
        "SELECT id FROM deliveries WHERE stage = 1 AND ended_at IS NULL",
    )
    .await
    .len()
}

/// Returns the number of deliveries that wait for another attempt.
pub async fn waiting(gateway: &TestEngine) -> usize {
    rows(
        gateway,
        "SELECT id FROM deliveries WHERE leased = 0 AND ended_at IS NULL",
    )
    .await
    .len()
}

async fn rows(gateway: &TestEngine, text: &'static str) -> Vec<sqlx::any::AnyRow> {
    let mut connection = sqlx::AnyConnection::connect(&gateway.url()).await.unwrap();
    sqlx::query(text).fetch_all(&mut connection).await.unwrap()
}
