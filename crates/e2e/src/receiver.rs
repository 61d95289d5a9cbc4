//! A receiver for `notifyurl`, which records each callback and answers as scripted.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::{eventually, spawn};

/// A callback receiver with its own port.
pub struct Receiver {
    url: String,
    records: Arc<Mutex<Records>>,
    server: JoinHandle<()>,
}

#[derive(Default)]
struct Records {
    accepted: Vec<(String, i64)>,
    refused: usize,
    chunked: usize,
    answer: Option<StatusCode>,
}

impl Receiver {
    /// Listens on loopback and answers every callback with 200.
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let url = format!(
            "http://{}/notify",
            listener.local_addr().expect("an address")
        );
        let records = Arc::<Mutex<Records>>::default();
        let app = Router::new()
            .fallback(receive)
            .with_state(Arc::clone(&records));
        let server = spawn(async move { axum::serve(listener, app).await.expect("serves") });
        Self {
            url,
            records,
            server,
        }
    }

    /// Returns the URL to send as `notifyurl`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Answers all later calls with this status; `None` accepts callbacks again.
    pub fn answer_with(&self, status: Option<StatusCode>) {
        lock(&self.records).answer = status;
    }

    /// Returns the acks of a message that were answered with a 2xx, in the order of arrival.
    #[must_use]
    pub fn acks(&self, id: &str) -> Vec<i64> {
        let records = lock(&self.records);
        let own = records.accepted.iter().filter(|(msgid, _)| msgid == id);
        own.map(|(_, ack)| *ack).collect()
    }

    /// Returns the number of callbacks with this ack that were answered with a 2xx.
    #[must_use]
    pub fn count(&self, ack: i64) -> usize {
        let records = lock(&self.records);
        records
            .accepted
            .iter()
            .filter(|(_, posted)| *posted == ack)
            .count()
    }

    /// Returns the number of calls refused by [`Self::answer_with`].
    #[must_use]
    pub fn refused(&self) -> usize {
        lock(&self.records).refused
    }

    /// Returns the number of calls without a Content-Length. A PHP script reads no body from such a
    /// call.
    #[must_use]
    pub fn chunked(&self) -> usize {
        lock(&self.records).chunked
    }

    /// Waits until the recorded acks of the message are exactly `expected`.
    pub async fn wait_acks(&self, id: &str, expected: &[i64]) {
        let what = format!("the acks {expected:?} of {id}");
        eventually(&what, async || {
            let acks = self.acks(id);
            if acks == expected { Ok(()) } else { Err(acks) }
        })
        .await;
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn receive(
    State(records): State<Arc<Mutex<Records>>>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let mut records = lock(&records);
    if let Some(status) = records.answer {
        records.refused += 1;
        return status;
    }
    if !headers.contains_key("content-length") {
        records.chunked += 1;
    }
    let Ok(Value::Object(callback)) = serde_json::from_slice(&body) else {
        return StatusCode::BAD_REQUEST;
    };
    // The body must contain exactly the two documented fields.
    let (Some(id), Some(ack), 2) = (
        callback["msgid"].as_str(),
        callback["ack"].as_i64(),
        callback.len(),
    ) else {
        return StatusCode::BAD_REQUEST;
    };
    records.accepted.push((id.to_owned(), ack));
    StatusCode::OK
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
