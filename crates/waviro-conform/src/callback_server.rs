//! The suite's own HTTP server: receives callbacks for `notifyurl` and serves the files for
//! `mediaurl`.

use std::collections::HashMap;
use std::future::IntoFuture;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, LOCATION, TRANSFER_ENCODING};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::sync::Notify;

use crate::failure::Failure;
use crate::target::Target;

/// The documented limit of 16 MB, which Waviro reads as MiB.
pub(crate) const MOST: usize = 16 * 1024 * 1024;

const PHOTO: &[u8] = include_bytes!("../files/foto.jpg");
const PICTURE: &[u8] = include_bytes!("../files/gambar.png");
const SONG: &[u8] = include_bytes!("../files/lagu.mp3");
const VOICE: &[u8] = include_bytes!("../files/suara.ogg");
const FILM: &[u8] = include_bytes!("../files/film.mp4");
const PRICES: &[u8] = include_bytes!("../files/daftar.pdf");

/// The name of a file that redirects to `foto.jpg`.
const MOVED: &str = "pindah";

/// A file with the URL for the host.
pub(crate) struct File {
    pub(crate) url: String,
    /// The hash in hex.
    pub(crate) sha256: String,
    pub(crate) size: usize,
}

/// A request to a notifyurl.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// The checks' access to the server.
pub(crate) struct CallbackServer {
    base: Option<String>,
    patience: Duration,
    requests: Arc<Requests>,
}

struct Requests {
    /// Added to every file with room for the marker, so that each run sends other bytes than the
    /// previous run.
    marker: String,
    calls: Mutex<HashMap<String, Vec<Call>>>,
    /// The number of calls per name still to be answered with 500.
    refusals: Mutex<HashMap<String, usize>>,
    called: Notify,
}

impl CallbackServer {
    /// Binds the listener. The caller must poll the returned future as long as checks run.
    pub(crate) async fn open(
        target: &Target,
    ) -> std::io::Result<(Self, impl Future<Output = std::io::Result<()>> + use<>)> {
        let listener = tokio::net::TcpListener::bind(target.listen).await?;
        let own = format!("http://{}", listener.local_addr()?);
        let public = target.public_url.as_ref();
        let base = match public {
            Some(url) => Some(url.as_str().trim_end_matches('/').to_owned()),
            None => target.is_near().then_some(own),
        };
        let requests = Arc::new(Requests {
            marker: hex::encode(rand::random::<[u8; 4]>()),
            calls: Mutex::default(),
            refusals: Mutex::default(),
            called: Notify::new(),
        });
        let router = Router::new()
            .route("/kabar/{name}", any(notified))
            .route("/berkas/{name}", get(fetched))
            .with_state(Arc::clone(&requests));
        Ok((
            Self {
                base,
                patience: target.patience,
                requests,
            },
            axum::serve(listener, router).into_future(),
        ))
    }

    /// The text that distinguishes the messages of this run from other runs.
    pub(crate) fn marker(&self) -> &str {
        &self.requests.marker
    }

    /// Returns the notifyurl with this name.
    pub(crate) fn notify_url(&self, name: &str) -> Result<String, Failure> {
        Ok(format!("{}/kabar/{name}", self.reached()?))
    }

    /// Answers the next `calls` calls of this name with 500.
    pub(crate) fn refuse(&self, name: &str, calls: usize) {
        lock(&self.requests.refusals).insert(name.to_owned(), calls);
    }

    /// Returns all calls of this name so far.
    pub(crate) fn calls(&self, name: &str) -> Vec<Call> {
        lock(&self.requests.calls)
            .get(name)
            .cloned()
            .unwrap_or_default()
    }

    /// Waits until `enough` accepts the calls of this name, and returns all calls. After the
    /// timeout the calls may not be enough.
    pub(crate) async fn wait(&self, name: &str, enough: impl Fn(&[Call]) -> bool) -> Vec<Call> {
        let waiting = async {
            loop {
                let called = self.requests.called.notified();
                if enough(&self.calls(name)) {
                    return;
                }
                called.await;
            }
        };
        let _ = tokio::time::timeout(self.patience, waiting).await;
        self.calls(name)
    }

    /// Returns a file of this server.
    pub(crate) fn file(&self, name: &str) -> Result<File, Failure> {
        let url = format!("{}/berkas/{name}", self.reached()?);
        let bytes = self.requests.file(name).map(|file| file.bytes);
        let bytes = bytes.unwrap_or_default();
        Ok(File {
            url,
            sha256: hex::encode(Sha256::digest(&bytes)),
            size: bytes.len(),
        })
    }

