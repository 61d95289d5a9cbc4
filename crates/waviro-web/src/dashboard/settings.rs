//! The settings page of a bot: keys and secrets, behaviour, and subscriptions. Each section has its
//! own form.

mod patch;
mod view;

use std::borrow::Borrow;
use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use serde_json::json;
use waviro_core::bots::Settings;
use waviro_core::config::Retention;
use waviro_store::clock::Millis;

use super::errors::PageError;
use super::form::Form;
use super::page_context::PageContext;
use super::refused::Refused;
use super::rules::whole;
use super::session::Me;
use super::state::Dashboard;
use crate::v1::body;
use crate::v1::bots::{self, BotView};
use crate::v1::keys::{self, Keys, NewKey};
use crate::v1::page;
use crate::v1::secrets::{self, SigningSecret};
use crate::v1::settings;
use crate::v1::subscriptions::{self, SubscriptionView};

use view::KINDS;

/// The seconds for which an old key or secret may stay valid: none, an hour, a day, a week.
const OVERLAPS: [u32; 4] = [0, 3600, 86_400, 604_800];

#[derive(Template)]
#[template(path = "dashboard/settings.html")]
struct Page<'p> {
    context: PageContext,
    bot: BotView,
    now: Millis,
    keys: Keys,
    /// A newly created key.
    fresh: Option<NewKey>,
    /// Empty for a viewer.
    webhook_key: String,
    signing: Option<SigningSecret>,
    settings: Settings,
    subscriptions: Vec<SubscriptionView>,
    kept: &'p Retention,
    /// The section of a successful change; empty otherwise.
    done: &'p str,
    /// The section of a refused change, with its form.
    failed: &'p str,
    form: &'p Form,
    wrong: Option<Refused>,
}

#[derive(Default)]
struct SettingsState {
    done: String,
    failed: &'static str,
    form: Form,
    fresh: Option<NewKey>,
    wrong: Option<Refused>,
}

#[derive(Deserialize)]
pub(super) struct SettingsQuery {
    #[serde(default)]
    done: String,
}

impl Page<'_> {
    /// Returns the content of a field: the typed text after a refusal, else the stored value.
    fn typed(&self, section: &str, name: &str, known: impl Into<String>) -> String {
        if self.failed == section {
            self.form.raw(name).to_owned()
        } else {
            known.into()
        }
    }

    /// Returns the state of a checkbox, in the same way as [`Self::typed`].
    fn ticked(&self, section: &str, name: &str, known: impl Borrow<bool>) -> bool {
        if self.failed == section {
            self.form.get(name).is_some()
        } else {
            *known.borrow()
        }
    }

    /// Returns the target of all forms.
    fn action(&self) -> String {
        format!("{}/bots/{}/settings", self.context.home, self.bot.id)
    }

    fn key_age(&self) -> String {
        view::age(&self.keys.current, self.now, &self.context)
    }

    /// Returns the time span of the duplicate rule; empty for no limit.
    fn within(&self) -> String {
        view::or_nothing(self.settings.duplicate_rule.within_s)
    }

    /// Returns the messages per minute; empty for no limit.
    fn per_minute(&self) -> String {
        view::or_nothing(self.settings.pacing.per_minute)
    }

    fn percent(&self) -> String {
        // Rounds to a hundredth of a percent, to hide the imprecision of binary fractions.
        let percent = (self.settings.pacing.jitter * 10_000.0).round() / 100.0;
        percent.to_string()
    }

    /// Returns the grace time; empty for the gateway's configuration.
    fn grace(&self) -> String {
        view::or_nothing(self.settings.grace_s)
    }

    /// Returns the allowed networks in a text.
    fn allowed(&self, separator: &str) -> String {
        let networks = self.settings.allow.iter().map(ToString::to_string);
        networks.collect::<Vec<_>>().join(separator)
    }

    /// Returns the choices for the validity of an old key, with their words.
    fn overlaps(&self) -> [(String, &'static str); 4] {
        OVERLAPS.map(|seconds| (seconds.to_string(), view::overlap(seconds, &self.context)))
    }

    fn wants(&self, kind: &str) -> bool {
        self.failed == "subscriptions" && self.form.all("kind").any(|asked| asked == kind)
    }
}

/// Shows all settings.
pub(super) async fn show(
    State(dashboard): State<Arc<Dashboard>>,
    me: Me,
    Path(bot): Path<i32>,
    Query(asked): Query<SettingsQuery>,
) -> Result<Response, PageError> {
    let shown = SettingsState {
        done: asked.done,
        ..SettingsState::default()
    };
    page(&dashboard, me, bot, shown).await
}

