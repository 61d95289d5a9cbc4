//! What a phone shows: its messages, oldest first, each id once.

use std::collections::{HashMap, HashSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::Origin;
use super::files::Download;

/// One message as a phone shows it. People are numbers, never LIDs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct InboxMessage {
    /// The id on the wire.
    pub id: String,
    /// The other person's number, or the group's id (digits).
    pub chat: String,
    /// The sender's number.
    pub from: String,
    /// Whether the phone's own account sent it, from the phone or from a companion.
    pub from_me: bool,
    /// `text`, `image`, `location` and so on; the name of the protobuf field for kinds without a short name.
    pub kind: String,
    /// The text or caption; empty where the kind has none.
    pub text: String,
    /// Seconds since 1970, as the server stamped it.
    pub timestamp: u64,
    /// The kind's own fields, such as `latitude` or `target_id`.
    #[serde(flatten)]
    pub fields: serde_json::Map<String, serde_json::Value>,
    /// Where its file is. On disk only: the control API does not show it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) download: Option<Download>,
}

/// A message that was delivered, but not read yet.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Unread {
    pub(crate) id: String,
    pub(crate) origin: Origin,
}

/// The messages of one phone, at most `limit` of them.
pub(crate) struct Inbox {
    messages: VecDeque<InboxMessage>,
    /// How many were ever shown; the last one has this number.
    total: u64,
    known: HashSet<String>,
    /// The numbers of the messages with one id, oldest first.
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

    /// Whether a message of this id is shown, in whatever chat.
    pub(crate) fn shows(&self, id: &str) -> bool {
        self.by_id.contains_key(id)
    }

    /// Shows a message unless its (chat, sender, id) is shown already; answers its number.
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
            // Numbers go up, so the oldest message has the first number of its id.
            if let Some(same) = self.by_id.get_mut(&old.id) {
                same.pop_front();
                if same.is_empty() {
                    self.by_id.remove(&old.id);
                }
            }
        }
        Some(self.total)
    }

    /// Where the messages with this id are, newest first.
    fn places(&self, id: &str) -> impl Iterator<Item = usize> {
        let first = self.total + 1 - self.messages.len() as u64;
        let numbers = self.by_id.get(id).into_iter().flatten().rev();
        numbers.filter_map(move |number| usize::try_from(number - first).ok())
    }

    /// The messages with this id, newest first.
    fn with_id(&self, id: &str) -> impl Iterator<Item = &InboxMessage> {
        self.places(id).filter_map(|place| self.messages.get(place))
    }

    pub(crate) fn repeat(&mut self) {
        self.duplicates += 1;
    }

    pub(crate) fn add_unread(&mut self, chat: &str, unread: Unread) {
        let list = self.unread.entry(chat.to_owned()).or_default();
        // As bounded as the inbox: a chat that is never opened must not grow for ever.
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

    /// The newest `count` messages, oldest first.
    pub(crate) fn last_of(&self, count: usize) -> Vec<InboxMessage> {
        let skipped = self.messages.len().saturating_sub(count);
        self.messages.iter().skip(skipped).cloned().collect()
    }

    /// The messages after the one with this id; all of them if it is not there.
    pub(crate) fn after(&self, id: &str) -> Vec<InboxMessage> {
        let start = self.places(id).next().map_or(0, |place| place + 1);
        self.messages.iter().skip(start).cloned().collect()
    }

    /// The messages numbered above `seen`, and the newest number.
    pub(crate) fn since(&self, seen: u64) -> (impl Iterator<Item = &InboxMessage>, u64) {
        let fresh = usize::try_from(self.total.saturating_sub(seen)).unwrap_or(usize::MAX);
        (
            self.messages
                .iter()
                .skip(self.messages.len().saturating_sub(fresh)),
            self.total,
        )
    }

    /// The newest message with this id that has a file.
    pub(crate) fn with_file(&self, id: &str) -> Option<&InboxMessage> {
        self.with_id(id).find(|message| message.download.is_some())
    }

    /// What is shown in a chat under an id.
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
    fn the_oldest_message_makes_room() {
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
