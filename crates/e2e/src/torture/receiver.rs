//! A notifyurl and a webhook that are as bad as they are told to be. What they take is written down when the 2xx is on its way.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::log::Log;
use crate::oracle::Seen;
use crate::spawn;

/// How an endpoint behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Manner {
    /// Takes everything.
    #[default]
    Works,
    /// Answers 500.
    Fails,
    /// Answers 503 and asks for a second of patience.
    Busy,
    /// Answers a redirect.
    Moves,
    /// Takes what it is told, and ends the connection before it says so.
    Swallows,
    /// Answers after a while.
    Slow,
}

pub(super) struct Receiver {
    url: String,
    manner: Arc<Mutex<Manner>>,
    server: JoinHandle<()>,
}

#[derive(Clone)]
struct Ear {
    log: Log,
    manner: Arc<Mutex<Manner>>,
}

impl Receiver {
    pub(super) async fn start(log: &Log) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let manner = Arc::<Mutex<Manner>>::default();
        let ear = Ear {
            log: log.clone(),
            manner: Arc::clone(&manner),
        };
        let app = Router::new()
            .route("/notify", post(told))
            .route("/hook", post(asked))
            .with_state(ear);
        let server = spawn(async move { axum::serve(listener, app).await.expect("serves") });
        Self {
            url,
            manner,
            server,
        }
    }

    pub(super) fn notify(&self) -> String {
        format!("{}/notify", self.url)
    }

    pub(super) fn hook(&self) -> String {
        format!("{}/hook", self.url)
    }

    pub(super) fn behave(&self, manner: Manner) {
        *self.manner.lock().unwrap_or_else(PoisonError::into_inner) = manner;
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// What is done before the call is taken; `Err` where it is not.
async fn meet(ear: &Ear) -> Result<(), Response> {
    let manner = *ear.manner.lock().unwrap_or_else(PoisonError::into_inner);
    match manner {
        Manner::Works | Manner::Swallows => Ok(()),
        Manner::Slow => {
            pause(Duration::from_millis(700)).await;
            Ok(())
        }
        Manner::Fails => Err(StatusCode::INTERNAL_SERVER_ERROR.into_response()),
        Manner::Busy => {
            Err((StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "1")]).into_response())
        }
        Manner::Moves => Err((StatusCode::FOUND, [("location", "/")]).into_response()),
    }
}

/// After the call is taken: whether its caller may hear of it.
fn part(ear: &Ear, answer: Response) -> Response {
    let manner = *ear.manner.lock().unwrap_or_else(PoisonError::into_inner);
    if manner == Manner::Swallows {
        // A panic in a handler ends the connection without an answer; so does a body that never comes true.
        let cut = futures::stream::once(async {
            Err::<Bytes, _>(std::io::Error::other("the receiver goes away"))
        });
        return axum::body::Body::from_stream(cut).into_response();
    }
    answer
}

async fn told(State(ear): State<Ear>, body: Bytes) -> Response {
    if let Err(answer) = meet(&ear).await {
        return answer;
    }
    let told: Value = serde_json::from_slice(&body).unwrap_or_default();
    let (Some(id), Some(ack)) = (told["msgid"].as_str(), told["ack"].as_i64()) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let id = id.to_owned();
    ear.log.see(Seen::Told { id, ack });
    part(&ear, StatusCode::OK.into_response())
}

/// Answers a question with two texts that name it.
async fn asked(State(ear): State<Ear>, body: Bytes) -> Response {
    if let Err(answer) = meet(&ear).await {
        return answer;
    }
    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    let question = asked["data"][0].as_str().unwrap_or_default();
    let items: Vec<Value> = answers(question)
        .into_iter()
        .map(|text| json!({"type": "message", "content": text}))
        .collect();
    let answer = json!({"success": true, "message": {"reply": items}});
    part(&ear, axum::Json(answer).into_response())
}

/// What a question is answered with.
pub(super) fn answers(question: &str) -> [String; 2] {
    [1, 2].map(|n| format!("jawab {question} {n}"))
}

pub(super) async fn pause(span: Duration) {
    let nothing = std::future::pending::<()>();
    let _ = tokio::time::timeout(span, nothing).await;
}
