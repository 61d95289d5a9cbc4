//! `/v1/bots/{bot}/messages`: the message log, what became of each message, and sending.

mod place;
mod send;

use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use waviro_link::{Chat, GroupId, Number};

use super::V1;
use super::auth::{AtBot, path_part};
use super::deliveries::FullDelivery;
use super::moment::Moment;
use super::page::{Page, PageParams, Paging};
use super::problem::Problem;
use super::query::Query;
use crate::store::{DeliveryFilter, HeardRow, LogFilter, SentRow, words};

use place::Place;

/// The most characters of a text that is looked for.
const LOOKED_FOR: usize = 200;

/// Deliveries of one message that are shown.
const DELIVERIES: i64 = 50;

/// This file's operations.
pub(super) fn routes() -> OpenApiRouter<Arc<V1>> {
    OpenApiRouter::new()
        .routes(routes!(list, send::send))
        .routes(routes!(show))
}

/// Whether the bot wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Sent over this gateway.
    Out,
    /// Written to the bot, or by its own account on another device.
    In,
}

/// How far a message came.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MessageState {
    /// WhatsApp does not have it yet.
    Pending,
    /// WhatsApp has it.
    Sent,
    /// It reached the phone.
    Delivered,
    /// It was read or played.
    Read,
    /// It will not be sent; `cause` says why.
    Failed,
    /// It was written to the bot.
    Received,
}

/// A message.
#[derive(Serialize, ToSchema)]
#[schema(as = Message)]
pub struct MessageView {
    /// Its id on WhatsApp.
    #[schema(example = "3EB02B7BEAD27AFA278E")]
    id: String,
    /// Whether the bot wrote it.
    direction: Direction,
    /// The person or group.
    #[schema(example = "6281234567890@c.us")]
    chat: String,
    /// Who wrote it to the bot; null for what was sent.
    #[schema(required, example = "6281234567890@c.us")]
    sender: Option<String>,
    /// The name that the sender gives itself.
    #[schema(required, example = "Budi")]
    sender_name: Option<String>,
    /// Whether the bot's own account wrote it, here or on another device.
    from_me: bool,
    /// `text`, `image`, `location`, `contact` …
    #[schema(example = "text")]
    kind: String,
    /// Its text or caption, a place's or card's name; empty where it has none.
    text: String,
    /// How far it came.
    state: MessageState,
    /// Why it failed.
    #[schema(required)]
    cause: Option<String>,
    /// When it was accepted, or received.
    at: Moment,
    /// When WhatsApp took it, or it failed; of a received one WhatsApp's own time.
    #[schema(required)]
    sent_at: Option<Moment>,
    /// When it reached the phone, where that was told before it was read.
    #[schema(required)]
    delivered_at: Option<Moment>,
    /// When it was read or played.
    #[schema(required)]
    read_at: Option<Moment>,
    /// Where changes of its state are posted.
    #[schema(required)]
    notify_url: Option<String>,
    /// The delivery whose answer it is of.
    #[schema(required)]
    reply_of: Option<i64>,
}

/// A message and all that became of it.
#[derive(Serialize, ToSchema)]
pub struct FullMessage {
    /// The message.
    #[serde(flatten)]
    message: MessageView,
    /// What happened, in its order.
    timeline: Vec<Happened>,
    /// What was posted of it, newest first, 50 at most: callbacks, webhooks, events.
    deliveries: Vec<FullDelivery>,
    /// What the answers of its webhooks sent.
    replies: Vec<MessageView>,
}

/// Something that happened to a message.
#[derive(Serialize, ToSchema)]
pub struct Happened {
    /// When.
    at: Moment,
    /// `accepted`, `received`, `sent`, `failed`, `delivered`, `read`, `posted` (an attempt, whose delivery is named) or `replied`.
    #[schema(example = "accepted")]
    what: &'static str,
    /// The delivery that it belongs to.
    #[schema(required)]
    delivery: Option<i64>,
    /// More about it: why it failed, what an endpoint answered.
    #[schema(required)]
    detail: Option<String>,
}

/// What a list of messages is narrowed to.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(
    dead_code,
    reason = "read by hand, which can name the parameter that is wrong"
)]
pub struct MessageParams {
    /// Sent by the bot, or written to it; `out` where nothing is said.
    #[param(inline, nullable = false)]
    direction: Option<Direction>,
    /// With this person or group: a number, a group's id, or an address as `chat` has it.
    #[param(nullable = false)]
    chat: Option<String>,
    /// How far they came; for `out` alone.
    #[param(
        inline,
        nullable = false,
        pattern = "^(pending|sent|delivered|read|failed)$"
    )]
    state: Option<String>,
    /// Whose text or caption holds this, in any case. Everything in the range is read for it: narrow it by time.
    #[param(nullable = false, max_length = 200)]
    text: Option<String>,
    /// At this time or later, RFC 3339.
    #[param(inline, nullable = false)]
    since: Option<Moment>,
    /// Before this time, RFC 3339.
    #[param(inline, nullable = false)]
    until: Option<Moment>,
}

