//! Messages that WhatsApp delivers again and that the library takes for done.
//!
//! The library moves a Signal session on when it decrypts a message, and keeps the message itself a moment later. Between the two
//! another message's write may save that session. A kill there leaves a session that is past a message which nobody has:
//! WhatsApp delivers it again, the library finds its key used up, and acknowledges what it never told.
//!
//! So everything that comes again is remembered until the library tells of it, or says that it cannot read it (it asks for those
//! itself). When all is worked off, the gateway is asked about what is left, and what it does not have is asked for anew: its
//! sender's phone, and the account's own, send it again under the same id. What the gateway has only lacked its ack.
//!
//! The library has acknowledged it by then: where the process ends before it was asked for, it is lost.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use whatsapp_rust::wacore_binary::OwnedNodeRef;
use whatsapp_rust::wacore_binary::node::{Attrs, Node};
use whatsapp_rust::{Client, RetryRequestOptions, RetryRequestOutcome};

use super::device;
use crate::{Listener, MessageId};

/// The library says when all has come, not when it has worked it off: that is where it tells of nothing more for so long.
const QUIET: Duration = Duration::from_secs(2);

/// What has come again, and was not told of yet, by the message's id.
#[derive(Default)]
pub(super) struct Redelivered(Mutex<HashMap<String, Node>>);

impl Redelivered {
    /// A stanza came, and the library has not looked at it.
    pub(super) fn came(&self, stanza: &OwnedNodeRef) {
        // The server's mark on what waited for the device. The device's own keys and syncs are no messages to anybody.
        if stanza.tag() != "message"
            || stanza.get_attr("offline").is_none()
            || stanza.get_attr("category").is_some()
        {
            return;
        }
        if let Some(id) = stanza.get_attr("id") {
            let id = id.as_str().into_owned();
            self.lock().insert(id, envelope(stanza));
        }
    }

    /// The library told of this message, or asks for it itself.
    pub(super) fn told(&self, id: &str) {
        self.lock().remove(id);
    }

    /// All that waited has come. Asks for what the library has passed over and the gateway does not have.
    pub(super) async fn ask_for_lost(
        &self,
        slot: i32,
        client: &Arc<Client>,
        listener: &dyn Listener,
    ) {
        let mut before = self.lock().len();
        loop {
            device::pause(QUIET).await;
            let left = self.lock().len();
            if left == before {
                break;
            }
            before = left;
        }
        let left = std::mem::take(&mut *self.lock());
        if left.is_empty() {
            return;
        }
        let ids: Vec<MessageId> = left.keys().filter_map(|id| id.parse().ok()).collect();
        let lost = match listener.unknown(ids).await {
            Ok(lost) => lost,
            Err(error) => {
                tracing::warn!(slot, %error, "what was delivered again could not be looked up; it is after the next login");
                self.lock().extend(left);
                return;
            }
        };
        for id in lost {
            let Some(envelope) = left.get(id.as_str()) else {
                continue;
            };
            tracing::warn!(
                slot,
                msgid = id.as_str(),
                "a message was acknowledged before it was kept: asking for it again"
            );
            let asked = client
                .request_message_retry(&envelope.as_node_ref(), RetryRequestOptions::new())
                .await;
            let msgid = id.as_str();
            match asked {
                Ok(RetryRequestOutcome::Sent { .. }) => {}
                // The protocol asks for no such message, or not so often.
                Ok(outcome) => tracing::error!(slot, msgid, ?outcome, "it cannot be asked for"),
                Err(error) => {
                    tracing::error!(slot, msgid, %error, "it could not be asked for; it is after the next login");
                    self.lock().insert(msgid.to_owned(), envelope.clone());
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Node>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The stanza without what is in it, which may be large: whom to ask, and for what.
fn envelope(stanza: &OwnedNodeRef) -> Node {
    let stanza = stanza.get();
    let mut attributes = Attrs::with_capacity(stanza.attrs.len());
    for (name, value) in stanza.attrs_iter() {
        attributes.push_value(name.to_string(), value.to_node_value());
    }
    Node::new("message", attributes, None)
}
