//! The part of a bot's queue in memory: messages to write, and messages waiting for the server ack.
//!
//! Messages to the same chat are written in the order of acceptance, and never concurrently.
//! Different chats are written concurrently.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use waviro_link::{Chat, MessageId, Outgoing};
use waviro_store::Queued;
use waviro_store::clock::Millis;

#[derive(Debug, Default)]
pub(super) struct Window {
    entries: BTreeMap<i64, Entry>,
    by_id: HashMap<MessageId, i64>,
    chats: HashMap<Chat, Line>,
    /// Chats with a message to write, neither writing nor paused, in the order of turns.
    ready: VecDeque<Chat>,
    /// Chats paused until a time, after a temporary failure.
    resting: Vec<(Millis, Chat)>,
    /// The last time at which ready messages waited only for their turn in the bot's pace.
    held_until: Millis,
}

#[derive(Debug)]
struct Entry {
    message: Outgoing,
    /// The time since when the message could have been written: the acceptance, or the end of the
    /// wait for a turn.
    since: Millis,
    /// The message has had its turn.
    tried: bool,
    /// The message may have been written before.
    again: bool,
    written: Option<Written>,
}

/// The time and the connection of a message's last write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) connection: u64,
    pub(super) at: Millis,
}

/// The messages of a chat waiting to be written.
#[derive(Debug, Default)]
struct Line {
    waiting: BTreeSet<i64>,
    state: LineState,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum LineState {
    #[default]
    Idle,
    Ready,
    Writing,
    Resting,
}

impl Window {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Adds a message. The acceptance time comes from the database and is limited to `now`, because
    /// the machine's clock may have been set back since. `again` is set if an earlier process may
    /// have written the message.
    pub(super) fn insert(&mut self, queued: Queued, now: Millis, again: bool) {
        let Queued {
            seq,
            accepted_at,
            message,
            ..
        } = queued;
        if self.entries.contains_key(&seq) {
            return;
        }
        let chat = message.to.clone();
        self.by_id.insert(message.id.clone(), seq);
        let entry = Entry {
            message,
            since: accepted_at.min(now),
            tried: false,
            again,
            written: None,
        };
        self.entries.insert(seq, entry);
        self.wait(&chat, seq);
    }

    /// Returns the message that [`Window::next`] will return, and true if the message has its first
    /// turn.
    pub(super) fn peek(&self) -> Option<(&Outgoing, bool)> {
        self.ready.iter().find_map(|chat| {
            let seq = self.chats.get(chat)?.waiting.first()?;
            let entry = self.entries.get(seq)?;
            Some((&entry.message, !entry.tried))
        })
    }

    /// Records that the ready messages wait only for their turn.
    pub(super) fn hold(&mut self, now: Millis) {
        self.held_until = self.held_until.max(now);
    }

    /// Returns the next message to write. The flag is true if this message and others of the same
    /// chat may have been written before; only the first message gets the flag. The chat writes
    /// nothing else until [`Window::wrote`] or [`Window::rest`].
    pub(super) fn next(&mut self) -> Option<(i64, Outgoing, bool)> {
        while let Some(chat) = self.ready.pop_front() {
            let Some(line) = self.chats.get_mut(&chat) else {
                continue;
            };
            if let Some(seq) = line.waiting.pop_first()
                && let Some(entry) = self.entries.get_mut(&seq)
            {
                if !entry.tried {
                    entry.since = entry.since.max(self.held_until);
                    entry.tried = true;
                }
                line.state = LineState::Writing;
                let (message, again) = (entry.message.clone(), std::mem::take(&mut entry.again));
                if again {
                    for behind in &line.waiting {
                        if let Some(entry) = self.entries.get_mut(behind) {
                            entry.again = false;
                        }
                    }
                }
                return Some((seq, message, again));
            }
            self.free(&chat);
        }
        None
    }

    /// Records that the message was written.
    pub(super) fn wrote(&mut self, seq: i64, chat: &Chat, written: Written) {
        if let Some(entry) = self.entries.get_mut(&seq) {
            entry.written = Some(written);
        }
        self.free(chat);
    }

