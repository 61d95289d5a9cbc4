//! `/v1/tokens`: who may administer the gateway. For admin tokens alone.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{FromRequestParts, OriginalUri, State};
use axum::http::StatusCode;
use axum::http::header::{HeaderName, LOCATION};
use axum::http::request::Parts;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::V1;
use super::answers::{AdminOnly, Conflict};
use super::auth::{Admin, path_id};
use super::body::{Body, Fields, FromFields, required};
use super::moment::Moment;
use super::page::{Page, PageParams, Paging};
use super::problem::Problem;
use crate::store::{TokenRole, TokenRow};
use crate::tokens::LONGEST;

/// This file's operations.
pub(super) fn routes() -> OpenApiRouter<Arc<V1>> {
    OpenApiRouter::new()
        .routes(routes!(list, add))
        .routes(routes!(show, revoke))
}

/// What is known of a token; never the token.
#[derive(Serialize, ToSchema)]
#[schema(as = Token)]
pub struct TokenView {
    /// Its id.
    #[schema(example = 1, minimum = 1)]
    id: i64,
    /// What people call it.
    #[schema(example = "dashboard")]
    name: String,
    /// What it may do.
    role: Role,
    /// The id of the bot that it is for; null for an admin's.
    #[schema(required, example = 1)]
    bot: Option<i32>,
    /// When it was made.
    created_at: Moment,
    /// When it was last used, to the minute.
    #[schema(required)]
    last_used_at: Option<Moment>,
    /// When it dies by itself; null for never.
    #[schema(required)]
    expires_at: Option<Moment>,
    /// When it was revoked.
    #[schema(required)]
    revoked_at: Option<Moment>,
}

/// What a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Everything.
    Admin,
    /// See and change one bot.
    Bot,
}

/// A token that was just made.
#[derive(Serialize, ToSchema)]
pub struct NewToken {
    /// What is known of it.
    #[serde(flatten)]
    known: TokenView,
    /// The token, shown only now.
    #[schema(example = "wvt_1f2e3d4c…")]
    token: String,
}

/// A token to make.
#[derive(ToSchema)]
pub struct AddToken {
    /// What people call it.
    #[schema(
        min_length = 1,
        max_length = 64,
        pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$",
        example = "dashboard"
    )]
    name: String,
    /// What it may do.
    role: Role,
    /// The id of the bot that it is for; only where the role is `bot`, and then it must be there.
    #[schema(minimum = 1, maximum = 2_147_483_647)]
    bot: Option<i32>,
    /// After so many seconds it dies by itself; absent or null: never.
    #[schema(minimum = 1, maximum = 315_360_000)]
    expires_in_s: Option<u32>,
}

impl FromFields for AddToken {
    fn from_fields(fields: &Fields) -> Result<Self, Problem> {
        let name = required("name", fields.name("name")?)?;
        let role = match required("role", fields.text("role")?)? {
            "admin" => Role::Admin,
            "bot" => Role::Bot,
            _ => return Err(Problem::InvalidField("role", "admin or bot".into())),
        };
        let bot = fields.whole("bot", 1..=i32::MAX.unsigned_abs().into())?;
        let bot = bot.and_then(|bot| i32::try_from(bot).ok());
        if role == Role::Admin && bot.is_some() {
            let should = "absent where the role is admin, which may do everything";
            return Err(Problem::InvalidField("bot", should.into()));
        }
        let expires = fields.whole("expires_in_s", 1..=LONGEST.as_secs())?;
        Ok(Self {
            name,
            role,
            bot,
            expires_in_s: expires.and_then(|seconds| u32::try_from(seconds).ok()),
        })
    }
}

/// List tokens
///
/// By id, dead ones included, so that it can be seen who had access.
#[utoipa::path(
    get, path = "/v1/tokens", tag = "tokens", params(PageParams),
    responses((status = 200, description = "A page of tokens.", body = Page<TokenView>), AdminOnly)
)]
async fn list(
    State(v1): State<Arc<V1>>,
    _: Admin,
    paging: Paging,
) -> Result<Json<Page<TokenView>>, Problem> {
    let after = paging.after("tokens")?.unwrap_or(0);
    let limit = i64::try_from(paging.rows()).unwrap_or(i64::MAX);
    let rows = v1.tokens.list(after, limit).await?;
    let page = paging.page("tokens", rows, |row: &TokenRow| row.id);
    Ok(Json(page.map(TokenView::from)))
}

/// Make a token
///
/// It is shown this once; only a hash of it is kept.
#[utoipa::path(
    post, path = "/v1/tokens", tag = "tokens", request_body = AddToken,
    responses(
        (status = 201, description = "The token.", body = NewToken,
            headers(("location" = String, description = "The token's path."))),
        AdminOnly, Conflict,
    )
)]
async fn add(
    State(v1): State<Arc<V1>>,
    _: Admin,
    OriginalUri(uri): OriginalUri,
    Body(asked): Body<AddToken>,
) -> Result<(StatusCode, [(HeaderName, String); 1], Json<NewToken>), Problem> {
    let role = match asked.role {
        Role::Admin => TokenRole::Admin,
        Role::Bot => TokenRole::Bot(required("bot", asked.bot)?),
    };
    let lives = asked
        .expires_in_s
        .map(|seconds| Duration::from_secs(seconds.into()));
    let (row, token) = v1.tokens.add(&asked.name, role, lives).await?;
    let place = format!("{}/{}", uri.path().trim_end_matches('/'), row.id);
    let new = NewToken {
        known: row.into(),
        token: token.reveal().to_owned(),
    };
    Ok((StatusCode::CREATED, [(LOCATION, place)], Json(new)))
}

/// Show a token
///
/// What it may do and when it was last used.
#[utoipa::path(
    get, path = "/v1/tokens/{token}", tag = "tokens",
    responses((status = 200, description = "What is known of it.", body = TokenView), AdminOnly)
)]
async fn show(
    State(v1): State<Arc<V1>>,
    _: Admin,
    TokenId(id): TokenId,
) -> Result<Json<TokenView>, Problem> {
    let row = v1.tokens.one(id).await?;
    Ok(Json(row.ok_or(Problem::NoSuch("token"))?.into()))
}

/// Revoke a token
///
/// It is dead when this is answered. A token may revoke itself.
#[utoipa::path(
    delete, path = "/v1/tokens/{token}", tag = "tokens",
    responses((status = 204, description = "It is dead."), AdminOnly)
)]
async fn revoke(
    State(v1): State<Arc<V1>>,
    _: Admin,
    TokenId(id): TokenId,
) -> Result<StatusCode, Problem> {
    if v1.tokens.revoke(id).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::NoSuch("living token"))
    }
}

/// The token that the path names.
struct TokenId(i64);

impl<S: Send + Sync> FromRequestParts<S> for TokenId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let id = path_id(parts, "token").await;
        id.map(Self).ok_or(Problem::NoSuch("token"))
    }
}

impl From<TokenRow> for TokenView {
    fn from(row: TokenRow) -> Self {
        let (role, bot) = match row.role {
            TokenRole::Admin => (Role::Admin, None),
            TokenRole::Bot(slot) => (Role::Bot, Some(slot)),
        };
        Self {
            id: row.id,
            name: row.name,
            role,
            bot,
            created_at: Moment(row.created_at),
            last_used_at: row.last_used_at.map(Moment),
            expires_at: row.expires_at.map(Moment),
            revoked_at: row.revoked_at.map(Moment),
        }
    }
}
