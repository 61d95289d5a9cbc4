//! A webhook receiver. The receiver records each call, answers as scripted, and can hold answers
//! back while a test does something else. The receiver also serves the files of webhook replies.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::{eventually, spawn};

/// A webhook receiver with its own port.
pub struct Hooks {
    url: String,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

/// A received call.
#[derive(Debug, Clone)]
pub struct Call {
    /// The unchanged body.
    pub body: String,
    /// The request headers.
    pub headers: HeaderMap,
}

struct Shared {
    records: Mutex<Records>,
    /// The two gates: webhook answers and files are held back while closed.
    gates: watch::Sender<Gates>,
}

#[derive(Default)]
struct Records {
    calls: Vec<Call>,
    /// The number of answered calls.
    answered: usize,
    answer: Answer,
    files: HashMap<String, (&'static str, Bytes)>,
    asked_for: Vec<String>,
}

#[derive(Debug, Clone, Copy)]
struct Gates {
    answers: bool,
    files: bool,
}

/// The scripted response to a call.
#[derive(Debug, Clone, Default)]
pub enum Answer {
    /// 200 without a reply.
    #[default]
    Nothing,
    /// A fixed status and body.
    Fixed(u16, String),
    /// A text reply with the received message: `jawab: ` and the first entry of `data`.
    Echo,
}

impl Call {
    /// Parses the body as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// Returns the text of a header; empty if the header is missing.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }
}

impl Hooks {
    /// Listens on loopback and answers 200 with an empty reply.
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let gates = Gates {
            answers: true,
            files: true,
        };
        let shared = Arc::new(Shared {
            records: Mutex::default(),
            gates: watch::Sender::new(gates),
        });
        let app = Router::new()
            .route("/hook", post(receive))
            .route("/files/{name}", get(serve_file))
            .with_state(Arc::clone(&shared));
        let server = spawn(async move { axum::serve(listener, app).await.expect("serves") });
        Self {
            url,
            shared,
            server,
        }
    }

    /// Returns the URL to register as a webhook.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}/hook", self.url)
    }

    /// Serves a file and returns its URL.
    pub fn host(&self, name: &str, mime: &'static str, bytes: impl Into<Bytes>) -> String {
        let mut records = lock(&self.shared.records);
        records.files.insert(name.to_owned(), (mime, bytes.into()));
        format!("{}/files/{name}", self.url)
    }

    /// Sets the response to all later calls.
    pub fn answer(&self, answer: Answer) {
        lock(&self.shared.records).answer = answer;
    }

    /// Answers all later calls with 200 and these reply items.
    pub fn reply(&self, items: &Value) {
        let body = json!({"success": true, "message": {"reply": items}});
        self.answer(Answer::Fixed(200, body.to_string()));
    }

    /// Holds webhook answers back (`false`) or sends them (`true`).
    pub fn answers(&self, go: bool) {
        self.shared.gates.send_modify(|gates| gates.answers = go);
    }

    /// Holds files back (`false`) or serves them (`true`).
    pub fn files(&self, go: bool) {
        self.shared.gates.send_modify(|gates| gates.files = go);
    }

    /// Returns every call so far, answered or not.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        lock(&self.shared.records).calls.clone()
    }

    /// Waits until `count` calls have arrived.
    pub async fn wait_calls(&self, count: usize) {
        let what = format!("{count} calls of the webhook");
        eventually(&what, async || {
            let calls = self.calls();
            if calls.len() >= count {
                Ok(())
            } else {
                Err(calls)
            }
        })
        .await;
    }

    /// Waits until `count` calls are answered.
    pub async fn wait_answered(&self, count: usize) {
        eventually("answers of the webhook", async || {
            let answered = lock(&self.shared.records).answered;
            if answered >= count {
                Ok(())
            } else {
                Err(answered)
            }
        })
        .await;
    }

    /// Waits until the gateway has requested the file `name`.
    pub async fn wait_asked_for(&self, name: &str) {
        eventually("a file to be asked for", async || {
            let asked = lock(&self.shared.records).asked_for.clone();
            if asked.iter().any(|asked| asked == name) {
                Ok(())
            } else {
                Err(asked)
            }
        })
        .await;
    }
}

impl Drop for Hooks {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn receive(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: String) -> Response {
    let call = Call { body, headers };
    let answer = {
        let mut records = lock(&shared.records);
        records.calls.push(call.clone());
        records.answer.clone()
    };
    open(&shared, |gates| gates.answers).await;
    lock(&shared.records).answered += 1;
    let (status, body) = match answer {
        Answer::Nothing => (200, r#"{"success":true,"message":{"reply":[]}}"#.to_owned()),
        Answer::Fixed(status, body) => (status, body),
        Answer::Echo => {
            let data = call.json()["data"][0].clone();
            let text = format!("jawab: {}", data.as_str().unwrap_or_default());
            let items = json!([{"type": "message", "content": text}]);
            (200, json!({"success": true, "message": items}).to_string())
        }
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::IM_A_TEAPOT);
    (status, [(CONTENT_TYPE, "application/json")], body).into_response()
}

async fn serve_file(State(shared): State<Arc<Shared>>, Path(name): Path<String>) -> Response {
    let file = {
        let mut records = lock(&shared.records);
        records.asked_for.push(name.clone());
        records.files.get(&name).cloned()
    };
    open(&shared, |gates| gates.files).await;
    match file {
        Some((mime, bytes)) => ([(CONTENT_TYPE, mime)], bytes).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Waits until a gate opens.
async fn open(shared: &Shared, gate: impl Fn(&Gates) -> bool) {
    // The sender lives as long as the receiver, so waiting cannot fail.
    let _ = shared.gates.subscribe().wait_for(|gates| gate(gates)).await;
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
