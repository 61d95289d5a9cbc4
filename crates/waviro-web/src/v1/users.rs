//! `/v1/users`: the users of the dashboard. Only admins may use the endpoints.

use std::net::Ipv4Addr;

use axum::Json;
use axum::extract::OriginalUri;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use waviro_store::{UserRole, UserRow};

use super::auth::{Admin, ChangesGateway};
use super::body::{Body, required};
use super::fields::{Expected, Field, Form, Name, text};
use super::page::{Page, PageParams, Paging};
use super::path::{InPath, PathId};
use super::problem::Problem;
use super::responses::{AdminOnly, Conflict, JsonResult, Located, Unavailable, located};
use super::state::V1;
use super::timestamp::Timestamp;
use crate::services::{Services, SharedServices};

pub(super) fn routes() -> OpenApiRouter<V1> {
    OpenApiRouter::new()
        .routes(routes!(http_list, http_add))
        .routes(routes!(http_show, http_change, http_remove))
}

/// A user of the dashboard.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = User)]
pub struct UserView {
    /// The id of the user.
    #[schema(example = 1, minimum = 1)]
    pub(crate) id: i64,
    /// The name to log in with.
    #[schema(example = "ani")]
    pub(crate) name: String,
    /// The permissions of the user.
    pub(crate) role: Rank,
    /// The ids of the bots that an operator may see and change; empty for other roles.
    pub(crate) bots: Vec<i32>,
    /// When the user was created.
    pub(crate) created_at: Timestamp,
}

/// The permissions of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = UserRole)]
pub enum Rank {
    /// May do everything.
    Admin,
    /// May see and change some bots.
    Operator,
    /// May see all bots and change nothing.
    Viewer,
}

impl Rank {
    /// Returns the word for the permissions in the API.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Operator => "operator",
            Self::Viewer => "viewer",
        }
    }
}

/// A user to create.
#[derive(Deserialize, ToSchema)]
pub struct AddUser {
    /// The name to log in with.
    #[schema(value_type = String, min_length = 1, max_length = 64, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$",
        example = "ani")]
    name: Field<Name>,
    /// The password. The gateway stores only an argon2id hash.
    #[schema(min_length = 10, max_length = 256, example = "kata sandi yang panjang")]
    password: String,
    /// The permissions of the user.
    #[schema(value_type = Rank)]
    role: Field<Rank>,
    /// The ids of the bots that an operator may see and change; only for the role `operator`.
    #[schema(value_type = Option<Vec<i32>>)]
    bots: Option<Field<BotIds>>,
}

/// The changes to a user. Absent and null fields stay unchanged.
#[derive(Deserialize, ToSchema)]
pub struct ChangeUser {
    /// A new password. The change ends the user's sessions.
    #[schema(min_length = 10, max_length = 256, example = "kata sandi yang baru")]
    password: Option<String>,
    /// The current password. Required only from a user who is logged in and changes the own
    /// password; a token belongs to no user.
    #[schema(max_length = 1024)]
    old_password: Option<String>,
    /// The new permissions of the user.
    #[schema(value_type = Option<Rank>)]
    role: Option<Field<Rank>>,
    /// The ids of the bots that an operator may see and change; only together with the `role`
    /// `operator`.
    #[schema(value_type = Option<Vec<i32>>)]
    bots: Option<Field<BotIds>>,
}

impl Form for Rank {
    type Value = Self;

    fn read(value: &Value) -> Result<Self, Expected> {
        match text(value)? {
            "admin" => Ok(Self::Admin),
            "operator" => Ok(Self::Operator),
            "viewer" => Ok(Self::Viewer),
            _ => Err("admin, operator or viewer".into()),
        }
    }
}

/// The ids of bots, sorted and each once.
struct BotIds;

impl Form for BotIds {
    type Value = Vec<i32>;

    fn read(value: &Value) -> Result<Vec<i32>, Expected> {
        let id = |id: &Value| i32::try_from(id.as_i64()?).ok().filter(|id| *id > 0);
        let ids = value
            .as_array()
            .and_then(|list| list.iter().map(id).collect());
        let mut ids: Vec<i32> = ids.ok_or("a list of the ids of bots")?;
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }
}

/// Returns the permissions of a body, or `None` without a role.
fn role(
    rank: Option<Field<Rank>>,
    bots: Option<Field<BotIds>>,
) -> Result<Option<UserRole>, Problem> {
    let rank = rank.map(|rank| rank.0);
    if bots.is_some() && rank != Some(Rank::Operator) {
        let form = "absent where the role is not operator";
        return Err(Problem::invalid("bots", form));
    }
    Ok(match rank {
        None => None,
        Some(Rank::Admin) => Some(UserRole::Admin),
        Some(Rank::Operator) => Some(UserRole::Operator(required("bots", bots)?.0)),
        Some(Rank::Viewer) => Some(UserRole::Viewer),
    })
}

/// List users
///
/// Lists the users who may log in, ordered by id.
#[utoipa::path(
    get, path = "/v1/users", tag = "users", params(PageParams),
    responses((status = 200, description = "A page of users.", body = Page<UserView>), AdminOnly)
)]
async fn http_list(
    services: SharedServices,
    admin: Admin,
    paging: Paging,
) -> JsonResult<Page<UserView>> {
    list(&services, &admin, paging).await.map(Json)
}

