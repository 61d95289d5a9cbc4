//! `/v1/users`: who may use the dashboard. For admins alone.

use std::net::Ipv4Addr;
use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequestParts, OriginalUri, State};
use axum::http::StatusCode;
use axum::http::header::{HeaderName, LOCATION};
use axum::http::request::Parts;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::V1;
use super::answers::{AdminOnly, Conflict, Unavailable};
use super::auth::{Admin, Caller, path_id};
use super::body::{Body, Fields, FromFields, required};
use super::moment::Moment;
use super::page::{Page, PageParams, Paging};
use super::problem::Problem;
use crate::store::{UserRole, UserRow};

/// This file's operations.
pub(super) fn routes() -> OpenApiRouter<Arc<V1>> {
    OpenApiRouter::new()
        .routes(routes!(list, add))
        .routes(routes!(show, change, remove))
}

/// Somebody who may use the dashboard.
#[derive(Serialize, ToSchema)]
#[schema(as = User)]
pub struct UserView {
    /// Its id.
    #[schema(example = 1, minimum = 1)]
    id: i64,
    /// The name to log in with.
    #[schema(example = "ani")]
    name: String,
    /// What it may do.
    role: Rank,
    /// The ids of the bots that an operator may see and change; empty for the others.
    bots: Vec<i32>,
    /// When it was made.
    created_at: Moment,
}

/// What a user may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = UserRole)]
pub enum Rank {
    /// Everything.
    Admin,
    /// See and change some bots.
    Operator,
    /// See all bots, and change nothing.
    Viewer,
}

/// A user to make.
#[derive(ToSchema)]
pub struct AddUser {
    /// The name to log in with.
    #[schema(
        min_length = 1,
        max_length = 64,
        pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$",
        example = "ani"
    )]
    name: String,
    /// Kept as an argon2id hash alone.
    #[schema(min_length = 10, max_length = 256, example = "kata sandi yang panjang")]
    password: String,
    /// What it may do.
    role: Rank,
    /// The ids of the bots that an operator may see and change; only where the role is `operator`.
    bots: Option<Vec<i32>>,
}

/// What to change of a user; what is absent or null stays as it is.
#[derive(ToSchema)]
pub struct ChangeUser {
    /// A new password. It ends the user's sessions.
    #[schema(min_length = 10, max_length = 256, example = "kata sandi yang baru")]
    password: Option<String>,
    /// The password until now. Only who is logged in as this user must give it, beside a new one; a token is nobody's.
    #[schema(max_length = 1024)]
    old_password: Option<String>,
    /// What it may do.
    role: Option<Rank>,
    /// The ids of the bots that an operator may see and change; only beside a `role` that is `operator`.
    bots: Option<Vec<i32>>,
}

impl FromFields for AddUser {
    fn from_fields(fields: &Fields) -> Result<Self, Problem> {
        let name = required("name", fields.name("name")?)?;
        let password = required("password", fields.text("password")?)?.to_owned();
        let role = required("role", rank(fields)?)?;
        let bots = bots(fields, Some(role))?;
        Ok(Self {
            name,
            password,
            role,
            bots,
        })
    }
}

impl FromFields for ChangeUser {
    fn from_fields(fields: &Fields) -> Result<Self, Problem> {
        let role = rank(fields)?;
        Ok(Self {
            password: fields.text("password")?.map(ToOwned::to_owned),
            old_password: fields.text("old_password")?.map(ToOwned::to_owned),
            role,
            bots: bots(fields, role)?,
        })
    }
}

fn rank(fields: &Fields) -> Result<Option<Rank>, Problem> {
    Ok(match fields.text("role")? {
        None => None,
        Some("admin") => Some(Rank::Admin),
        Some("operator") => Some(Rank::Operator),
        Some("viewer") => Some(Rank::Viewer),
        Some(_) => {
            let should = "admin, operator or viewer";
            return Err(Problem::InvalidField("role", should.into()));
        }
    })
}

fn bots(fields: &Fields, role: Option<Rank>) -> Result<Option<Vec<i32>>, Problem> {
    let wrong = |should: &'static str| Problem::InvalidField("bots", should.into());
    let list = match fields.all().get("bots") {
        None | Some(Value::Null) => None,
        Some(Value::Array(list)) => Some(list),
        Some(_) => return Err(wrong("a list of the ids of bots")),
    };
    match (role, list) {
        (Some(Rank::Operator), Some(list)) => {
            let ids = list.iter().map(|id| {
                let id = id.as_i64().and_then(|id| i32::try_from(id).ok());
                id.filter(|id| *id > 0)
            });
            let ids: Option<Vec<i32>> = ids.collect();
            let mut ids = ids.ok_or_else(|| wrong("a list of the ids of bots"))?;
            ids.sort_unstable();
            ids.dedup();
            Ok(Some(ids))
        }
        (Some(Rank::Operator), None) => Err(Problem::MissingField("bots")),
        (_, Some(_)) => Err(wrong("absent where the role is not operator")),
        (_, None) => Ok(None),
    }
}

