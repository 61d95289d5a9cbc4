//! Sends the answer of a webhook to the chat.
//!
//! The chat wrote a moment ago, so the number is not looked up. The duplicate rule does not apply,
//! because the sample answer of the API document has the same text three times. All messages enter
//! the queue in one transaction with the end of the delivery.

use std::sync::Arc;
use std::time::Duration;

use waviro_fault::Bug;
use waviro_link::{Chat, Content, MediaKind, Outgoing};
use waviro_store::{NewMessageRow, ReplyNote, ReplyOutcome, StoreError};

use super::draft::captioned;
use super::media::{MediaUse, NotTaken, Unclaimed, Wanted};
use super::shared::Outbox;
use crate::bots::Bot;
use crate::net::{FetchError, NetError};
use crate::webhook_reply::{Item, Parsed};

/// Pauses before the retries of a failed file fetch. No HTTP request is open here, but the rest of
/// the answer waits.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];

/// The messages of a webhook's answer.
#[derive(Debug, Clone)]
pub enum Composed {
    /// The messages to send.
    Messages(Composition),
    /// No message, for this reason.
    Nothing(ReplyNote),
}

/// The messages of an answer, with their files in the spool.
#[derive(Debug, Clone)]
pub struct Composition {
    rows: Vec<NewMessageRow>,
    note: ReplyNote,
    /// The files of the messages. Holding the files keeps the sweep away: the first file may be
    /// much older than the last.
    files: Vec<Unclaimed>,
}

impl Outbox {
    /// Builds the messages of a webhook's answer and fetches the files. Call this once for an
    /// answer. Items that cannot be sent are left out and listed in the note.
    pub async fn compose_reply(&self, bot: &Arc<Bot>, to: &Chat, parsed: &Parsed) -> Composed {
        // The epoch is read before any fetch. If the bot is unlinked in between, the lane notices
        // the older epoch.
        let (epoch, ended) = {
            let history = bot.history();
            let history = history.borrow();
            let failure = history.end_failure.clone();
            (history.epoch, failure.filter(|_| history.ended))
        };
        if let Some(failure) = ended {
            return Composed::Nothing(ReplyNote::nothing_sent(
                ReplyOutcome::NotLinked,
                format!("the bot is not linked ({failure})"),
            ));
        }
        let skipped = parsed.skipped.iter();
        let mut left_out: Vec<String> = skipped
            .map(|skipped| format!("item {}: {}", skipped.position, skipped.why))
            .collect();
        let (mut outgoing, mut files) = (Vec::new(), Vec::new());
        for item in &parsed.items {
            match self.compose(bot, item, to).await {
                Ok((messages, file)) => {
                    outgoing.extend(messages);
                    files.extend(file);
                }
                Err(why) => left_out.push(why),
            }
        }
        if waviro_fault::planted(Bug::RepliesTwice) {
            let again = outgoing.clone().into_iter();
            outgoing.extend(again.map(|message| Outgoing {
                id: self.fresh_id(),
                ..message
            }));
        }
        if outgoing.is_empty() {
            let why = left_out.join("; ");
            let note = ReplyNote::nothing_sent(ReplyOutcome::AllLeftOut, why);
            return Composed::Nothing(note);
        }
        let (count, now) = (outgoing.len(), self.0.clock.now());
        let note = ReplyNote::sent(count, &left_out, parsed.tolerant);
        let rows = outgoing
            .into_iter()
            .map(|message| NewMessageRow::new(bot.id(), message, None, now, epoch));
        let rows = rows.collect();
        waviro_fault::step("reply composed");
        Composed::Messages(Composition { rows, note, files })
    }

    /// Enqueues the messages and ends the `delivery` in one transaction. Returns the number of
    /// messages. A second call with the same messages is allowed: a delivery that has ended is
    /// skipped. The messages are also enqueued while the bot is reconnecting, without a limit of
    /// time.
    ///
    /// # Errors
    /// Any [`StoreError`]. Then the messages may or may not be in the queue, so the files stay. The
    /// hourly sweep removes files without a message.
    pub async fn queue_reply(
        &self,
        bot: &Arc<Bot>,
        delivery: i64,
        composed: &Composition,
    ) -> Result<usize, StoreError> {
        let Composition { rows, note, files } = composed.clone();
        // The store may commit the messages even if this call fails, so the files must stay from
        // here on.
        files.iter().for_each(Unclaimed::claim);
        let (count, now) = (rows.len(), self.0.clock.now());
        let store = &self.0.store;
        store.reply(delivery, rows, note, now, bot.lane()).await?;
        Ok(count)
    }

    /// Builds the messages of one item and fetches its file. An item is one message, or an audio
    /// followed by its caption as a text.
    async fn compose(
        &self,
        bot: &Bot,
        item: &Item,
        to: &Chat,
    ) -> Result<(Vec<Outgoing>, Option<Unclaimed>), String> {
        let outgoing = |id, content| Outgoing {
            id,
            to: to.clone(),
            content,
        };
        let (url, caption, meant) = match item {
            Item::Ready(content) => {
                return Ok((vec![outgoing(self.fresh_id(), content.clone())], None));
            }
            Item::File { kind, url, caption } => match kind {
                MediaKind::Document => (url, caption, MediaUse::Document),
                MediaKind::Image | MediaKind::Video | MediaKind::Audio => {
                    (url, caption, MediaUse::Displayed)
                }
            },
            Item::Card { url } => (url, &None, MediaUse::Card),
        };
        let wanted = Wanted {
            bot: bot.id(),
            url,
            meant,
        };
        let id = self.fresh_id();
        let mut pauses = PAUSES.iter();
        let (mut media, file) = loop {
            let fetch = self.0.fetches.wait(bot.id()).await;
            let rooms = (&self.0.store, &self.0.net);
            let taken = self.0.spool.take(rooms, wanted, bot, id.as_str());
            let taken = taken.await;
            drop(fetch);
            match taken {
                Ok(taken) => break taken,
                Err(NotTaken::Fetch(error)) if may_pass(&error) => match pauses.next() {
                    Some(pause) => self.0.clock.sleep(*pause).await,
                    None => return Err(unfetched(url, &error)),
                },
                Err(NotTaken::Fetch(error)) => return Err(unfetched(url, &error)),
                Err(NotTaken::TooMany) => {
                    return Err("a file: too many of the bot's wait until they are sent".to_owned());
                }
                Err(NotTaken::Disk) => return Err("a file: the disk is almost full".to_owned()),
            }
        };
        if matches!(meant, MediaUse::Document | MediaUse::Card) {
            // The item asks for a document, so even a picture is sent as a document.
            media.kind = MediaKind::Document;
            media.voice = false;
        }
        let (content, rest) = captioned(media, caption.clone());
        let mut messages = vec![outgoing(id, content)];
        if let Some(text) = rest {
            messages.push(outgoing(self.fresh_id(), Content::Text(text)));
        }
        Ok((messages, Some(file)))
    }
}

/// Describes the failed fetch with the host of the file. The whole URL may contain a secret.
fn unfetched(url: &url::Url, error: &FetchError) -> String {
    let host = url.host_str().unwrap_or_default();
    format!("a file of {host}: {error}")
}

/// Returns whether a retry may succeed.
fn may_pass(error: &FetchError) -> bool {
    match error {
        FetchError::Status(status) => *status >= 500 || *status == 429,
        FetchError::Net(NetError::Unreachable(_) | NetError::TimedOut(_)) => true,
        _ => false,
    }
}
