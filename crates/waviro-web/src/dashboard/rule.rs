//! The page of a rule, to change or remove the rule.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::Method;
use axum::response::{IntoResponse, Redirect, Response};

use super::Dashboard;
use super::bots::BotRow;
use super::errors::PageError;
use super::form::Form;
use super::page_context::PageContext;
use super::rules::{RuleFields, RuleRow};
use super::session::Me;
use crate::v1::inside::Refused;

#[derive(Template)]
#[template(path = "dashboard/rule.html")]
struct Page {
    context: PageContext,
    bot: BotRow,
    rule: RuleRow,
    fields: RuleFields,
    wrong: Option<Refused>,
}

/// Shows the rule.
pub(super) async fn show(
    State(dashboard): State<Arc<Dashboard>>,
    me: Me,
    Path((bot, rule)): Path<(i32, i64)>,
) -> Result<Response, PageError> {
    page(&dashboard, me, bot, rule, None).await
}

/// Changes or removes the rule.
pub(super) async fn change(
    State(dashboard): State<Arc<Dashboard>>,
    me: Me,
    Path((bot, rule)): Path<(i32, i64)>,
    form: Form,
) -> Result<Response, PageError> {
    let path = format!("/v1/bots/{bot}/rules/{rule}");
    let fields = RuleFields::read(&form);
    let (method, body) = match form.raw("do") {
        "change" => (Method::PATCH, Some(fields.body())),
        "remove" => (Method::DELETE, None),
        _ => return Err(PageError::BadForm),
    };
    let typed = body.is_some().then_some(fields);
    match dashboard.inside.ask(&me.caller, method, &path, body).await {
        Ok(_) => {
            let back = format!("{}/bots/{bot}/rules", me.context.home);
            Ok(Redirect::to(&back).into_response())
        }
        Err(refused) => page(&dashboard, me, bot, rule, Some((typed, refused))).await,
    }
}

async fn page(
    dashboard: &Dashboard,
    me: Me,
    bot: i32,
    rule: i64,
    failed: Option<(Option<RuleFields>, Refused)>,
) -> Result<Response, PageError> {
    let path = format!("/v1/bots/{bot}");
    let row: BotRow = dashboard.inside.get(&me.caller, &path).await?;
    let path = format!("{path}/rules/{rule}");
    let rule: RuleRow = dashboard.inside.get(&me.caller, &path).await?;
    let (typed, wrong) = failed.map_or((None, None), |(typed, wrong)| (typed, Some(wrong)));
    let status = Refused::status_of(wrong.as_ref());
    let page = Page {
        context: me.context.clone(),
        bot: row,
        fields: typed.unwrap_or_else(|| RuleFields::of(&rule)),
        rule,
        wrong,
    };
    Ok(me.context.show(status, &page))
}
