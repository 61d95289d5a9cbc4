//! A receiver for callbacks, webhooks and events that can misbehave. The receiver logs each
//! accepted call just before its 2xx answer.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::log::Log;
use crate::gateway::http_client;
use crate::oracle::Seen;
use crate::spawn;

/// The behaviour of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Manner {
    /// Accepts every call.
    #[default]
    Works,
    /// Answers 500.
    Fails,
    /// Answers 503 with `Retry-After: 1`.
    Busy,
    /// Answers 302 without a target. The gateway follows a redirect with a target and takes the
    /// answer from there.
    Moves,
    /// Accepts the call and closes the connection before answering.
    Swallows,
    /// Answers after a delay.
    Slow,
    /// Answers 429 with `Retry-After: 1`.
    Limits,
    /// Never answers.
    Hole,
    /// Answers byte by byte without an end.
    Drips,
    /// Answers 500 with a body ten times larger than the gateway reads.
    Floods,
}

pub(super) struct Receiver {
    endpoints: EndpointState,
    server: JoinHandle<()>,
}

/// The state behind the endpoints, with the base URL.
#[derive(Clone)]
pub(super) struct EndpointState {
    url: String,
    /// The gateway's base URL, for the links in its events.
    gateway: Arc<OnceLock<String>>,
    log: Log,
    http: reqwest::Client,
    manner: Arc<Mutex<Manner>>,
    under_way: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

impl Receiver {
    pub(super) async fn start(log: &Log) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a port");
        let endpoints = EndpointState {
            url: format!("http://{}", listener.local_addr().expect("an address")),
            gateway: Arc::default(),
            log: log.clone(),
            http: http_client(),
            manner: Arc::default(),
            under_way: Arc::default(),
            most: Arc::default(),
        };
        let app = Router::new()
            .route("/notify", post(callback))
            .route("/hook", post(webhook))
            .route("/events", post(event))
            .route("/gone", post(async || StatusCode::GONE))
            .layer(middleware::from_fn_with_state(endpoints.clone(), count))
            .with_state(endpoints.clone());
        let server = spawn(async move { axum::serve(listener, app).await.expect("serves") });
        Self { endpoints, server }
    }

    pub(super) fn endpoints(&self) -> &EndpointState {
        &self.endpoints
    }
}

impl EndpointState {
    pub(super) fn notify(&self) -> String {
        format!("{}/notify", self.url)
    }

    pub(super) fn hook(&self) -> String {
        format!("{}/hook", self.url)
    }

    pub(super) fn events(&self) -> String {
        format!("{}/events", self.url)
    }

    /// Returns the URL of an endpoint that always answers 410.
    pub(super) fn gone(&self) -> String {
        format!("{}/gone", self.url)
    }

    pub(super) fn behave(&self, manner: Manner) {
        *self.manner.lock().unwrap_or_else(PoisonError::into_inner) = manner;
    }

    /// Sets the base URL of the gateway for the links in its events.
    pub(super) fn belongs_to(&self, gateway: String) {
        let _ = self.gateway.set(gateway);
    }

    /// Returns the highest number of concurrent calls.
    pub(super) fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }
}

