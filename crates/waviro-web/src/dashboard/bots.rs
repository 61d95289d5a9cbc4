//! The page with all bots and their health, and the form for a new bot.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;
use waviro_core::bots::why_unreachable_by_code as unreachable;

use super::Dashboard;
use super::errors::PageError;
use super::form::Form;
use super::page_context::PageContext;
use super::session::Me;
use super::start::Steps;
use super::state::{Tone, explained, unreachable_explained};
use crate::v1::inside::Refused;

/// A bot in the API's response, with the fields that pages use.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct BotRow {
    pub(super) id: i32,
    pub(super) name: String,
    pub(super) number: Option<String>,
    pub(super) account_name: Option<String>,
    pub(super) state: String,
    pub(super) cause: Option<String>,
    pub(super) cause_code: Option<String>,
    pub(super) created_at: String,
    pub(super) health: Health,
}

/// The health of a bot, with the evidence.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Health {
    pub(super) healthy: bool,
    pub(super) since: Option<String>,
    pub(super) last_online: Option<String>,
    pub(super) last_server_ack: Option<String>,
    pub(super) last_inbound: Option<String>,
    pub(super) pending: i64,
    pub(super) oldest_pending_s: Option<i64>,
}

#[derive(Deserialize)]
struct Page {
    data: Vec<BotRow>,
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "dashboard/bots.html")]
struct List<'p> {
    context: PageContext,
    bots: Vec<BotRow>,
    all: usize,
    looked_for: &'p str,
    name: &'p str,
    wrong: Option<Refused>,
    steps: Option<Steps>,
}

#[derive(Template)]
#[template(path = "dashboard/bot_new.html")]
struct NewBot {
    context: PageContext,
    bot: BotRow,
    secret_key: String,
}

#[derive(Deserialize)]
pub(super) struct BotsQuery {
    #[serde(default)]
    q: String,
}

impl BotRow {
    fn explained(&self, context: &PageContext) -> (Tone, String, String) {
        let failure = self.cause_code.as_deref().and_then(unreachable);
        failure.map_or_else(
            || explained(&self.state, self.health.healthy, context),
            |why| unreachable_explained(why, context),
        )
    }

    pub(super) fn tone(&self, context: &PageContext) -> &'static str {
        self.explained(context).0.class()
    }

    pub(super) fn words(&self, context: &PageContext) -> String {
        self.explained(context).1
    }

    pub(super) fn advice(&self, context: &PageContext) -> String {
        self.explained(context).2
    }

    /// Returns whether the bot can be linked now.
    pub(super) fn wants_link(&self) -> bool {
        !matches!(self.state.as_str(), "online" | "reconnecting")
    }

    /// Returns whether WhatsApp refuses the login, so that no QR code is available.
    pub(super) fn is_refused(&self) -> bool {
        matches!(self.state.as_str(), "banned" | "client_outdated")
    }

    fn is_found(&self, looked_for: &str) -> bool {
        let number = self.number.as_deref().unwrap_or_default();
        self.name
            .to_lowercase()
            .contains(&looked_for.to_lowercase())
            || number.contains(looked_for)
    }
}

impl List<'_> {
    /// Returns whether the API refused a key to take over.
    fn keys_refused(&self) -> bool {
        let field = self.wrong.as_ref().and_then(|wrong| wrong.field.as_deref());
        matches!(field, Some("secret_key" | "webhook_key"))
    }
}

/// Lists the bots that the user may see.
pub(super) async fn list(
    State(dashboard): State<Arc<Dashboard>>,
    me: Me,
    Query(asked): Query<BotsQuery>,
) -> Result<Response, PageError> {
    show(&dashboard, me, asked.q.trim(), "", None).await
}

/// Adds a bot and shows its key once.
pub(super) async fn add(
    State(dashboard): State<Arc<Dashboard>>,
    mut me: Me,
    form: Form,
) -> Result<Response, PageError> {
    #[derive(Deserialize)]
    struct Added {
        bot: BotRow,
        secret_key: String,
    }
    let name = form.raw("name");
    let body = Some(json!({
        "name": name,
        "secret_key": form.get("secret_key"),
        "webhook_key": form.get("webhook_key"),
    }));
    let added = dashboard
        .inside
        .once(&me.caller, "/v1/bots", body, form.idempotency_key());
    match added.await {
        Ok((added, before)) => {
            me.context.repeated = before;
            let added: Added = serde_json::from_value(added).map_err(|_| PageError::Internal)?;
            let page = NewBot {
                context: me.context.clone(),
                bot: added.bot,
                secret_key: added.secret_key,
            };
            Ok(me.context.show(StatusCode::CREATED, &page))
        }
        Err(refused) => show(&dashboard, me, "", name, Some(refused)).await,
    }
}

async fn show(
    dashboard: &Dashboard,
    me: Me,
    looked_for: &str,
    name: &str,
    wrong: Option<Refused>,
) -> Result<Response, PageError> {
    let (mut bots, mut path) = (Vec::new(), "/v1/bots?limit=100".to_owned());
    loop {
        let page: Page = dashboard.inside.get(&me.caller, &path).await?;
        bots.extend(page.data);
        match page.next {
            Some(next) => path = format!("/v1/bots?limit=100&cursor={next}"),
            None => break,
        }
    }
    let (all, steps) = (bots.len(), Steps::of(dashboard, &me, &bots).await);
    bots.retain(|bot| bot.is_found(looked_for));
    let status = Refused::status_of(wrong.as_ref());
    let page = List {
        context: me.context.clone(),
        bots,
        all,
        looked_for,
        name,
        wrong,
        steps,
    };
    Ok(me.context.show(status, &page))
}