    /// Pauses the chat until `until` because the message was not written, or because the result is
    /// unknown. Afterwards the message is the first of the chat again.
    pub(super) fn rest(&mut self, seq: i64, chat: &Chat, until: Millis) {
        let Some(entry) = self.entries.get_mut(&seq) else {
            // The message was settled in the meantime: the server has accepted it, so the result of
            // the call does not matter.
            self.free(chat);
            return;
        };
        entry.again = true;
        let line = self.chats.entry(chat.clone()).or_default();
        line.waiting.insert(seq);
        line.state = LineState::Resting;
        self.resting.push((until, chat.clone()));
    }

    /// Ends the pauses whose time is over.
    pub(super) fn wake(&mut self, now: Millis) {
        let (due, still) = std::mem::take(&mut self.resting)
            .into_iter()
            .partition(|(until, _)| *until <= now);
        self.resting = still;
        for (_, chat) in due {
            self.free(&chat);
        }
    }

    /// Removes a message that is no longer at ack 0.
    pub(super) fn settle(&mut self, id: &MessageId) -> Option<Outgoing> {
        let seq = self.by_id.remove(id)?;
        let entry = self.entries.remove(&seq)?;
        if let Some(line) = self.chats.get_mut(&entry.message.to) {
            line.waiting.remove(&seq);
            self.tidy(&entry.message.to);
        }
        Some(entry.message)
    }

    /// Drops all messages with a sequence number up to `up_to`.
    pub(super) fn drop_up_to(&mut self, up_to: i64) {
        let ids: Vec<MessageId> = self
            .entries
            .range(..=up_to)
            .map(|(_, entry)| entry.message.id.clone())
            .collect();
        for id in ids {
            self.settle(&id);
        }
    }

    /// Queues the written messages selected by `again` once more, each in its chat in the order of
    /// acceptance.
    pub(super) fn write_again(&mut self, again: impl Fn(Written) -> bool) -> usize {
        let seqs: Vec<(i64, Chat)> = self
            .entries
            .iter_mut()
            .filter(|(_, entry)| entry.written.is_some_and(&again))
            .map(|(seq, entry)| {
                entry.written = None;
                entry.again = true;
                (*seq, entry.message.to.clone())
            })
            .collect();
        let count = seqs.len();
        for (seq, chat) in seqs {
            self.wait(&chat, seq);
        }
        count
    }

    /// Returns the oldest unacked write.
    pub(super) fn oldest_write(&self) -> Option<Written> {
        self.entries
            .values()
            .filter_map(|entry| entry.written)
            .min_by_key(|written| written.at)
    }

    /// Returns the time since when the longest waiting message could have been written.
    pub(super) fn oldest(&self) -> Option<Millis> {
        self.entries.values().map(|entry| self.since(entry)).min()
    }

    /// Returns the messages that could have been written since `before` or earlier.
    pub(super) fn older_than(&self, before: Millis) -> Vec<MessageId> {
        self.entries
            .values()
            .filter(|entry| self.since(entry) <= before)
            .map(|entry| entry.message.id.clone())
            .collect()
    }

    fn since(&self, entry: &Entry) -> Millis {
        if entry.tried {
            entry.since
        } else {
            entry.since.max(self.held_until)
        }
    }

    /// Returns when the next pause ends.
    pub(super) fn next_wake(&self) -> Option<Millis> {
        self.resting.iter().map(|(until, _)| *until).min()
    }

    fn wait(&mut self, chat: &Chat, seq: i64) {
        self.chats
            .entry(chat.clone())
            .or_default()
            .waiting
            .insert(seq);
        self.advance(chat);
    }

    fn free(&mut self, chat: &Chat) {
        if let Some(line) = self.chats.get_mut(chat) {
            line.state = LineState::Idle;
        }
        self.advance(chat);
        self.tidy(chat);
    }

    fn advance(&mut self, chat: &Chat) {
        if let Some(line) = self.chats.get_mut(chat)
            && line.state == LineState::Idle
            && !line.waiting.is_empty()
        {
            line.state = LineState::Ready;
            self.ready.push_back(chat.clone());
        }
    }

