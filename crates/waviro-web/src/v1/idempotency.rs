//! `Idempotency-Key` on every POST of `/v1`. A layer around all handlers, so that no handler can
//! miss the key. [`once`] does the same for a form of the dashboard.
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
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tracing::{Instrument, error, info};
use waviro_core::idempotency::{self, First, KEY_CAP, Key, REPLAY};
use waviro_core::net::JSON;
use waviro_store::{KeptAnswer, StoreError};

use super::auth::{Caller, ChangesBot};
use super::body;
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
pub(crate) enum Keyed {
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

/// The state of a request under a key.
enum Begun {
    /// The request is new.
    First(Turn),
    /// The message with the given id was accepted; its response was not stored.
    Accepted(String),
    /// The stored response with its status.
    Stored(u16, StoredResponse),
}

/// The right to execute a new request and to store its response.
struct Turn {
    first: Arc<First>,
    /// Encrypts the response.
    seal: [u8; 32],
    /// The owner of the key.
    owner: String,
}

/// The request of a form, executed at most once for its key.
pub(crate) struct Attempt {
    pub(crate) services: Arc<Services>,
    pub(crate) caller: Caller,
    /// Passed to an operation that can store its response.
    pub(crate) keyed: Option<Keyed>,
    body: Vec<u8>,
}

impl Attempt {
    /// Returns the proof that the caller may change the bot.
    ///
    /// # Errors
    /// [`Problem::NoSuchBot`].
    pub(crate) fn changes(&self, bot_id: i32) -> Result<ChangesBot, Problem> {
        self.caller.changes(self.services.bots.by_id(bot_id))
    }

    /// Parses the body.
    ///
    /// # Errors
    /// See [`body::parse`].
    pub(crate) fn body<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        body::parse(&self.body)
    }
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
        Err(_) => Problem::invalid("Idempotency-Key", KEY_FORM).into_response(),
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
    caller.may_change()?;
    let whole = parts.uri.path();
    let path = whole
        .find("/v1/")
        .map_or(whole, |at| &whole[at..])
        .to_owned();
    let request = Request::from_parts(parts.clone(), body);
    let body = http::read(request, services.body).await?;
    let turn = match begin(services, &caller, &path, key, &body).await? {
        Begun::Stored(status, kept) => return Ok(again(status, kept)),
        Begun::Accepted(id) => {
            parts.extensions.insert(Keyed::Accepted(id));
            let request = Request::from_parts(parts, Body::from(body));
            let mut response = next.run(request).await;
            let (name, value) = REPLAY.clone();
            response.headers_mut().insert(name, value);
            return Ok(response);
        }
        Begun::First(turn) => turn,
    };
    parts.extensions.insert(turn.keyed());
    let path = parts.extensions.get::<MatchedPath>();
    let is_message = path.is_some_and(|path| path.as_str().ends_with(MESSAGES));
    let request = Request::from_parts(parts, Body::from(body));
    if is_message {
        return turn.keep(next.run(request).await).await;
    }
    let owner = turn.owner.clone();
    let doing = async move { turn.keep(next.run(request).await).await };
    detached(services, owner, doing).await
}

/// Runs `work` at most once for the key of a form. Returns the result, and whether the result is
/// the stored result of an earlier run. Without a key, `work` runs each time.
///
/// # Errors
/// The problem of `work`, [`Problem::ReadOnly`] for a viewer, or
/// [`Problem::IdempotencyConflict`].
pub(crate) async fn once<T, F>(
    services: &Arc<Services>,
    caller: &Caller,
    path: &str,
    key: Option<Key>,
    body: &Value,
    work: impl FnOnce(Attempt) -> F,
) -> Result<(T, bool), Problem>
where
    T: Serialize + DeserializeOwned + Send + 'static,
    F: Future<Output = Result<T, Problem>> + Send + 'static,
{
    caller.may_change()?;
    let mut attempt = Attempt {
        services: Arc::clone(services),
        caller: caller.clone(),
        keyed: None,
        body: body.to_string().into_bytes(),
    };
    let Some(key) = key else {
        return Ok((Box::pin(work(attempt)).await?, false));
    };
    let turn = match begin(services, caller, path, &key, &attempt.body).await? {
        Begun::Stored(_, kept) => {
            let result = serde_json::from_str(&kept.body).map_err(|cause| {
                error!(%cause, "stored response has another form");
                Problem::Internal
            })?;
            return Ok((result, true));
        }
        Begun::Accepted(id) => {
            attempt.keyed = Some(Keyed::Accepted(id));
            return Ok((Box::pin(work(attempt)).await?, true));
        }
        Begun::First(turn) => turn,
    };
    attempt.keyed = Some(turn.keyed());
    let (owner, doing) = (turn.owner.clone(), Box::pin(work(attempt)));
    let doing = async move {
        let result = doing.await?;
        let body = serde_json::to_string(&result).map_err(|cause| {
            error!(%cause, "result could not be serialized");
            Problem::Internal
        })?;
        let kept = StoredResponse {
            content_type: Some(JSON.to_owned()),
            location: None,
            body,
        };
        turn.store(StatusCode::OK, &kept).await;
        Ok((result, false))
    };
    if path.starts_with("/v1/bots/") && path.ends_with("/messages") {
        return doing.await;
    }
    detached(services, owner, doing).await
}