/// Applies the form of a section.
pub(super) async fn change(
    State(dashboard): State<Arc<Dashboard>>,
    mut me: Me,
    Path(bot): Path<i32>,
    form: Form,
) -> Result<Response, PageError> {
    let (section, done) = apply(&me, bot, &form).await?;
    match done {
        // The key is shown only once, so there is no redirect to another page.
        Ok(Some((key, before))) => {
            me.context.repeated = before;
            let shown = SettingsState {
                fresh: Some(key),
                ..SettingsState::default()
            };
            page(&dashboard, me, bot, shown).await
        }
        Ok(None) => {
            let home = &me.context.home;
            let back = format!("{home}/bots/{bot}/settings?done={section}#{section}");
            Ok(Redirect::to(&back).into_response())
        }
        // For a viewer, the page has no form to show the refusal beside.
        Err(refused) if !me.context.may_change() => Err(refused.into()),
        Err(refused) => {
            let shown = SettingsState {
                failed: section,
                form,
                wrong: Some(refused),
                ..SettingsState::default()
            };
            page(&dashboard, me, bot, shown).await
        }
    }
}

/// The result of a form: a new key, and whether the form was a repetition.
type Applied = Result<Option<(NewKey, bool)>, Refused>;

/// Runs the operation of a form; returns the section of the form and the result.
async fn apply(me: &Me, bot: i32, form: &Form) -> Result<(&'static str, Applied), PageError> {
    let services = &me.services;
    let path = |of: &str| format!("/v1/bots/{bot}/{of}");
    let overlap = || whole(form.raw("overlap_s"));
    let one = || {
        form.raw("subscription")
            .parse::<i64>()
            .map_err(|_| PageError::BadForm)
    };
    let word = form.raw("do");
    if let Some((section, patch)) = patch::of(word, form) {
        let changed = me
            .ask(async { settings::change(services, &me.changes(bot)?, body::of(&patch)?).await });
        return Ok((section, changed.await.map(|_| None)));
    }
    Ok(match word {
        "rotate-key" => {
            let body = json!({ "overlap_s": overlap(), "secret_key": form.get("secret_key") });
            let path = path("keys/rotate");
            let rotated = me.once(form, &path, body, move |asked| async move {
                keys::rotate(&asked.services, &asked.changes(bot)?, asked.body()?).await
            });
            ("secret-key", rotated.await.map(Some))
        }
        "end-key" => {
            let ended = me.ask(async { keys::end(services, &me.changes(bot)?).await });
            ("secret-key", ended.await.map(|()| None))
        }
        "rotate-webhook-key" => {
            let body = json!({ "webhook_key": form.get("webhook_key") });
            let path = path("webhook-key/rotate");
            let rotated = me.once(form, &path, body, move |asked| async move {
                let at = asked.changes(bot)?;
                secrets::rotate_webhook_key(&asked.services, &at, asked.body()?).await
            });
            ("webhook-key", rotated.await.map(|_| None))
        }
        "rotate-signing-secret" => {
            let body = json!({ "overlap_s": overlap() });
            let path = path("signing-secret/rotate");
            let rotated = me.once(form, &path, body, move |asked| async move {
                let at = asked.changes(bot)?;
                secrets::rotate_signing_secret(&asked.services, &at, asked.body()?).await
            });
            ("signing-secret", rotated.await.map(|_| None))
        }
        "subscribe" => {
            let (path, body) = (path("subscriptions"), patch::subscription(form));
            let added = me.once(form, &path, body, move |asked| async move {
                subscriptions::add(&asked.services, &asked.changes(bot)?, asked.body()?).await
            });
            ("subscriptions", added.await.map(|_| None))
        }
        "subscription-on" | "subscription-off" => {
            let (id, body) = (one()?, json!({ "enabled": word == "subscription-on" }));
            let changed = me.ask(async {
                subscriptions::change(services, &me.changes(bot)?, id, body::of(&body)?).await
            });
            ("subscriptions", changed.await.map(|_| None))
        }
        "unsubscribe" => {
            let id = one()?;
            let removed =
                me.ask(async { subscriptions::remove(services, &me.changes(bot)?, id).await });
            ("subscriptions", removed.await.map(|()| None))
        }
        _ => return Err(PageError::BadForm),
    })
}

async fn page(
    dashboard: &Dashboard,
    me: Me,
    bot: i32,
    shown: SettingsState,
) -> Result<Response, PageError> {
    let services = &me.services;
    let all = me.ask(async {
        let at = me.sees(bot)?;
        Ok((
            bots::show(services, &at).await?,
            keys::show(services, &at).await?,
            settings::show(&at),
            page::all(|paging| subscriptions::list(services, &at, paging)).await?,
        ))
    });
    let (bot_view, keys, settings, subscriptions) = all.await?;
    let (mut webhook_key, mut signing) = (String::new(), None);
    if me.context.may_change() {
        let all = me.ask(async {
            let at = me.changes(bot)?;
            Ok((
                secrets::show_webhook_key(services, &at).await?,
                secrets::show_signing_secret(services, &at).await?,
            ))
        });
        let (key, secret) = all.await?;
        (webhook_key, signing) = (key.webhook_key, Some(secret));
    }
    let status = Refused::status_of(shown.wrong.as_ref());
    let page = Page {
        context: me.context.clone(),
        bot: bot_view,
        now: services.clock.now(),
        keys,
        fresh: shown.fresh,
        webhook_key,
        signing,
        settings,
        subscriptions,
        kept: &dashboard.retention,
        done: &shown.done,
        failed: shown.failed,
        form: &shown.form,
        wrong: shown.wrong,
    };
    Ok(me.context.show(status, &page))
}
