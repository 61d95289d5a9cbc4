//! A notifyurl to tell: it keeps what it is told and answers as it is scripted to.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::{eventually, spawn};

/// One receiver on a port of its own.
pub struct Receiver {
    url: String,
    book: Arc<Mutex<Book>>,
    server: JoinHandle<()>,
}

#[derive(Default)]
struct Book {
    taken: Vec<(String, i64)>,
    refused: usize,
    chunked: usize,
    answer: Option<StatusCode>,
}

impl Receiver {
    /// Listens on loopback and takes everything.
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let url = format!(
            "http://{}/notify",
            listener.local_addr().expect("an address")
        );
        let book = Arc::<Mutex<Book>>::default();
        let app = Router::new().fallback(take).with_state(Arc::clone(&book));
        let server = spawn(async move { axum::serve(listener, app).await.expect("serves") });
        Self { url, book, server }
    }

    /// What to give as notifyurl.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// From now on every call is answered so; `None` takes them again.
    pub fn answer_with(&self, status: Option<StatusCode>) {
        lock(&self.book).answer = status;
    }

    /// The acks taken with a 2xx for a message, in the order in which they came.
    #[must_use]
    pub fn acks(&self, id: &str) -> Vec<i64> {
        let book = lock(&self.book);
        let own = book.taken.iter().filter(|(taken, _)| taken == id);
        own.map(|(_, ack)| *ack).collect()
    }

    /// How many calls with this ack were taken with a 2xx.
    #[must_use]
    pub fn count(&self, ack: i64) -> usize {
        let book = lock(&self.book);
        book.taken.iter().filter(|(_, taken)| *taken == ack).count()
    }

    /// How many calls were refused as scripted.
    #[must_use]
    pub fn refused(&self) -> usize {
        lock(&self.book).refused
    }

    /// How many calls came without a Content-Length; a PHP script would have read nothing.
    #[must_use]
    pub fn chunked(&self) -> usize {
        lock(&self.book).chunked
    }

    /// Waits until the message's acks are exactly these.
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

async fn take(State(book): State<Arc<Mutex<Book>>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let mut book = lock(&book);
    if let Some(status) = book.answer {
        book.refused += 1;
        return status;
    }
    if !headers.contains_key("content-length") {
        book.chunked += 1;
    }
    let Ok(Value::Object(told)) = serde_json::from_slice(&body) else {
        return StatusCode::BAD_REQUEST;
    };
    // Exactly the two fields of the document.
    let (Some(id), Some(ack), 2) = (told["msgid"].as_str(), told["ack"].as_i64(), told.len())
    else {
        return StatusCode::BAD_REQUEST;
    };
    book.taken.push((id.to_owned(), ack));
    StatusCode::OK
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