/// Finds the stored response to a request, or returns the right to execute the request.
async fn begin(
    services: &Services,
    caller: &Caller,
    path: &str,
    key: &Key,
    body: &[u8],
) -> Result<Begun, Problem> {
    // The owner of a key includes the permissions. If the caller has fewer permissions by now, the
    // handler decides about the request as about a new request.
    let owner = format!("{}\n{:?}", caller.shown(), caller.role);
    let owner = hex::encode(Sha256::digest(owner));
    let seal = seal_of(caller.shown(), key);
    match services.idempotency.begin(&owner, path, key, body).await? {
        idempotency::KeyUse::First(first) => Ok(Begun::First(Turn {
            first: Arc::new(first),
            seal,
            owner,
        })),
        idempotency::KeyUse::Again(kept) => {
            if let Some(id) = accepted_id(&kept) {
                return Ok(Begun::Accepted(id.to_owned()));
            }
            let opened = open(&seal, &kept.answer).ok_or_else(|| {
                error!("stored response cannot be decrypted");
                Problem::Internal
            })?;
            Ok(Begun::Stored(kept.status, opened))
        }
    }
}

/// Runs work in its own task, with a permit of its owner: a disconnecting client would otherwise
/// cancel the work before the response is stored.
async fn detached<T: Send + 'static>(
    services: &Services,
    owner: String,
    doing: impl Future<Output = Result<T, Problem>> + Send + 'static,
) -> Result<T, Problem> {
    let at_work = services.at_work.take(owner);
    let at_work = at_work.map_err(|none| Problem::Limit(Limit::AtWork(none)))?;
    let doing = async move {
        let _at_work = at_work;
        doing.await
    };
    match services.tasks.spawn(doing.in_current_span()).await {
        Ok(answered) => answered,
        Err(ended) if ended.is_panic() => std::panic::resume_unwind(ended.into_panic()),
        Err(_) => Err(Problem::Internal),
    }
}

impl Turn {
    fn keyed(&self) -> Keyed {
        Keyed::First(Arc::clone(&self.first))
    }

    /// Stores a success before returning the response. A refusal leaves the key unused.
    async fn keep(&self, response: Response) -> Result<Response, Problem> {
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
        self.store(parts.status, &kept).await;
        Ok(Response::from_parts(parts, Body::from(bytes)))
    }

    /// Stores a response, unless it is too large. The work is done, and the caller needs the
    /// response more than the stored key, so a failure is only logged.
    async fn store(&self, status: StatusCode, kept: &StoredResponse) {
        // The value has only texts, so serialization cannot fail.
        let answer = serde_json::to_vec(kept).unwrap_or_default();
        let most = self
            .first
            .request_bytes()
            .saturating_mul(2)
            .saturating_add(ANSWER_FLOOR);
        let kept = match sealed(&self.seal, &answer) {
            Ok(sealed) if sealed.len() > most => {
                // For a message, the stored id is enough; for other requests nothing is stored.
                info!(
                    bytes = sealed.len(),
                    "response is too large to be stored under its idempotency key"
                );
                return;
            }
            Ok(sealed) => self.first.keep(status.as_u16(), sealed).await,
            Err(cause) => Err(StoreError::Unreadable(cause.to_string())),
        };
        if let Err(cause) = kept {
            error!(%cause, "response not stored under its idempotency key; a repeat would run again");
        }
    }
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
