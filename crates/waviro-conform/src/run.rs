//! The state of a run: the host, the sent messages, and texts that are unique per message.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;

use crate::answer::{Answer, Failure};
use crate::callback_server::{CallbackServer, File};
use crate::host::{Ask, Host};
use crate::{StartError, Target};

/// A message accepted by the host.
#[derive(Debug, Clone, Serialize)]
pub struct Sent {
    /// The message id.
    pub id: String,
    /// The recipient: `…@c.us` or `…@g.us`.
    pub to: String,
    /// The content that the phone must show.
    #[serde(flatten)]
    pub what: What,
}

/// The content of a message on the phone.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum What {
    /// A text message.
    Text {
        /// The sent text.
        text: String,
    },
    /// A file.
    Media {
        /// `image`, `video`, `audio` or `document`.
        media: &'static str,
        /// The hash of the bytes in hex.
        sha256: String,
        /// The size in bytes.
        size: usize,
        /// The caption; may be empty.
        caption: String,
    },
    /// A location.
    Location {
        /// The latitude in degrees.
        latitude: f64,
        /// The longitude in degrees.
        longitude: f64,
        /// The name of the location; may be empty.
        name: String,
    },
    /// A contact card.
    Contact {
        /// The name on the card.
        name: String,
        /// The numbers on the card: country code first, digits only.
        numbers: Vec<String>,
    },
}

/// The state shared by all checks.
pub(crate) struct Run {
    pub(crate) host: Host,
    pub(crate) server: CallbackServer,
    /// The number that receives the messages.
    pub(crate) to: String,
    /// The group id without `@g.us`.
    pub(crate) group: String,
    /// The bot's own number.
    pub(crate) own: String,
    pub(crate) nobody: String,
    pub(crate) unlinked_key: Option<String>,
    marker: String,
    count: AtomicU32,
    pace: Duration,
    last: tokio::sync::Mutex<Option<Instant>>,
    sent: Mutex<Vec<Sent>>,
}

/// The kind of recipient.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Whom {
    Person,
    Group,
}

impl Run {
    /// Asks the host for the bot's number.
    pub(crate) async fn new(
        target: &Target,
        host: Host,
        server: CallbackServer,
    ) -> Result<Self, StartError> {
        let not_ready = |failure: Failure| match failure {
            Failure::Broken(why) | Failure::Skipped(why) => StartError::NotReady(why),
        };
        let answer = host.post("getqr").send().await.map_err(not_ready)?;
        let own = answer.success().map_err(not_ready)?["number"].as_str();
        let own = own
            .ok_or_else(|| not_ready(answer.wrong("a linked bot with its number")))?
            .to_owned();
        Ok(Self {
            host,
            marker: server.marker().to_owned(),
            server,
            to: target.to.clone(),
            group: target.group.trim_end_matches("@g.us").to_owned(),
            own,
            nobody: target.nobody.clone(),
            unlinked_key: target.unlinked_key.clone(),
            count: AtomicU32::new(0),
            pace: target.pace,
            last: tokio::sync::Mutex::new(None),
            sent: Mutex::default(),
        })
    }

    /// Returns a text that is unique in this run and all other runs.
    pub(crate) fn words(&self, what: &str) -> String {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        format!("{what} {}-{number}", self.marker)
    }

    /// Sends a body as the documented samples do, compares the answer with the API document, and
    /// returns the message id.
    pub(crate) async fn deliver(
        &self,
        endpoint: &str,
        body: &Value,
        whom: Whom,
        what: What,
    ) -> Result<String, Failure> {
        self.accepted(self.host.json(endpoint, body), whom, what)
            .await
    }

    /// Sends a request in another form, compares the answer with the API document, and returns the
    /// message id.
    pub(crate) async fn accepted(
        &self,
        ask: Ask<'_>,
        whom: Whom,
        what: What,
    ) -> Result<String, Failure> {
        self.wait_for_pace().await;
        self.held(&ask.send().await?, whom, what)
    }

    /// Compares the answer with the API document, records the accepted message, and returns the
    /// message id.
    pub(crate) fn held(&self, answer: &Answer, whom: Whom, what: What) -> Result<String, Failure> {
        let to = match whom {
            Whom::Person => format!("{}@c.us", self.to),
            Whom::Group => format!("{}@g.us", self.group),
        };
        let id = answer.sent(what.word(whom), &format!("{}@c.us", self.own), &to)?;
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        if sent.iter().any(|known| known.id == id) {
            return Err(answer.wrong("an id that is new"));
        }
        let one = Sent {
            id: id.clone(),
            to,
            what,
        };
        sent.push(one);
        Ok(id)
    }

    /// Returns the recipient's number in national form. A host that accepts this form reaches the
    /// same person.
    pub(crate) fn national(&self) -> String {
        let home = self.to.strip_prefix("62").unwrap_or(&self.to);
        format!("0{home}")
    }

    /// Sends a text to the person with the documented sample and returns the message id.
    pub(crate) async fn text(&self, text: &str) -> Result<String, Failure> {
        let body = serde_json::json!({"nohp": self.to, "pesan": text});
        self.deliver("sendwa", &body, Whom::Person, What::text(text))
            .await
    }

    /// Returns all accepted messages.
    pub(crate) fn sent(&self) -> Vec<Sent> {
        let sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        sent.clone()
    }

    /// Waits so that two messages are at least the pace apart.
    #[expect(clippy::disallowed_methods, reason = "the suite waits in real time")]
    pub(crate) async fn wait_for_pace(&self) {
        let mut last = self.last.lock().await;
        if let Some(last) = *last {
            tokio::time::sleep(self.pace.saturating_sub(last.elapsed())).await;
        }
        *last = Some(Instant::now());
    }
}

impl What {
    pub(crate) fn text(text: &str) -> Self {
        Self::Text {
            text: text.to_owned(),
        }
    }

    pub(crate) fn file(file: &File, media: &'static str, caption: &str) -> Self {
        Self::Media {
            media,
            sha256: file.sha256.clone(),
            size: file.size,
            caption: caption.to_owned(),
        }
    }

    pub(crate) fn place(latitude: f64, longitude: f64, name: &str) -> Self {
        Self::Location {
            latitude,
            longitude,
            name: name.to_owned(),
        }
    }

    pub(crate) fn card(name: &str, numbers: &[&str]) -> Self {
        Self::Contact {
            name: name.to_owned(),
            numbers: numbers.iter().map(|&number| number.to_owned()).collect(),
        }
    }

    /// Returns the documented value of `type` for the content.
    fn word(&self, whom: Whom) -> &'static str {
        match (self, whom) {
            (Self::Text { .. }, Whom::Person) => "text",
            (Self::Text { .. }, Whom::Group) | (Self::Location { .. }, _) => "chat",
            (Self::Media { media, .. }, _) => media,
            (Self::Contact { .. }, _) => "vcard",
        }
    }
}
