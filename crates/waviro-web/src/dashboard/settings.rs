//! The settings page of a bot: keys and secrets, behaviour, and subscriptions. Each section has its
//! own form.

mod patch;
mod view;

use std::borrow::Borrow;
use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::Method;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use waviro_core::config::Retention;
use waviro_store::clock::Millis;

use super::Dashboard;
use super::bots::BotRow;
use super::errors::PageError;
use super::form::Form;
use super::page_context::PageContext;
use super::rows;
use super::rules::whole;
use super::session::Me;
use crate::v1::inside::Refused;

use view::{KINDS, Keys, NewKey, SettingsView, SigningSecret, Subscription};

/// The seconds for which an old key or secret may stay valid: none, an hour, a day, a week.
const OVERLAPS: [u32; 4] = [0, 3600, 86_400, 604_800];

#[derive(Template)]
#[template(path = "dashboard/settings.html")]
struct Page<'p> {
    context: PageContext,
    bot: BotRow,
    now: Millis,
    keys: Keys,
    /// A newly created key.
    fresh: Option<NewKey>,
    /// Empty for a viewer.
    webhook_key: String,
    signing: Option<SigningSecret>,
    settings: SettingsView,
    subscriptions: Vec<Subscription>,
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

/// The API request of a form, and the form's section.
struct Order {
    section: &'static str,
    method: Method,
    path: String,
    body: Option<Value>,
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
        self.keys.current.age(self.now, &self.context)
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
    let order = Order::of(bot, &form).ok_or(PageError::BadForm)?;
    let Order {
        section,
        method,
        path,
        body,
    } = order;
    let inside = &dashboard.inside;
    let done = if method == Method::POST {
        let done = inside
            .once(&me.caller, &path, body, form.idempotency_key())
            .await;
        done.map(|(answer, before)| {
            me.context.repeated = before;
            answer
        })
    } else {
        inside.ask(&me.caller, method, &path, body).await
    };
    match done {
        // The key is shown only once, so there is no redirect to another page.
        Ok(answer) if answer["secret_key"].is_string() => {
            let fresh = serde_json::from_value(answer).map_err(|_| PageError::Internal)?;
            let shown = SettingsState {
                fresh: Some(fresh),
                ..SettingsState::default()
            };
            page(&dashboard, me, bot, shown).await
        }
        Ok(_) => {
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

impl Order {
    fn of(bot: i32, form: &Form) -> Option<Self> {
        let word = form.raw("do");
        if let Some((section, patch)) = patch::of(word, form) {
            return Some(Self {
                section,
                method: Method::PATCH,
                path: format!("/v1/bots/{bot}/settings"),
                body: Some(patch),
            });
        }
        let overlap = || Some(json!({ "overlap_s": whole(form.raw("overlap_s")) }));
        let one = || form.raw("subscription").parse::<i64>().ok();
        let (section, method, path, body) = match word {
            "rotate-key" => {
                let body = json!({
                    "overlap_s": whole(form.raw("overlap_s")),
                    "secret_key": form.get("secret_key"),
                });
                let path = "keys/rotate".to_owned();
                ("secret-key", Method::POST, path, Some(body))
            }
            "end-key" => (
                "secret-key",
                Method::DELETE,
                "keys/previous".to_owned(),
                None,
            ),
            "rotate-webhook-key" => {
                let path = "webhook-key/rotate".to_owned();
                let body = json!({ "webhook_key": form.get("webhook_key") });
                ("webhook-key", Method::POST, path, Some(body))
            }
            "rotate-signing-secret" => {
                let path = "signing-secret/rotate".to_owned();
                ("signing-secret", Method::POST, path, overlap())
            }
            "subscribe" => {
                let body = Some(patch::subscription(form));
                (
                    "subscriptions",
                    Method::POST,
                    "subscriptions".to_owned(),
                    body,
                )
            }
            "subscription-on" | "subscription-off" => {
                let body = Some(json!({ "enabled": word == "subscription-on" }));
                let path = format!("subscriptions/{}", one()?);
                ("subscriptions", Method::PATCH, path, body)
            }
            "unsubscribe" => {
                let path = format!("subscriptions/{}", one()?);
                ("subscriptions", Method::DELETE, path, None)
            }
            _ => return None,
        };
        Some(Self {
            section,
            method,
            path: format!("/v1/bots/{bot}/{path}"),
            body,
        })
    }
}

async fn page(
    dashboard: &Dashboard,
    me: Me,
    bot: i32,
    shown: SettingsState,
) -> Result<Response, PageError> {
    let (inside, path) = (&dashboard.inside, format!("/v1/bots/{bot}"));
    let row: BotRow = inside.get(&me.caller, &path).await?;
    let keys = inside.get(&me.caller, &format!("{path}/keys")).await?;
    let settings = inside.get(&me.caller, &format!("{path}/settings")).await?;
    let (mut webhook_key, mut signing) = (String::new(), None);
    if me.context.may_change() {
        let of = format!("{path}/webhook-key");
        let key: Value = inside.get(&me.caller, &of).await?;
        key["webhook_key"]
            .as_str()
            .unwrap_or_default()
            .clone_into(&mut webhook_key);
        let of = format!("{path}/signing-secret");
        signing = Some(inside.get(&me.caller, &of).await?);
    }
    let subscriptions = rows::all(dashboard, &me, &format!("{path}/subscriptions")).await?;
    let status = Refused::status_of(shown.wrong.as_ref());
    let page = Page {
        context: me.context.clone(),
        bot: row,
        now: dashboard.services.clock.now(),
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
