//! `/v1/tokens`: the tokens of the administration API. Needs an admin token.

use std::time::Duration;

use axum::Json;
use axum::extract::OriginalUri;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use waviro_core::tokens::LONGEST;
use waviro_store::{TokenRole, TokenRow};

use super::auth::{Admin, ChangesGateway};
use super::body::{Body, required};
use super::fields::{Expected, Field, Form, Name, Whole, text};
use super::page::{Page, PageParams, Paging};
use super::path::{InPath, PathId};
use super::problem::Problem;
use super::responses::{AdminOnly, Conflict, JsonResult, Located, located};
use super::state::V1;
use super::timestamp::Timestamp;
use crate::services::SharedServices;

pub(super) fn routes() -> OpenApiRouter<V1> {
    OpenApiRouter::new()
        .routes(routes!(list, add))
        .routes(routes!(show, revoke))
}

/// The known facts about a token, without the token itself.
#[derive(Serialize, ToSchema)]
#[schema(as = Token)]
pub struct TokenView {
    /// The id of the token.
    #[schema(example = 1, minimum = 1)]
    id: i64,
    /// The token's name.
    #[schema(example = "dashboard")]
    name: String,
    /// The permissions of the token.
    role: Role,
    /// The id of the bot of a bot's token; null for an admin token.
    #[schema(required, example = 1)]
    bot: Option<i32>,
    /// When the token was created.
    created_at: Timestamp,
    /// When the token was last used, to the minute.
    #[schema(required)]
    last_used_at: Option<Timestamp>,
    /// When the token expires; null for never.
    #[schema(required)]
    expires_at: Option<Timestamp>,
    /// When the token was revoked.
    #[schema(required)]
    revoked_at: Option<Timestamp>,
}

/// The permissions of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// May do everything.
    Admin,
    /// May see and change a single bot.
    Bot,
}

/// A newly created token.
#[derive(Serialize, ToSchema)]
pub struct NewToken {
    /// The facts about the token.
    #[serde(flatten)]
    known: TokenView,
    /// The token, shown only at its creation.
    #[schema(example = "wvt_1f2e3d4c…")]
    token: String,
}

/// A token to create.
#[derive(Deserialize, ToSchema)]
pub struct AddToken {
    /// The token's name.
    #[schema(
        value_type = String,
        min_length = 1,
        max_length = 64,
        pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$",
        example = "dashboard"
    )]
    name: Field<Name>,
    /// The permissions of the token.
    #[schema(value_type = Role)]
    role: Field<Role>,
    /// The id of the bot; required for the role `bot` and refused for other roles.
    #[schema(value_type = Option<i32>, minimum = 1, maximum = 2_147_483_647)]
    bot: Option<Field<Whole<1, 2_147_483_647>>>,
    /// The seconds until the token expires; absent or null for never.
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 315_360_000)]
    expires_in_s: Option<Field<Whole<1, { LONGEST.as_secs() }>>>,
}

impl Form for Role {
    type Value = Self;

    fn read(value: &Value) -> Result<Self, Expected> {
        match text(value)? {
            "admin" => Ok(Self::Admin),
            "bot" => Ok(Self::Bot),
            _ => Err("admin or bot".into()),
        }
    }
}

/// List tokens
///
/// Lists all tokens ordered by id, including expired and revoked tokens, to show who had access.
#[utoipa::path(
    get, path = "/v1/tokens", tag = "tokens", params(PageParams),
    responses((status = 200, description = "A page of tokens.", body = Page<TokenView>), AdminOnly)
)]
async fn list(services: SharedServices, _: Admin, paging: Paging) -> JsonResult<Page<TokenView>> {
    let after = paging.after("tokens")?.unwrap_or(0);
    let limit = i64::try_from(paging.rows()).unwrap_or(i64::MAX);
    let rows = services.tokens.list(after, limit).await?;
    let page = paging.page("tokens", rows, |row: &TokenRow| row.id);
    Ok(Json(page.map(TokenView::from)))
}

/// Create a token
///
/// The token is shown only in this response, because the gateway stores only a hash.
#[utoipa::path(
    post, path = "/v1/tokens", tag = "tokens", request_body = AddToken,
    responses(
        (status = 201, description = "The token.", body = NewToken,
            headers(("location" = String, description = "The token's path."))),
        AdminOnly, Conflict,
    )
)]
async fn add(
    services: SharedServices,
    _: ChangesGateway,
    OriginalUri(uri): OriginalUri,
    Body(asked): Body<AddToken>,
) -> Result<Located<NewToken>, Problem> {
    let bot = asked.bot.and_then(|bot| i32::try_from(bot.0).ok());
    let role = match asked.role.0 {
        Role::Admin if bot.is_some() => {
            let form = "absent where the role is admin, which may do everything";
            return Err(Problem::invalid("bot", form));
        }
        Role::Admin => TokenRole::Admin,
        Role::Bot => TokenRole::Bot(required("bot", bot)?),
    };
    let lives = asked.expires_in_s;
    let lives = lives.map(|seconds| Duration::from_secs(seconds.0));
    let (row, token) = services.tokens.add(&asked.name.0, role, lives).await?;
    let new = NewToken {
        known: row.into(),
        token: token.reveal().to_owned(),
    };
    Ok(located(StatusCode::CREATED, &uri, new.known.id, new))
}

/// Show a token
///
/// Returns the permissions of the token and the time of its last use.
#[utoipa::path(
    get, path = "/v1/tokens/{token}", tag = "tokens",
    responses((status = 200, description = "The token.", body = TokenView), AdminOnly)
)]
async fn show(
    services: SharedServices,
    _: Admin,
    PathId { id, .. }: PathId<TokenView>,
) -> JsonResult<TokenView> {
    let row = services.tokens.one(id).await?;
    Ok(Json(row.ok_or(Problem::NoSuch("token"))?.into()))
}

/// Revoke a token
///
/// The token is invalid as soon as the response is sent. A token may revoke itself.
#[utoipa::path(
    delete, path = "/v1/tokens/{token}", tag = "tokens",
    responses((status = 204, description = "The token is revoked."), AdminOnly)
)]
async fn revoke(
    services: SharedServices,
    _: ChangesGateway,
    PathId { id, .. }: PathId<TokenView>,
) -> Result<StatusCode, Problem> {
    let revoked = services.tokens.revoke(id).await?;
    let missing = Problem::NoSuch("living token");
    revoked.then_some(StatusCode::NO_CONTENT).ok_or(missing)
}

impl InPath for TokenView {
    const NAME: &str = "token";
}

impl From<TokenRow> for TokenView {
    fn from(row: TokenRow) -> Self {
        let (role, bot) = match row.role {
            TokenRole::Admin => (Role::Admin, None),
            TokenRole::Bot(bot_id) => (Role::Bot, Some(bot_id)),
        };
        Self {
            id: row.id,
            name: row.name,
            role,
            bot,
            created_at: Timestamp(row.created_at),
            last_used_at: row.last_used_at.map(Timestamp),
            expires_at: row.expires_at.map(Timestamp),
            revoked_at: row.revoked_at.map(Timestamp),
        }
    }
}
