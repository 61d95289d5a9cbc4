//! The delivery and read state of sent messages, shown as ticks beside a message.

use std::collections::{BTreeSet, HashMap, VecDeque};

/// The number of messages with remembered state.
const REMEMBERED: usize = 1_000;

/// The newest sent messages with a receipt.
#[derive(Default)]
pub(crate) struct Ticks {
    order: VecDeque<String>,
    of: HashMap<String, Tick>,
}

/// The receivers of a message and the readers, by number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tick {
    pub(crate) delivered_to: BTreeSet<String>,
    pub(crate) read_by: BTreeSet<String>,
}

impl Ticks {
    /// Records a receipt of `reader`. `kind` is the type on the wire, empty for "delivered". Kinds
    /// without a delivery state (`retry`, `sender`) are ignored.
    pub(crate) fn note(&mut self, id: &str, reader: &str, kind: &str) {
        let is_read = matches!(kind, "read" | "played");
        if !is_read && !kind.is_empty() {
            return;
        }
        if !self.of.contains_key(id) {
            self.order.push_back(id.to_owned());
            if self.order.len() > REMEMBERED
                && let Some(oldest) = self.order.pop_front()
            {
                self.of.remove(&oldest);
            }
        }
        let tick = self.of.entry(id.to_owned()).or_default();
        // A read message was also delivered, even if the delivery receipt is late or missing.
        tick.delivered_to.insert(reader.to_owned());
        if is_read {
            tick.read_by.insert(reader.to_owned());
        }
    }

    pub(crate) fn find(&self, id: &str) -> Option<&Tick> {
        self.of.get(id)
    }
}

#[cfg(test)]
mod tests {
    use super::{REMEMBERED, Ticks};

    #[test]
    fn reading_means_having_and_other_kinds_mean_nothing() {
        let mut ticks = Ticks::default();
        ticks.note("A", "628", "retry");
        assert_eq!(ticks.find("A"), None);
        ticks.note("A", "628", "read");
        let tick = ticks.find("A").expect("noted");
        assert!(tick.delivered_to.contains("628") && tick.read_by.contains("628"));
    }

    #[test]
    fn the_oldest_is_forgotten() {
        let mut ticks = Ticks::default();
        for index in 0..=REMEMBERED {
            ticks.note(&index.to_string(), "628", "");
        }
        assert_eq!(ticks.find("0"), None);
        assert!(ticks.find("1").is_some());
    }
}
