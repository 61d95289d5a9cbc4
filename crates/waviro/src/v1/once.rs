//! `Idempotency-Key` on every POST: around the handlers, so that none can forget it.
//!
//! What was done is answered again for a day, also where its client went away. A message is accepted in one transaction with its key,
//! so whatever comes before ends with its client: the file is fetched no further, and nothing was done. All else is seen through, and
//! a caller has so many of these at work. Of these a kill between what is done and the keeping of its answer leaves one without
//! the other, and the same request is done again then. Answers may show
//! secrets of which only hashes are kept, so a kept one is sealed with the token or session that asked: the database alone does not open it.
//! It is compressed before, and one that takes much more than its request is not kept.

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

use super::V1;
use super::auth::Caller;
use super::problem::{Limit, Problem};
use crate::door;
use crate::once::{Begun, First, KEY_CAP, Key, REPLAY};
use crate::store::{KeptAnswer, StoreError};

/// The largest answer that is kept, bytes; handlers answer with less.
const ANSWER_CAP: usize = 1024 * 1024;

/// An answer is kept as far as it takes no more than this, bytes, and twice its request: what a caller sends is what it makes the
/// gateway keep. Every answer but a tried rule's is smaller.
const ANSWER_FLOOR: usize = 8 * 1024;

/// The most that a kept answer is when it is opened, bytes: its body as JSON within JSON.
const OPENED_CAP: u64 = 16 * 1024 * 1024;

/// Before a kept answer that is compressed. Those of before are hex.
const COMPRESSED: &str = "z";

/// What a key must be.
pub(super) const KEY_FORM: &str = "1 to 255 visible ASCII characters, and one";

/// Before the id of an accepted message, in place of a whole answer: no sealed one begins so.
const ACCEPTED: &str = "accepted ";

/// The path whose handler keeps the answer in a transaction of its own, below every base.
const MESSAGES: &str = "/v1/bots/{bot}/messages";

/// For a handler whose work has a transaction in which the answer can be kept.
#[derive(Clone)]
pub(super) enum Keyed {
    /// It is asked for the first time.
    First(Arc<First>),
    /// The message of this id was accepted, and the process ended before the answer was kept: show it as it is now.
    Accepted(String),
}

/// What is kept in one transaction with a message: enough to answer by.
pub(super) fn accepted(id: &str) -> String {
    format!("{ACCEPTED}{id}")
}

/// The id of the message that was accepted, where no more than that is kept.
pub(super) fn accepted_id(kept: &KeptAnswer) -> Option<&str> {
    kept.answer.strip_prefix(ACCEPTED)
}

const _: () = assert!(KEY_CAP == 255, "KEY_FORM says so");

/// What is kept of an answer beside its status.
#[derive(Serialize, Deserialize)]
struct Kept {
    content_type: Option<String>,
    location: Option<String>,
    body: String,
}

/// Answers again what was answered before under the same key.
pub(super) async fn once(State(v1): State<Arc<V1>>, request: Request, next: Next) -> Response {
    if request.method() != Method::POST {
        return next.run(request).await;
    }
    match Key::of(request.headers()) {
        Ok(None) => next.run(request).await,
        Ok(Some(key)) => match keyed(&v1, &key, request, next).await {
            Ok(response) => response,
            Err(problem) => problem.into_response(),
        },
        Err(_) => Problem::InvalidField("Idempotency-Key", KEY_FORM.into()).into_response(),
    }
}

async fn keyed(v1: &Arc<V1>, key: &Key, request: Request, next: Next) -> Result<Response, Problem> {
    let (mut parts, body) = request.into_parts();
    // Nobody is told what somebody else was answered, nor a token that was revoked since.
    let caller = Caller::from_request_parts(&mut parts, v1).await?;
    let whole = parts.uri.path();
    let path = whole
        .find("/v1/")
        .map_or(whole, |at| &whole[at..])
        .to_owned();
    let request = Request::from_parts(parts.clone(), body);
    let body = door::read(request, v1.body).await?;
    // With what they may do: who may less by now is answered by the handler, as for a request of today.
    let who = format!("{}\n{:?}", caller.shown(), caller.role);
    let who = hex::encode(Sha256::digest(who));
    let first = match v1.once.begin(&who, &path, key, &body).await? {
        Begun::Again(kept) => {
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
                error!("a kept answer cannot be opened");
                return Err(Problem::Internal);
            };
            return Ok(again(kept.status, answer));
        }
        Begun::First(first) => Arc::new(first),
    };
    parts.extensions.insert(Keyed::First(Arc::clone(&first)));
    let path = parts.extensions.get::<MatchedPath>();
    let is_message = path.is_some_and(|path| path.as_str().ends_with(MESSAGES));
    let request = Request::from_parts(parts, Body::from(body));
    let seal = seal_of(caller.shown(), key);
    if is_message {
        return keep(&first, &seal, next.run(request).await).await;
    }
    let at_work = v1.at_work.take(who);
    let at_work = at_work.map_err(|none| Problem::Limit(Limit::AtWork(none)))?;
    let doing = async move {
        let _at_work = at_work;
        let response = next.run(request).await;
        keep(&first, &seal, response).await
    };
    // A task of its own: a client that goes away would leave what is done without its answer.
    match v1.tasks.spawn(doing.in_current_span()).await {
        Ok(answered) => answered,
        Err(ended) if ended.is_panic() => std::panic::resume_unwind(ended.into_panic()),
        Err(_) => Err(Problem::Internal),
    }
}

