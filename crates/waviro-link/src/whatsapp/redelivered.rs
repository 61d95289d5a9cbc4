//! Recovers messages that the library acknowledged without reporting them.
//!
//! The library advances the Signal session when it decrypts a message, and stores the decrypted
//! message a moment later. In between, the write of another message may store the advanced session.
//! If the process is killed in between, WhatsApp redelivers the message. The library then sees a
//! used message key, treats the message as a duplicate, and acknowledges the message without a
//! report. The message would be lost.
//!
//! Therefore the module records each redelivered message until the library reports the message, or
//! reports a failed decryption and asks the sender itself. After all redelivered stanzas are
//! processed, the module asks the gateway about the remaining records. If the gateway has the
//! message, only the ack was lost. If not, the module asks the sender's phone to resend the message
//! under the same id. By then the library has acknowledged the message, so WhatsApp will not
//! redeliver the message. Therefore each record is also written to a file ([`journal`]) before the
//! library sees the stanza: if the process ends early, the next process asks the sender.

mod journal;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use whatsapp_rust::wacore_binary::node::{Attrs, Node, ValueRef};
use whatsapp_rust::wacore_binary::{OwnedNodeRef, Server};
use whatsapp_rust::{Client, RetryRequestError, RetryRequestOptions, RetryRequestOutcome};

pub(super) use self::journal::fresh;
use self::journal::{Journal, Unreported};
use super::task;
use crate::{Listener, MessageId};

/// The time without a reported message after which all redelivered messages count as processed. The
/// library reports only the arrival of all messages, not the end of the processing. The library
/// retries a failed write after three seconds.
const QUIET: Duration = Duration::from_secs(4);

/// The pause before the next lookup, if the gateway could not read its store.
const AGAIN: Duration = Duration::from_secs(30);

/// The maximum number of connections on which the module asks for a message. A request may be lost
/// with its connection. A phone that was off gets the first request when the phone is back.
const TRIES: u32 = 5;

/// The redelivered messages without a report of the library.
pub(super) struct Redelivered(Mutex<Memory>);

struct Memory {
    /// The recorded messages by message id.
    unreported: HashMap<String, Unreported>,
    journal: Journal,
    /// Counts the connections of this process.
    connection: u64,
}

impl Redelivered {
    /// Reads the records of the previous process from the file, if the file exists.
    pub(super) fn open(file: PathBuf) -> Self {
        let (journal, unreported) = Journal::open(file);
        Self(Mutex::new(Memory {
            unreported,
            journal,
            connection: 0,
        }))
    }

    /// Records a new connection, before any data is read from the connection.
    pub(super) fn connected(&self) {
        self.lock().connection += 1;
    }

    /// Records a stanza before the library processes it.
    pub(super) fn record(&self, stanza: &OwnedNodeRef) {
        // The server marks stanzas that waited for the device as "offline". Stanzas with a category
        // contain the device's own keys and syncs, not messages.
        if stanza.tag() != "message"
            || stanza.get_attr("offline").is_none()
            || stanza.get_attr("category").is_some()
            || stanza.get().get_optional_child("enc").is_none()
            || is_for_everybody(stanza)
        {
            return;
        }
        let Some(id) = stanza.get_attr("id").map(|id| id.as_str().into_owned()) else {
            return;
        };
        let mut memory = self.lock();
        // A sender can be asked only for a valid message id.
        if id.parse::<MessageId>().is_ok() && !memory.unreported.contains_key(&id) {
            let envelope = envelope(stanza);
            memory.journal.record(&envelope);
            memory.unreported.insert(id, Unreported::new(envelope));
            waviro_fault::step("redelivery recorded");
        }
    }

    /// Removes the record of a message after the library reported the message or asked the sender
    /// for a resend.
    pub(super) fn reported(&self, id: &str) {
        let mut memory = self.lock();
        if memory.unreported.remove(id).is_some() {
            memory.journal.done(id);
            memory.trim();
        }
    }

    /// Removes all records, because the bot gets a new device.
    pub(super) fn forget(&self) {
        let mut memory = self.lock();
        memory.unreported.clear();
        memory.journal.clear();
    }

