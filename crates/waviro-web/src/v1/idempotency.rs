//! `Idempotency-Key` on every POST of `/v1`. A layer around all handlers, so that no handler can
//! miss the key.
//!
//! A success is stored for a day, and a repeated request gets the stored response, also if the
//! first client disconnected before the response. A message is accepted in the same transaction as
//! its key. If the client disconnects before the commit, the request ends without an effect, and
//! the download of a file stops. Any other request runs to its end in spite of a disconnected
//! client, and a caller may have only a limited number of such requests in progress. If the process
//! is killed between the work and the storing of the response, the same request is executed again.
//!
//! A response may contain a secret that the gateway otherwise stores only as a hash. Therefore a
//! stored response is encrypted with a key derived from the caller's token or session; the database
//! alone does not reveal the response. A response is compressed before the encryption. A response
//! much larger than its request is not stored.

use std::io::{Read, Write};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::header::{CONTENT_TYPE, LOCATION};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::error::Unspecified;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tracing::{Instrument, error, info};
use waviro_core::idempotency::{First, KEY_CAP, Key, KeyUse, REPLAY};
use waviro_store::{KeptAnswer, StoreError};

use super::auth::Caller;
use super::problem::{Limit, Problem};
use crate::http;
use crate::services::Services;

/// The maximum number of bytes of a response to store; handlers return less.
const ANSWER_CAP: usize = 1024 * 1024;

/// The maximum number of bytes of a stored response in addition to twice the size of its request.
/// The limit ties the stored bytes to the bytes that the caller sent. Only the response of a rule
/// test can be larger.
const ANSWER_FLOOR: usize = 8 * 1024;

/// The maximum number of bytes of a decompressed stored response: the body as JSON within JSON.
const OPENED_CAP: u64 = 16 * 1024 * 1024;

/// The prefix of a compressed stored response. Older versions stored uncompressed responses as hex.
const COMPRESSED: &str = "z";

/// The form of a key, for error texts.
pub(super) const KEY_FORM: &str = "1 to 255 visible ASCII characters, and one";

/// The prefix of a stored message id in place of a full response. No encrypted response starts with
/// the prefix.
const ACCEPTED: &str = "accepted ";

/// The path whose handler stores the response in its own transaction, below every base path.
const MESSAGES: &str = "/v1/bots/{bot}/messages";

/// Passed to a handler that can store the response in the transaction of its work.
#[derive(Clone)]
pub(super) enum Keyed {
    /// The first request with the key.
    First(Arc<First>),
    /// The message with the given id was accepted, but the process ended before the response was
    /// stored. The handler returns the current state of the message.
    Accepted(String),
}

/// Returns the value to store in the transaction of a message: enough to rebuild the response.
pub(super) fn accepted(id: &str) -> String {
    format!("{ACCEPTED}{id}")
}

/// Returns the id of an accepted message, if only the id is stored.
pub(super) fn accepted_id(kept: &KeptAnswer) -> Option<&str> {
    kept.answer.strip_prefix(ACCEPTED)
}

const _: () = assert!(KEY_CAP == 255, "KEY_FORM says so");

/// The stored parts of a response, in addition to its status.
#[derive(Serialize, Deserialize)]
struct StoredResponse {
    content_type: Option<String>,
    location: Option<String>,
    body: String,
}

/// Middleware: returns the stored response to a repeated request.
pub(super) async fn middleware(
    State(services): State<Arc<Services>>,
    request: Request,
    next: Next,
) -> Response {
    if request.method() != Method::POST {
        return next.run(request).await;
    }
    match Key::of(request.headers()) {
        Ok(None) => next.run(request).await,
        Ok(Some(key)) => match keyed(&services, &key, request, next).await {
            Ok(response) => response,
            Err(problem) => problem.into_response(),
        },
        Err(_) => Problem::InvalidField("Idempotency-Key", KEY_FORM.into()).into_response(),
    }
}

