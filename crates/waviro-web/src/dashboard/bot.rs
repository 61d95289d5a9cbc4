//! The page of a bot: its health, its name, and its removal.

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
use super::page_context::PageContext;
use super::session::Me;
use crate::v1::inside::Refused;

#[derive(Template)]
#[template(path = "dashboard/bot.html")]
struct Page {
    context: PageContext,
    bot: BotRow,
    wrong: Option<Refused>,
}

/// Shows the bot.
pub(super) async fn show(
    State(dashboard): State<Arc<Dashboard>>,
    me: Me,
    Path(bot): Path<i32>,
) -> Result<Response, PageError> {
    page(&dashboard, me, bot, None).await
}

/// Renames or removes the bot.
pub(super) async fn change(
    State(dashboard): State<Arc<Dashboard>>,
    me: Me,
    Path(bot): Path<i32>,
    form: Form,
) -> Result<Response, PageError> {
    let path = format!("/v1/bots/{bot}");
    let (method, body, back) = match form.raw("do") {
        "rename" => {
            let body = json!({"name": form.raw("name")});
            (
                Method::PATCH,
                Some(body),
                format!("{}/bots/{bot}", me.context.home),
            )
        }
        // The user must type the bot's name, so that a bot is not removed by accident.
        "remove" => {
            let known: BotRow = dashboard.inside.get(&me.caller, &path).await?;
            if skeleton(form.raw("name")) != skeleton(&known.name) {
                return page(&dashboard, me, bot, Some(Refused::other_name())).await;
            }
            (Method::DELETE, None, me.context.home.clone())
        }
        _ => return Err(PageError::BadForm),
    };
    match dashboard.inside.ask(&me.caller, method, &path, body).await {
        Ok(_) => Ok(Redirect::to(&back).into_response()),
        Err(refused) => page(&dashboard, me, bot, Some(refused)).await,
    }
}

async fn page(
    dashboard: &Dashboard,
    me: Me,
    bot: i32,
    wrong: Option<Refused>,
) -> Result<Response, PageError> {
    let bot: BotRow = dashboard
        .inside
        .get(&me.caller, &format!("/v1/bots/{bot}"))
        .await?;
    let status = Refused::status_of(wrong.as_ref());
    let page = Page {
        context: me.context.clone(),
        bot,
        wrong,
    };
    Ok(me.context.show(status, &page))
}
