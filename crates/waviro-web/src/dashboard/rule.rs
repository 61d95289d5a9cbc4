//! The page of a rule, to change or remove the rule.

use askama::Template;
use axum::extract::Path;
use axum::response::{IntoResponse, Redirect, Response};

use super::errors::PageError;
use super::form::Form;
use super::page_context::PageContext;
use super::refused::Refused;
use super::rules::RuleFields;
use super::session::Me;
use crate::v1::body;
use crate::v1::bots::{self, BotView};
use crate::v1::rules::{self, RuleView};

#[derive(Template)]
#[template(path = "dashboard/rule.html")]
struct Page {
    context: PageContext,
    bot: BotView,
    rule: RuleView,
    fields: RuleFields,
    wrong: Option<Refused>,
}

/// Shows the rule.
pub(super) async fn show(
    me: Me,
    Path((bot, rule)): Path<(i32, i64)>,
) -> Result<Response, PageError> {
    page(me, bot, rule, None).await
}

/// Changes or removes the rule.
pub(super) async fn change(
    me: Me,
    Path((bot, rule)): Path<(i32, i64)>,
    form: Form,
) -> Result<Response, PageError> {
    let services = &me.services;
    let (done, typed) = match form.raw("do") {
        "change" => {
            let fields = RuleFields::read(&form);
            let body = fields.body();
            let changed = me.ask(async {
                rules::change(services, &me.changes(bot)?, rule, body::of(&body)?).await
            });
            (changed.await.map(drop), Some(fields))
        }
        "remove" => {
            let removed = me.ask(async { rules::remove(services, &me.changes(bot)?, rule).await });
            (removed.await, None)
        }
        _ => return Err(PageError::BadForm),
    };
    match done {
        Ok(()) => {
            let back = format!("{}/bots/{bot}/rules", me.context.home);
            Ok(Redirect::to(&back).into_response())
        }
        Err(refused) => page(me, bot, rule, Some((typed, refused))).await,
    }
}

async fn page(
    me: Me,
    bot: i32,
    rule: i64,
    failed: Option<(Option<RuleFields>, Refused)>,
) -> Result<Response, PageError> {
    let shown = me.ask(async {
        let (services, at) = (&me.services, me.sees(bot)?);
        Ok((
            bots::show(services, &at).await?,
            rules::show(services, &at, rule).await?,
        ))
    });
    let (bot, rule) = shown.await?;
    let (typed, wrong) = failed.map_or((None, None), |(typed, wrong)| (typed, Some(wrong)));
    let status = Refused::status_of(wrong.as_ref());
    let page = Page {
        context: me.context.clone(),
        bot,
        fields: typed.unwrap_or_else(|| RuleFields::of(&rule)),
        rule,
        wrong,
    };
    Ok(me.context.show(status, &page))
}
