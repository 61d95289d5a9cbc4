//! `/v1/events`: a live stream of events (Server-Sent Events). A client resumes after the number of
//! its last event.
//!
//! A stream reads events from the database table; a commit only wakes the stream. The numbers rise
//! in the order of the commits, so nothing is missing or repeated between old and new events. No
//! events wait in memory for a slow client.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse, Response};
use futures::stream;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use tracing::{debug, warn};
use url::form_urlencoded;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use waviro_core::permits::Permit;
use waviro_store::clock::millis;
use waviro_store::{EventRow, Listening};

use super::auth::{Caller, Role, bot_named, sent_token};
use super::problem::{Limit, Problem};
use super::state::V1;
use crate::services::Services;

/// The interval of comments. Proxies close a connection without data after about a minute. The
/// stream checks its token at the same interval, and before each event.
const COMMENT_EVERY: Duration = Duration::from_secs(15);

/// The maximum time for the client to accept data. Then the stream ends, and the client can resume.
const TAKES_WITHIN: Duration = Duration::from_secs(30);

/// The maximum number of events of a read.
const PAGE: i64 = 100;

/// The pages queued for the client; later events stay in the table.
const AHEAD: usize = 2;

pub(super) fn routes() -> OpenApiRouter<V1> {
    OpenApiRouter::new().routes(routes!(listen))
}

/// The start and the bot of a stream.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(
    dead_code,
    reason = "parsed by hand, so that the error names the wrong parameter"
)]
pub struct StreamParams {
    /// The id or name of a bot; absent for all bots.
    #[param(nullable = false)]
    bot: Option<String>,
    /// The number of the last event seen; 0 for all stored events. `Last-Event-ID` has the same
    /// meaning and takes precedence. Without either, the stream starts with the next event.
    #[param(minimum = 0, nullable = false)]
    after: Option<i64>,
}

/// Stream events
///
/// Server-Sent Events: `id` is the event's number, `event` its kind, and `data` the same body that
/// a subscription gets. Missed events come first, then new events. An admin gets the events of all
/// bots, a bot's token only the events of its bot. A comment is sent every 15 s. The gateway stores
/// events for a stream that was open within the last week.
#[utoipa::path(
    get, path = "/v1/events", tag = "events", params(
        StreamParams,
        ("Last-Event-ID" = Option<i64>, Header, minimum = 0, nullable = false, description = "The number of the last received event, as browsers send it."),
    ),
    responses(
        (status = 200, description = "The stream; it ends when the gateway stops. After the token is revoked or expires, the stream shows no later events and ends within 30 s.",
            body = String, content_type = "text/event-stream"),
    )
)]
async fn listen(
    State(v1): State<V1>,
    caller: Caller,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let services = v1.services;
    let asked = StreamQuery::read(&uri, &headers)?;
    let bot_id = match (&asked.bot, &caller.role) {
        (Some(named), _) => {
            let bot = bot_named(&services.bots, named).filter(|bot| caller.may_see(bot));
            let form = || {
                let form = "the id or the name of a bot that this token may see";
                Problem::invalid("bot", form)
            };
            Some(bot.ok_or_else(form)?.id())
        }
        (None, Role::Bot(bot_id)) => Some(*bot_id),
        (None, Role::Admin) => None,
        // A dashboard user has no token, and a stream without a token could not check whether the
        // user is still allowed.
        (None, Role::Operator(_) | Role::Viewer) => return Err(Problem::NoToken),
    };
    let reserved = match caller.role {
        Role::Admin => 0,
        _ => v1.streams_for_admins,
    };
    // A hash, so the token itself does not stay in memory longer than the request.
    let owner = Sha256::digest(caller.shown()).into();
    let permit = v1.streams.take_beside(owner, reserved);
    let permit = permit.map_err(|none| Problem::Limit(Limit::Streams(none)))?;
    // Registers the listener before reading the last number, so that each event written from now on
    // is stored.
    let listening = services.store.listen(bot_id);
    let last = *services.store.last_event().borrow();
    let token = sent_token(&headers)?.unwrap_or_default().to_owned();
    services
        .store
        .note_streamed(bot_id, services.clock.now())
        .await?;
    let (feed, parts) = mpsc::channel(AHEAD);
    let stream = Stream {
        bot_id,
        // A number above the last event would hide all events up to that number.
        after: asked.after.unwrap_or(last).min(last),
        token,
        feed,
        services: Arc::clone(&services),
        _listening: listening,
        _permit: permit,
    };
    services.tasks.spawn(stream.run());
    let body = stream::unfold(parts, async |mut parts: mpsc::Receiver<Bytes>| {
        let part = parts.recv().await?;
        Some((Ok::<_, Infallible>(part), parts))
    });
    let mut response = Body::from_stream(body).into_response();
    let answer = response.headers_mut();
    answer.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    // By default, nginx buffers a response until the buffer is full.
    answer.insert(
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    );
    Ok(response)
}

