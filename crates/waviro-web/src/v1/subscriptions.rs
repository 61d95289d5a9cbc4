//! `/v1/bots/{bot}/subscriptions`: the subscriptions that post events to URLs.

use axum::Json;
use axum::extract::OriginalUri;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use waviro_store::{
    Kinds, MAX_SUBSCRIPTIONS, NewSubscription, SubscriptionChange, SubscriptionRow,
};

use super::auth::{AtBot, ChangesBot};
use super::body::{Body, permitted};
use super::endpoints::{Timeout, timeout};
use super::fields::{Expected, Field, Form, present};
use super::page::{Page, PageParams, Paging};
use super::path::{InPath, PathId};
use super::problem::Problem;
use super::responses::{Conflict, JsonResult, Located, located};
use super::state::V1;
use super::timestamp::Timestamp;
use crate::services::{Services, SharedServices};

pub(super) fn routes() -> OpenApiRouter<V1> {
    OpenApiRouter::new()
        .routes(routes!(http_list, http_add))
        .routes(routes!(show, http_change, http_remove))
}

/// The kinds of events.
#[derive(ToSchema)]
#[schema(as = EventKind)]
#[expect(dead_code, reason = "only documents the allowed words")]
pub enum KindWord {
    /// All events, including kinds of later versions.
    #[schema(rename = "*")]
    All,
    /// The bot received a message, or the owner's phone sent a message.
    #[schema(rename = "message.received")]
    MessageReceived,
    /// The ack of a sent message rose.
    #[schema(rename = "message.ack")]
    MessageAck,
    /// The text of a message was edited.
    #[schema(rename = "message.edited")]
    MessageEdited,
    /// A message was deleted for everyone.
    #[schema(rename = "message.deleted")]
    MessageDeleted,
    /// A reaction to a message was added or removed.
    #[schema(rename = "message.reaction")]
    MessageReaction,
    /// The state of the bot's link changed.
    #[schema(rename = "bot.state")]
    BotState,
    /// A group changed.
    #[schema(rename = "group.changed")]
    GroupChanged,
    /// The bot receives a call.
    #[schema(rename = "call.received")]
    CallReceived,
}

/// A subscription with its current state.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = Subscription)]
pub struct SubscriptionView {
    /// The id of the subscription.
    #[schema(example = 1, minimum = 1)]
    pub(crate) id: i64,
    /// The URL for the events.
    #[schema(example = "https://toko.example/events.php")]
    pub(crate) url: String,
    /// The kinds of events; `*` alone for all events, including kinds of later versions.
    #[schema(value_type = Vec<KindWord>)]
    pub(crate) kinds: Vec<String>,
    /// True if the subscription is active.
    pub(crate) enabled: bool,
    /// The timeout of the endpoint in seconds; null for the value of `outbound.timeout_s`.
    #[schema(required, minimum = 1, maximum = 60)]
    pub(crate) timeout_s: Option<i64>,
    /// The reason for which the gateway disabled the subscription; null if the gateway did not.
    #[schema(required)]
    pub(crate) off_cause: Option<String>,
    /// When the subscription was created.
    pub(crate) created_at: Timestamp,
    /// When the subscription was last changed.
    pub(crate) updated_at: Timestamp,
}

/// A subscription to add.
#[derive(Deserialize, ToSchema)]
#[schema(as = AddSubscription)]
pub struct AddBody {
    /// The URL for the events.
    #[schema(value_type = String, max_length = 2048, format = "uri", example = "https://toko.example/events.php")]
    url: Field<Url>,
    /// The kinds of events; `*` for all events.
    #[schema(value_type = Vec<KindWord>, min_items = 1, max_items = 20)]
    kinds: Field<Kinds>,
    /// True if the subscription is active.
    #[schema(default = true)]
    enabled: Option<bool>,
    /// The timeout of the endpoint in seconds, at most `outbound.timeout_s`; null for the value of
    /// `outbound.timeout_s`.
    #[schema(value_type = Option<u64>, minimum = 1, maximum = 60, example = 10)]
    timeout_s: Option<Field<Timeout>>,
}

