//! Accepts a message: the checks before the transaction, the fetch of the file, and the
//! transaction.

use std::sync::Arc;

use tracing::error;
use waviro_link::{Chat, Content, MessageId, Outgoing};
use waviro_store::clock::Millis;
use waviro_store::{Accepting, KeepingAnswer, KeptAnswer, NewMessageRow, StoreError};

use super::draft::{Accepted, Draft, NewMessage, captioned};
use super::media::{MediaUse, Unclaimed, Wanted};
use super::refusal::{NoRoom, Refusal};
use super::shared::Outbox;
use crate::bots::Bot;

/// The result of accepting a message under an Idempotency-Key.
#[derive(Debug, Clone, PartialEq)]
pub enum Taken {
    /// A new message was accepted.
    New(Accepted),
    /// An earlier request with the same key was accepted, with this answer. Nothing else is sent.
    Before(KeptAnswer),
}

/// A draft with its file fetched.
struct Ready {
    content: Content,
    /// Text to send as a message of its own.
    rest: Option<String>,
    /// The fetched file, until the message is written.
    file: Option<Unclaimed>,
}

/// Builds the answer to store with an accepted message.
pub type Keep<'k> = &'k (dyn Fn(&Accepted) -> KeepingAnswer + Send + Sync);

impl Outbox {
    /// Accepts a message. When this returns `Ok`, the message is durable and in the bot's queue.
    ///
    /// # Errors
    /// [`Refusal`]; then nothing will be sent.
    pub async fn accept(&self, bot: &Arc<Bot>, message: NewMessage) -> Result<Accepted, Refusal> {
        match self.take(bot, message, None).await? {
            Taken::New(accepted) => Ok(accepted),
            // Without a key no earlier answer is stored.
            Taken::Before(_) => {
                let odd = "a stored response without an idempotency key".to_owned();
                Err(StoreError::Unreadable(odd).into())
            }
        }
    }

    /// Accepts a message of a request with an Idempotency-Key. `keep` builds the answer from the
    /// accepted message; the answer is stored with the message in one transaction.
    ///
    /// # Errors
    /// The same as [`Outbox::accept`].
    pub async fn accept_with_key(
        &self,
        bot: &Arc<Bot>,
        message: NewMessage,
        keep: Keep<'_>,
    ) -> Result<Taken, Refusal> {
        self.take(bot, message, Some(keep)).await
    }

    async fn take(
        &self,
        bot: &Arc<Bot>,
        message: NewMessage,
        keep: Option<Keep<'_>>,
    ) -> Result<Taken, Refusal> {
        let accepted = self.try_taking(bot, message, keep).await;
        let outcome = match &accepted {
            Ok(Taken::New(_)) => "accepted",
            Ok(Taken::Before(_)) => "before",
            Err(Refusal::NotConnected(_)) => "not_connected",
            Err(Refusal::NotRegistered) => "not_registered",
            Err(Refusal::NotInGroup) => "not_in_group",
            Err(Refusal::Duplicate { .. }) => "duplicate",
            Err(Refusal::LookupFailed(_)) => "lookup_failed",
            Err(Refusal::NoFile(_)) => "no_file",
            Err(Refusal::NoRoom(_)) => "no_room",
            Err(Refusal::Busy) => "busy",
            Err(Refusal::Storage(_)) => "storage",
        };
        metrics::counter!("waviro_messages_offered_total", "outcome" => outcome).increment(1);
        accepted
    }

