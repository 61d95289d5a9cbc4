//! The queue of stanzas for one companion. A stanza stays in the queue until the companion
//! acknowledges the stanza.
//!
//! A real client answers a message with a receipt, and any other stanza (or a message that the
//! client cannot use) with `<ack class=…>`. Both remove the stanza from the queue. After the next
//! login, the server redelivers the remaining stanzas, marked `offline`. A client killed between
//! reading and committing therefore gets the message twice.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;
use wacore_binary::{Node, OwnedNodeRef, marshal};

use super::link::Link;

/// The limit of stanzas in a queue. A full queue drops the oldest stanza, so that a companion that
/// never returns cannot fill the memory.
const MAX_WAITING: usize = 50_000;

/// The class of acks that removes a stanza from the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Class {
    Message,
    Receipt,
    Notification,
    Call,
}

impl Class {
    /// Returns the class for the `class` attribute of an ack.
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

/// A queued stanza.
#[derive(Debug, Clone)]
pub(crate) struct Waiting {
    pub(crate) class: Class,
    pub(crate) id: String,
    /// The `type` and participant of a receipt, because several receipts can share an id.
    pub(crate) detail: String,
    /// The marshalled stanza.
    pub(crate) wire: Bytes,
}

/// The queue, and the connection while the companion is connected.
#[derive(Default)]
pub(crate) struct Mailbox {
    link: Option<Link>,
    /// Set by the client's `<active/>`. The server pushes nothing before.
    active: bool,
    queue: Queue,
}

/// Stanzas in order of arrival, with an index by class, id and detail. The index is necessary
/// because a message to a large group causes a receipt from each member; a linear search for each
/// ack would be too slow.
#[derive(Default)]
struct Queue {
    /// The stanzas by number; a later stanza has a higher number.
    stanzas: BTreeMap<u64, Waiting>,
    next: u64,
    /// The details and numbers of the stanzas with the same class and id.
    index: HashMap<(Class, String), BTreeSet<(String, u64)>>,
}

impl Queue {
    fn push(&mut self, waiting: Waiting) {
        if self.stanzas.len() >= MAX_WAITING
            && let Some((&oldest, _)) = self.stanzas.first_key_value()
        {
            self.remove(oldest);
        }
        let number = self.next;
        self.next += 1;
        self.index
            .entry((waiting.class, waiting.id.clone()))
            .or_default()
            .insert((waiting.detail.clone(), number));
        self.stanzas.insert(number, waiting);
    }

    /// Returns the oldest stanza with this class, id and, if given, detail.
    fn find(&self, class: Class, id: &str, detail: Option<&str>) -> Option<u64> {
        let same = self.index.get(&(class, id.to_owned()))?;
        match detail {
            Some(detail) => {
                let mut later = same.range((detail.to_owned(), 0)..);
                let (found, number) = later.next()?;
                (found == detail).then_some(*number)
            }
            None => same.iter().map(|(_, number)| *number).min(),
        }
    }

    fn remove(&mut self, number: u64) {
        let Some(waiting) = self.stanzas.remove(&number) else {
            return;
        };
        let key = (waiting.class, waiting.id);
        if let Some(same) = self.index.get_mut(&key) {
            same.remove(&(waiting.detail, number));
            if same.is_empty() {
                self.index.remove(&key);
            }
        }
    }
}

impl Mailbox {
    /// Queues a stanza, and sends the stanza if the companion is active.
    pub(crate) fn put(&mut self, waiting: Waiting) {
        if self.active
            && let Some(link) = &self.link
        {
            link.send_wire(waiting.wire.clone());
        }
        self.queue.push(waiting);
    }

    /// Sends a stanza without queueing, for example presence.
    pub(crate) fn put_volatile(&self, node: &Node) {
        if self.active
            && let Some(link) = &self.link
        {
            link.send(node);
        }
    }

    /// Removes the acknowledged stanza. Returns whether there was such a stanza.
    pub(crate) fn take(&mut self, class: Class, id: &str, detail: Option<&str>) -> bool {
        let found = self.queue.find(class, id, detail);
        found.is_some_and(|number| {
            self.queue.remove(number);
            true
        })
    }

