//! The media host over HTTP, as at WhatsApp. `POST /mms/KIND/TOKEN?auth=…` uploads an encrypted
//! file, and `GET` of the direct path returns the file. TOKEN is the SHA-256 of the encrypted bytes
//! in base64url.
//!
//! - 400: the hash of the bytes differs from TOKEN
//! - 401: the upload's `auth` does not belong to a linked device; a client then requests a new
//!   token
//! - 403: the signature in the direct path is missing or wrong
//! - 404: there is no such file
//! - 410: the file has expired
//! - 413: the file has more than 100 MiB
//!
//! `?resume=1` returns the progress of an interrupted upload; a request with `&file_offset=N` sends
//! the rest. A download needs no `auth`.

use axum::Json;
use axum::Router;
use axum::body::Body;
use axum::extract::{OriginalUri, Path, Query, State};
use axum::http::header::{CONTENT_TYPE, HOST};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use serde::Deserialize;
use serde_json::json;

use crate::sim::Sim;
use crate::world::media::{Hash, MAX_FILE, Media, Missing, sha256};

/// The kinds of files that clients upload.
const KINDS: [&str; 9] = [
    "image",
    "video",
    "audio",
    "document",
    "md-app-state",
    "md-msg-hist",
    "sticker-pack",
    "thumbnail-sticker-pack",
    "thumbnail-link",
];

/// The routes of the media host.
pub(crate) fn router() -> Router<Sim> {
    Router::new()
        .route("/mms/{kind}/{token}", post(upload))
        .route("/v/{*path}", get(download))
}

#[derive(Deserialize)]
struct Upload {
    #[serde(default)]
    auth: String,
    resume: Option<String>,
    #[serde(default)]
    file_offset: usize,
}

/// An error response of the media host.
struct Refused(StatusCode, &'static str);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}

async fn upload(
    State(sim): State<Sim>,
    Path((kind, token)): Path<(String, String)>,
    Query(query): Query<Upload>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    if !KINDS.contains(&kind.as_str()) {
        return Err(Refused(StatusCode::NOT_FOUND, "unknown media type"));
    }
    let media = &sim.world.media;
    let is_linked = media
        .holder(&query.auth)
        .is_some_and(|device| sim.world.companion(&device).is_some());
    if !is_linked {
        return Err(Refused(StatusCode::UNAUTHORIZED, "invalid auth token"));
    }
    let hash = hash_of(&token).ok_or(Refused(
        StatusCode::BAD_REQUEST,
        "the token is not a SHA-256 in base64url",
    ))?;
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let place = |path: &str| format!("https://{}{path}", host.unwrap_or_default());
    let name = format!("{kind} {token}");

    if query.resume.is_some() {
        let progress = match media.find(&kind, &hash) {
            Some(path) => json!({ "resume": "complete", "url": place(&path), "direct_path": path }),
            None => {
                json!({ "resume": media.partial(&name).map_or(0, |bytes| bytes.len()).to_string() })
            }
        };
        return Ok(Json(progress).into_response());
    }

    let bytes = receive(media, &name, query.file_offset, body).await?;
    let digest = {
        let bytes = bytes.clone();
        blocking(move || sha256(&bytes)).await?
    };
    if digest != hash {
        return Err(Refused(StatusCode::BAD_REQUEST, "hash mismatch"));
    }
    let path = {
        let (sim, kind) = (sim.clone(), kind.clone());
        blocking(move || sim.world.media.put(&kind, &hash, bytes)).await?
    };
    match path {
        Ok(path) => Ok(Json(json!({ "url": place(&path), "direct_path": path })).into_response()),
        Err(error) => {
            tracing::warn!(%error, "uploaded file cannot be stored");
            Err(Refused(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the file cannot be stored",
            ))
        }
    }
}

/// Reads an upload to the end. The received part of an interrupted upload is kept, so that the
/// client can resume.
async fn receive(media: &Media, name: &str, offset: usize, body: Body) -> Result<Bytes, Refused> {
    let mut bytes = BytesMut::new();
    if offset > 0 {
        let begun = media.partial(name).unwrap_or_default();
        let Some(begun) = begun.get(..offset) else {
            return Err(Refused(
                StatusCode::BAD_REQUEST,
                "the upload has no data up to this offset",
            ));
        };
        bytes.extend_from_slice(begun);
    }
    let mut stream = body.into_data_stream();
    while let Some(chunk) = stream.next().await {
        let Ok(chunk) = chunk else {
            media.keep_partial(name.to_owned(), bytes.freeze());
            return Err(Refused(
                StatusCode::BAD_REQUEST,
                "the upload was interrupted; resume the upload",
            ));
        };
        if bytes.len() + chunk.len() > MAX_FILE {
            return Err(Refused(
                StatusCode::PAYLOAD_TOO_LARGE,
                "a file must not be larger than 100 MiB",
            ));
        }
        bytes.extend_from_slice(&chunk);
    }
    media.forget_partial(name);
    Ok(bytes.freeze())
}

async fn download(
    State(sim): State<Sim>,
    OriginalUri(uri): OriginalUri,
) -> Result<Response, Refused> {
    let path = uri.to_string();
    let opened = blocking(move || sim.world.media.open(&path)).await?;
    match opened {
        Ok(bytes) => Ok(([(CONTENT_TYPE, "application/octet-stream")], bytes).into_response()),
        Err(Missing::Unsigned) => Err(Refused(StatusCode::FORBIDDEN, "URL signature mismatch")),
        Err(Missing::Expired) => Err(Refused(StatusCode::GONE, "the file is gone")),
        Err(Missing::Unknown) => Err(Refused(StatusCode::NOT_FOUND, "no such file")),
    }
}

/// Runs slow work (large files) on a blocking thread, so that the threads of the connections do not
/// wait.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Refused> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| Refused(StatusCode::INTERNAL_SERVER_ERROR, "stopping"))
}

/// Decodes the token. Some clients pad the base64 text, some do not.
fn hash_of(token: &str) -> Option<Hash> {
    let bytes = URL_SAFE_NO_PAD.decode(token.trim_end_matches('=')).ok()?;
    bytes.try_into().ok()
}
