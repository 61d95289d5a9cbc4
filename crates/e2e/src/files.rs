//! An HTTP server with the files for `mediaurl`.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use tokio::task::JoinHandle;

use crate::spawn;

type ServedFiles = Arc<HashMap<&'static str, (&'static str, Bytes)>>;

/// A file server with its own port.
pub struct Files {
    url: String,
    server: JoinHandle<()>,
}

impl Files {
    /// Serves each file `(name, media type, bytes)` under `/name`.
    pub async fn start(files: Vec<(&'static str, &'static str, Bytes)>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let files: ServedFiles = Arc::new(
            files
                .into_iter()
                .map(|(name, mime, bytes)| (name, (mime, bytes)))
                .collect(),
        );
        let app = Router::new()
            .route("/{name}", axum::routing::get(serve_file))
            .with_state(files);
        let server = spawn(async move { axum::serve(listener, app).await.expect("serves") });
        Self { url, server }
    }

    /// Returns the URL of a file.
    #[must_use]
    pub fn url(&self, name: &str) -> String {
        format!("{}/{name}", self.url)
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve_file(State(files): State<ServedFiles>, Path(name): Path<String>) -> Response {
    match files.get(name.as_str()) {
        Some((mime, bytes)) => ([(CONTENT_TYPE, *mime)], bytes.clone()).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
