//! Messages that WhatsApp delivers again and that the library takes for done.
//!
//! The library moves a Signal session on when it decrypts a message, and keeps the message itself a moment later. Between the two
//! another message's write may save that session. A kill there leaves a session that is past a message which nobody has:
//! WhatsApp delivers it again, the library finds its key used up, and acknowledges what it never told.
//!
//! So everything that comes again is remembered until the library tells of it, or says that it cannot read it (it asks for those
//! itself). When all is worked off, the gateway is asked about what is left, and what it does not have is asked for anew: its
//! sender's phone sends it again under the same id. What the gateway has only lacked its ack. The library has acknowledged all of
//! it by then, so what is remembered is in a file too, before the library sees it ([`journal`]): the next process asks where
//! this one could not.

mod journal;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use whatsapp_rust::wacore_binary::node::{Attrs, Node, ValueRef};
use whatsapp_rust::wacore_binary::{OwnedNodeRef, Server};
use whatsapp_rust::{Client, RetryRequestError, RetryRequestOptions, RetryRequestOutcome};

use self::journal::Journal;
pub(super) use self::journal::fresh;
use super::device;
use crate::{Listener, MessageId};

/// The library says when all has come, not when it has worked it off: that is where it tells of none of it for so long. What it
/// could not keep at once it tries again after three seconds.
const QUIET: Duration = Duration::from_secs(4);

/// Until the gateway is asked again where it could not say what it has.
const AGAIN: Duration = Duration::from_secs(30);

/// On so many connections a message is asked for. An ask may be lost with its connection; a phone that was off hears the first
/// one when it is back.
const TRIES: u32 = 5;

/// What has come again, and was not told of yet.
pub(super) struct Redelivered(Mutex<Memory>);

struct Memory {
    /// By the message's id.
    left: HashMap<String, Left>,
    journal: Journal,
    /// Counts this process's connections.
    connection: u64,
}

#[derive(Debug, Clone)]
struct Left {
    /// Whom to ask, and for what: the stanza without what is in it, which may be large.
    envelope: Node,
    /// On how many connections it was asked for.
    asked: u32,
    /// On which of this process's it was last; 0 for none.
    asked_on: u64,
}

impl Redelivered {
    /// With what the process before left in the file, which need not be there.
    pub(super) fn open(file: PathBuf) -> Self {
        let (journal, left) = Journal::open(file);
        Self(Mutex::new(Memory {
            left,
            journal,
            connection: 0,
        }))
    }

    /// A new connection is open, and nothing was read from it yet.
    pub(super) fn connected(&self) {
        self.lock().connection += 1;
    }

    /// A stanza came, and the library has not looked at it.
    pub(super) fn came(&self, stanza: &OwnedNodeRef) {
        // The server's mark on what waited for the device. The device's own keys and syncs are no messages to anybody.
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
        // What is no id of a message, nobody can be asked for.
        if id.parse::<MessageId>().is_ok() && !memory.left.contains_key(&id) {
            let envelope = envelope(stanza);
            memory.journal.came(&envelope);
            memory.left.insert(id, Left::new(envelope));
            waviro_fault::step("came again");
        }
    }

    /// The library told of this message, or asks for it itself.
    pub(super) fn told(&self, id: &str) {
        let mut memory = self.lock();
        if memory.left.remove(id).is_some() {
            memory.journal.done(id);
            memory.trim();
        }
    }

    /// The device is another: what came for the one before is nobody's.
    pub(super) fn forget(&self) {
        let mut memory = self.lock();
        memory.left.clear();
        memory.journal.clear();
    }

    /// All that waited has come on this connection. Asks for what the library has passed over and the gateway does not have.
    /// Where the connection ends meanwhile, it is for the look on the next one.
    pub(super) async fn ask_for_lost(
        &self,
        connection: u64,
        slot: i32,
        client: &Arc<Client>,
        listener: &dyn Listener,
    ) {
        let mut left = self.not_asked_for(connection);
        loop {
            let before = left.len();
            if before == 0 {
                return;
            }
            device::pause(QUIET).await;
            left.retain(|id| self.is_left(id.as_str()));
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
                    tracing::warn!(slot, %error, "what was delivered again could not be looked up; it is in a while");
                }
            }
            device::pause(AGAIN).await;
        };
        for id in left {
            if !lost.contains(&id) {
                metrics::counter!("waviro_link_redelivered_total").increment(1);
                tracing::debug!(
                    slot,
                    msgid = id.as_str(),
                    "a message came again that is kept"
                );
                self.told(id.as_str());
            } else if !self.ask(slot, client, id.as_str(), connection).await {
                return;
            }
        }
    }

    /// Whether it makes sense to go on with others.
    async fn ask(&self, slot: i32, client: &Arc<Client>, msgid: &str, connection: u64) -> bool {
        if self.connection() != connection {
            return false;
        }
        let Some(left) = self.lock().left.get(msgid).cloned() else {
            // It came in the meantime.
            return true;
        };
        if left.asked >= TRIES {
            tracing::error!(slot, msgid, "a message was asked for and never came");
            self.told(msgid);
            return true;
        }
        metrics::counter!("waviro_link_asked_again_total").increment(1);
        tracing::info!(
            slot,
            msgid,
            "a message was acknowledged before it was kept: asking for it again"
        );
        let asked = client
            .request_message_retry(&left.envelope.as_node_ref(), RetryRequestOptions::new())
            .await;
        match asked {
            Ok(RetryRequestOutcome::Suppressed { .. }) => {
                tracing::error!(slot, msgid, "the protocol does not ask for such a message");
                self.told(msgid);
            }
            // Where it was asked for too often within the hour, another hour or process goes on.
            Ok(_) => self.asked(msgid, connection),
            Err(
                error @ (RetryRequestError::UnsupportedStanzaClass
                | RetryRequestError::MissingAttribute(_)
                | RetryRequestError::InvalidStanza(_)),
            ) => {
                tracing::error!(slot, msgid, %error, "nobody can be asked for it");
                self.told(msgid);
            }
            Err(RetryRequestError::Internal(error)) => {
                tracing::warn!(slot, msgid, %error, "it could not be asked for; it is on the next connection");
                self.asked(msgid, connection);
            }
            Err(error) => {
                tracing::warn!(slot, msgid, %error, "nothing can be asked for; it is on the next connection");
                return false;
            }
        }
        true
    }

    /// The newest connection.
    pub(super) fn connection(&self) -> u64 {
        self.lock().connection
    }

    fn not_asked_for(&self, connection: u64) -> Vec<MessageId> {
        let memory = self.lock();
        let left = memory.left.iter();
        left.filter(|(_, left)| left.asked_on != connection)
            .filter_map(|(id, _)| id.parse().ok())
            .collect()
    }

    fn is_left(&self, id: &str) -> bool {
        self.lock().left.contains_key(id)
    }

    fn asked(&self, id: &str, connection: u64) {
        let mut memory = self.lock();
        // Where it came in the meantime it was taken out.
        if let Some(left) = memory.left.get_mut(id) {
            left.asked += 1;
            left.asked_on = connection;
            memory.journal.asked(id);
            memory.trim();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    /// Keeps the file as short as what is left.
    fn trim(&mut self) {
        self.journal.trim(&self.left);
    }
}

impl Left {
    fn new(envelope: Node) -> Self {
        Self {
            envelope,
            asked: 0,
            asked_on: 0,
        }
    }
}

/// A channel's or a status's: those are no messages to the gateway.
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
