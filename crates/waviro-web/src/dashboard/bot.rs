//! The page of a bot: its health, its name, and its removal.

use askama::Template;
use axum::extract::Path;
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::json;
use waviro_store::invisible::skeleton;

use super::errors::PageError;
use super::form::Form;
use super::page_context::PageContext;
use super::refused::Refused;
use super::session::Me;
use crate::v1::body;
use crate::v1::bots::{self, BotView};

#[derive(Template)]
#[template(path = "dashboard/bot.html")]
struct Page {
    context: PageContext,
    bot: BotView,
    wrong: Option<Refused>,
}

/// Shows the bot.
pub(super) async fn show(me: Me, Path(bot): Path<i32>) -> Result<Response, PageError> {
    page(me, bot, None).await
}

/// Renames or removes the bot.
pub(super) async fn change(
    me: Me,
    Path(bot): Path<i32>,
    form: Form,
) -> Result<Response, PageError> {
    let name = form.raw("name");
    let home = &me.context.home;
    let (done, back) = match form.raw("do") {
        "rename" => {
            let body = json!({ "name": name });
            let renamed = me.ask(async {
                bots::change(&me.services, &me.changes(bot)?, body::of(&body)?).await
            });
            (renamed.await.map(drop), format!("{home}/bots/{bot}"))
        }
        // The user must type the bot's name, so that a bot is not removed by accident.
        "remove" => {
            if skeleton(name) != skeleton(&me.bot(bot).await?.name) {
                return page(me, bot, Some(Refused::other_name())).await;
            }
            let removed = me.ask(async { bots::remove(&me.services, &me.changes(bot)?).await });
            (removed.await, home.clone())
        }
        _ => return Err(PageError::BadForm),
    };
    match done {
        Ok(()) => Ok(Redirect::to(&back).into_response()),
        Err(refused) => page(me, bot, Some(refused)).await,
    }
}

async fn page(me: Me, bot: i32, wrong: Option<Refused>) -> Result<Response, PageError> {
    let bot = me.bot(bot).await?;
    let status = Refused::status_of(wrong.as_ref());
    let page = Page {
        context: me.context.clone(),
        bot,
        wrong,
    };
    Ok(me.context.show(status, &page))
}
