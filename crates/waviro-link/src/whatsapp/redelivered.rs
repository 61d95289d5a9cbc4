//! Messages that WhatsApp delivers again and that the library takes for done.
//!
//! The library moves a Signal session on when it decrypts a message, and keeps the message itself a moment later. Between the two
//! another message's write may save that session. A kill there leaves a session that is past a message which nobody has:
//! WhatsApp delivers it again, the library finds its key used up, and acknowledges what it never told.
//!
//! So everything that comes again is remembered until the library tells of it. When all is worked off, the gateway is asked
//! about what is left, and what it does not have is asked for anew: its sender's phone, and the account's own, send it again
//! under the same id. What the gateway has only lacked its ack. The library has acknowledged all of it by then, so what is
//! remembered is in a file too, before the library sees it ([`journal`]): the next process asks where this one could not.

mod journal;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use whatsapp_rust::wacore_binary::OwnedNodeRef;
use whatsapp_rust::wacore_binary::node::{Attrs, Node};
use whatsapp_rust::{Client, RetryRequestOptions, RetryRequestOutcome};

use self::journal::Journal;
use super::device;
use crate::{Listener, MessageId};

/// The library says when all has come, not when it has worked it off: that is where it tells of nothing more for so long.
const QUIET: Duration = Duration::from_secs(2);

/// At so many logins a message is asked for. An ask may be lost with its connection; a phone that was off hears it when it is
/// back.
const LOGINS: u32 = 3;

/// What has come again, and was not told of yet.
pub(super) struct Redelivered(Mutex<Memory>);

struct Memory {
    /// By the message's id.
    left: HashMap<String, Left>,
    journal: Journal,
}

struct Left {
    /// Whom to ask, and for what: the stanza without what is in it, which may be large.
    envelope: Node,
    /// At how many logins it was asked for.
    asked: u32,
    /// It was asked for since the last login, by us or by the library.
    under_way: bool,
}

impl Redelivered {
    /// With what the process before left in the file, which need not be there.
    pub(super) fn open(file: PathBuf) -> Self {
        let (journal, left) = Journal::open(file);
        Self(Mutex::new(Memory { left, journal }))
    }

    /// A stanza came, and the library has not looked at it.
    pub(super) fn came(&self, stanza: &OwnedNodeRef) {
        // The server's mark on what waited for the device. The device's own keys and syncs are no messages to anybody.
        if stanza.tag() != "message"
            || stanza.get_attr("offline").is_none()
            || stanza.get_attr("category").is_some()
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
        }
    }

    /// The library told of this message.
    pub(super) fn told(&self, id: &str) {
        let mut memory = self.lock();
        if memory.left.remove(id).is_some() {
            if memory.left.is_empty() {
                memory.journal.clear();
            } else {
                memory.journal.done(id);
            }
        }
    }

    /// The library could not read this message, and asks for it itself.
    pub(super) fn unreadable(&self, id: &str) {
        if let Some(left) = self.lock().left.get_mut(id) {
            left.under_way = true;
        }
    }

    /// A connection began: what was asked for on the one before, and has not come, may have been lost with it.
    pub(super) fn logged_in(&self) {
        for left in self.lock().left.values_mut() {
            left.under_way = false;
        }
    }

    /// The device is another: what came for the one before is nobody's.
    pub(super) fn forget(&self) {
        let mut memory = self.lock();
        memory.left.clear();
        memory.journal.clear();
    }

    /// All that waited has come. Asks for what the library has passed over and the gateway does not have.
    pub(super) async fn ask_for_lost(
        &self,
        slot: i32,
        client: &Arc<Client>,
        listener: &dyn Listener,
    ) {
        let mut before = self.lock().left.len();
        loop {
            device::pause(QUIET).await;
            let left = self.lock().left.len();
            if left == before {
                break;
            }
            before = left;
        }
        let left = self.not_asked_for();
        if left.is_empty() {
            return;
        }
        let ids: Vec<MessageId> = left.keys().filter_map(|id| id.parse().ok()).collect();
        let lost = match listener.unknown(ids).await {
            Ok(lost) => lost,
            Err(error) => {
                tracing::warn!(slot, %error, "what was delivered again could not be looked up; it is after the next login");
                return;
            }
        };
        let known = |id: &String| !lost.iter().any(|lost| lost.as_str() == id);
        for id in left.keys().filter(|id| known(id)) {
            self.told(id);
        }
        for id in lost {
            if let Some((envelope, asked)) = left.get(id.as_str()) {
                self.ask(slot, client, id.as_str(), envelope, *asked).await;
            }
        }
    }

    async fn ask(&self, slot: i32, client: &Arc<Client>, msgid: &str, envelope: &Node, asked: u32) {
        if asked >= LOGINS {
            tracing::error!(slot, msgid, "a message was asked for and never came");
            self.told(msgid);
            return;
        }
        tracing::warn!(
            slot,
            msgid,
            "a message was acknowledged before it was kept: asking for it again"
        );
        let answer = client
            .request_message_retry(&envelope.as_node_ref(), RetryRequestOptions::new())
            .await;
        match answer {
            Ok(RetryRequestOutcome::Sent { .. }) => self.asked(msgid),
            // The protocol asks for no such message, or not so often.
            Ok(outcome) => {
                tracing::error!(slot, msgid, ?outcome, "it cannot be asked for");
                self.told(msgid);
            }
            Err(error) => {
                tracing::error!(slot, msgid, %error, "it could not be asked for; it is after the next login");
            }
        }
    }

    /// Those that nobody has asked for since the last login, and at how many logins they were.
    fn not_asked_for(&self) -> HashMap<String, (Node, u32)> {
        let memory = self.lock();
        let left = memory.left.iter().filter(|(_, left)| !left.under_way);
        left.map(|(id, left)| (id.clone(), (left.envelope.clone(), left.asked)))
            .collect()
    }

    fn asked(&self, id: &str) {
        let mut memory = self.lock();
        // Where it came in the meantime it was taken out.
        if let Some(left) = memory.left.get_mut(id) {
            left.asked += 1;
            left.under_way = true;
            memory.journal.asked(id);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Left {
    fn new(envelope: Node) -> Self {
        Self {
            envelope,
            asked: 0,
            under_way: false,
        }
    }
}

fn envelope(stanza: &OwnedNodeRef) -> Node {
    let stanza = stanza.get();
    let mut attributes = Attrs::with_capacity(stanza.attrs.len());
    for (name, value) in stanza.attrs_iter() {
        attributes.push_value(name.to_string(), value.to_node_value());
    }
    Node::new("message", attributes, None)
}