/// List messages
///
/// Newest first. A text is looked for by reading everything in the range, so name a time where much is kept.
#[utoipa::path(
    get, path = "/v1/bots/{bot}/messages", tag = "messages", params(MessageParams, PageParams),
    responses((status = 200, description = "A page of messages.", body = Page<MessageView>))
)]
async fn list(
    State(v1): State<Arc<V1>>,
    at: AtBot,
    query: Query,
    paging: Paging,
) -> Result<Json<Page<MessageView>>, Problem> {
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
        return Err(Problem::InvalidField(
            "text",
            "at most 200 characters".into(),
        ));
    }
    let filter = LogFilter {
        chat: query.text("chat")?.map(address),
        ack: query.word("state", &states)?,
        text: text.map(ToOwned::to_owned),
        since: query.moment("since")?,
        until: query.moment("until")?,
    };
    let slot = at.bot.slot();
    if direction == Some(Direction::In) {
        let after: Option<Place> = paging.after("in")?;
        let after = after.map(|Place(after)| after);
        let rows = v1.store.heard_log(slot, &filter, after, paging.rows());
        let page = paging.page("in", rows.await?, |row: &HeardRow| Place(row.place()));
        return Ok(Json(page.map(MessageView::from)));
    }
    let before = paging.after("out")?;
    let rows = v1.store.sent_log(slot, &filter, before, paging.rows());
    let page = paging.page("out", rows.await?, |row: &SentRow| row.seq);
    Ok(Json(page.map(MessageView::from)))
}

/// Show a message
///
/// With all that became of it: when it came how far, what was posted of it with each attempt, and what webhooks answered.
#[utoipa::path(
    get, path = "/v1/bots/{bot}/messages/{message}", tag = "messages",
    responses((status = 200, description = "The message and what became of it.", body = FullMessage))
)]
async fn show(
    State(v1): State<Arc<V1>>,
    at: AtBot,
    Named(id): Named,
) -> Result<Json<FullMessage>, Problem> {
    let slot = at.bot.slot();
    let (message, mut timeline) = match v1.store.sent(slot, &id).await? {
        Some(row) => (MessageView::from(row.clone()), course(&row)),
        None => match v1.store.heard(slot, &id).await? {
            Some(row) => {
                let received = Happened::at(row.received_at, "received");
                (MessageView::from(row), vec![received])
            }
            None => return Err(Problem::NoSuch("message")),
        },
    };
    let filter = DeliveryFilter {
        subject: Some(id),
        ..DeliveryFilter::default()
    };
    let rows = v1.store.deliveries(slot, &filter, None, DELIVERIES).await?;
    let (mut deliveries, mut replies) = (Vec::with_capacity(rows.len()), Vec::new());
    for row in &rows {
        for attempt in v1.store.attempts(row.id).await? {
            let tried = attempt.attempt;
            let status = tried.status.map(|status| format!("status {status}"));
            timeline.push(Happened {
                delivery: Some(row.id),
                detail: tried.cause.or(status),
                ..Happened::at(tried.at, "posted")
            });
        }
        if let Some(at) = row.replied_at {
            timeline.push(Happened {
                delivery: Some(row.id),
                detail: row.note.clone(),
                ..Happened::at(at, "replied")
            });
        }
        deliveries.push(FullDelivery::of(row, &v1).await?);
        let sent = v1.store.replies_of(row.id).await?;
        replies.extend(sent.into_iter().map(MessageView::from));
    }
    timeline.sort_by_key(|happened| happened.at.0);
    Ok(Json(FullMessage {
        message,
        timeline,
        deliveries,
        replies,
    }))
}

/// What is known of a sent message's way.
fn course(row: &SentRow) -> Vec<Happened> {
    let ended = if row.ack < 0 { "failed" } else { "sent" };
    let ended = row.settled_at.map(|at| Happened {
        detail: row.cause.clone(),
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

/// A chat's address, from whatever names it.
fn address(said: &str) -> String {
    if let Ok(number) = said.parse::<Number>() {
        return Chat::Person(number).address();
    }
    match said.parse::<GroupId>() {
        Ok(group) => Chat::Group(group).address(),
        Err(_) => said.to_owned(),
    }
}

/// The message that the path names.
struct Named(String);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let id = path_part(parts, "message").await;
        let id = id.filter(|id| !id.contains('\0'));
        id.map(Self).ok_or(Problem::NoSuch("message"))
    }
}

impl Happened {
    fn at(at: i64, what: &'static str) -> Self {
        Self {
            at: Moment(at),
            what,
            delivery: None,
            detail: None,
        }
    }
}

impl From<SentRow> for MessageView {
    fn from(row: SentRow) -> Self {
        Self {
            id: row.id,
            direction: Direction::Out,
            chat: row.chat,
            sender: None,
            sender_name: None,
            from_me: true,
            kind: row.kind,
            text: words(&row.content).to_owned(),
            state: match row.ack {
                0 => MessageState::Pending,
                1 => MessageState::Sent,
                2 => MessageState::Delivered,
                3.. => MessageState::Read,
                _ => MessageState::Failed,
            },
            cause: row.cause,
            at: Moment(row.accepted_at),
            sent_at: row.settled_at.map(Moment),
            delivered_at: row.delivered_at.map(Moment),
            read_at: row.read_at.map(Moment),
            notify_url: row.notify_url,
            reply_of: row.reply_of,
        }
    }
}

impl From<HeardRow> for MessageView {
    fn from(row: HeardRow) -> Self {
        Self {
            id: row.id,
            direction: Direction::In,
            chat: row.chat,
            sender: Some(row.sender),
            sender_name: Some(row.push_name),
            from_me: row.from_me,
            kind: row.kind,
            text: row.text,
            state: MessageState::Received,
            cause: None,
            at: Moment(row.received_at),
            sent_at: Some(Moment(row.at)),
            delivered_at: None,
            read_at: None,
            notify_url: None,
            reply_of: None,
        }
    }
}
