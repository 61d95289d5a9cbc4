//! Tells an open page that something has changed; the page then asks for its part again.
//!
//! What changed is not said: one signal serves every page, and shows nobody what is not his. A link's state and its codes are in
//! memory alone, so they are looked at, a few times a second and only while somebody looks at a page.

use std::convert::Infallible;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use futures::stream;
use serde::Deserialize;

use super::Shared;
use super::session::Me;
use super::wrong::Wrong;
use crate::clock::{Clock, Millis, millis};
use crate::door::{NoPermit, Permit};

/// As often as that is looked, and told at most.
const EVERY: Duration = Duration::from_millis(500);

/// Said where nothing changes, so that proxies keep the stream.
const COMMENT_EVERY: Duration = Duration::from_secs(15);

/// After this the browser asks again by itself, and its session is looked at anew.
const LASTS: Duration = Duration::from_mins(10);

struct Watch {
    shared: Arc<Shared>,
    seen: u64,
    said_at: Millis,
    ends_at: Millis,
    began: bool,
    _permit: Permit<i64>,
}

/// Where a page stands that wants to be followed.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    /// [`Frame::seen`](super::frame::Frame::seen) of the page. It says so again when it comes back after a pause, and is told to look again.
    #[serde(default)]
    seen: u64,
}

/// A server-sent event `changed` whenever a page may have something new to show. Beyond the bounds a page is whole, and not live.
pub(super) async fn stream(
    State(shared): State<Arc<Shared>>,
    me: Me,
    Query(asked): Query<Asked>,
) -> Result<Response, Wrong> {
    let user = me.frame.user.as_ref().ok_or(Wrong::Internal)?.id;
    let reserved = if me.frame.is_admin() {
        0
    } else {
        shared.live_for_admins
    };
    let permit = match shared.live.take_beside(user, reserved) {
        Ok(permit) => permit,
        Err(NoPermit::Owner(_)) => return Ok(StatusCode::TOO_MANY_REQUESTS.into_response()),
        Err(NoPermit::InAll(_)) => return Ok(StatusCode::SERVICE_UNAVAILABLE.into_response()),
    };
    let now = shared.clock.steady();
    let watch = Watch {
        seen: asked.seen,
        said_at: now,
        ends_at: now + millis(LASTS),
        began: false,
        shared,
        _permit: permit,
    };
    let body = stream::unfold(watch, async |mut watch| {
        let part = watch.next().await?;
        Some((Ok::<_, Infallible>(part), watch))
    });
    let mut response = Body::from_stream(body).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    // nginx holds answers back until a buffer is full, unless told not to.
    headers.insert(
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    );
    Ok(response)
}

impl Watch {
    async fn next(&mut self) -> Option<Bytes> {
        if !self.began {
            self.began = true;
            return Some(Bytes::from_static(b": waviro\nretry: 1000\n\n"));
        }
        let clock: Clock = self.shared.clock.clone();
        loop {
            tokio::select! {
                () = self.shared.stop.cancelled() => return None,
                () = clock.sleep(EVERY) => {}
            }
            let now = clock.steady();
            if now >= self.ends_at {
                return None;
            }
            let seen = self.shared.fingerprint();
            if seen != self.seen {
                (self.seen, self.said_at) = (seen, now);
                return Some(Bytes::from_static(b"event: changed\ndata:\n\n"));
            }
            if now - self.said_at >= millis(COMMENT_EVERY) {
                self.said_at = now;
                return Some(Bytes::from_static(b":\n\n"));
            }
        }
    }
}

impl Shared {
    /// Another number whenever something was committed or a link changed, and in another process.
    pub(super) fn fingerprint(&self) -> u64 {
        let mut hasher = self.process.build_hasher();
        self.store.commits().hash(&mut hasher);
        for bot in self.bots.list() {
            bot.slot().hash(&mut hasher);
            format!("{:?}", bot.status()).hash(&mut hasher);
        }
        hasher.finish()
    }
}
