//! The inbox of a phone: its messages, oldest first, without duplicates.

use std::collections::{HashMap, HashSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::delivery::Origin;
use super::file::Download;

/// A message in the inbox of a phone. People are given by number, never by LID.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct InboxMessage {
    /// The id on the wire.
    pub id: String,
    /// The other person's number, or the group's id (digits).
    pub chat: String,
    /// The sender's number.
    pub from: String,
    /// True if the phone's own account sent the message, from the phone or from a companion.
    pub from_me: bool,
    /// `text`, `image`, `location` and so on. A kind without a short name has the name of the
    /// protobuf field.
    pub kind: String,
    /// The text or caption; empty if the kind has none.
    pub text: String,
    /// The server's timestamp, in seconds since 1970.
    pub timestamp: u64,
    /// The fields of the kind, such as `latitude` or `target_id`.
    #[serde(flatten)]
    pub fields: serde_json::Map<String, serde_json::Value>,
    /// The location of the file. Only in the snapshot, not in the control API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) download: Option<Download>,
}

/// A delivered message that has not been read.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Unread {
    pub(crate) id: String,
    pub(crate) origin: Origin,
}

/// The messages of one phone, at most `limit`.
pub(crate) struct Inbox {
    messages: VecDeque<InboxMessage>,
    /// The number of messages ever shown, and the number of the newest message.
    total: u64,
    known: HashSet<String>,
    /// The numbers of the messages with the same id, oldest first.
    by_id: HashMap<String, VecDeque<u64>>,
    unread: HashMap<String, Vec<Unread>>,
    duplicates: u64,
    limit: usize,
}

impl Inbox {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            messages: VecDeque::new(),
            total: 0,
            known: HashSet::new(),
            by_id: HashMap::new(),
            unread: HashMap::new(),
            duplicates: 0,
            limit: limit.max(1),
        }
    }

    /// Returns whether the inbox has a message with this id, in any chat.
    pub(crate) fn shows(&self, id: &str) -> bool {
        self.by_id.contains_key(id)
    }

    /// Adds a message and returns its number. Returns `None` if the inbox already has a message
    /// with the same chat, sender and id.
    pub(crate) fn show(&mut self, message: InboxMessage) -> Option<u64> {
        if !self
            .known
            .insert(key(&message.chat, &message.from, &message.id))
        {
            self.duplicates += 1;
            return None;
        }
        self.total += 1;
        let same = self.by_id.entry(message.id.clone()).or_default();
        same.push_back(self.total);
        self.messages.push_back(message);
        if self.messages.len() > self.limit
            && let Some(old) = self.messages.pop_front()
        {
            self.known.remove(&key(&old.chat, &old.from, &old.id));
            // Message numbers increase, so the oldest message has the first number of its id.
            if let Some(same) = self.by_id.get_mut(&old.id) {
                same.pop_front();
                if same.is_empty() {
                    self.by_id.remove(&old.id);
                }
            }
        }
        Some(self.total)
    }

    /// Returns the positions of the messages with this id, newest first.
    fn places(&self, id: &str) -> impl Iterator<Item = usize> {
        let first = self.total + 1 - self.messages.len() as u64;
        let numbers = self.by_id.get(id).into_iter().flatten().rev();
        numbers.filter_map(move |number| usize::try_from(number - first).ok())
    }

    /// Returns the messages with this id, newest first.
    fn with_id(&self, id: &str) -> impl Iterator<Item = &InboxMessage> {
        self.places(id).filter_map(|place| self.messages.get(place))
    }

    pub(crate) fn repeat(&mut self) {
        self.duplicates += 1;
    }

    pub(crate) fn add_unread(&mut self, chat: &str, unread: Unread) {
        let list = self.unread.entry(chat.to_owned()).or_default();
        // The list has the same limit as the inbox, so that the list of a chat that is never opened
        // cannot grow without limit.
        if list.len() < self.limit {
            list.push(unread);
        }
    }

    pub(crate) fn take_unread(&mut self, chat: &str) -> Vec<Unread> {
        self.unread.remove(chat).unwrap_or_default()
    }

    pub(crate) fn unread(&self) -> &HashMap<String, Vec<Unread>> {
        &self.unread
    }

    pub(crate) fn all(&self) -> Vec<InboxMessage> {
        self.messages.iter().cloned().collect()
    }

    /// Returns the newest `count` messages, oldest first.
    pub(crate) fn last_of(&self, count: usize) -> Vec<InboxMessage> {
        let skipped = self.messages.len().saturating_sub(count);
        self.messages.iter().skip(skipped).cloned().collect()
    }

    /// Returns the messages after the message with this id, or all messages if there is no such
    /// message.
    pub(crate) fn after(&self, id: &str) -> Vec<InboxMessage> {
        let start = self.places(id).next().map_or(0, |place| place + 1);
        self.messages.iter().skip(start).cloned().collect()
    }

    /// Returns the messages with a number above `seen`, and the newest number.
    pub(crate) fn since(&self, seen: u64) -> (impl Iterator<Item = &InboxMessage>, u64) {
        let fresh = usize::try_from(self.total.saturating_sub(seen)).unwrap_or(usize::MAX);
        (
            self.messages
                .iter()
                .skip(self.messages.len().saturating_sub(fresh)),
            self.total,
        )
    }

    /// Returns the newest message with this id and a file.
    pub(crate) fn with_file(&self, id: &str) -> Option<&InboxMessage> {
        self.with_id(id).find(|message| message.download.is_some())
    }

    /// Returns the newest message with this id in a chat.
    pub(crate) fn find(&self, chat: &str, id: &str) -> Option<&InboxMessage> {
        self.with_id(id).find(|message| message.chat == chat)
    }

    pub(crate) fn len(&self) -> usize {
        self.messages.len()
    }

    pub(crate) fn last(&self) -> Option<&InboxMessage> {
        self.messages.back()
    }

    pub(crate) fn duplicates(&self) -> u64 {
        self.duplicates
    }

    pub(crate) fn restore(
        &mut self,
        messages: impl IntoIterator<Item = InboxMessage>,
        unread: HashMap<String, Vec<Unread>>,
        duplicates: u64,
    ) {
        for message in messages {
            self.show(message);
        }
        self.unread = unread;
        self.duplicates = duplicates;
    }
}

