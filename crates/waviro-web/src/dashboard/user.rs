//! The page of a user: permissions, a new password, and the removal. Only for admins.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::Method;
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::json;
use waviro_store::invisible::skeleton;

use super::Dashboard;
use super::bots::BotRow;
use super::errors::PageError;
use super::form::Form;
use super::login::Caller;
use super::page_context::PageContext;
use super::rows;
use super::session::Me;
use super::users::{RoleFields, UserView, role_word};
use crate::v1::inside::Refused;

#[derive(Template)]
#[template(path = "dashboard/user.html")]
struct Page {
    context: PageContext,
    user: UserView,
    /// True if the user is the only admin.
    last_admin: bool,
    bots: Vec<BotRow>,
    fields: RoleFields,
    wrong: Option<Refused>,
}

/// Shows the user.
pub(super) async fn show(
    State(dashboard): State<Arc<Dashboard>>,
    me: Me,
    Path(user): Path<i64>,
) -> Result<Response, PageError> {
    page(&dashboard, me, user, None, None).await
}

/// Changes the role or the password, or removes the user.
pub(super) async fn change(
    State(dashboard): State<Arc<Dashboard>>,
    me: Me,
    Path(user): Path<i64>,
    Caller(from): Caller,
    form: Form,
) -> Result<Response, PageError> {
    let path = format!("/v1/users/{user}");
    let mut back = format!("{}/users", me.context.home);
    let mut typed = None;
    let (method, body) = match form.raw("do") {
        "role" => {
            let fields = RoleFields::read(&form);
            let body = json!({ "role": fields.role, "bots": fields.bots() });
            if me.context.user.as_ref().is_some_and(|me| me.id == user) && fields.role != "admin" {
                // After giving up the role `admin`, the user may no longer see the users.
                back.clone_from(&me.context.home);
            }
            typed = Some(fields);
            (Method::PATCH, Some(body))
        }
        "password" => {
            let own = me.context.user.as_ref().filter(|me| me.id == user);
            // Counts the attempt before the password check: a stolen session must not allow
            // guessing the password.
            if let Some(own) = own
                && !dashboard.tries.count(from, &own.name)
            {
                let wrong = Some(Refused::too_many_tries());
                return page(&dashboard, me, user, typed, wrong).await;
            }
            let old = own.map(|_| form.raw("old"));
            let body = json!({ "password": form.raw("password"), "old_password": old });
            (Method::PATCH, Some(body))
        }
        // The admin must type the user's name, so that a user is not removed by accident.
        "remove" => {
            let known: UserView = dashboard.inside.get(&me.caller, &path).await?;
            if skeleton(form.raw("name")) != skeleton(&known.name) {
                let wrong = Some(Refused::other_name());
                return page(&dashboard, me, user, typed, wrong).await;
            }
            (Method::DELETE, None)
        }
        _ => return Err(PageError::BadForm),
    };
    match dashboard.inside.ask(&me.caller, method, &path, body).await {
        Ok(_) => Ok(Redirect::to(&back).into_response()),
        Err(refused) => page(&dashboard, me, user, typed, Some(refused)).await,
    }
}

async fn page(
    dashboard: &Dashboard,
    me: Me,
    user: i64,
    typed: Option<RoleFields>,
    wrong: Option<Refused>,
) -> Result<Response, PageError> {
    let path = format!("/v1/users/{user}");
    let user: UserView = dashboard.inside.get(&me.caller, &path).await?;
    let users: Vec<UserView> = rows::all(dashboard, &me, "/v1/users").await?;
    let bots = rows::all(dashboard, &me, "/v1/bots").await?;
    let mut admins = users.iter().filter(|user| user.role == "admin");
    let known = || RoleFields {
        role: user.role.clone(),
        bots: user.bots.clone(),
    };
    let status = Refused::status_of(wrong.as_ref());
    let page = Page {
        context: me.context.clone(),
        last_admin: admins.all(|admin| admin.id == user.id) && user.role == "admin",
        fields: typed.unwrap_or_else(known),
        user,
        bots,
        wrong,
    };
    Ok(me.context.show(status, &page))
}