/// The changes to a subscription. Absent fields stay unchanged.
#[derive(Deserialize, ToSchema)]
#[schema(as = ChangeSubscription)]
#[expect(
    clippy::option_option,
    reason = "null removes the timeout, an absent field keeps the timeout"
)]
pub struct ChangeBody {
    /// The URL for the events. Waiting deliveries go to the new URL.
    #[schema(value_type = Option<String>, max_length = 2048, format = "uri",
        example = "https://toko.example/events.php")]
    url: Option<Field<Url>>,
    /// The kinds of events from the next event on; `*` for all events.
    #[schema(value_type = Option<Vec<KindWord>>, min_items = 1, max_items = 20)]
    kinds: Option<Field<Kinds>>,
    /// True if the subscription is active. Enabling the subscription clears `off_cause`.
    enabled: Option<bool>,
    /// The timeout of the endpoint in seconds; null for the value of `outbound.timeout_s`.
    #[schema(value_type = Option<Option<u64>>, minimum = 1, maximum = 60, example = 10)]
    #[serde(default, deserialize_with = "present")]
    timeout_s: Option<Option<Field<Timeout>>>,
}

impl Form for Kinds {
    type Value = Self;

    fn read(value: &Value) -> Result<Self, Expected> {
        const MOST: usize = 20;
        let list = value.as_array().filter(|list| list.len() <= MOST);
        let words =
            list.and_then(|list| list.iter().map(Value::as_str).collect::<Option<Vec<_>>>());
        let kinds = words.and_then(Self::of);
        kinds.ok_or("a list of kinds of events, or [\"*\"] for all".into())
    }
}

/// List subscriptions
///
/// Lists all subscriptions, including disabled subscriptions, ordered by id.
#[utoipa::path(
    get, path = "/v1/bots/{bot}/subscriptions", tag = "subscriptions", params(PageParams),
    responses((status = 200, description = "A page of subscriptions.", body = Page<SubscriptionView>))
)]
async fn http_list(
    services: SharedServices,
    at: AtBot,
    paging: Paging,
) -> JsonResult<Page<SubscriptionView>> {
    list(&services, &at, paging).await.map(Json)
}

pub(crate) async fn list(
    services: &Services,
    at: &AtBot,
    paging: Paging,
) -> Result<Page<SubscriptionView>, Problem> {
    let rows = services.store.subscriptions(at.bot().id()).await?;
    let page = paging.page_of("subscriptions", rows, |row: &SubscriptionRow| row.id)?;
    Ok(page.map(SubscriptionView::from))
}

/// Add a subscription
///
/// From the next event on, the gateway posts each wanted event to the URL and retries until the
/// endpoint answers 2xx or all retries have failed. Each delivery is signed as defined by Standard
/// Webhooks. A bot has at most 100 subscriptions.
#[utoipa::path(
    post, path = "/v1/bots/{bot}/subscriptions", tag = "subscriptions", request_body = AddBody,
    responses(
        (status = 201, description = "The subscription.", body = SubscriptionView,
            headers(("location" = String, description = "The subscription's path."))),
        Conflict,
    )
)]
async fn http_add(
    services: SharedServices,
    at: ChangesBot,
    OriginalUri(uri): OriginalUri,
    Body(asked): Body<AddBody>,
) -> Result<Located<SubscriptionView>, Problem> {
    let added = add(&services, &at, asked).await?;
    Ok(located(StatusCode::CREATED, &uri, added.id, added))
}

