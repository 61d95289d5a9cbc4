//! Who may use the dashboard: all of them, and a new one. For admins.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Shared;
use super::bots::BotRow;
use super::form::Form;
use super::frame::Frame;
use super::rows;
use super::session::Me;
use super::wrong::Wrong;
use crate::v1::inside::Refused;

/// A user as the API shows it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct UserView {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) role: String,
    /// Which bots an operator may see and change.
    pub(super) bots: Vec<i32>,
    pub(super) created_at: String,
}

/// What stands in the fields that say what a user may do.
#[derive(Debug)]
pub(super) struct RoleFields {
    pub(super) role: String,
    pub(super) bots: Vec<i32>,
}

#[derive(Template)]
#[template(path = "dashboard/users.html")]
struct Page<'p> {
    frame: Frame,
    users: Vec<UserView>,
    /// How many there are, found or not.
    all: usize,
    looked_for: &'p str,
    bots: Vec<BotRow>,
    name: &'p str,
    fields: RoleFields,
    wrong: Option<Refused>,
}

/// What the list is narrowed to.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    q: String,
}

impl UserView {
    /// Whether its name holds this, in any case.
    fn is_found(&self, looked_for: &str) -> bool {
        let name = self.name.to_lowercase();
        name.contains(&looked_for.to_lowercase())
    }

    /// The names of its bots, as far as they live.
    fn bots_of(&self, bots: &[BotRow]) -> String {
        let own = bots.iter().filter(|bot| self.bots.contains(&bot.id));
        let names: Vec<_> = own.map(|bot| bot.name.as_str()).collect();
        names.join(", ")
    }

    pub(super) fn is_me(&self, frame: &Frame) -> bool {
        frame.user.as_ref().is_some_and(|user| user.id == self.id)
    }
}

impl RoleFields {
    pub(super) fn read(form: &Form) -> Self {
        Self {
            role: form.raw("role").to_owned(),
            bots: form.all("bot").filter_map(|id| id.parse().ok()).collect(),
        }
    }

    pub(super) fn has(&self, bot: &BotRow) -> bool {
        self.bots.contains(&bot.id)
    }

    /// The bots as the API wants them: beside the role that has some.
    pub(super) fn bots(&self) -> Value {
        if self.role == "operator" {
            json!(self.bots)
        } else {
            Value::Null
        }
    }
}

/// A role, in a word.
pub(super) fn role_word<'t>(role: &str, frame: &'t Frame) -> &'t str {
    match role {
        "admin" => frame.say("Admin", "Admin"),
        "operator" => frame.say("Operator", "Operator"),
        _ => frame.say("Hanya melihat", "Viewer"),
    }
}

/// Every user.
pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    me: Me,
    Query(asked): Query<Asked>,
) -> Result<Response, Wrong> {
    let fields = RoleFields {
        role: "operator".to_owned(),
        bots: Vec::new(),
    };
    page(&shared, me, asked.q.trim(), "", fields, None).await
}

/// A new user.
pub(super) async fn add(
    State(shared): State<Arc<Shared>>,
    me: Me,
    form: Form,
) -> Result<Response, Wrong> {
    let fields = RoleFields::read(&form);
    let name = form.raw("name").trim();
    let body = json!({
        "name": name,
        "password": form.raw("password"),
        "role": fields.role,
        "bots": fields.bots(),
    });
    let added = shared
        .inside
        .once(&me.caller, "/v1/users", Some(body), form.once());
    match added.await {
        Ok((_, before)) => {
            let users = format!("{}/users", me.frame.home);
            Ok(Frame::onward(&users, before).into_response())
        }
        Err(refused) => page(&shared, me, "", name, fields, Some(refused)).await,
    }
}

async fn page(
    shared: &Shared,
    me: Me,
    looked_for: &str,
    name: &str,
    fields: RoleFields,
    wrong: Option<Refused>,
) -> Result<Response, Wrong> {
    let mut users: Vec<UserView> = rows::all(shared, &me, "/v1/users").await?;
    let all = users.len();
    users.retain(|user| user.is_found(looked_for));
    let bots = rows::all(shared, &me, "/v1/bots").await?;
    let status = Refused::status_of(wrong.as_ref());
    let page = Page {
        frame: me.frame.clone(),
        users,
        all,
        looked_for,
        bots,
        name,
        fields,
        wrong,
    };
    Ok(me.frame.show(status, &page))
}