    fn tidy(&mut self, chat: &Chat) {
        if self
            .chats
            .get(chat)
            .is_some_and(|line| line.state == LineState::Idle && line.waiting.is_empty())
        {
            self.chats.remove(chat);
        }
    }
}

#[cfg(test)]
mod tests {
    use waviro_link::Content;

    use super::*;

    fn queued(seq: i64, number: &str) -> Queued {
        let message = Outgoing {
            id: MessageId::from_random(seq.to_be_bytes()),
            to: Chat::Person(number.parse().unwrap()),
            content: Content::Text(seq.to_string()),
        };
        Queued {
            seq,
            accepted_at: seq,
            epoch: None,
            message,
        }
    }

    fn next(window: &mut Window) -> Option<(i64, Chat)> {
        window.next().map(|(seq, message, _)| (seq, message.to))
    }

    const FIRST: Written = Written {
        connection: 1,
        at: 0,
    };

    #[test]
    fn one_chat_is_sent_in_order_and_one_at_a_time_beside_other_chats() {
        let mut window = Window::default();
        for (seq, number) in [(1, "6281000001"), (2, "6281000001"), (3, "6281000002")] {
            window.insert(queued(seq, number), seq, false);
        }
        let (one, first_chat) = next(&mut window).unwrap();
        assert_eq!((one, next(&mut window).unwrap().0), (1, 3));
        assert!(window.next().is_none());
        window.wrote(1, &first_chat, FIRST);
        assert_eq!(next(&mut window).unwrap().0, 2);
    }

    #[test]
    fn unacked_messages_of_a_dead_connection_are_resent_before_waiting_messages() {
        let mut window = Window::default();
        for seq in 1..=3 {
            window.insert(queued(seq, "6281000001"), seq, false);
        }
        for seq in 1..=2 {
            let (next, chat) = next(&mut window).unwrap();
            assert_eq!(next, seq);
            window.wrote(seq, &chat, FIRST);
        }
        assert_eq!(window.write_again(|written| written.connection < 2), 2);
        let order: Vec<i64> = std::iter::from_fn(|| {
            let (seq, chat) = next(&mut window)?;
            window.wrote(
                seq,
                &chat,
                Written {
                    connection: 2,
                    at: 1,
                },
            );
            Some(seq)
        })
        .collect();
        assert_eq!(order, [1, 2, 3]);
    }

    #[test]
    fn only_the_first_message_of_a_chat_is_marked_as_possibly_sent() {
        let mut window = Window::default();
        let again = |window: &mut Window, at| {
            std::iter::from_fn(|| {
                let (seq, message, again) = window.next()?;
                let written = Written {
                    connection: at,
                    at: 1,
                };
                window.wrote(seq, &message.to, written);
                Some((seq, again))
            })
            .collect::<Vec<_>>()
        };
        for seq in 1..=2 {
            window.insert(queued(seq, "6281000001"), seq, true);
        }
        window.insert(queued(3, "6281000001"), 3, false);
        assert_eq!(again(&mut window, 1), [(1, true), (2, false), (3, false)]);
        window.insert(queued(4, "6281000001"), 4, false);
        window.settle(&queued(1, "6281000001").message.id);
        window.write_again(|_| true);
        assert_eq!(again(&mut window, 2), [(2, true), (3, false), (4, false)]);
    }

    #[test]
    fn a_failed_write_stays_first_in_its_chat_after_a_pause() {
        let mut window = Window::default();
        window.insert(queued(1, "6281000001"), 1, false);
        window.insert(queued(2, "6281000001"), 2, false);
        let (seq, chat) = next(&mut window).unwrap();
        window.rest(seq, &chat, 100);
        window.wake(99);
        assert!(window.next().is_none());
        window.wake(100);
        assert_eq!(next(&mut window).unwrap().0, 1);
    }

    #[test]
    fn an_acked_message_is_removed_completely() {
        let mut window = Window::default();
        window.insert(queued(1, "6281000001"), 1, false);
        let (seq, chat) = next(&mut window).unwrap();
        window.settle(&queued(1, "6281000001").message.id);
        window.wrote(seq, &chat, FIRST);
        assert_eq!(window.len(), 0);
        assert!(window.chats.is_empty() && window.by_id.is_empty() && window.ready.is_empty());
    }
}
