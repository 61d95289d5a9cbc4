//! The state of a run: the host, the sent messages, and texts that are unique per message.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;

use crate::answer::Answer;
use crate::callback_server::CallbackServer;
use crate::failure::Failure;
use crate::host::Host;
use crate::sent::{Sent, What};
use crate::target::{StartError, Target};

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
