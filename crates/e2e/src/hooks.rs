//! A webhook to tell: it keeps what it is told, answers as it is scripted to, and holds its answers back where a test wants
//! to do something meanwhile. It hosts the files of its answers too.

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

/// One endpoint on a port of its own.
pub struct Hooks {
    url: String,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

/// One call, as it came.
#[derive(Debug, Clone)]
pub struct Call {
    /// The body, to the letter.
    pub body: String,
    /// The headers.
    pub headers: HeaderMap,
}

struct Shared {
    book: Mutex<Book>,
    /// Whether webhooks are answered, and files given.
    gates: watch::Sender<Gates>,
}

#[derive(Default)]
struct Book {
    calls: Vec<Call>,
    /// How many calls were answered.
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

/// How calls are answered from now on.
#[derive(Debug, Clone, Default)]
pub enum Answer {
    /// 200, and nothing to send.
    #[default]
    Nothing,
    /// This status and body.
    Fixed(u16, String),
    /// A text that names what was asked: `jawab: ` and the first part of the data.
    Echo,
}

impl Call {
    /// The body.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// A header's text; empty where it is missing.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }
}

impl Hooks {
    /// Listens on loopback; answers 200 with an empty reply.
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
            book: Mutex::default(),
            gates: watch::Sender::new(gates),
        });
        let app = Router::new()
            .route("/hook", post(take))
            .route("/files/{name}", get(give))
            .with_state(Arc::clone(&shared));
        let server = spawn(async move { axum::serve(listener, app).await.expect("serves") });
        Self {
            url,
            shared,
            server,
        }
    }

    /// What to register.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}/hook", self.url)
    }

    /// Hosts a file; its URL.
    pub fn host(&self, name: &str, mime: &'static str, bytes: impl Into<Bytes>) -> String {
        let mut book = lock(&self.shared.book);
        book.files.insert(name.to_owned(), (mime, bytes.into()));
        format!("{}/files/{name}", self.url)
    }

    /// From now on calls are answered so.
    pub fn answer(&self, answer: Answer) {
        lock(&self.shared.book).answer = answer;
    }

    /// From now on a 200 with these items.
    pub fn reply(&self, items: &Value) {
        let body = json!({"success": true, "message": {"reply": items}});
        self.answer(Answer::Fixed(200, body.to_string()));
    }

    /// Holds answers back, or lets them go.
    pub fn answers(&self, go: bool) {
        self.shared.gates.send_modify(|gates| gates.answers = go);
    }

    /// Holds files back, or lets them go.
    pub fn files(&self, go: bool) {
        self.shared.gates.send_modify(|gates| gates.files = go);
    }

    /// Every call so far, whether answered or not.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        lock(&self.shared.book).calls.clone()
    }

    /// Waits for so many calls.
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

    /// Waits until so many calls were answered.
    pub async fn wait_answered(&self, count: usize) {
        eventually("answers of the webhook", async || {
            let answered = lock(&self.shared.book).answered;
            if answered >= count {
                Ok(())
            } else {
                Err(answered)
            }
        })
        .await;
    }

    /// Waits until a file was asked for.
    pub async fn wait_asked_for(&self, name: &str) {
        eventually("a file to be asked for", async || {
            let asked = lock(&self.shared.book).asked_for.clone();
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

async fn take(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: String) -> Response {
    let call = Call { body, headers };
    let answer = {
        let mut book = lock(&shared.book);
        book.calls.push(call.clone());
        book.answer.clone()
    };
    open(&shared, |gates| gates.answers).await;
    lock(&shared.book).answered += 1;
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

async fn give(State(shared): State<Arc<Shared>>, Path(name): Path<String>) -> Response {
    let file = {
        let mut book = lock(&shared.book);
        book.asked_for.push(name.clone());
        book.files.get(&name).cloned()
    };
    open(&shared, |gates| gates.files).await;
    match file {
        Some((mime, bytes)) => ([(CONTENT_TYPE, mime)], bytes).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Waits for a gate.
async fn open(shared: &Shared, gate: impl Fn(&Gates) -> bool) {
    // The sender lives as long as the endpoint.
    let _ = shared.gates.subscribe().wait_for(|gates| gate(gates)).await;
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