    /// Sets the current connection. Returns the replaced connection.
    pub(crate) fn attach(&mut self, link: Link) -> Option<Link> {
        self.active = false;
        self.link.replace(link)
    }

    /// Removes the connection if it is still the current one.
    pub(crate) fn detach(&mut self, link: &Link) -> bool {
        if self.link.as_ref().is_some_and(|current| current.is(link)) {
            self.link = None;
            self.active = false;
            return true;
        }
        false
    }

    /// Sends the queued stanzas, marked `offline`, and activates the push of new stanzas. Returns
    /// the number of queued stanzas.
    pub(crate) fn activate(&mut self) -> usize {
        if let Some(link) = &self.link {
            for waiting in self.queue.stanzas.values() {
                link.send_wire(mark_offline(&waiting.wire).unwrap_or_else(|| waiting.wire.clone()));
            }
        }
        self.active = true;
        self.queue.stanzas.len()
    }

    /// Pushes nothing until the next [`Self::activate`].
    pub(crate) fn deactivate(&mut self) {
        self.active = false;
    }

    pub(crate) fn link(&self) -> Option<&Link> {
        self.link.as_ref()
    }

    pub(crate) fn waiting(&self) -> impl Iterator<Item = &Waiting> {
        self.queue.stanzas.values()
    }

    pub(crate) fn restore(&mut self, waiting: impl IntoIterator<Item = Waiting>) {
        waiting
            .into_iter()
            .for_each(|waiting| self.queue.push(waiting));
    }
}

/// Adds `offline="0"`. The client compares the number of marked stanzas with
/// `<ib><offline count/></ib>`.
fn mark_offline(wire: &Bytes) -> Option<Bytes> {
    // The first byte means "not compressed" and is not part of the node.
    let mut node = OwnedNodeRef::new(wire.slice(1..)).ok()?.to_owned_node();
    node.attrs.insert("offline", "0");
    marshal(&node).ok().map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(class: Class, id: &str, detail: &str) -> Waiting {
        Waiting {
            class,
            id: id.to_owned(),
            detail: detail.to_owned(),
            wire: Bytes::new(),
        }
    }

    fn left(mailbox: &Mailbox) -> Vec<String> {
        let waiting = mailbox.waiting();
        waiting
            .map(|waiting| format!("{}{}", waiting.id, waiting.detail))
            .collect()
    }

    #[test]
    fn an_acknowledgement_takes_the_oldest_stanza_that_it_names() {
        let mut mailbox = Mailbox::default();
        for (id, detail) in [("A", "x"), ("A", "y"), ("A", "x"), ("B", "x")] {
            mailbox.put(waiting(Class::Receipt, id, detail));
        }
        assert!(!mailbox.take(Class::Message, "A", None));
        assert!(!mailbox.take(Class::Receipt, "A", Some("")));
        assert!(mailbox.take(Class::Receipt, "A", Some("y")));
        assert_eq!(left(&mailbox), ["Ax", "Ax", "Bx"]);
        assert!(mailbox.take(Class::Receipt, "A", None));
        assert!(mailbox.take(Class::Receipt, "A", Some("x")));
        assert!(!mailbox.take(Class::Receipt, "A", None));
        assert_eq!(left(&mailbox), ["Bx"]);
    }

    #[test]
    fn a_full_queue_drops_its_oldest_stanza_completely() {
        let mut mailbox = Mailbox::default();
        for number in 0..=MAX_WAITING {
            mailbox.put(waiting(Class::Receipt, "A", &number.to_string()));
        }
        assert_eq!(mailbox.waiting().count(), MAX_WAITING);
        assert!(!mailbox.take(Class::Receipt, "A", Some("0")));
        for number in (1..=MAX_WAITING).rev() {
            assert!(mailbox.take(Class::Receipt, "A", Some(&number.to_string())));
        }
        assert!(mailbox.queue.index.is_empty());
    }
}