/// Reduces the number of open calls on drop, also if the caller disconnects.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn count(State(endpoints): State<EndpointState>, request: Request, next: Next) -> Response {
    let now = endpoints.under_way.fetch_add(1, Ordering::SeqCst) + 1;
    let _counted = Counted(Arc::clone(&endpoints.under_way));
    endpoints.most.fetch_max(now, Ordering::SeqCst);
    next.run(request).await
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Applies the behaviour before a call is accepted. Returns `Err` if the call is not accepted.
async fn before_accept(endpoints: &EndpointState) -> Result<(), Response> {
    let manner = *endpoints
        .manner
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    match manner {
        Manner::Works | Manner::Swallows => Ok(()),
        Manner::Slow => {
            pause(Duration::from_millis(700)).await;
            Ok(())
        }
        Manner::Limits => {
            Err((StatusCode::TOO_MANY_REQUESTS, [(RETRY_AFTER, "1")]).into_response())
        }
        Manner::Hole => std::future::pending().await,
        Manner::Drips => {
            let drip = futures::stream::unfold((), async |()| {
                pause(Duration::from_millis(500)).await;
                Some((Ok::<_, std::io::Error>(Bytes::from_static(b".")), ()))
            });
            Err(axum::body::Body::from_stream(drip).into_response())
        }
        Manner::Floods => {
            let flood = vec![b'.'; 10 * 256 * 1024];
            Err((StatusCode::INTERNAL_SERVER_ERROR, flood).into_response())
        }
        Manner::Fails => Err(StatusCode::INTERNAL_SERVER_ERROR.into_response()),
        Manner::Busy => {
            Err((StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "1")]).into_response())
        }
        Manner::Moves => Err(StatusCode::FOUND.into_response()),
    }
}

/// Applies the behaviour after a call is accepted: the answer may be withheld.
fn after_accept(endpoints: &EndpointState, answer: Response) -> Response {
    let manner = *endpoints
        .manner
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    if manner == Manner::Swallows {
        // An error in the body stream ends the connection without a complete answer.
        let cut = futures::stream::once(async {
            Err::<Bytes, _>(std::io::Error::other("the receiver goes away"))
        });
        return axum::body::Body::from_stream(cut).into_response();
    }
    answer
}

async fn callback(State(endpoints): State<EndpointState>, body: Bytes) -> Response {
    if let Err(answer) = before_accept(&endpoints).await {
        return answer;
    }
    let callback: Value = serde_json::from_slice(&body).unwrap_or_default();
    let (Some(id), Some(ack)) = (callback["msgid"].as_str(), callback["ack"].as_i64()) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let id = id.to_owned();
    endpoints.log.see(Seen::CalledBack { id, ack });
    after_accept(&endpoints, StatusCode::OK.into_response())
}

/// Accepts an event and downloads the linked file.
async fn event(State(endpoints): State<EndpointState>, body: Bytes) -> Response {
    if let Err(answer) = before_accept(&endpoints).await {
        return answer;
    }
    let event: Value = serde_json::from_slice(&body).unwrap_or_default();
    if event["type"] == "message.received"
        && let Some(text) = event["data"]["text"].as_str()
    {
        let face = text.to_owned();
        endpoints.log.see(Seen::EventReceived { face });
    }
    if let (Some(link), Some(gateway)) = (
        event["data"]["media"]["url"].as_str(),
        endpoints.gateway.get(),
    ) {
        let loading = endpoints.http.get(format!("{gateway}{link}")).send();
        drop(spawn(async move { drop(loading.await) }));
    }
    after_accept(&endpoints, StatusCode::OK.into_response())
}

/// Replies to a question with two texts that contain the question, and to other messages with
/// nothing.
async fn webhook(State(endpoints): State<EndpointState>, body: Bytes) -> Response {
    if let Err(answer) = before_accept(&endpoints).await {
        return answer;
    }
    let webhook: Value = serde_json::from_slice(&body).unwrap_or_default();
    let question = webhook["data"][0].as_str().unwrap_or_default();
    if !question.starts_with(QUESTION) {
        return after_accept(&endpoints, StatusCode::OK.into_response());
    }
    let items: Vec<Value> = answers(question)
        .into_iter()
        .map(|text| json!({"type": "message", "content": text}))
        .collect();
    let answer = json!({"success": true, "message": {"reply": items}});
    after_accept(&endpoints, axum::Json(answer).into_response())
}

/// The prefix of a question.
pub(super) const QUESTION: &str = "tanya";

/// Returns the reply to a question.
pub(super) fn answers(question: &str) -> [String; 2] {
    [1, 2].map(|n| format!("jawab {question} {n}"))
}

pub(super) async fn pause(span: Duration) {
    let nothing = std::future::pending::<()>();
    let _ = tokio::time::timeout(span, nothing).await;
}