    /// Asks the senders for lost messages after all waiting stanzas have arrived on the connection.
    /// A message is lost if the library has not reported the message and the gateway does not have
    /// the message. If the connection ends meanwhile, the next connection repeats the check.
    pub(super) async fn request_lost(
        &self,
        connection: u64,
        bot_id: i32,
        client: &Arc<Client>,
        listener: &dyn Listener,
    ) {
        let mut left = self.not_requested_on(connection);
        loop {
            let before = left.len();
            if before == 0 {
                return;
            }
            task::pause(QUIET).await;
            left.retain(|id| self.is_unreported(id.as_str()));
            if left.len() == before {
                break;
            }
        }
        let lost: HashSet<MessageId> = loop {
            if self.connection() != connection {
                return;
            }
            match listener.unknown(left.clone()).await {
                Ok(lost) => break lost.into_iter().collect(),
                Err(error) => {
                    tracing::warn!(bot_id, %error, "redelivered messages could not be looked up; retry scheduled");
                }
            }
            task::pause(AGAIN).await;
        };
        for id in left {
            if !lost.contains(&id) {
                metrics::counter!("waviro_link_redelivered_total").increment(1);
                tracing::debug!(
                    bot_id,
                    msgid = id.as_str(),
                    "redelivered message is already stored"
                );
                self.reported(id.as_str());
            } else if !self.request(bot_id, client, id.as_str(), connection).await {
                return;
            }
        }
    }

    /// Asks the sender for a message. Returns false if the connection can no longer be used.
    async fn request(
        &self,
        bot_id: i32,
        client: &Arc<Client>,
        msgid: &str,
        connection: u64,
    ) -> bool {
        if self.connection() != connection {
            return false;
        }
        let Some(left) = self.lock().unreported.get(msgid).cloned() else {
            // The message arrived in the meantime.
            return true;
        };
        if left.requests >= TRIES {
            tracing::error!(
                bot_id,
                msgid,
                "resend requested several times, message not received; giving up"
            );
            self.reported(msgid);
            return true;
        }
        metrics::counter!("waviro_link_asked_again_total").increment(1);
        tracing::info!(
            bot_id,
            msgid,
            "message was acknowledged before it was stored; requesting a resend"
        );
        let outcome = client
            .request_message_retry(&left.envelope.as_node_ref(), RetryRequestOptions::new())
            .await;
        match outcome {
            Ok(RetryRequestOutcome::Suppressed { .. }) => {
                tracing::error!(
                    bot_id,
                    msgid,
                    "WhatsApp has no resend request for this kind of message"
                );
                self.reported(msgid);
            }
            // After too many requests within an hour the library sends none; a later hour or
            // process continues.
            Ok(_) => self.requested(msgid, connection),
            Err(
                error @ (RetryRequestError::UnsupportedStanzaClass
                | RetryRequestError::MissingAttribute(_)
                | RetryRequestError::InvalidStanza(_)),
            ) => {
                tracing::error!(bot_id, msgid, %error, "resend cannot be requested for this stanza");
                self.reported(msgid);
            }
            Err(RetryRequestError::Internal(error)) => {
                tracing::warn!(bot_id, msgid, %error, "resend request failed; retry on the next connection");
                self.requested(msgid, connection);
            }
            Err(error) => {
                tracing::warn!(bot_id, msgid, %error, "resend request not sent; retry on the next connection");
                return false;
            }
        }
        true
    }

    /// Returns the number of the newest connection.
    pub(super) fn connection(&self) -> u64 {
        self.lock().connection
    }

    fn not_requested_on(&self, connection: u64) -> Vec<MessageId> {
        let memory = self.lock();
        let left = memory.unreported.iter();
        left.filter(|(_, left)| left.requested_on != connection)
            .filter_map(|(id, _)| id.parse().ok())
            .collect()
    }

    fn is_unreported(&self, id: &str) -> bool {
        self.lock().unreported.contains_key(id)
    }

    fn requested(&self, id: &str, connection: u64) {
        let mut memory = self.lock();
        // A message that arrived in the meantime has no record any more.
        if let Some(left) = memory.unreported.get_mut(id) {
            left.requests += 1;
            left.requested_on = connection;
            memory.journal.requested(id);
            memory.trim();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    /// Removes processed records from the file if the file is too long.
    fn trim(&mut self) {
        self.journal.trim(&self.unreported);
    }
}

/// Returns true for stanzas of channels and statuses, because the gateway handles no such messages.
fn is_for_everybody(stanza: &OwnedNodeRef) -> bool {
    let from = stanza.get_attr("from").and_then(ValueRef::to_jid);
    from.is_some_and(|from| matches!(from.server, Server::Newsletter | Server::Broadcast))
}

fn envelope(stanza: &OwnedNodeRef) -> Node {
    let stanza = stanza.get();
    let mut attributes = Attrs::with_capacity(stanza.attrs.len());
    for (name, value) in stanza.attrs_iter() {
        attributes.push_value(name.to_string(), value.to_node_value());
    }
    Node::new("message", attributes, None)
}