async fn keyed(
    services: &Arc<Services>,
    key: &Key,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let (mut parts, body) = request.into_parts();
    // A caller never gets the response of another caller, and a token revoked in the meantime gets
    // no response.
    let caller = Caller::from_request_parts(&mut parts, services).await?;
    let whole = parts.uri.path();
    let path = whole
        .find("/v1/")
        .map_or(whole, |at| &whole[at..])
        .to_owned();
    let request = Request::from_parts(parts.clone(), body);
    let body = http::read(request, services.body).await?;
    // The owner of a key includes the permissions. If the caller has fewer permissions by now, the
    // handler decides about the request as about a new request.
    let who = format!("{}\n{:?}", caller.shown(), caller.role);
    let who = hex::encode(Sha256::digest(who));
    let first = match services.idempotency.begin(&who, &path, key, &body).await? {
        KeyUse::Again(kept) => {
            if let Some(id) = accepted_id(&kept) {
                parts.extensions.insert(Keyed::Accepted(id.to_owned()));
                let request = Request::from_parts(parts, Body::from(body));
                let mut response = next.run(request).await;
                let (name, value) = REPLAY.clone();
                response.headers_mut().insert(name, value);
                return Ok(response);
            }
            let opened = open(&seal_of(caller.shown(), key), &kept.answer);
            let Some(answer) = opened else {
                error!("stored response cannot be decrypted");
                return Err(Problem::Internal);
            };
            return Ok(again(kept.status, answer));
        }
        KeyUse::First(first) => Arc::new(first),
    };
    parts.extensions.insert(Keyed::First(Arc::clone(&first)));
    let path = parts.extensions.get::<MatchedPath>();
    let is_message = path.is_some_and(|path| path.as_str().ends_with(MESSAGES));
    let request = Request::from_parts(parts, Body::from(body));
    let seal = seal_of(caller.shown(), key);
    if is_message {
        return keep(&first, &seal, next.run(request).await).await;
    }
    let at_work = services.at_work.take(who);
    let at_work = at_work.map_err(|none| Problem::Limit(Limit::AtWork(none)))?;
    let doing = async move {
        let _at_work = at_work;
        let response = next.run(request).await;
        keep(&first, &seal, response).await
    };
    // The work runs in its own task: a disconnecting client would otherwise cancel the work before
    // the response is stored.
    match services.tasks.spawn(doing.in_current_span()).await {
        Ok(answered) => answered,
        Err(ended) if ended.is_panic() => std::panic::resume_unwind(ended.into_panic()),
        Err(_) => Err(Problem::Internal),
    }
}

/// Stores a success before returning the response. A refusal leaves the key unused.
async fn keep(first: &First, seal: &[u8; 32], response: Response) -> Result<Response, Problem> {
    if !response.status().is_success() {
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let bytes = axum::body::to_bytes(body, ANSWER_CAP).await;
    let bytes = bytes.map_err(|cause| {
        error!(%cause, "response could not be read for its idempotency key");
        Problem::Internal
    })?;
    let text = |name: &HeaderName| http::header(&parts.headers, name).map(ToOwned::to_owned);
    let kept = StoredResponse {
        content_type: text(&CONTENT_TYPE),
        location: text(&LOCATION),
        body: String::from_utf8_lossy(&bytes).into_owned(),
    };
    // The value has only texts, so serialization cannot fail.
    let answer = serde_json::to_vec(&kept).unwrap_or_default();
    let most = first
        .request_bytes()
        .saturating_mul(2)
        .saturating_add(ANSWER_FLOOR);
    let kept = match sealed(seal, &answer) {
        Ok(sealed) if sealed.len() > most => {
            // For a message, the stored id is enough; for other requests nothing is stored.
            info!(
                bytes = sealed.len(),
                "response is too large to be stored under its idempotency key"
            );
            return Ok(Response::from_parts(parts, Body::from(bytes)));
        }
        Ok(sealed) => first.keep(parts.status.as_u16(), sealed).await,
        Err(cause) => Err(StoreError::Unreadable(cause.to_string())),
    };
    if let Err(cause) = kept {
        // The work is done, and the caller needs the response more than the stored key.
        error!(%cause, "response not stored under its idempotency key; a repeat would run again");
    }
    Ok(Response::from_parts(parts, Body::from(bytes)))
}

fn again(status: u16, kept: StoredResponse) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    let mut headers = HeaderMap::new();
    for (name, text) in [(CONTENT_TYPE, kept.content_type), (LOCATION, kept.location)] {
        if let Some(value) = text.and_then(|text| HeaderValue::from_str(&text).ok()) {
            headers.insert(name, value);
        }
    }
    let (name, value) = REPLAY.clone();
    headers.insert(name, value);
    let mut response = Response::new(Body::from(kept.body));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// Returns the encryption key for responses to a token or session under an idempotency key. The key
/// differs from the token's hash in the database.
fn seal_of(token: &str, key: &Key) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in ["waviro kept answer", token, key.as_str()] {
        hash.update(part);
        hash.update([0]);
    }
    hash.finalize().into()
}

