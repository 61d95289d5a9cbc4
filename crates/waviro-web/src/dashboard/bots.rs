//! The page with all bots and their health, and the form for a new bot.

use askama::Template;
use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;

use super::errors::PageError;
use super::form::Form;
use super::link_state::{Tone, explained, unreachable_explained};
use super::page_context::PageContext;
use super::refused::Refused;
use super::session::Me;
use super::start::Steps;
use crate::unreachable::why_unreachable_by_code;
use crate::v1::bots::{self, BotView, LinkState, NewBot};
use crate::v1::page;

#[derive(Template)]
#[template(path = "dashboard/bots.html")]
struct List<'p> {
    context: PageContext,
    bots: Vec<BotView>,
    all: usize,
    looked_for: &'p str,
    name: &'p str,
    wrong: Option<Refused>,
    steps: Option<Steps>,
}

#[derive(Template)]
#[template(path = "dashboard/bot_new.html")]
struct NewBotPage {
    context: PageContext,
    bot: BotView,
    secret_key: String,
}

#[derive(Deserialize)]
pub(super) struct BotsQuery {
    #[serde(default)]
    q: String,
}

/// The words of a bot on all pages.
impl BotView {
    fn explained(&self, context: &PageContext) -> (Tone, String, String) {
        let failure = self.cause_code.as_deref();
        let failure = failure.and_then(|code| why_unreachable_by_code(code, context.language()));
        failure.map_or_else(
            || explained(self.state.word(), self.health.healthy, context),
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
        !matches!(self.state, LinkState::Online | LinkState::Reconnecting)
    }

    /// Returns whether WhatsApp refuses the login, so that no QR code is available.
    pub(super) fn is_refused(&self) -> bool {
        matches!(self.state, LinkState::Banned | LinkState::ClientOutdated)
    }

    pub(super) fn is_online(&self) -> bool {
        self.state == LinkState::Online
    }

    pub(super) fn is_replaced(&self) -> bool {
        self.state == LinkState::Replaced
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
pub(super) async fn list(me: Me, Query(asked): Query<BotsQuery>) -> Result<Response, PageError> {
    show(me, asked.q.trim(), "", None).await
}

/// Adds a bot and shows its key once.
pub(super) async fn add(mut me: Me, form: Form) -> Result<Response, PageError> {
    let name = form.raw("name");
    let body = json!({
        "name": name,
        "secret_key": form.get("secret_key"),
        "webhook_key": form.get("webhook_key"),
    });
    let added = me.once(&form, "/v1/bots", body, |asked| async move {
        let admin = asked.caller.changes_gateway()?;
        bots::add(&asked.services, &admin, asked.body()?).await
    });
    match added.await {
        Ok((NewBot { bot, secret_key }, before)) => {
            me.context.repeated = before;
            let page = NewBotPage {
                context: me.context.clone(),
                bot,
                secret_key,
            };
            Ok(me.context.show(StatusCode::CREATED, &page))
        }
        Err(refused) => show(me, "", name, Some(refused)).await,
    }
}

async fn show(
    me: Me,
    looked_for: &str,
    name: &str,
    wrong: Option<Refused>,
) -> Result<Response, PageError> {
    let list = |paging| bots::list(&me.services, &me.caller, paging);
    let mut bots = me.ask(page::all(list)).await?;
    let (all, steps) = (bots.len(), Steps::of(&me, &bots).await);
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
