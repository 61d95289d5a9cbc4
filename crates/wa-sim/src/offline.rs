//! What waits for one companion: stanzas stay queued until the companion acknowledges them.
//!
//! A real client answers a message with a receipt, and everything else (and messages it can't use) with
//! `<ack class=…>`; either takes the stanza off the queue. Whatever is left when it logs in again is sent again,
//! marked `offline`, so a client that was killed between reading and committing gets its message twice.

use std::collections::VecDeque;

use bytes::Bytes;
use wacore_binary::{Node, OwnedNodeRef, marshal};

use crate::conn::Link;

/// How many stanzas wait for one companion at most; the oldest make room. Someone who never comes back must not fill the
/// memory.
const MAX_WAITING: usize = 50_000;

/// Which acknowledgement takes a stanza off the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Class {
    Message,
    Receipt,
    Notification,
    Call,
}

impl Class {
    /// By the `class` attribute of an ack.
    pub(crate) fn from_wire(class: &str) -> Option<Self> {
        match class {
            "message" => Some(Self::Message),
            "receipt" => Some(Self::Receipt),
            "notification" => Some(Self::Notification),
            "call" => Some(Self::Call),
            _ => None,
        }
    }
}

/// One queued stanza.
#[derive(Debug, Clone)]
pub(crate) struct Waiting {
    pub(crate) class: Class,
    pub(crate) id: String,
    /// A receipt's `type` and participant: many receipts share an id.
    pub(crate) detail: String,
    /// The marshalled stanza.
    pub(crate) wire: Bytes,
}

/// The queue and, while the companion is there, the way to it.
#[derive(Default)]
pub(crate) struct Mailbox {
    link: Option<Link>,
    /// Set by the client's `<active/>`: before it nothing is pushed.
    active: bool,
    waiting: VecDeque<Waiting>,
}

impl Mailbox {
    /// Queues a stanza and sends it if the companion is ready for it.
    pub(crate) fn put(&mut self, waiting: Waiting) {
        if self.active
            && let Some(link) = &self.link
        {
            link.send_wire(waiting.wire.clone());
        }
        if self.waiting.len() >= MAX_WAITING {
            self.waiting.pop_front();
        }
        self.waiting.push_back(waiting);
    }

    /// Sends something that is not worth keeping, such as presence.
    pub(crate) fn put_volatile(&self, node: &Node) {
        if self.active
            && let Some(link) = &self.link
        {
            link.send(node);
        }
    }

    /// Takes the acknowledged stanza off; answers whether there was one.
    pub(crate) fn take(&mut self, class: Class, id: &str, detail: Option<&str>) -> bool {
        let found = self.waiting.iter().position(|waiting| {
            waiting.class == class
                && waiting.id == id
                && detail.is_none_or(|detail| waiting.detail == detail)
        });
        found.is_some_and(|index| self.waiting.remove(index).is_some())
    }

    /// A new connection takes over; answers the one it replaces.
    pub(crate) fn attach(&mut self, link: Link) -> Option<Link> {
        self.active = false;
        self.link.replace(link)
    }

    /// Forgets the connection if it is still the current one.
    pub(crate) fn detach(&mut self, link: &Link) -> bool {
        if self.link.as_ref().is_some_and(|current| current.is(link)) {
            self.link = None;
            self.active = false;
            return true;
        }
        false
    }

    /// The client is ready: sends what waits, marked `offline`; answers how many stanzas that were.
    pub(crate) fn activate(&mut self) -> usize {
        if let Some(link) = &self.link {
            for waiting in &self.waiting {
                link.send_wire(mark_offline(&waiting.wire).unwrap_or_else(|| waiting.wire.clone()));
            }
        }
        self.active = true;
        self.waiting.len()
    }

    /// Nothing is pushed until the next [`Self::activate`].
    pub(crate) fn deactivate(&mut self) {
        self.active = false;
    }

    pub(crate) fn link(&self) -> Option<&Link> {
        self.link.as_ref()
    }

    pub(crate) fn waiting(&self) -> impl Iterator<Item = &Waiting> {
        self.waiting.iter()
    }

    pub(crate) fn restore(&mut self, waiting: impl IntoIterator<Item = Waiting>) {
        self.waiting.extend(waiting);
    }
}

/// Adds `offline="0"`, which the client counts against `<ib><offline count/></ib>`.
fn mark_offline(wire: &Bytes) -> Option<Bytes> {
    // The first byte says "not compressed" and is no part of the node.
    let mut node = OwnedNodeRef::new(wire.slice(1..)).ok()?.to_owned_node();
    node.attrs.insert("offline", "0");
    marshal(&node).ok().map(Bytes::from)
}