/// The parameters of the request.
struct StreamQuery {
    bot: Option<String>,
    after: Option<i64>,
}

impl StreamQuery {
    fn read(uri: &Uri, headers: &HeaderMap) -> Result<Self, Problem> {
        let mut asked = Self {
            bot: None,
            after: None,
        };
        let query = uri.query().unwrap_or_default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match name.as_ref() {
                "bot" => asked.bot = Some(value.into_owned()),
                "after" => asked.after = Some(number("after", &value)?),
                _ => {}
            }
        }
        if let Some(last) = headers.get("last-event-id") {
            let text = last.to_str().unwrap_or_default();
            asked.after = Some(number("Last-Event-ID", text)?);
        }
        Ok(asked)
    }
}

fn number(parameter: &'static str, text: &str) -> Result<i64, Problem> {
    // `parse` accepts a plus sign; an event number has only digits.
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let form = || Problem::invalid(parameter, "the number of an event, or 0");
    digits.then(|| text.parse().ok()).flatten().ok_or_else(form)
}

/// An open stream.
struct Stream {
    bot_id: Option<i32>,
    /// The number of the last event sent to the client.
    after: i64,
    token: String,
    feed: mpsc::Sender<Bytes>,
    services: Arc<Services>,
    _listening: Listening,
    _permit: Permit<[u8; 32]>,
}

impl Stream {
    async fn run(mut self) {
        let stop = self.services.stop.clone();
        tokio::select! {
            () = self.pass_on() => debug!(bot_id = self.bot_id, "event stream ended"),
            () = stop.cancelled() => {}
        }
    }

    /// Sends events until the client disconnects or the token becomes invalid.
    async fn pass_on(&mut self) {
        let clock = self.services.clock.clone();
        let mut last = self.services.store.last_event();
        let mut comment_at = clock.steady() + millis(COMMENT_EVERY);
        // Sent at once, so that a client waiting for the first byte gets the response.
        if !self.give(": waviro\n\n".to_owned()).await {
            return;
        }
        loop {
            last.mark_unchanged();
            let events = match self
                .services
                .store
                .events_after(self.after, self.bot_id, PAGE)
                .await
            {
                Ok(events) => events,
                Err(reason) => {
                    warn!(%reason, "events of a stream could not be read");
                    return;
                }
            };
            if let Some(newest) = events.last() {
                // A token revoked in the meantime gets no more events.
                if !self.may_go_on().await {
                    return;
                }
                self.after = newest.id;
                let more = i64::try_from(events.len()).unwrap_or(0) == PAGE;
                if !self.give(written(&events)).await {
                    return;
                }
                if more {
                    continue;
                }
            }
            tokio::select! {
                changed = last.changed() => if changed.is_err() {
                    return;
                },
                () = self.feed.closed() => return,
                () = clock.sleep_until(comment_at) => {
                    comment_at = clock.steady() + millis(COMMENT_EVERY);
                    if !self.may_go_on().await || !self.give(":\n\n".to_owned()).await {
                        return;
                    }
                    let noted = self.services.store.note_streamed(self.bot_id, clock.now());
                    if let Err(reason) = noted.await {
                        warn!(%reason, "use of a stream could not be stored");
                    }
                }
            }
        }
    }

    /// Sends a text; returns whether the client accepted the text in time.
    async fn give(&self, text: String) -> bool {
        tokio::select! {
            given = self.feed.send(Bytes::from(text)) => given.is_ok(),
            () = self.services.clock.sleep(TAKES_WITHIN) => false,
        }
    }

    /// Returns whether the token is valid and the bot exists.
    async fn may_go_on(&self) -> bool {
        let lives = match self.services.tokens.of(&self.token).await {
            Ok(token) => token.is_some(),
            Err(reason) => {
                warn!(%reason, "token of a stream could not be checked");
                false
            }
        };
        let bot_lives = self
            .bot_id
            .is_none_or(|bot_id| self.services.bots.by_id(bot_id).is_some());
        lives && bot_lives
    }
}

fn written(events: &[EventRow]) -> String {
    let mut text = String::new();
    for event in events {
        // A body is JSON on a single line. Writing to a `String` cannot fail.
        let _ = write!(
            text,
            "id: {}\nevent: {}\ndata: {}\n\n",
            event.id, event.kind, event.body
        );
    }
    text
}
