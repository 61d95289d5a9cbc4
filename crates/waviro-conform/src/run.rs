//! The state of a run: the host, the sent messages, and texts that are unique per message.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;

use crate::answer::{Answer, Failure};
use crate::callback_server::{CallbackServer, File};
use crate::host::Host;
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

/// The kinds of files.
const MEDIA: [&str; 4] = ["image", "video", "audio", "document"];

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
    unlinked_key: Option<String>,
    marker: String,
    count: AtomicU32,
    pace: Duration,
    last: tokio::sync::Mutex<Option<Instant>>,
    sent: Mutex<Vec<Sent>>,
}

/// The recipient of a message.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Recipient {
    /// The person of `--to`.
    Person,
    /// The group of `--group`.
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
        let answer = host.send(&host.post("getqr")).await.map_err(not_ready)?;
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

    /// Returns the key of the unlinked bot.
    pub(crate) fn unlinked_key(&self) -> Result<String, Failure> {
        self.unlinked_key.clone().ok_or_else(|| {
            Failure::Skipped("needs an unlinked bot; give its key with --unlinked-key".to_owned())
        })
    }

    /// Returns a text that is unique in this run and all other runs.
    pub(crate) fn words(&self, what: &str) -> String {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        format!("{what} {}-{number}", self.marker)
    }

    /// Compares the answer to a sent message with the API document, and records the message. `kind`
    /// is the documented `type`. Returns the message id.
    pub(crate) fn accept(
        &self,
        answer: &Answer,
        recipient: Recipient,
        kind: &str,
        what: What,
    ) -> Result<String, Failure> {
        let to = match recipient {
            Recipient::Person => format!("{}@c.us", self.to),
            Recipient::Group => format!("{}@g.us", self.group),
        };
        let id = answer.sent(kind, &format!("{}@c.us", self.own), &to)?;
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        if sent.iter().any(|known| known.id == id) {
            return Err(answer.wrong("an id that is new"));
        }
        let id_of_caller = id.clone();
        sent.push(Sent { id, to, what });
        Ok(id_of_caller)
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
    /// Reads the content from the body of a request, and the file from the file of the request.
    pub(crate) fn of(body: &Value, file: Option<&File>, kind: &str) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let degrees = |value: &Value| {
            let written = value.as_str().and_then(|text| text.parse().ok());
            value.as_f64().or(written).unwrap_or(f64::NAN)
        };
        let contact = body.get("contact").or_else(|| body.get("Contact"));
        if let Some(contact) = contact {
            let parsed = contact.as_str().map(serde_json::from_str);
            let contact = parsed.and_then(Result::ok).unwrap_or(contact.clone());
            let numbers = contact["numbers"].as_array().cloned();
            let numbers = numbers.unwrap_or_else(|| vec![contact["numbers"].clone()]);
            Self::Contact {
                name: text(&contact["name"]),
                numbers: numbers.iter().map(text).collect(),
            }
        } else if let Some(file) = file {
            Self::Media {
                media: MEDIA.into_iter().find(|media| *media == kind).unwrap_or(""),
                sha256: file.sha256.clone(),
                size: file.size,
                caption: text(&body["pesan"]),
            }
        } else if body.get("latitude").is_some() {
            Self::Location {
                latitude: degrees(&body["latitude"]),
                longitude: degrees(&body["longitude"]),
                name: text(&body["pesan"]),
            }
        } else {
            Self::Text {
                text: text(&body["pesan"]),
            }
        }
    }
}
