//! Accepting a message: everything that is asked before, and the transaction.

use std::sync::Arc;

use tracing::error;
use waviro_link::{Chat, Content, MediaKind, MessageId, Outgoing};

use super::media::{Meant, Unclaimed, Wanted};
use super::{Accepted, Draft, NewMessage, NoRoom, Outbox, Refusal};
use crate::bots::Bot;
use crate::clock::Millis;
use crate::store::{Accepting, KeepingAnswer, KeptAnswer, NewMessageRow, StoreError};

/// What a message was taken as, under an Idempotency-Key.
#[derive(Debug, Clone, PartialEq)]
pub enum Taken {
    /// It is new.
    New(Accepted),
    /// It was accepted before, and answered so. Nothing else is sent.
    Before(KeptAnswer),
}

/// A draft as it can be sent.
struct Ready {
    content: Content,
    /// What has to follow as a text of its own.
    rest: Option<String>,
    /// Its file, until the message is written.
    file: Option<Unclaimed>,
}

/// Makes of a message the answer to keep.
pub type Keep<'k> = &'k (dyn Fn(&Accepted) -> KeepingAnswer + Send + Sync);

impl Outbox {
    /// Takes a message in. Durable and in the bot's queue when this returns `Ok`.
    ///
    /// # Errors
    /// [`Refusal`]; nothing will be sent then.
    pub async fn accept(&self, bot: &Arc<Bot>, message: NewMessage) -> Result<Accepted, Refusal> {
        match self.take(bot, message, None).await? {
            Taken::New(accepted) => Ok(accepted),
            // Nothing is kept without a key.
            Taken::Before(_) => {
                let odd = "an answer that nobody kept".to_owned();
                Err(StoreError::Unreadable(odd).into())
            }
        }
    }

    /// The same for a request with an Idempotency-Key: `keep` makes of the message the answer that is kept with it, in one
    /// transaction.
    ///
    /// # Errors
    /// As [`Outbox::accept`].
    pub async fn accept_once(
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
        // The lookup may have taken its time: what counts is the link as it is now. The epoch is read before the state,
        // so that an end between the two is found out by the lane.
        let epoch = bot.marks().borrow().epoch;
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
                NewMessageRow::new(bot.slot(), outgoing, message.notify_url.as_ref(), at, epoch)?
                    .repeats(settings.repeats(at));
            // Once the store has it, it may be committed though nobody waits any more.
            if let Some(file) = &file {
                file.claim();
            }
            let accepting = match keep {
                Some(keep) => {
                    let keeping = keep(&accepted);
                    self.0.store.accept_once(row, keeping, bot.lane()).await
                }
                None => self.0.store.accept(row, bot.lane()).await,
            };
            match accepting {
                Ok(Accepting::Taken) => break Ok(Taken::New(accepted)),
                Ok(Accepting::Before(kept)) => break Ok(Taken::Before(kept)),
                Ok(Accepting::Duplicate { of }) => break Err(Refusal::Duplicate { of }),
                // The id is taken, which 64 random bits make rare: another one.
                Err(StoreError::Refused(_)) if self.0.store.message(&id).await?.is_some() => {
                    id = self.fresh_id();
                }
                Err(error) => break Err(error.into()),
            }
        };
        if !matches!(accepted, Ok(Taken::New(_))) {
            self.let_go(&content).await;
            return accepted;
        }
        if let Some(text) = rest {
            self.follow(bot, &to, text, at, epoch).await;
        }
        accepted
    }

    /// A draft as it can be sent. A file is durable after this, and goes again where its caller goes.
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
        let fetch = self.0.fetches.take(bot.slot());
        let _fetch = fetch.map_err(|none| Refusal::NoRoom(NoRoom::Fetches(none)))?;
        let (spool, rooms) = (&self.0.spool, (&self.0.store, &self.0.net));
        let wanted = Wanted {
            bot: bot.slot(),
            url: &url,
            meant: Meant::Anything,
        };
        let taken = spool.take(rooms, wanted, bot, id.as_str()).await;
        let (mut media, file) = taken.map_err(|none| self.0.refusal(none))?;
        let rest = if media.kind == MediaKind::Audio {
            caption
        } else {
            media.caption = caption;
            None
        };
        Ok(Ready {
            content: Content::Media(Box::new(media)),
            rest,
            file: Some(file),
        })
    }

    /// The text that a song cannot carry, right after it. The song is accepted by now, so this can only be told in the log.
    async fn follow(&self, bot: &Arc<Bot>, to: &Chat, text: String, at: Millis, epoch: u64) {
        let outgoing = Outgoing {
            id: self.fresh_id(),
            to: to.clone(),
            content: Content::Text(text),
        };
        let accepting = async {
            let repeats = bot.settings().repeats(at);
            let row = NewMessageRow::new(bot.slot(), outgoing, None, at, epoch)?.repeats(repeats);
            self.0.store.accept(row, bot.lane()).await
        };
        if let Err(reason) = accepting.await {
            error!(bot = bot.name(), %reason, "the text after an audio was not accepted");
        }
    }
}
