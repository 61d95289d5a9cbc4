//! Notifies an open page of a change; the page then requests its changing part again.
//!
//! The notification does not name the change. Therefore a single signal serves all pages and
//! reveals no data to a user without permission. The state and the QR codes of a link are only in
//! memory, so the stream polls the links twice a second, as long as a page is open.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use futures::stream;
use serde::Deserialize;
use waviro_core::permits::{NoPermit, Permit};
use waviro_store::clock::{Clock, Millis, millis};

use super::errors::PageError;
use super::session::Me;
use super::state::Dashboard;

/// The interval of polls, and the shortest interval between two notifications.
const EVERY: Duration = Duration::from_millis(500);

/// The interval of comments in an idle stream, so that proxies keep the connection open.
const COMMENT_EVERY: Duration = Duration::from_secs(15);

/// The maximum time of a stream. Then the browser reconnects, and the gateway checks the session
/// again.
const LASTS: Duration = Duration::from_mins(10);

struct Watch {
    dashboard: Arc<Dashboard>,
    seen: u64,
    said_at: Millis,
    ends_at: Millis,
    began: bool,
    _permit: Permit<i64>,
}

/// The parameters of a stream.
#[derive(Debug, Deserialize)]
pub(super) struct StreamQuery {
    /// The [`PageContext::seen`](super::page_context::PageContext::seen) of the page. A
    /// reconnecting page sends the value again, and gets a notification if the state has changed
    /// since.
    #[serde(default)]
    seen: u64,
}

/// Sends the server-sent event `changed` whenever a page may have new data. Above the limits the
/// page still works, without live updates.
pub(super) async fn stream(
    State(dashboard): State<Arc<Dashboard>>,
    me: Me,
    Query(asked): Query<StreamQuery>,
) -> Result<Response, PageError> {
    let user = me.context.user.as_ref().ok_or(PageError::Internal)?.id;
    let reserved = if me.context.is_admin() {
        0
    } else {
        dashboard.live_for_admins
    };
    let permit = match dashboard.live.take_beside(user, reserved) {
        Ok(permit) => permit,
        Err(NoPermit::Owner(_)) => return Ok(StatusCode::TOO_MANY_REQUESTS.into_response()),
        Err(NoPermit::InAll(_)) => return Ok(StatusCode::SERVICE_UNAVAILABLE.into_response()),
    };
    let now = dashboard.services.clock.steady();
    let watch = Watch {
        seen: asked.seen,
        said_at: now,
        ends_at: now + millis(LASTS),
        began: false,
        dashboard,
        _permit: permit,
    };
    let body = stream::unfold(watch, async |mut watch| {
        let part = watch.next().await?;
        Some((Ok::<_, Infallible>(part), watch))
    });
    let mut response = Body::from_stream(body).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    // By default, nginx buffers a response until the buffer is full.
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
        let clock: Clock = self.dashboard.services.clock.clone();
        loop {
            tokio::select! {
                () = self.dashboard.services.stop.cancelled() => return None,
                () = clock.sleep(EVERY) => {}
            }
            let now = clock.steady();
            if now >= self.ends_at {
                return None;
            }
            let seen = self.dashboard.fingerprint();
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