pub(crate) async fn add(
    services: &Services,
    at: &ChangesBot,
    asked: AddBody,
) -> Result<SubscriptionView, Problem> {
    let new = NewSubscription {
        url: permitted(services, at.bot(), "url", asked.url)?,
        kinds: asked.kinds.0,
        enabled: asked.enabled.unwrap_or(true),
        timeout_s: timeout(services, asked.timeout_s)?,
    };
    let (bot_id, now) = (at.bot().id(), services.clock.now());
    let added = services.store.add_subscription(bot_id, new, now).await?;
    let added = added.ok_or(Problem::TooMany("subscriptions", MAX_SUBSCRIPTIONS))?;
    Ok(added.into())
}

/// Show a subscription
///
/// Returns the subscription and, if the gateway disabled the subscription, the reason.
#[utoipa::path(
    get, path = "/v1/bots/{bot}/subscriptions/{subscription}", tag = "subscriptions",
    responses((status = 200, description = "The subscription.", body = SubscriptionView))
)]
async fn show(
    services: SharedServices,
    at: AtBot,
    PathId { id, .. }: PathId<SubscriptionView>,
) -> JsonResult<SubscriptionView> {
    let row = services.store.subscription(at.bot().id(), id).await?;
    Ok(Json(row.ok_or(MISSING)?.into()))
}

/// Change a subscription
///
/// The change applies from the next event on. Deliveries waiting for the old URL go to the new URL.
#[utoipa::path(
    patch, path = "/v1/bots/{bot}/subscriptions/{subscription}", tag = "subscriptions", request_body = Option<ChangeBody>,
    responses((status = 200, description = "The subscription as it is now.", body = SubscriptionView))
)]
async fn http_change(
    services: SharedServices,
    at: ChangesBot,
    PathId { id, .. }: PathId<SubscriptionView>,
    Body(asked): Body<ChangeBody>,
) -> JsonResult<SubscriptionView> {
    change(&services, &at, id, asked).await.map(Json)
}

pub(crate) async fn change(
    services: &Services,
    at: &ChangesBot,
    id: i64,
    asked: ChangeBody,
) -> Result<SubscriptionView, Problem> {
    let url = asked
        .url
        .map(|url| permitted(services, at.bot(), "url", url));
    let timeout_s = asked.timeout_s.map(|asked| timeout(services, asked));
    let change = SubscriptionChange {
        url: url.transpose()?,
        kinds: asked.kinds.map(|kinds| kinds.0),
        enabled: asked.enabled,
        timeout_s: timeout_s.transpose()?,
    };
    let (bot_id, now) = (at.bot().id(), services.clock.now());
    let store = &services.store;
    let changed = store.change_subscription(bot_id, id, change, now).await?;
    Ok(changed.ok_or(MISSING)?.into())
}

/// Remove a subscription
///
/// The removal applies from the next event on. Waiting deliveries of the subscription are
/// cancelled.
#[utoipa::path(
    delete, path = "/v1/bots/{bot}/subscriptions/{subscription}", tag = "subscriptions",
    responses((status = 204, description = "The subscription is removed."))
)]
async fn http_remove(
    services: SharedServices,
    at: ChangesBot,
    PathId { id, .. }: PathId<SubscriptionView>,
) -> Result<StatusCode, Problem> {
    remove(&services, &at, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn remove(services: &Services, at: &ChangesBot, id: i64) -> Result<(), Problem> {
    let (bot_id, now) = (at.bot().id(), services.clock.now());
    let removed = services.store.delete_subscription(bot_id, id, now).await?;
    removed.then_some(()).ok_or(MISSING)
}

const MISSING: Problem = Problem::NoSuch("subscription");

impl InPath for SubscriptionView {
    const NAME: &str = "subscription";
}

impl From<SubscriptionRow> for SubscriptionView {
    fn from(row: SubscriptionRow) -> Self {
        let kinds = row.kinds.words().into_iter().map(ToOwned::to_owned);
        Self {
            id: row.id,
            url: row.url.to_string(),
            kinds: kinds.collect(),
            enabled: row.enabled,
            timeout_s: row.timeout_s,
            off_cause: row.off_cause,
            created_at: Timestamp(row.created_at),
            updated_at: Timestamp(row.updated_at),
        }
    }
}