pub(crate) async fn list(
    services: &Services,
    _: &Admin,
    paging: Paging,
) -> Result<Page<UserView>, Problem> {
    let after = paging.after("users")?.unwrap_or(0);
    let limit = i64::try_from(paging.rows()).unwrap_or(i64::MAX);
    let rows = services.users.list(after, limit).await?;
    let page = paging.page("users", rows, |row: &UserRow| row.id);
    Ok(page.map(UserView::from))
}

/// Create a user
///
/// The user may log in to the dashboard at once.
#[utoipa::path(
    post, path = "/v1/users", tag = "users", request_body = AddUser,
    responses(
        (status = 201, description = "The user.", body = UserView,
            headers(("location" = String, description = "The user's path."))),
        AdminOnly, Conflict, Unavailable,
    )
)]
async fn http_add(
    services: SharedServices,
    admin: ChangesGateway,
    OriginalUri(uri): OriginalUri,
    Body(asked): Body<AddUser>,
) -> Result<Located<UserView>, Problem> {
    let added = add(&services, &admin, asked).await?;
    Ok(located(StatusCode::CREATED, &uri, added.id, added))
}

pub(crate) async fn add(
    services: &Services,
    _: &ChangesGateway,
    asked: AddUser,
) -> Result<UserView, Problem> {
    let role = required("role", role(Some(asked.role), asked.bots)?)?;
    let (name, password) = (&asked.name.0, &asked.password);
    let added = services.users.add(name, password, role, false).await?;
    Ok(added.into())
}

/// Show a user
///
/// Returns the name and the permissions of the user.
#[utoipa::path(
    get, path = "/v1/users/{user}", tag = "users",
    responses((status = 200, description = "The user.", body = UserView), AdminOnly)
)]
async fn http_show(
    services: SharedServices,
    admin: Admin,
    PathId { id, .. }: PathId<UserView>,
) -> JsonResult<UserView> {
    show(&services, &admin, id).await.map(Json)
}

pub(crate) async fn show(services: &Services, _: &Admin, id: i64) -> Result<UserView, Problem> {
    let row = services.users.one(id).await?;
    Ok(row.ok_or(Problem::NoSuch("user"))?.into())
}

/// Change a user
///
/// A new role applies from the user's next request on; a new password ends the user's sessions. A
/// logged-in user needs the old password to change the own password, so that a stolen session
/// cannot take over the account.
#[utoipa::path(
    patch, path = "/v1/users/{user}", tag = "users", request_body = Option<ChangeUser>,
    responses((status = 200, description = "The user as it is now.", body = UserView), AdminOnly, Conflict, Unavailable)
)]
async fn http_change(
    services: SharedServices,
    admin: ChangesGateway,
    PathId { id, .. }: PathId<UserView>,
    Body(asked): Body<ChangeUser>,
) -> JsonResult<UserView> {
    change(&services, &admin, id, asked).await.map(Json)
}

pub(crate) async fn change(
    services: &Services,
    admin: &ChangesGateway,
    id: i64,
    asked: ChangeUser,
) -> Result<UserView, Problem> {
    let new = role(asked.role, asked.bots)?;
    if asked.password.is_some() && admin.caller().is_user(id) {
        let old = required("old_password", asked.old_password)?;
        let row = services.users.one(id).await?;
        let row = row.ok_or(Problem::NoSuch("user"))?;
        // Only the dashboard makes requests as a user. The dashboard knows the address and counts
        // the attempt.
        let from = Ipv4Addr::UNSPECIFIED.into();
        if services.users.knows(from, &row.name, &old).await? != Some(id) {
            let should = "the user's current password";
            return Err(Problem::invalid("old_password", should));
        }
    }
    let password = asked.password.as_deref();
    services.users.change(id, password, new).await?;
    let row = services.users.one(id).await?;
    Ok(row.ok_or(Problem::NoSuch("user"))?.into())
}

/// Remove a user
///
/// The user's sessions are invalid as soon as the response is sent. The last admin cannot be
/// removed.
#[utoipa::path(
    delete, path = "/v1/users/{user}", tag = "users",
    responses((status = 204, description = "The user is removed."), AdminOnly, Conflict)
)]
async fn http_remove(
    services: SharedServices,
    admin: ChangesGateway,
    PathId { id, .. }: PathId<UserView>,
) -> Result<StatusCode, Problem> {
    remove(&services, &admin, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn remove(
    services: &Services,
    _: &ChangesGateway,
    id: i64,
) -> Result<(), Problem> {
    services.users.remove(id).await?;
    Ok(())
}

impl InPath for UserView {
    const NAME: &str = "user";
}

impl From<UserRow> for UserView {
    fn from(row: UserRow) -> Self {
        let (role, bots) = match row.role {
            UserRole::Admin => (Rank::Admin, Vec::new()),
            UserRole::Operator(bots) => (Rank::Operator, bots),
            UserRole::Viewer => (Rank::Viewer, Vec::new()),
        };
        Self {
            id: row.id,
            name: row.name,
            role,
            bots,
            created_at: Timestamp(row.created_at),
        }
    }
}
