//! `/v1/bots/{bot}/messages`: the message log, the history of a message, and sending.

mod content;
mod cursor;
pub(crate) mod send;
mod view;

use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use waviro_link::{Chat, GroupId, Number};
use waviro_store::{DeliveryFilter, InboundRow, LogFilter, SentAfter, SentRow};

use super::auth::AtBot;
use super::deliveries::FullDelivery;
use super::page::{Cursor, Page, PageParams, Paging};
use super::path::path_part;
use super::problem::Problem;
use super::query::Query;
use super::responses::{JsonResult, Unavailable};
use super::state::V1;
use super::timestamp::Timestamp;

use crate::services::{Services, SharedServices};
use cursor::ReceivedCursor;
pub use view::{Direction, MessageState, MessageView};

/// The maximum number of characters of a text to search for.
const LOOKED_FOR: usize = 200;

/// The maximum number of deliveries to show with a message.
const DELIVERIES: usize = 50;

pub(super) fn routes() -> OpenApiRouter<V1> {
    OpenApiRouter::new()
        .routes(routes!(http_list, send::http_send))
        .routes(routes!(http_show))
}

/// A message with its history.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct FullMessage {
    /// The message.
    #[serde(flatten)]
    pub(crate) message: MessageView,
    /// The events of the message, the oldest first.
    pub(crate) timeline: Vec<Happened>,
    /// The callbacks, webhooks and events posted for the message, newest first, 50 at most.
    pub(crate) deliveries: Vec<FullDelivery>,
    /// The messages sent by webhook replies to the message.
    pub(crate) replies: Vec<MessageView>,
    /// The number of group members with the message, for a message to a group. Members are counted
    /// only while a subscription or a stream wants `message.ack`; null if nothing was counted.
    #[schema(required)]
    pub(crate) members: Option<Members>,
}

/// The number of group members with a message.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct Members {
    /// The members whose phone has the message, including the members who read the message.
    #[schema(minimum = 0)]
    pub(crate) delivered: i64,
    /// The members who read or played the message.
    #[schema(minimum = 0)]
    pub(crate) read: i64,
}

/// An entry in the history of a message.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct Happened {
    /// The time of the entry.
    pub(crate) at: Timestamp,
    /// `accepted`, `received`, `sent`, `failed`, `delivered`, `read`, `posted` (an attempt of the
    /// named delivery) or `replied`.
    #[schema(example = "accepted")]
    pub(crate) what: String,
    /// The id of the delivery.
    #[schema(required)]
    pub(crate) delivery: Option<i64>,
    /// Details: the cause of a failure, or the endpoint's response.
    #[schema(required)]
    pub(crate) detail: Option<String>,
}

/// The filters of a list of messages.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(
    dead_code,
    reason = "parsed by hand, so that the error names the wrong parameter"
)]
pub struct MessageParams {
    /// Sent by the bot or received by the bot; `out` by default.
    #[param(inline, nullable = false)]
    direction: Option<Direction>,
    /// Messages of the given person or group: a number, a group id, or an address in the form of
    /// `chat`.
    #[param(nullable = false)]
    chat: Option<String>,
    /// Messages in the given state; only for `out`.
    #[param(
        inline,
        nullable = false,
        pattern = "^(pending|sent|delivered|read|failed)$"
    )]
    state: Option<String>,
    /// Messages with the given text in the text or caption, in upper or lower case. The search
    /// scans the time range. After 5 s the scan ends with a partial page: the page may be short or
    /// even empty, and `next` continues the scan. A smaller time range is faster.
    #[param(nullable = false, max_length = 200)]
    text: Option<String>,
    /// Messages at the given time or later, RFC 3339.
    #[param(inline, nullable = false)]
    since: Option<Timestamp>,
    /// Messages before the given time, RFC 3339.
    #[param(inline, nullable = false)]
    until: Option<Timestamp>,
}

/// List messages
///
/// Newest first. A search by text, or by state within a chat, scans the time range. After 5 s the
/// scan ends with a partial page: the page may be short or even empty, and `next` continues the
/// scan.
#[utoipa::path(
    get, path = "/v1/bots/{bot}/messages", tag = "messages", params(MessageParams, PageParams),
    responses((status = 200, description = "A page of messages.", body = Page<MessageView>), Unavailable)
)]
async fn http_list(
    services: SharedServices,
    at: AtBot,
    query: Query,
    paging: Paging,
) -> JsonResult<Page<MessageView>> {
    let search = MessageSearch::parse(&query)?;
    list(&services, &at, search, paging).await.map(Json)
}

/// The parsed filters of a list of messages.
pub(crate) struct MessageSearch {
    direction: Direction,
    filter: LogFilter,
}

impl MessageSearch {
    pub(crate) fn parse(query: &Query) -> Result<Self, Problem> {
        let directions = [("out", Direction::Out), ("in", Direction::In)];
        let direction = query.word("direction", &directions)?;
        let states = [
            ("pending", 0),
            ("sent", 1),
            ("delivered", 2),
            ("read", 3),
            ("failed", -1),
        ];
        let text = query.text("text")?;
        if text.is_some_and(|text| text.chars().count() > LOOKED_FOR) {
            let form = format!("at most {LOOKED_FOR} characters");
            return Err(Problem::invalid("text", form));
        }
        let filter = LogFilter {
            chat: query.text("chat")?.map(address),
            ack: query.word("state", &states)?,
            text: text.map(ToOwned::to_owned),
            since: query.timestamp("since")?,
            until: query.timestamp("until")?,
        };
        Ok(Self {
            direction: direction.unwrap_or(Direction::Out),
            filter,
        })
    }
}

