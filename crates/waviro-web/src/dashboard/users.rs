//! The page with all users, and the form for a new user. Only for admins.

use askama::Template;
use axum::extract::Query;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::errors::PageError;
use super::form::Form;
use super::page_context::PageContext;
use super::refused::Refused;
use super::session::Me;
use crate::v1::bots::{self, BotView};
use crate::v1::page;
use crate::v1::users::{self, Rank, UserView};

/// The contents of the fields for a user's permissions.
#[derive(Debug)]
pub(super) struct RoleFields {
    pub(super) role: String,
    pub(super) bots: Vec<i32>,
}

#[derive(Template)]
#[template(path = "dashboard/users.html")]
struct Page<'p> {
    context: PageContext,
    users: Vec<UserView>,
    /// The number of all users, regardless of the search.
    all: usize,
    looked_for: &'p str,
    bots: Vec<BotView>,
    name: &'p str,
    fields: RoleFields,
    wrong: Option<Refused>,
}

/// The filter of the list.
#[derive(Debug, Deserialize)]
pub(super) struct UsersQuery {
    #[serde(default)]
    q: String,
}

/// The words of a user on all pages.
impl UserView {
    /// Returns whether the name contains the search text, in upper or lower case.
    fn is_found(&self, looked_for: &str) -> bool {
        let name = self.name.to_lowercase();
        name.contains(&looked_for.to_lowercase())
    }

    /// Returns the names of the user's bots, without removed bots.
    fn bots_of(&self, bots: &[BotView]) -> String {
        let own = bots.iter().filter(|bot| self.bots.contains(&bot.id));
        let names: Vec<_> = own.map(|bot| bot.name.as_str()).collect();
        names.join(", ")
    }

    pub(super) fn is_admin(&self) -> bool {
        self.role == Rank::Admin
    }

    fn is_operator(&self) -> bool {
        self.role == Rank::Operator
    }

    pub(super) fn is_me(&self, context: &PageContext) -> bool {
        context.user.as_ref().is_some_and(|user| user.id == self.id)
    }
}

impl RoleFields {
    pub(super) fn read(form: &Form) -> Self {
        Self {
            role: form.raw("role").to_owned(),
            bots: form.all("bot").filter_map(|id| id.parse().ok()).collect(),
        }
    }

    pub(super) fn has(&self, bot: &BotView) -> bool {
        self.bots.contains(&bot.id)
    }

    /// Returns the bots for the API; only an operator has bots.
    pub(super) fn bots(&self) -> Value {
        if self.role == "operator" {
            json!(self.bots)
        } else {
            Value::Null
        }
    }
}

/// Returns the word for a role.
pub(super) fn role_word<'t>(role: &str, context: &'t PageContext) -> &'t str {
    match role {
        "admin" => context.text.users.role_admin,
        "operator" => context.text.users.role_operator,
        _ => context.text.users.role_viewer,
    }
}

/// Lists the users.
pub(super) async fn list(me: Me, Query(asked): Query<UsersQuery>) -> Result<Response, PageError> {
    let fields = RoleFields {
        role: "operator".to_owned(),
        bots: Vec::new(),
    };
    page(me, asked.q.trim(), "", fields, None).await
}

/// Creates a user.
pub(super) async fn add(me: Me, form: Form) -> Result<Response, PageError> {
    let fields = RoleFields::read(&form);
    let name = form.raw("name").trim();
    let body = json!({
        "name": name,
        "password": form.raw("password"),
        "role": fields.role,
        "bots": fields.bots(),
    });
    let added = me.once(&form, "/v1/users", body, |asked| async move {
        let admin = asked.caller.changes_gateway()?;
        users::add(&asked.services, &admin, asked.body()?).await
    });
    match added.await {
        Ok((_, before)) => {
            let users = format!("{}/users", me.context.home);
            Ok(PageContext::onward(&users, before).into_response())
        }
        Err(refused) => page(me, "", name, fields, Some(refused)).await,
    }
}

/// Returns all users, and all bots that the user may see.
pub(super) async fn all(me: &Me) -> Result<(Vec<UserView>, Vec<BotView>), Refused> {
    let (services, caller) = (&me.services, &me.caller);
    me.ask(async {
        let admin = caller.admin()?;
        Ok((
            page::all(|paging| users::list(services, &admin, paging)).await?,
            page::all(|paging| bots::list(services, caller, paging)).await?,
        ))
    })
    .await
}

async fn page(
    me: Me,
    looked_for: &str,
    name: &str,
    fields: RoleFields,
    wrong: Option<Refused>,
) -> Result<Response, PageError> {
    let (mut users, bots) = all(&me).await?;
    let all = users.len();
    users.retain(|user| user.is_found(looked_for));
    let status = Refused::status_of(wrong.as_ref());
    let page = Page {
        context: me.context.clone(),
        users,
        all,
        looked_for,
        bots,
        name,
        fields,
        wrong,
    };
    Ok(me.context.show(status, &page))
}
