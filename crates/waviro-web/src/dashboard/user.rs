//! The page of a user: permissions, a new password, and the removal. Only for admins.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::json;
use waviro_store::invisible::skeleton;

use super::errors::PageError;
use super::form::Form;
use super::login::Caller;
use super::page_context::PageContext;
use super::refused::Refused;
use super::session::Me;
use super::state::Dashboard;
use super::users::{RoleFields, all, role_word};
use crate::v1::body;
use crate::v1::bots::BotView;
use crate::v1::users::{self, UserView};

#[derive(Template)]
#[template(path = "dashboard/user.html")]
struct Page {
    context: PageContext,
    user: UserView,
    /// True if the user is the only admin.
    last_admin: bool,
    bots: Vec<BotView>,
    fields: RoleFields,
    wrong: Option<Refused>,
}

/// Shows the user.
pub(super) async fn show(me: Me, Path(user): Path<i64>) -> Result<Response, PageError> {
    page(me, user, None, None).await
}

/// Changes the role or the password, or removes the user.
pub(super) async fn change(
    State(dashboard): State<Arc<Dashboard>>,
    me: Me,
    Path(user): Path<i64>,
    Caller(from): Caller,
    form: Form,
) -> Result<Response, PageError> {
    let mut back = format!("{}/users", me.context.home);
    let mut typed = None;
    let own = me.context.user.as_ref().filter(|me| me.id == user);
    let body = match form.raw("do") {
        "role" => {
            let fields = RoleFields::read(&form);
            let body = json!({ "role": fields.role, "bots": fields.bots() });
            if own.is_some() && fields.role != "admin" {
                // After giving up the role `admin`, the user may no longer see the users.
                back.clone_from(&me.context.home);
            }
            typed = Some(fields);
            Some(body)
        }
        "password" => {
            // Counts the attempt before the password check: a stolen session must not allow
            // guessing the password.
            if let Some(own) = own
                && !dashboard.tries.count(from, &own.name)
            {
                let wrong = Some(Refused::too_many_tries());
                return page(me, user, typed, wrong).await;
            }
            let old = own.map(|_| form.raw("old"));
            Some(json!({ "password": form.raw("password"), "old_password": old }))
        }
        // The admin must type the user's name, so that a user is not removed by accident.
        "remove" => {
            let known =
                me.ask(async { users::show(&me.services, &me.caller.admin()?, user).await });
            if skeleton(form.raw("name")) != skeleton(&known.await?.name) {
                let wrong = Some(Refused::other_name());
                return page(me, user, typed, wrong).await;
            }
            None
        }
        _ => return Err(PageError::BadForm),
    };
    let done = me.ask(async {
        let (services, admin) = (&me.services, me.caller.changes_gateway()?);
        match body {
            Some(body) => {
                let changed = users::change(services, &admin, user, body::of(&body)?);
                changed.await.map(drop)
            }
            None => users::remove(services, &admin, user).await,
        }
    });
    match done.await {
        Ok(()) => Ok(Redirect::to(&back).into_response()),
        Err(refused) => page(me, user, typed, Some(refused)).await,
    }
}

async fn page(
    me: Me,
    user: i64,
    typed: Option<RoleFields>,
    wrong: Option<Refused>,
) -> Result<Response, PageError> {
    let user = me.ask(async { users::show(&me.services, &me.caller.admin()?, user).await });
    let user = user.await?;
    let (users, bots) = all(&me).await?;
    let mut admins = users.iter().filter(|user| user.is_admin());
    let known = || RoleFields {
        role: user.role.word().to_owned(),
        bots: user.bots.clone(),
    };
    let status = Refused::status_of(wrong.as_ref());
    let page = Page {
        context: me.context.clone(),
        last_admin: admins.all(|admin| admin.id == user.id) && user.is_admin(),
        fields: typed.unwrap_or_else(known),
        user,
        bots,
        wrong,
    };
    Ok(me.context.show(status, &page))
}
