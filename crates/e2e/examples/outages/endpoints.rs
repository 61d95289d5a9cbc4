//! The endpoints of the run: a working endpoint, a slow endpoint with answers after ten seconds, an
//! endpoint without answers, and a failing endpoint that can be repaired. Each endpoint records its
//! calls with their times.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use tokio::time::Instant;

/// The behaviour of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Answers at once.
    Works,
    /// Answers after ten seconds.
    Slow,
    /// Accepts the request and never answers.
    Hole,
    /// Answers 500 until [`Endpoint::repair`].
    Down,
}

/// An endpoint with its own port and therefore its own endpoint queue.
#[derive(Clone)]
pub struct Endpoint {
    pub url: String,
    state: Arc<EndpointState>,
}

struct EndpointState {
    manner: Manner,
    repaired: AtomicBool,
    /// The first call of each message and ack that was answered with a 2xx.
    arrived: Mutex<HashMap<(String, i64), Instant>>,
    repeats: AtomicUsize,
    calls: AtomicUsize,
    under_way: AtomicUsize,
    most_under_way: AtomicUsize,
}

impl Endpoint {
    pub async fn start(manner: Manner) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let url = format!("http://{}/n", listener.local_addr().expect("an address"));
        let state = Arc::new(EndpointState {
            manner,
            repaired: AtomicBool::new(false),
            arrived: Mutex::default(),
            repeats: AtomicUsize::new(0),
            calls: AtomicUsize::new(0),
            under_way: AtomicUsize::new(0),
            most_under_way: AtomicUsize::new(0),
        });
        let app = Router::new()
            .route("/n", post(take))
            .with_state(Arc::clone(&state));
        #[expect(clippy::disallowed_methods, reason = "it ends with the run")]
        tokio::spawn(async move { axum::serve(listener, app).await.expect("serves") });
        Self { url, state }
    }

    /// Makes a failing endpoint work.
    pub fn repair(&self) {
        self.state.repaired.store(true, Ordering::SeqCst);
    }

    /// Returns the arrival time of a message's ack.
    pub fn arrival(&self, message: &str, ack: i64) -> Option<Instant> {
        let arrived = self.state.arrived.lock().expect("no panic");
        arrived.get(&(message.to_owned(), ack)).copied()
    }

    /// Returns the number of different acks.
    pub fn arrivals(&self) -> usize {
        self.state.arrived.lock().expect("no panic").len()
    }

    /// Returns the number of calls repeated after a 2xx.
    pub fn repeats(&self) -> usize {
        self.state.repeats.load(Ordering::SeqCst)
    }

    pub fn calls(&self) -> usize {
        self.state.calls.load(Ordering::SeqCst)
    }

    /// Returns the highest number of concurrent requests.
    pub fn most_under_way(&self) -> usize {
        self.state.most_under_way.load(Ordering::SeqCst)
    }
}

async fn take(State(state): State<Arc<EndpointState>>, body: String) -> StatusCode {
    let arrived = Instant::now();
    state.calls.fetch_add(1, Ordering::SeqCst);
    let _under_way = UnderWay::of(&state);
    let status = answer(&state).await;
    if status.is_success() {
        let callback: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        let key = (
            callback["msgid"].as_str().expect("an id").to_owned(),
            callback["ack"].as_i64().expect("an ack"),
        );
        match state.arrived.lock().expect("no panic").entry(key) {
            Entry::Occupied(_) => {
                state.repeats.fetch_add(1, Ordering::SeqCst);
            }
            Entry::Vacant(place) => {
                place.insert(arrived);
            }
        }
    }
    status
}

/// Counts a request as open until its end, also if the gateway disconnects.
struct UnderWay<'b>(&'b EndpointState);

impl<'b> UnderWay<'b> {
    fn of(state: &'b EndpointState) -> Self {
        let under_way = state.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        state.most_under_way.fetch_max(under_way, Ordering::SeqCst);
        Self(state)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn answer(state: &EndpointState) -> StatusCode {
    match state.manner {
        Manner::Works => StatusCode::OK,
        Manner::Slow => {
            pause(Duration::from_secs(10)).await;
            StatusCode::OK
        }
        Manner::Hole => std::future::pending().await,
        Manner::Down if state.repaired.load(Ordering::SeqCst) => StatusCode::OK,
        Manner::Down => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

#[expect(clippy::disallowed_methods, reason = "real endpoints take real time")]
pub async fn pause(span: Duration) {
    tokio::time::sleep(span).await;
}
