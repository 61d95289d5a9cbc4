//! One run: the host, what has been sent to it, and words that no message had before.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;

use crate::answer::{Answer, Failure};
use crate::ear::{Ear, File};
use crate::host::{Ask, Host};
use crate::{StartError, Target};

/// A message that the host accepted.
#[derive(Debug, Clone, Serialize)]
pub struct Sent {
    /// Its id.
    pub id: String,
    /// `…@c.us` or `…@g.us`.
    pub to: String,
    /// What the phone must show.
    #[serde(flatten)]
    pub what: What,
}

/// What a phone must show.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum What {
    /// A text.
    Text {
        /// As it was sent.
        text: String,
    },
    /// A file.
    Media {
        /// `image`, `video`, `audio` or `document`.
        media: &'static str,
        /// Of its bytes, in hex.
        sha256: String,
        /// Bytes.
        size: usize,
        /// Empty where there is none.
        caption: String,
    },
    /// A place.
    Location {
        /// Degrees.
        latitude: f64,
        /// Degrees.
        longitude: f64,
        /// Empty where there is none.
        name: String,
    },
    /// A contact's card.
    Contact {
        /// Whose.
        name: String,
        /// Country code first, digits only.
        numbers: Vec<String>,
    },
}

/// What a check works with.
pub(crate) struct Run {
    pub(crate) host: Host,
    pub(crate) ear: Ear,
    /// The number that is written to.
    pub(crate) to: String,
    /// The group's id without `@g.us`.
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

/// Whom a message goes to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Whom {
    Person,
    Group,
}

impl Run {
    /// Asks whose bot it is.
    pub(crate) async fn new(target: &Target, host: Host, ear: Ear) -> Result<Self, StartError> {
        let not_ready = |failure: Failure| match failure {
            Failure::Broken(why) | Failure::Skipped(why) => StartError::NotReady(why),
        };
        let answer = host.post("getqr").send().await.map_err(not_ready)?;
        let own = answer.success().map_err(not_ready)?["number"].as_str();
        let own = own
            .ok_or_else(|| not_ready(answer.wrong("a bot that is linked, with its number")))?
            .to_owned();
        Ok(Self {
            host,
            marker: ear.marker().to_owned(),
            ear,
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

    /// Words that no message had before, in this run or another.
    pub(crate) fn words(&self, what: &str) -> String {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        format!("{what} {}-{number}", self.marker)
    }

    /// Sends a body as the document's samples do and holds the answer to the document; the message's id.
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

    /// The same with a request in another form.
    pub(crate) async fn accepted(
        &self,
        ask: Ask<'_>,
        whom: Whom,
        what: What,
    ) -> Result<String, Failure> {
        self.wait_for_pace().await;
        self.held(&ask.send().await?, whom, what)
    }

    /// Holds the answer to the document and keeps what was accepted; the message's id.
    pub(crate) fn held(&self, answer: &Answer, whom: Whom, what: What) -> Result<String, Failure> {
        let to = match whom {
            Whom::Person => format!("{}@c.us", self.to),
            Whom::Group => format!("{}@g.us", self.group),
        };
        let id = answer.sent(what.word(whom), &format!("{}@c.us", self.own), &to)?;
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        if sent.iter().any(|known| known.id == id) {
            return Err(answer.wrong("an id that no message had before"));
        }
        let one = Sent {
            id: id.clone(),
            to,
            what,
        };
        sent.push(one);
        Ok(id)
    }

    /// The number that is written to as people write it at home: a host that takes it writes to nobody else.
    pub(crate) fn national(&self) -> String {
        let home = self.to.strip_prefix("62").unwrap_or(&self.to);
        format!("0{home}")
    }

    /// Sends a text to the person by the document's sample; its id.
    pub(crate) async fn text(&self, text: &str) -> Result<String, Failure> {
        let body = serde_json::json!({"nohp": self.to, "pesan": text});
        self.deliver("sendwa", &body, Whom::Person, What::text(text))
            .await
    }

    /// Everything that was accepted.
    pub(crate) fn sent(&self) -> Vec<Sent> {
        let sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        sent.clone()
    }

    /// Leaves at least the pace between two messages.
    #[expect(clippy::disallowed_methods, reason = "time itself is waited for")]
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

    /// The document's word for it in `type`.
    fn word(&self, whom: Whom) -> &'static str {
        match (self, whom) {
            (Self::Text { .. }, Whom::Person) => "text",
            (Self::Text { .. }, Whom::Group) | (Self::Location { .. }, _) => "chat",
            (Self::Media { media, .. }, _) => media,
            (Self::Contact { .. }, _) => "vcard",
        }
    }
}