fn key(chat: &str, from: &str, id: &str) -> String {
    [chat, from, id].join(" ")
}

#[cfg(test)]
mod tests {
    use super::{Inbox, InboxMessage};

    fn message(id: &str) -> InboxMessage {
        InboxMessage {
            id: id.to_owned(),
            chat: "628".to_owned(),
            from: "628".to_owned(),
            from_me: false,
            kind: "text".to_owned(),
            text: String::new(),
            timestamp: 0,
            fields: serde_json::Map::new(),
            download: None,
        }
    }

    #[test]
    fn an_id_is_shown_once_and_counted() {
        let mut inbox = Inbox::new(10);
        assert_eq!(inbox.show(message("A")), Some(1));
        assert_eq!(inbox.show(message("A")), None);
        assert_eq!((inbox.len(), inbox.duplicates()), (1, 1));
    }

    #[test]
    fn a_full_inbox_drops_its_oldest_message() {
        let mut inbox = Inbox::new(2);
        for id in ["A", "B", "C"] {
            inbox.show(message(id));
        }
        let shown: Vec<_> = inbox.all().into_iter().map(|message| message.id).collect();
        assert_eq!(shown, ["B", "C"]);
        assert_eq!(inbox.since(2).0.count(), 1);
        assert_eq!(inbox.after("B").len(), 1);
    }

    #[test]
    fn a_message_is_found_by_its_id_while_it_is_shown() {
        let mut inbox = Inbox::new(2);
        let mut elsewhere = message("A");
        elsewhere.chat = "629".to_owned();
        for shown in [message("A"), elsewhere, message("B")] {
            inbox.show(shown);
        }
        assert!(inbox.shows("A") && inbox.shows("B") && !inbox.shows("C"));
        assert!(inbox.find("628", "A").is_none() && inbox.find("629", "A").is_some());
        inbox.show(message("C"));
        assert!(!inbox.shows("A") && inbox.find("629", "A").is_none());
        assert_eq!(
            inbox.find("628", "C").map(|found| found.id.as_str()),
            Some("C")
        );
        assert_eq!(inbox.by_id.len(), 2);
    }
}