/// Compresses and encrypts a text; returns the nonce and the ciphertext. Decryption detects any
/// modified or replaced text.
fn sealed(seal: &[u8; 32], text: &[u8]) -> std::io::Result<String> {
    let mut packed = DeflateEncoder::new(Vec::new(), Compression::default());
    packed.write_all(text)?;
    let mut text = packed.finish()?;
    let broken = |_: Unspecified| std::io::Error::other("the response could not be encrypted");
    let number: [u8; NONCE_LEN] = rand::random();
    let key = LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, seal).map_err(broken)?);
    let nonce = Nonce::assume_unique_for_key(number);
    key.seal_in_place_append_tag(nonce, Aad::empty(), &mut text)
        .map_err(broken)?;
    let whole = [&number[..], &text].concat();
    Ok(format!("{COMPRESSED}{}", STANDARD.encode(whole)))
}

fn open(seal: &[u8; 32], sealed: &str) -> Option<StoredResponse> {
    let compressed = sealed.strip_prefix(COMPRESSED);
    let bytes = match compressed {
        Some(text) => STANDARD.decode(text).ok()?,
        None => hex::decode(sealed).ok()?,
    };
    let (number, hidden) = bytes.split_first_chunk::<NONCE_LEN>()?;
    let key = LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, seal).ok()?);
    let (nonce, mut text) = (Nonce::assume_unique_for_key(*number), hidden.to_vec());
    let text = key.open_in_place(nonce, Aad::empty(), &mut text).ok()?;
    if compressed.is_none() {
        return serde_json::from_slice(text).ok();
    }
    serde_json::from_reader(DeflateDecoder::new(&*text).take(OPENED_CAP)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_answer_opens_with_its_own_seal_alone() {
        let kept = StoredResponse {
            content_type: None,
            location: Some("/v1/bots/2".to_owned()),
            body: "wvt_".repeat(50),
        };
        let plain = serde_json::to_vec(&kept).unwrap();
        let text = sealed(&[1; 32], &plain).unwrap();
        assert_ne!(text, sealed(&[1; 32], &plain).unwrap());
        assert_eq!(open(&[1; 32], &text).unwrap().body, kept.body);
        assert!(open(&[2; 32], &text).is_none());
        // Older versions stored responses in such a form.
        let hidden = STANDARD.decode(&text[1..]).unwrap();
        assert!(open(&[1; 32], &hex::encode(hidden)).is_none());
        let last = if text.ends_with('0') { "1" } else { "0" };
        let changed = format!("{}{last}", &text[..text.len() - 1]);
        for other in ["", "zz", &text[2..], &changed] {
            assert!(open(&[1; 32], other).is_none(), "{other}");
        }
    }
}