pub(crate) async fn list(
    services: &Services,
    at: &AtBot,
    search: MessageSearch,
    paging: Paging,
) -> Result<Page<MessageView>, Problem> {
    let MessageSearch { direction, filter } = search;
    let bot_id = at.bot().id();
    if direction == Direction::In {
        let after: Option<ReceivedCursor> = paging.after("in")?;
        let after = after.map(|ReceivedCursor(after)| after);
        let found = services
            .store
            .inbound_log(bot_id, &filter, after, paging.rows());
        let found = found.await?;
        let (key, go_on) = (
            |row: &InboundRow| ReceivedCursor(row.cursor()),
            found.go_on.map(ReceivedCursor),
        );
        let page = paging.page_so_far("in", found.rows, key, go_on);
        return Ok(page.map(MessageView::from));
    }
    let after: Option<Cursor> = paging.after("out")?;
    let after = after.map(|Cursor(accepted_at, seq)| SentAfter { accepted_at, seq });
    let found = services
        .store
        .sent_log(bot_id, &filter, after, paging.rows());
    let found = found.await?;
    let cursor = |after: SentAfter| Cursor(after.accepted_at, after.seq);
    let (key, go_on) = (
        |row: &SentRow| cursor(row.cursor()),
        found.go_on.map(cursor),
    );
    let page = paging.page_so_far("out", found.rows, key, go_on);
    Ok(page.map(MessageView::from))
}

/// Show a message
///
/// Returns the message with its history: the time of each ack, the deliveries with their attempts,
/// and the webhook replies.
#[utoipa::path(
    get, path = "/v1/bots/{bot}/messages/{message}", tag = "messages",
    responses((status = 200, description = "The message and its state.", body = FullMessage))
)]
async fn http_show(
    services: SharedServices,
    at: AtBot,
    Named(id): Named,
) -> JsonResult<FullMessage> {
    show(&services, &at, &id).await.map(Json)
}

pub(crate) async fn show(
    services: &Services,
    at: &AtBot,
    id: &str,
) -> Result<FullMessage, Problem> {
    // No database stores a NUL in a text.
    if id.contains('\0') {
        return Err(Problem::NoSuch("message"));
    }
    let bot_id = at.bot().id();
    let sent = services.store.sent(bot_id, id).await?;
    let is_sent = sent.is_some();
    let (message, mut timeline) = match sent {
        Some(row) => (MessageView::from(row.clone()), course(&row)),
        None => match services.store.inbound(bot_id, id).await? {
            Some(row) => {
                let received = Happened::at(row.received_at, "received");
                (MessageView::from(row), vec![received])
            }
            None => return Err(Problem::NoSuch("message")),
        },
    };
    let members = services.store.members_with(id).await?;
    let filter = DeliveryFilter {
        subject: Some(id.to_owned()),
        ..DeliveryFilter::default()
    };
    let rows = services
        .store
        .deliveries(bot_id, &filter, None, DELIVERIES)
        .await?
        .rows;
    let (mut deliveries, mut replies) = (Vec::with_capacity(rows.len()), Vec::new());
    for row in &rows {
        for attempt in services.store.attempts(row.id).await? {
            let tried = attempt.attempt;
            let status = tried.status.map(|status| format!("status {status}"));
            timeline.push(Happened {
                delivery: Some(row.id),
                detail: tried.failure.map(|failure| failure.text).or(status),
                ..Happened::at(tried.at, "posted")
            });
        }
        if let Some(at) = row.replied_at {
            timeline.push(Happened {
                delivery: Some(row.id),
                detail: row.note.as_ref().map(|note| note.text.clone()),
                ..Happened::at(at, "replied")
            });
        }
        deliveries.push(FullDelivery::of(row, services).await?);
        let sent = services.store.replies_of(row.id).await?;
        replies.extend(sent.into_iter().map(MessageView::from));
    }
    timeline.sort_by_key(|happened| happened.at.0);
    Ok(FullMessage {
        message,
        timeline,
        deliveries,
        replies,
        members: members
            .filter(|_| is_sent)
            .map(|(delivered, read)| Members { delivered, read }),
    })
}

/// Returns the history of a sent message.
fn course(row: &SentRow) -> Vec<Happened> {
    let ended = if row.ack < 0 { "failed" } else { "sent" };
    let ended = row.settled_at.map(|at| Happened {
        detail: row.failure.as_ref().map(|failure| failure.text.clone()),
        ..Happened::at(at, ended)
    });
    let later = [(row.delivered_at, "delivered"), (row.read_at, "read")];
    let later = later
        .into_iter()
        .filter_map(|(at, what)| at.map(|at| Happened::at(at, what)));
    std::iter::once(Happened::at(row.accepted_at, "accepted"))
        .chain(ended)
        .chain(later)
        .collect()
}

/// Returns the address of a chat from a number, a group id or an address.
fn address(said: &str) -> String {
    if let Ok(number) = said.parse::<Number>() {
        return Chat::Person(number).address();
    }
    match said.parse::<GroupId>() {
        Ok(group) => Chat::Group(group).address(),
        Err(_) => said.to_owned(),
    }
}

/// Extractor: the message id in the path.
struct Named(String);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let id = path_part(parts, "message").await;
        id.map(Self).ok_or(Problem::NoSuch("message"))
    }
}

impl Happened {
    fn at(at: i64, what: &str) -> Self {
        Self {
            at: Timestamp(at),
            what: what.to_owned(),
            delivery: None,
            detail: None,
        }
    }
}
