//! A bot's messages, sent or received: found by id, number or text, newest first, a page at a time.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;
use url::form_urlencoded;

use super::Shared;
use super::bots::BotRow;
use super::frame::Frame;
use super::message_row::{MessageRow, part};
use super::send::MASKED;
use super::session::Me;
use super::wrong::Wrong;
use crate::docs::{Origin, samples_of};
use crate::v1::inside::Refused;

/// The longest id of a message, in bytes.
const LONGEST_ID: usize = 128;

/// Fewer digits than this are no number, but words of a text: an order's, a price.
const SHORTEST_NUMBER: usize = 8;

#[derive(Deserialize)]
struct Listed {
    data: Vec<MessageRow>,
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "dashboard/messages.html")]
struct Page<'p> {
    frame: Frame,
    bot: BotRow,
    asked: &'p Asked,
    found: Found,
    /// How a first message is sent, where there is none.
    sample: Option<String>,
}

/// What a list is narrowed to.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    q: String,
    #[serde(default)]
    direction: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    cursor: String,
}

/// What what was looked for was taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    All,
    Id,
    Chat,
    Text,
}

struct Found {
    by: By,
    rows: Vec<MessageRow>,
    next: Option<String>,
}

/// The messages that were sent, or written to the bot.
pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    me: Me,
    Path(bot): Path<i32>,
    headers: HeaderMap,
    Query(mut asked): Query<Asked>,
) -> Result<Response, Wrong> {
    asked.q = asked.q.trim().to_owned();
    let row: BotRow = shared
        .inside
        .get(&me.caller, &format!("/v1/bots/{bot}"))
        .await?;
    let found = find(&shared, &me, bot, &asked).await?;
    let none = found.rows.is_empty() && !asked.is_in() && !asked.is_narrowed();
    let sample = none.then(|| {
        let origin = Origin::of(&headers, &shared.base);
        let body = json!({"nohp": "6281300000001", "pesan": "Halo"});
        let [curl, ..] = samples_of(&origin, "/api/sendwa", MASKED, &body);
        curl.code
    });
    let page = Page {
        frame: me.frame.clone(),
        bot: row,
        asked: &asked,
        found,
        sample,
    };
    Ok(me.frame.show(StatusCode::OK, &page))
}

/// One field for everything: what is an id is looked up, a number or a group means its chat, and anything else is looked for in texts.
async fn find(shared: &Shared, me: &Me, bot: i32, asked: &Asked) -> Result<Found, Refused> {
    let within = format!("/v1/bots/{bot}/messages");
    let get = async |by: By, parameter: (&str, &str)| {
        let path = format!("{within}?{}", asked.query(&asked.cursor, Some(parameter)));
        let page: Listed = shared.inside.get(&me.caller, &path).await?;
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
        let path = format!("{within}/{}", part(&asked.q));
        match shared.inside.get::<MessageRow>(&me.caller, &path).await {
            Ok(row) => {
                let rows = vec![row];
                let (by, next) = (By::Id, None);
                return Ok(Found { by, rows, next });
            }
            Err(refused) if refused.code == "no_such_thing" => {}
            Err(refused) => return Err(refused),
        }
    }
    if let Some(chat) = asked.chat() {
        let found = get(By::Chat, ("chat", &chat)).await?;
        // An order's number can look like a phone's.
        if !found.rows.is_empty() || found.next.is_some() || !asked.cursor.is_empty() {
            return Ok(found);
        }
    }
    get(By::Text, ("text", &asked.q)).await
}

impl Asked {
    fn is_in(&self) -> bool {
        self.direction == "in"
    }

    fn is_narrowed(&self) -> bool {
        !(self.q.is_empty() && self.cursor.is_empty() && (self.is_in() || self.state.is_empty()))
    }

    fn may_be_id(&self) -> bool {
        self.q.len() <= LONGEST_ID && self.q.bytes().all(|byte| byte.is_ascii_graphic())
    }

    /// The chat that was meant: its address, a number as people write it, or a group's id.
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
        // As it is dialled at home; WhatsApp knows no number without its country.
        Some(match plain.strip_prefix('0') {
            Some(national) => format!("62{national}"),
            None => plain,
        })
    }

    /// As a query, for the API with what was looked for, and for this page without.
    fn query(&self, cursor: &str, looked_for: Option<(&str, &str)>) -> String {
        let direction = if self.is_in() { "in" } else { "out" };
        let state = if self.is_in() { "" } else { &self.state };
        let all = [
            looked_for.unwrap_or(("q", &self.q)),
            ("direction", direction),
            ("state", state),
            ("cursor", cursor),
        ];
        let said = all.iter().filter(|(_, value)| !value.is_empty());
        form_urlencoded::Serializer::new(String::new())
            .extend_pairs(said)
            .finish()
    }

    /// The page after this one, or the first.
    fn to(&self, cursor: &str) -> String {
        self.query(cursor, None)
    }

    /// What was written to the bot, or what it sent, with the same words.
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
    /// A search in texts reads everything there is: it is not done again with each message that comes.
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
            Asked {
                q,
                ..Asked::default()
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
