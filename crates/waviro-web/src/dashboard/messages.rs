//! The page with the messages of a bot, sent or received: a search by id, number or text, newest
//! first.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;
use url::form_urlencoded;

use super::errors::PageError;
use super::page_context::PageContext;
use super::refused::Refused;
use super::send::MASKED;
use super::session::Me;
use super::state::Dashboard;
use crate::docs::samples_of;
use crate::http::Origin;
use crate::v1::bots::BotView;
use crate::v1::messages::{self, MessageSearch, MessageView};
use crate::v1::page::Paging;
use crate::v1::query;

/// The maximum number of bytes of a message id.
const LONGEST_ID: usize = 128;

/// The fewest digits of a phone number. A shorter number is searched as text, such as an order
/// number or a price.
const SHORTEST_NUMBER: usize = 8;

#[derive(Template)]
#[template(path = "dashboard/messages.html")]
struct Page<'p> {
    context: PageContext,
    bot: BotView,
    asked: &'p MessagesQuery,
    found: Found,
    /// A sample call for a first message, if there is no message.
    sample: Option<String>,
}

/// The filters of the list.
#[derive(Debug, Default, Deserialize)]
pub(super) struct MessagesQuery {
    #[serde(default)]
    q: String,
    #[serde(default)]
    direction: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    cursor: String,
}

/// The interpretation of the search text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    All,
    Id,
    Chat,
    Text,
}

struct Found {
    by: By,
    rows: Vec<MessageView>,
    next: Option<String>,
}

/// Lists the sent or received messages.
pub(super) async fn list(
    State(dashboard): State<Arc<Dashboard>>,
    me: Me,
    Path(bot): Path<i32>,
    headers: HeaderMap,
    Query(mut asked): Query<MessagesQuery>,
) -> Result<Response, PageError> {
    asked.q = asked.q.trim().to_owned();
    let row = me.bot(bot).await?;
    let found = find(&me, bot, &asked).await?;
    let none = found.rows.is_empty() && !asked.is_in() && !asked.is_narrowed();
    let samples = none.then(|| {
        let origin = Origin::of(&headers, &dashboard.base);
        let body = json!({"nohp": "6281300000001", "pesan": "Halo"});
        samples_of(&origin, "/api/sendwa", MASKED, &body)
    });
    // The first sample is the one for cURL.
    let sample = samples.into_iter().flatten().next();
    let page = Page {
        context: me.context.clone(),
        bot: row,
        asked: &asked,
        found,
        sample: sample.map(|sample| sample.code),
    };
    Ok(me.context.show(StatusCode::OK, &page))
}

/// Searches with a single field: an id is looked up, a number or a group selects its chat, and any
/// other text is searched in the messages.
async fn find(me: &Me, bot: i32, asked: &MessagesQuery) -> Result<Found, Refused> {
    let services = &me.services;
    let get = async |by: By, parameter: (&str, &str)| {
        let page = me.ask(async {
            let at = me.sees(bot)?;
            let search = MessageSearch::parse(&query::Query::of(&asked.pairs(parameter)))?;
            messages::list(services, &at, search, Paging::at(&asked.cursor)).await
        });
        let page = page.await?;
        Ok::<_, Refused>(Found {
            by,
            rows: page.data,
            next: page.next,
        })
    };
    if asked.q.is_empty() {
        return get(By::All, ("text", "")).await;
    }
    if asked.cursor.is_empty() && asked.may_be_id() {
        let full = me.ask(async { messages::show(services, &me.sees(bot)?, &asked.q).await });
        match full.await {
            Ok(full) => {
                let rows = vec![full.message];
                let (by, next) = (By::Id, None);
                return Ok(Found { by, rows, next });
            }
            Err(refused) if refused.code == "no_such_thing" => {}
            Err(refused) => return Err(refused),
        }
    }
    if let Some(chat) = asked.chat() {
        let found = get(By::Chat, ("chat", &chat)).await?;
        // An order number can look like a phone number.
        if !found.rows.is_empty() || found.next.is_some() || !asked.cursor.is_empty() {
            return Ok(found);
        }
    }
    get(By::Text, ("text", &asked.q)).await
}

impl MessagesQuery {
    fn is_in(&self) -> bool {
        self.direction == "in"
    }

    fn is_narrowed(&self) -> bool {
        !(self.q.is_empty() && self.cursor.is_empty() && (self.is_in() || self.state.is_empty()))
    }

    fn may_be_id(&self) -> bool {
        self.q.len() <= LONGEST_ID && self.q.bytes().all(|byte| byte.is_ascii_graphic())
    }

    /// Returns the chat in the search text: an address, a phone number in any common form, or a
    /// group id.
    fn chat(&self) -> Option<String> {
        if ["@c.us", "@g.us", "@lid"]
            .iter()
            .any(|server| self.q.ends_with(server))
        {
            return Some(self.q.clone());
        }
        let plain: String = self
            .q
            .chars()
            .filter(|one| !" +().-".contains(*one))
            .collect();
        let digits = plain.bytes().all(|byte| byte.is_ascii_digit());
        if !digits || plain.len() < SHORTEST_NUMBER {
            return None;
        }
        // A leading 0 is a national number; WhatsApp's numbers always have a country code.
        Some(match plain.strip_prefix('0') {
            Some(national) => format!("62{national}"),
            None => plain,
        })
    }

    /// Returns the filters, with the search text as `looked_for`.
    fn pairs<'q>(&'q self, looked_for: (&'q str, &'q str)) -> [(&'q str, &'q str); 3] {
        let direction = if self.is_in() { "in" } else { "out" };
        let state = if self.is_in() { "" } else { &self.state };
        [looked_for, ("direction", direction), ("state", state)]
    }

    /// Returns the query of the next page, or of the first page.
    fn to(&self, cursor: &str) -> String {
        let all = self.pairs(("q", &self.q)).into_iter();
        let all = all.chain([("cursor", cursor)]);
        form_urlencoded::Serializer::new(String::new())
            .extend_pairs(all.filter(|(_, value)| !value.is_empty()))
            .finish()
    }

    /// Returns the query of the same search in the other direction.
    fn in_direction(&self, direction: &str) -> String {
        let other = Self {
            direction: direction.to_owned(),
            q: self.q.clone(),
            ..Self::default()
        };
        other.to("")
    }
}

impl Page<'_> {
    /// Returns whether the page updates itself. A text search reads all messages, so the page does
    /// not repeat the search for each new message.
    fn is_live(&self) -> bool {
        self.found.by != By::Text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_known_however_people_write_them() {
        let chat = |q: &str| {
            let q = q.to_owned();
            MessagesQuery {
                q,
                ..MessagesQuery::default()
            }
            .chat()
        };
        for (said, meant) in [
            ("6281300000001", "6281300000001"),
            ("+62 813-0000-0001", "6281300000001"),
            ("(0813) 0000 0001", "6281300000001"),
            ("120363000000000001", "120363000000000001"),
            ("120363000000000001@g.us", "120363000000000001@g.us"),
            ("99@lid", "99@lid"),
        ] {
            assert_eq!(chat(said).as_deref(), Some(meant), "{said}");
        }
        for said in [
            "halo",
            "12345",
            "budi@toko.example",
            "harga 20.000.000 rupiah",
        ] {
            assert_eq!(chat(said), None, "{said}");
        }
    }
}
