//! The page of the user's own account, with the form for a new password.
//!
//! With the administration API, an admin changes a password without the old password. The own
//! password needs the old password, so the page calls the user service directly.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use tracing::{info, warn};
use waviro_core::users::UserError;
use waviro_store::UserRow;

use super::cookies::logged_in;
use super::errors::PageError;
use super::form::Form;
use super::login::{Caller, Failed};
use super::page_context::PageContext;
use super::session::Me;
use super::state::Dashboard;
use super::users::role_word;

#[derive(Template)]
#[template(path = "dashboard/me.html")]
struct Page {
    context: PageContext,
    user: UserRow,
    done: bool,
    failed: Option<Failed>,
}

#[derive(Deserialize)]
pub(super) struct AccountQuery {
    #[serde(default)]
    done: String,
}

/// Shows the account.
pub(super) async fn show(me: Me, Query(asked): Query<AccountQuery>) -> Result<Response, PageError> {
    page(&me, asked.done == "password", None)
}

/// Changes the password. All sessions of the user end; the browser of the request gets a new
/// session.
pub(super) async fn change(
    State(dashboard): State<Arc<Dashboard>>,
    me: Me,
    Caller(from): Caller,
    headers: HeaderMap,
    form: Form,
) -> Result<Response, PageError> {
    let user = me.context.user.clone().ok_or(PageError::Internal)?;
    let (old, new) = (form.raw("old"), form.raw("password"));
    // Counts the attempt before the password check: a stolen session must not allow guessing the
    // password.
    if !dashboard.tries.count(from, &user.name) {
        return page(&me, false, Some(Failed::TooMany));
    }
    let known = match dashboard.services.users.knows(from, &user.name, old).await {
        Ok(known) => known,
        Err(UserError::Busy) => return page(&me, false, Some(Failed::Busy)),
        Err(_) => return Err(PageError::Internal),
    };
    if known != Some(user.id) {
        warn!("password change failed: wrong old password");
        return page(&me, false, Some(Failed::Wrong));
    }
    if new != form.raw("again") {
        return page(&me, false, Some(Failed::Differ));
    }
    match dashboard
        .services
        .users
        .change(user.id, Some(new), None)
        .await
    {
        Ok(()) => {}
        Err(UserError::BadPassword) => return page(&me, false, Some(Failed::BadPassword)),
        Err(UserError::Busy) => return page(&me, false, Some(Failed::Busy)),
        Err(_) => return Err(PageError::Internal),
    }
    info!(
        user = user.name,
        "changed their password; their other sessions ended"
    );
    let session = dashboard.services.users.begin(user.id).await?;
    let back = format!("{}/me?done=password", me.context.home);
    Ok(logged_in(&session, &headers, &dashboard.base, &back))
}

fn page(me: &Me, done: bool, failed: Option<Failed>) -> Result<Response, PageError> {
    let status = failed.map_or(StatusCode::OK, Failed::status);
    let page = Page {
        user: me.context.user.clone().ok_or(PageError::Internal)?,
        context: me.context.clone(),
        done,
        failed,
    };
    Ok(me.context.show(status, &page))
}