    fn reached(&self) -> Result<&str, Failure> {
        self.base.as_deref().ok_or_else(|| {
            Failure::Skipped(
                "the host is on another machine; set --public-url to the URL under which the host reaches this listener"
                    .to_owned(),
            )
        })
    }
}

impl Call {
    /// Returns the ack if the body has exactly the two documented fields and names this message.
    pub(crate) fn ack(&self, id: &str) -> Option<i64> {
        let fields: Value = serde_json::from_slice(&self.body).ok()?;
        let fields = fields.as_object().filter(|fields| fields.len() == 2)?;
        (fields.get("msgid")?.as_str()? == id).then(|| fields.get("ack")?.as_i64())?
    }

    /// Returns whether a PHP script can read the call: a POST with a JSON body and a
    /// Content-Length.
    pub(crate) fn is_readable(&self) -> bool {
        let header =
            |name: &HeaderName| self.headers.get(name).and_then(|value| value.to_str().ok());
        self.method == Method::POST
            && header(&CONTENT_TYPE).is_some_and(|text| text.starts_with("application/json"))
            && header(&CONTENT_LENGTH).is_some()
            && header(&TRANSFER_ENCODING).is_none()
    }
}

/// The content of a served file.
struct Served {
    media_type: &'static str,
    bytes: Bytes,
}

impl Requests {
    fn file(&self, name: &str) -> Option<Served> {
        // Readers of JPEG and PDF stop at the end of the format's data, so the marker behind the
        // end does no harm.
        let marked = |bytes: &[u8]| Bytes::from([bytes, b"%", self.marker.as_bytes()].concat());
        let sized = |size: usize| {
            let mut bytes = marked(PRICES).to_vec();
            bytes.resize(size, b'\n');
            Bytes::from(bytes)
        };
        let (media_type, bytes) = match name {
            "foto.jpg" | MOVED => ("image/jpeg", marked(PHOTO)),
            "gambar.png" => ("image/png", Bytes::from_static(PICTURE)),
            "lagu.mp3" => ("audio/mpeg", Bytes::from_static(SONG)),
            "suara.ogg" => ("audio/ogg", Bytes::from_static(VOICE)),
            "film.mp4" => ("video/mp4", Bytes::from_static(FILM)),
            "daftar.pdf" => ("application/pdf", marked(PRICES)),
            "tanpa-jenis" => ("application/octet-stream", marked(PHOTO)),
            "bukan-gambar.jpg" => ("image/jpeg", marked(PRICES)),
            "pas.pdf" => ("application/pdf", sized(MOST)),
            "besar.pdf" | "besar-tanpa-panjang.pdf" => ("application/pdf", sized(MOST + 1)),
            "kosong.pdf" => ("application/pdf", Bytes::new()),
            _ => return None,
        };
        Some(Served { media_type, bytes })
    }
}

async fn notified(
    State(requests): State<Arc<Requests>>,
    Path(name): Path<String>,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let refused = lock(&requests.refusals)
        .get_mut(&name)
        .filter(|left| **left > 0)
        .map(|left| *left -= 1)
        .is_some();
    let call = Call {
        method,
        headers,
        body,
    };
    lock(&requests.calls).entry(name).or_default().push(call);
    requests.called.notify_waiters();
    if refused {
        StatusCode::INTERNAL_SERVER_ERROR
    } else {
        StatusCode::OK
    }
}

async fn fetched(State(requests): State<Arc<Requests>>, Path(name): Path<String>) -> Response {
    if name == MOVED {
        return (StatusCode::FOUND, [(LOCATION, "foto.jpg")]).into_response();
    }
    let Some(file) = requests.file(&name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let body = if name == "besar-tanpa-panjang.pdf" {
        // The body comes in chunks without a Content-Length, so the host must count the bytes.
        let bytes = file.bytes;
        let pieces = (0..bytes.len()).step_by(64 * 1024);
        let pieces: Vec<Result<Bytes, std::io::Error>> = pieces
            .map(|at| Ok(bytes.slice(at..bytes.len().min(at + 64 * 1024))))
            .collect();
        Body::from_stream(futures::stream::iter(pieces))
    } else {
        Body::from(file.bytes)
    };
    ([(CONTENT_TYPE, file.media_type)], body).into_response()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