    async fn try_taking(
        &self,
        bot: &Arc<Bot>,
        message: NewMessage,
        keep: Option<Keep<'_>>,
    ) -> Result<Taken, Refusal> {
        self.connected(bot)?;
        match &message.to {
            Chat::Person(number) => {
                if !self.0.lookup.is_registered(bot, number).await? {
                    return Err(Refusal::NotRegistered);
                }
            }
            Chat::Group(group) => {
                let ask = || bot.is_in(group, &self.0.clock);
                if !self.0.lookup.patiently(bot, ask).await? {
                    return Err(Refusal::NotInGroup);
                }
            }
            Chat::Hidden(_) => {}
        }
        // The lookup may have taken some time, so the link is checked again. The epoch is read
        // before the state: if the bot is unlinked between the two reads, the lane notices the
        // older epoch.
        let epoch = bot.history().borrow().epoch;
        self.connected(bot)?;
        let from = bot
            .identity()
            .ok_or_else(|| Refusal::NotConnected(bot.status()))?
            .number;
        let mut id = self.fresh_id();
        let settings = bot.settings();
        let Ready {
            content,
            rest,
            file,
        } = self.ready(bot, message.content, &id).await?;
        let at = self.0.clock.now();
        let to = message.to;
        let accepted = loop {
            let outgoing = Outgoing {
                id: id.clone(),
                to: to.clone(),
                content: content.clone(),
            };
            let accepted = Accepted {
                id: id.clone(),
                at,
                from: from.clone(),
                to: to.clone(),
                content: content.clone(),
            };
            let row =
                NewMessageRow::new(bot.id(), outgoing, message.notify_url.as_ref(), at, epoch)
                    .repeats(settings.repeats(at));
            // The store may commit the row even if the caller no longer waits, so the file must
            // stay from here on.
            if let Some(file) = &file {
                file.claim();
            }
            let keeping = keep.map(|keep| keep(&accepted));
            match self.0.store.accept(row, keeping, bot.lane()).await {
                Ok(Accepting::Taken) => break Ok(Taken::New(accepted)),
                Ok(Accepting::Before(kept)) => break Ok(Taken::Before(kept)),
                Ok(Accepting::Duplicate { of }) => break Err(Refusal::Duplicate { of }),
                // The id is already used, which is rare with 64 random bits. Retry with another id.
                Err(StoreError::Refused(_)) if self.0.store.message(&id).await?.is_some() => {
                    id = self.fresh_id();
                }
                Err(error) => break Err(error.into()),
            }
        };
        if !matches!(accepted, Ok(Taken::New(_))) {
            self.remove_file(&content).await;
            return accepted;
        }
        if let Some(text) = rest {
            self.follow(bot, &to, text, at, epoch).await;
        }
        accepted
    }

    /// Fetches the file of a draft. The file is durable afterwards, and is removed if the caller
    /// stops waiting.
    async fn ready(&self, bot: &Bot, draft: Draft, id: &MessageId) -> Result<Ready, Refusal> {
        let (url, caption) = match draft {
            Draft::Ready(content) => {
                return Ok(Ready {
                    content,
                    rest: None,
                    file: None,
                });
            }
            Draft::File { url, caption } => (url, caption),
        };
        let fetch = self.0.fetches.take(bot.id());
        let _fetch = fetch.map_err(|none| Refusal::NoRoom(NoRoom::Fetches(none)))?;
        let (spool, rooms) = (&self.0.spool, (&self.0.store, &self.0.net));
        let wanted = Wanted {
            bot: bot.id(),
            url: &url,
            meant: MediaUse::Anything,
        };
        let taken = spool.take(rooms, wanted, bot, id.as_str()).await;
        let (media, file) = taken.map_err(|none| self.0.refusal(none))?;
        let (content, rest) = captioned(media, caption);
        Ok(Ready {
            content,
            rest,
            file: Some(file),
        })
    }

    /// Sends the caption of an audio as a text message right after the audio. The audio is already
    /// accepted, so a failure is only logged.
    async fn follow(&self, bot: &Arc<Bot>, to: &Chat, text: String, at: Millis, epoch: u64) {
        let outgoing = Outgoing {
            id: self.fresh_id(),
            to: to.clone(),
            content: Content::Text(text),
        };
        let repeats = bot.settings().repeats(at);
        let row = NewMessageRow::new(bot.id(), outgoing, None, at, epoch).repeats(repeats);
        if let Err(reason) = self.0.store.accept(row, None, bot.lane()).await {
            error!(bot = bot.name(), %reason, "text after an audio could not be stored");
        }
    }
}