/// Keeps a success before it is told. A refusal leaves the key free.
async fn keep(first: &First, seal: &[u8; 32], response: Response) -> Result<Response, Problem> {
    if !response.status().is_success() {
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let bytes = axum::body::to_bytes(body, ANSWER_CAP).await;
    let bytes = bytes.map_err(|cause| {
        error!(%cause, "an answer could not be kept");
        Problem::Internal
    })?;
    let text = |name: &HeaderName| door::header(&parts.headers, name).map(ToOwned::to_owned);
    let kept = Kept {
        content_type: text(&CONTENT_TYPE),
        location: text(&LOCATION),
        body: String::from_utf8_lossy(&bytes).into_owned(),
    };
    // Texts: it cannot fail.
    let answer = serde_json::to_vec(&kept).unwrap_or_default();
    let most = first
        .request_bytes()
        .saturating_mul(2)
        .saturating_add(ANSWER_FLOOR);
    let kept = match sealed(seal, &answer) {
        Ok(sealed) if sealed.len() > most => {
            // Of a message its id is kept, which is enough; of all else nothing.
            info!(
                bytes = sealed.len(),
                "an answer is too large for its request to be kept"
            );
            return Ok(Response::from_parts(parts, Body::from(bytes)));
        }
        Ok(sealed) => first.keep(parts.status.as_u16(), sealed).await,
        Err(cause) => Err(StoreError::Unreadable(cause.to_string())),
    };
    if let Err(cause) = kept {
        // It is done, and saying so is worth more than a key.
        error!(%cause, "an answer was not kept; the same request would be done again");
    }
    Ok(Response::from_parts(parts, Body::from(bytes)))
}

fn again(status: u16, kept: Kept) -> Response {
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

/// What answers to this token or session under this key are sealed with. Not the hash that the database knows the token by.
fn seal_of(token: &str, key: &Key) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in ["waviro kept answer", token, key.as_str()] {
        hash.update(part);
        hash.update([0]);
    }
    hash.finalize().into()
}

/// A fresh number, and what is hidden under it and the seal, compressed before. It is told from anything that was put in its place.
fn sealed(seal: &[u8; 32], text: &[u8]) -> std::io::Result<String> {
    let mut packed = DeflateEncoder::new(Vec::new(), Compression::default());
    packed.write_all(text)?;
    let mut text = packed.finish()?;
    let broken = |_: Unspecified| std::io::Error::other("it could not be sealed");
    let number: [u8; NONCE_LEN] = rand::random();
    let key = LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, seal).map_err(broken)?);
    let nonce = Nonce::assume_unique_for_key(number);
    key.seal_in_place_append_tag(nonce, Aad::empty(), &mut text)
        .map_err(broken)?;
    let whole = [&number[..], &text].concat();
    Ok(format!("{COMPRESSED}{}", STANDARD.encode(whole)))
}

fn open(seal: &[u8; 32], sealed: &str) -> Option<Kept> {
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
        let kept = Kept {
            content_type: None,
            location: Some("/v1/bots/2".to_owned()),
            body: "wvt_".repeat(50),
        };
        let plain = serde_json::to_vec(&kept).unwrap();
        let text = sealed(&[1; 32], &plain).unwrap();
        assert_ne!(text, sealed(&[1; 32], &plain).unwrap());
        assert_eq!(open(&[1; 32], &text).unwrap().body, kept.body);
        assert!(open(&[2; 32], &text).is_none());
        // As those of before are kept.
        let hidden = STANDARD.decode(&text[1..]).unwrap();
        assert!(open(&[1; 32], &hex::encode(hidden)).is_none());
        let last = if text.ends_with('0') { "1" } else { "0" };
        let changed = format!("{}{last}", &text[..text.len() - 1]);
        for other in ["", "zz", &text[2..], &changed] {
            assert!(open(&[1; 32], other).is_none(), "{other}");
        }
    }
}