fn role(rank: Rank, bots: Option<Vec<i32>>) -> UserRole {
    match rank {
        Rank::Admin => UserRole::Admin,
        Rank::Operator => UserRole::Operator(bots.unwrap_or_default()),
        Rank::Viewer => UserRole::Viewer,
    }
}

/// List users
///
/// By id, those that may log in.
#[utoipa::path(
    get, path = "/v1/users", tag = "users", params(PageParams),
    responses((status = 200, description = "A page of users.", body = Page<UserView>), AdminOnly)
)]
async fn list(
    State(v1): State<Arc<V1>>,
    _: Admin,
    paging: Paging,
) -> Result<Json<Page<UserView>>, Problem> {
    let after = paging.after("users")?.unwrap_or(0);
    let limit = i64::try_from(paging.rows()).unwrap_or(i64::MAX);
    let rows = v1.users.list(after, limit).await?;
    let page = paging.page("users", rows, |row: &UserRow| row.id);
    Ok(Json(page.map(UserView::from)))
}

/// Make a user
///
/// It may log in to the dashboard at once.
#[utoipa::path(
    post, path = "/v1/users", tag = "users", request_body = AddUser,
    responses(
        (status = 201, description = "The user.", body = UserView,
            headers(("location" = String, description = "The user's path."))),
        AdminOnly, Conflict, Unavailable,
    )
)]
async fn add(
    State(v1): State<Arc<V1>>,
    _: Admin,
    OriginalUri(uri): OriginalUri,
    Body(asked): Body<AddUser>,
) -> Result<(StatusCode, [(HeaderName, String); 1], Json<UserView>), Problem> {
    let role = role(asked.role, asked.bots);
    let added = v1.users.add(&asked.name, &asked.password, role, false);
    let added = added.await?;
    let place = format!("{}/{}", uri.path().trim_end_matches('/'), added.id);
    Ok((StatusCode::CREATED, [(LOCATION, place)], Json(added.into())))
}

/// Show a user
///
/// What it may do.
#[utoipa::path(
    get, path = "/v1/users/{user}", tag = "users",
    responses((status = 200, description = "The user.", body = UserView), AdminOnly)
)]
async fn show(
    State(v1): State<Arc<V1>>,
    _: Admin,
    UserId(id): UserId,
) -> Result<Json<UserView>, Problem> {
    let row = v1.users.one(id).await?;
    Ok(Json(row.ok_or(Problem::NoSuch("user"))?.into()))
}

/// Change a user
///
/// A new role holds from its next request on; a new password ends its sessions. A user who is logged in changes the own password with
/// the old one: a session that somebody else got hold of must not take the account over.
#[utoipa::path(
    patch, path = "/v1/users/{user}", tag = "users", request_body = Option<ChangeUser>,
    responses((status = 200, description = "The user as it is now.", body = UserView), AdminOnly, Conflict, Unavailable)
)]
async fn change(
    State(v1): State<Arc<V1>>,
    caller: Caller,
    UserId(id): UserId,
    Body(asked): Body<ChangeUser>,
) -> Result<Json<UserView>, Problem> {
    caller.must_be_admin()?;
    if asked.password.is_some() && caller.is_user(id) {
        let old = required("old_password", asked.old_password.as_deref())?;
        let row = v1.users.one(id).await?.ok_or(Problem::NoSuch("user"))?;
        // Only the dashboard asks as a user. It knows the address, and counts the try.
        let from = Ipv4Addr::UNSPECIFIED.into();
        if v1.users.knows(from, &row.name, old).await? != Some(id) {
            let should = "the user's password until now";
            return Err(Problem::InvalidField("old_password", should.into()));
        }
    }
    let new = asked.role.map(|rank| role(rank, asked.bots));
    v1.users.change(id, asked.password.as_deref(), new).await?;
    let row = v1.users.one(id).await?;
    Ok(Json(row.ok_or(Problem::NoSuch("user"))?.into()))
}

/// Remove a user
///
/// Its sessions are dead when this is answered. The last admin stays.
#[utoipa::path(
    delete, path = "/v1/users/{user}", tag = "users",
    responses((status = 204, description = "It is gone."), AdminOnly, Conflict)
)]
async fn remove(
    State(v1): State<Arc<V1>>,
    _: Admin,
    UserId(id): UserId,
) -> Result<StatusCode, Problem> {
    v1.users.remove(id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The user that the path names.
struct UserId(i64);

impl<S: Send + Sync> FromRequestParts<S> for UserId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let id = path_id(parts, "user").await;
        id.map(Self).ok_or(Problem::NoSuch("user"))
    }
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
            created_at: Moment(row.created_at),
        }
    }
}
