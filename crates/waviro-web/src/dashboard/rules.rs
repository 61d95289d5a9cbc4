//! The page with the rules of a bot, and the form to test a text.

mod tried;

use askama::Template;
use axum::extract::{Path, Query};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::errors::PageError;
use super::form::Form;
use super::page_context::PageContext;
use super::refused::Refused;
use super::session::Me;
use crate::v1::body;
use crate::v1::bots::{self, BotView};
use crate::v1::page;
use crate::v1::rules::test::TestedRule;
use crate::v1::rules::{self, RuleView};

/// A sample script for a webhook: a reply as in the API document, and the check of the webhook key.
const SCRIPT: &str = r"<?php
$asked = json_decode(file_get_contents('php://input'), true);
if ($asked['webhookkey'] !== 'whk_…') { http_response_code(401); exit; }

$name = $asked['data'][0] ?? '';
$reply = [
  ['type' => 'message',  'content' => 'Terima kasih, ' . $name . '. Penawaran kami:'],
  ['type' => 'document', 'content' => 'https://toko.example/penawaran.pdf'],
];
header('Content-Type: application/json');
echo json_encode(['success' => true, 'message' => ['reply' => $reply]]);";

/// The contents of the fields of a rule's form.
#[derive(Debug, Default)]
pub(super) struct RuleFields {
    pub(super) keyword: String,
    pub(super) url: String,
    pub(super) groups: bool,
    pub(super) timeout_s: String,
}

#[derive(Template)]
#[template(path = "dashboard/rules.html")]
struct Page<'p> {
    context: PageContext,
    bot: BotView,
    rules: Vec<RuleView>,
    all: usize,
    looked_for: &'p str,
    fields: RuleFields,
    /// The form of a tested text; empty otherwise.
    form: &'p Form,
    tried: Option<TestedRule>,
    /// The refusal of a test. `wrong` has the refusal of any other form.
    untried: Option<Refused>,
    wrong: Option<Refused>,
    script: &'static str,
}

#[derive(Default)]
struct RulesState {
    looked_for: String,
    fields: RuleFields,
    form: Form,
    tried: Option<TestedRule>,
    untried: Option<Refused>,
    wrong: Option<Refused>,
}

#[derive(Deserialize)]
pub(super) struct RulesQuery {
    #[serde(default)]
    q: String,
}

impl RuleFields {
    pub(super) fn of(rule: &RuleView) -> Self {
        Self {
            keyword: rule.keyword.clone(),
            url: rule.url.clone(),
            groups: rule.groups,
            timeout_s: rule.timeout_s.map(|it| it.to_string()).unwrap_or_default(),
        }
    }

    pub(super) fn read(form: &Form) -> Self {
        Self {
            keyword: form.raw("keyword").to_owned(),
            url: form.raw("url").trim().to_owned(),
            groups: form.get("groups").is_some(),
            timeout_s: form.raw("timeout_s").trim().to_owned(),
        }
    }

    /// Returns the body for the API.
    pub(super) fn body(&self) -> Value {
        json!({
            "keyword": self.keyword,
            "url": self.url,
            "groups": self.groups,
            "timeout_s": whole(&self.timeout_s),
        })
    }
}

/// Parses a whole number. An empty text is null; the API refuses any other text.
pub(super) fn whole(said: &str) -> Value {
    match said.trim() {
        "" => Value::Null,
        said => said.parse::<u64>().map_or(Value::from(said), Value::from),
    }
}

/// Lists the rules.
pub(super) async fn list(
    me: Me,
    Path(bot): Path<i32>,
    Query(asked): Query<RulesQuery>,
) -> Result<Response, PageError> {
    let looked_for = asked.q.trim().to_owned();
    let shown = RulesState {
        looked_for,
        ..RulesState::default()
    };
    page(me, bot, shown).await
}

/// Adds a rule, enables or disables a rule, or tests a text.
pub(super) async fn act(me: Me, Path(bot): Path<i32>, form: Form) -> Result<Response, PageError> {
    let services = &me.services;
    let mut shown = RulesState::default();
    let mut before = false;
    let refused = match form.raw("do") {
        "add" => {
            shown.fields = RuleFields::read(&form);
            let path = format!("/v1/bots/{bot}/rules");
            let added = me.once(&form, &path, shown.fields.body(), move |asked| async move {
                rules::add(&asked.services, &asked.changes(bot)?, asked.body()?).await
            });
            let added = added.await;
            before = matches!(added, Ok((_, true)));
            added.err()
        }
        word @ ("on" | "off") => {
            let rule: i64 = form.raw("rule").parse().map_err(|_| PageError::BadForm)?;
            let body = json!({ "enabled": word == "on" });
            let changed = me.ask(async {
                rules::change(services, &me.changes(bot)?, rule, body::of(&body)?).await
            });
            changed.await.err()
        }
        word @ ("try" | "really") => {
            let body = tried::asked(&form, word == "really");
            let tested = me.ask(async {
                rules::test::test(services, &me.changes(bot)?, body::of(&body)?).await
            });
            match tested.await {
                Ok(tested) => shown.tried = Some(tested),
                // For a viewer, the page has no form to show the refusal beside.
                Err(refused) if !me.context.may_change() => return Err(refused.into()),
                Err(refused) => shown.untried = Some(refused),
            }
            shown.form = form;
            return page(me, bot, shown).await;
        }
        _ => return Err(PageError::BadForm),
    };
    if refused.is_none() {
        let back = format!("{}/bots/{bot}/rules", me.context.home);
        return Ok(PageContext::onward(&back, before).into_response());
    }
    shown.wrong = refused;
    page(me, bot, shown).await
}

async fn page(me: Me, bot: i32, shown: RulesState) -> Result<Response, PageError> {
    let listed = me.ask(async {
        let (services, at) = (&me.services, me.sees(bot)?);
        Ok((
            bots::show(services, &at).await?,
            page::all(|paging| rules::list(services, &at, paging)).await?,
        ))
    });
    let (bot, mut rules) = listed.await?;
    let all = rules.len();
    let looked_for = shown.looked_for.to_lowercase();
    rules.retain(|rule| {
        rule.keyword.to_lowercase().contains(&looked_for) || rule.url.contains(&looked_for)
    });
    let wrong = shown.wrong.as_ref().or(shown.untried.as_ref());
    let status = Refused::status_of(wrong);
    let page = Page {
        context: me.context.clone(),
        bot,
        rules,
        all,
        looked_for: &shown.looked_for,
        fields: shown.fields,
        form: &shown.form,
        tried: shown.tried,
        untried: shown.untried,
        wrong: shown.wrong,
        script: SCRIPT,
    };
    Ok(me.context.show(status, &page))
}
