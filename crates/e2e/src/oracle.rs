//! Judges the log of a torture run: one pure function with the promises of the gateway.
//!
//! The log contains the observations of the simulator, the receivers and the load generator. The
//! gateway's own statements are not used, except for the lengths of its queues at the end. A
//! message is identified by its *face*: the text that a phone shows, which the load makes unique.

mod seen;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

pub use seen::{Entry, Seen};

/// The gateway's limit of concurrent calls to one endpoint.
const CAP: usize = 8;

/// A broken promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The rule, `I1` to `I10`.
    pub rule: &'static str,
    /// The id or the face of the message.
    pub about: String,
    /// The explanation.
    pub why: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.rule, self.about, self.why)
    }
}

/// Returns the log entries about a violation, in the order of the log.
#[must_use]
pub fn evidence<'l>(violation: &Violation, log: &'l [Entry]) -> Vec<&'l Entry> {
    let index = LogIndex::of(log);
    let mut names = BTreeSet::from([violation.about.as_str()]);
    let questions = index.questions.iter();
    let asked = questions.filter(|(face, _, _)| *face == violation.about);
    names.extend(
        asked
            .flat_map(|(_, _, answers)| *answers)
            .map(String::as_str),
    );
    // An id also selects the entries of its face, and a face the entries of its id.
    for (id, face) in index.pairs() {
        if names.contains(id) || names.contains(face) {
            names.extend([id, face]);
        }
    }
    let of = |entry: &&Entry| match &entry.seen {
        Seen::Requested { face, .. } | Seen::EventReceived { face } => {
            names.contains(face.as_str())
        }
        Seen::Accepted { request, .. }
        | Seen::Refused { request, .. }
        | Seen::Unanswered { request } => index
            .asked
            .get(request)
            .is_some_and(|asked| names.contains(asked.face)),
        Seen::Framed { id }
        | Seen::ServerAcked { id, .. }
        | Seen::Shown { id, .. }
        | Seen::Reached { id, .. }
        | Seen::CalledBack { id, .. }
        | Seen::KeyReused { id } => names.contains(id.as_str()),
        Seen::Question { face, answers, .. } => {
            names.contains(face.as_str()) || answers.iter().any(|it| names.contains(it.as_str()))
        }
        Seen::Fault { .. }
        | Seen::Missed { .. }
        | Seen::PeakCalls { .. }
        | Seen::Settled { .. } => true,
    };
    log.iter().filter(of).collect()
}

/// Returns the shortest log that shows the violation. The function removes every unnecessary entry
/// of the evidence, keeps the requests with their answers, and adds the fault before each entry.
#[must_use]
pub fn shortest(violation: &Violation, log: &[Entry]) -> Vec<Entry> {
    let mut kept: Vec<Entry> = evidence(violation, log).into_iter().cloned().collect();
    let mut at = kept.len();
    while at > 0 {
        at -= 1;
        let stays = matches!(
            kept[at].seen,
            Seen::Requested { .. } | Seen::Accepted { .. }
        );
        let without: Vec<Entry> = [&kept[..at], &kept[at + 1..]].concat();
        let same = |found: &Violation| found == violation;
        if !stays && judge(&without).iter().any(same) {
            kept = without;
        }
    }
    let faults = log
        .iter()
        .filter(|entry| matches!(entry.seen, Seen::Fault { .. }));
    let mut before: Vec<&Entry> = faults
        .filter(|fault| {
            let next = log.iter().find(|entry| {
                entry.at >= fault.at
                    && (kept.contains(entry)
                        || matches!(&entry.seen, Seen::Fault { .. } if entry != fault))
            });
            next.is_some_and(|next| kept.contains(next))
        })
        .collect();
    before.dedup();
    let mut all: Vec<Entry> = before.into_iter().cloned().chain(kept).collect();
    all.sort_by_key(|entry| entry.at);
    all
}

/// Returns every broken promise in the log.
#[must_use]
pub fn judge(log: &[Entry]) -> Vec<Violation> {
    let index = LogIndex::of(log);
    let mut found = Vec::new();
    index.accepted_is_sent(&mut found);
    index.one_id_a_message(&mut found);
    index.phones_show_only_requested_content(&mut found);
    index.refused_messages_appear_nowhere(&mut found);
    index.every_stage_is_called_back(&mut found);
    index.stages_rise(&mut found);
    index.no_key_is_used_twice(&mut found);
    index.replies_are_sent_once(&mut found);
    index.every_customer_message_has_an_event(&mut found);
    index.no_endpoint_exceeds_the_limit(&mut found);
    index.queues_are_empty(&mut found);
    found
}

#[derive(Default)]
struct SendRequest<'l> {
    face: &'l str,
    phones: &'l [String],
    notify: bool,
    accepted: Option<&'l str>,
    refused: Option<u16>,
    unanswered: bool,
}

/// The log, indexed for the rules.
#[derive(Default)]
struct LogIndex<'l> {
    asked: BTreeMap<u64, SendRequest<'l>>,
    /// The stanza ids with the log position of each first appearance.
    framed: BTreeMap<&'l str, usize>,
    acked: BTreeSet<&'l str>,
    nacked: BTreeMap<&'l str, u16>,
    shown: Vec<(&'l str, &'l str, &'l str)>,
    reached: BTreeMap<&'l str, i64>,
    callbacks: BTreeMap<&'l str, Vec<i64>>,
    questions: Vec<(&'l str, &'l str, &'l [String])>,
    reused: Vec<&'l str>,
    events: BTreeSet<&'l str>,
    peak_calls: usize,
    /// True if a fault ended the gateway's process.
    processes_end: bool,
    missed: u64,
    settled: Option<(i64, i64, i64, bool)>,
}

impl<'l> LogIndex<'l> {
    fn of(log: &'l [Entry]) -> Self {
        let mut index = Self::default();
        for (position, entry) in log.iter().enumerate() {
            match &entry.seen {
                Seen::Requested {
                    request,
                    face,
                    phones,
                    notify,
                } => {
                    let asked = index.asked.entry(*request).or_default();
                    (asked.face, asked.phones, asked.notify) = (face, phones, *notify);
                }
                Seen::Accepted { request, id } => {
                    index.asked.entry(*request).or_default().accepted = Some(id);
                }
                Seen::Refused { request, status } => {
                    index.asked.entry(*request).or_default().refused = Some(*status);
                }
                Seen::Unanswered { request } => {
                    index.asked.entry(*request).or_default().unanswered = true;
                }
                Seen::Framed { id } => {
                    index.framed.entry(id).or_insert(position);
                }
                Seen::ServerAcked { id, error: None } => {
                    index.acked.insert(id);
                }
                Seen::ServerAcked {
                    id,
                    error: Some(code),
                } => {
                    index.nacked.insert(id, *code);
                }
                Seen::Shown { phone, id, face } => index.shown.push((phone, id, face)),
                Seen::Reached { id, stage } => {
                    let reached = index.reached.entry(id).or_insert(0);
                    *reached = (*reached).max(*stage);
                }
                Seen::CalledBack { id, ack } => index.callbacks.entry(id).or_default().push(*ack),
                Seen::Question {
                    face,
                    phone,
                    answers,
                } => index.questions.push((face, phone, answers)),
                Seen::KeyReused { id } => index.reused.push(id),
                Seen::EventReceived { face } => drop(index.events.insert(face)),
                Seen::PeakCalls { calls } => index.peak_calls = index.peak_calls.max(*calls),
                Seen::Missed { count } => index.missed += count,
                Seen::Fault { what } => {
                    let ends = ["kill", "stop", "ended at"];
                    index.processes_end |= ends.iter().any(|end| what.starts_with(end));
                }
                Seen::Settled {
                    pending,
                    deliveries,
                    stanzas,
                    sound,
                } => index.settled = Some((*pending, *deliveries, *stanzas, *sound)),
            }
        }
        index
    }

    /// Returns the pairs of message id and face.
    fn pairs(&self) -> Vec<(&'l str, &'l str)> {
        let accepted = self.asked.values();
        let accepted = accepted.filter_map(|asked| Some((asked.accepted?, asked.face)));
        let shown = self.shown.iter().map(|(_, id, face)| (*id, *face));
        accepted.chain(shown).collect()
    }

    fn accepted(&self) -> impl Iterator<Item = (&'l str, &SendRequest<'l>)> {
        let accepted = self.asked.values();
        accepted.filter_map(|asked| Some((asked.accepted?, asked)))
    }

    fn failures(&self, id: &str) -> usize {
        let callbacks = self
            .callbacks
            .get(id)
            .map(Vec::as_slice)
            .unwrap_or_default();
        callbacks.iter().filter(|ack| **ack == -1).count()
    }

    /// The server accepted the message: the server sent its ack, or the ack was lost and a phone
    /// has the message.
    fn is_taken(&self, id: &str) -> bool {
        let shown = || self.shown.iter().any(|(_, shown, _)| *shown == id);
        self.acked.contains(id) || self.reached.contains_key(id) || shown()
    }

    /// The server refused the message and never accepted a resend.
    fn is_refused(&self, id: &str) -> bool {
        self.nacked.contains_key(id) && !self.is_taken(id)
    }

    /// I1: every accepted message is on the wire and acked, or is reported as failed.
    fn accepted_is_sent(&self, found: &mut Vec<Violation>) {
        for (id, asked) in self.accepted() {
            let acked = self.is_taken(id);
            let refused = self.nacked.contains_key(id);
            let failed = self.failures(id) > 0 || (!asked.notify && refused);
            // The server may have accepted a message before refusing its resend.
            if acked && self.failures(id) > 0 && !refused {
                found.push(broken("I1", id, "acked, and called back as failed"));
            } else if !acked && !failed {
                found.push(broken("I1", id, "accepted, and neither acked nor failed"));
            }
        }
    }

    /// I2: each message has one id, and each id on the wire belongs to a known message.
    fn one_id_a_message(&self, found: &mut Vec<Violation>) {
        let mut known: BTreeSet<&str> = self.accepted().map(|(id, _)| id).collect();
        let mut ids: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        let open = self.asked.values().filter(|asked| asked.unanswered);
        let mut faces: BTreeSet<&str> = open.map(|asked| asked.face).collect();
        let answers = self.questions.iter().flat_map(|(_, _, answers)| *answers);
        faces.extend(answers.map(String::as_str));
        for (_, id, face) in &self.shown {
            ids.entry(face).or_default().insert(id);
            if faces.contains(face) {
                known.insert(id);
            }
        }
        for (id, asked) in self.accepted() {
            ids.entry(asked.face).or_default().insert(id);
        }
        for (face, ids) in ids {
            if ids.len() > 1 {
                let list: Vec<&str> = ids.into_iter().collect();
                found.push(broken("I2", face, &format!("{} ids: {list:?}", list.len())));
            }
        }
        // No phone shows a refused message, so the log cannot tell whether the id belongs to a
        // webhook reply or to a request without an answer.
        let named = |id: &&&str| known.contains(**id) || self.is_refused(id);
        for id in self.framed.keys().filter(|id| !named(id)) {
            found.push(broken(
                "I2",
                id,
                "an id on the wire that belongs to no request",
            ));
        }
    }

    /// I3: each phone shows each id once, and only requested content.
    fn phones_show_only_requested_content(&self, found: &mut Vec<Violation>) {
        let wanted: BTreeMap<&str, &str> = self.accepted().map(|(id, it)| (id, it.face)).collect();
        let asked = self.asked.values().map(|asked| asked.face);
        let answers = self.questions.iter().flat_map(|(_, _, answers)| *answers);
        let faces: BTreeSet<&str> = asked.chain(answers.map(String::as_str)).collect();
        let mut seen = BTreeSet::new();
        for (phone, id, face) in &self.shown {
            if !seen.insert((phone, id)) {
                found.push(broken("I3", id, &format!("{phone} shows it twice")));
            }
            match wanted.get(id) {
                Some(wanted) if wanted != face => {
                    let why = format!("{phone} shows {face:?} instead of {wanted:?}");
                    found.push(broken("I3", id, &why));
                }
                _ if !faces.contains(face) => {
                    let why =
                        format!("{phone} shows {face:?}, which no request and no reply contains");
                    found.push(broken("I3", id, &why));
                }
                _ => {}
            }
        }
        let mut shown: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (phone, id, _) in &self.shown {
            shown.entry(id).or_default().insert(phone);
        }
        for (id, asked) in self.accepted().filter(|(id, _)| self.is_taken(id)) {
            let wanted: BTreeSet<&str> = asked.phones.iter().map(String::as_str).collect();
            let on = shown.remove(id).unwrap_or_default();
            if on != wanted {
                let why = format!("acked for {wanted:?}, shown by {on:?}");
                found.push(broken("I3", id, &why));
            }
        }
    }

    /// I4: a refused message appears nowhere.
    fn refused_messages_appear_nowhere(&self, found: &mut Vec<Violation>) {
        let refused = self.asked.values().filter(|asked| asked.refused.is_some());
        for asked in refused {
            let twins = || self.asked.values().filter(|it| it.face == asked.face);
            let another = twins().any(|twin| twin.accepted.is_some() || twin.unanswered);
            let shown = self.shown.iter().any(|(_, _, face)| *face == asked.face);
            if shown && !another {
                found.push(broken("I4", asked.face, "refused, and a phone shows it"));
            }
            if asked.refused.is_some_and(|status| status >= 500) {
                found.push(broken("I4", asked.face, "answered with a 5xx"));
            }
        }
    }

    /// I5: the gateway reports each stage of a message by callback.
    fn every_stage_is_called_back(&self, found: &mut Vec<Violation>) {
        for (id, _) in self.accepted().filter(|(_, asked)| asked.notify) {
            if self.nacked.contains_key(id) {
                if self.failures(id) > 0 {
                    continue;
                }
                if !self.is_taken(id) {
                    let why = "refused by the server, and no callback with -1";
                    found.push(broken("I5", id, why));
                    continue;
                }
            }
            let reached = self.reached.get(id).copied().unwrap_or(0);
            let last = reached.max(i64::from(self.acked.contains(id)));
            let callbacks = self
                .callbacks
                .get(id)
                .map(Vec::as_slice)
                .unwrap_or_default();
            for stage in (1..=last).filter(|stage| !callbacks.contains(stage)) {
                found.push(broken("I5", id, &format!("no callback with ack {stage}")));
            }
        }
    }

    /// I6: stages rise. A stage may be repeated, but never falls, and nothing follows -1.
    fn stages_rise(&self, found: &mut Vec<Violation>) {
        for (id, callbacks) in &self.callbacks {
            let falls = callbacks
                .windows(2)
                .any(|two| two[1] < two[0] && two[1] != -1);
            let after_the_end = callbacks.windows(2).any(|two| two[0] == -1 && two[1] != -1);
            let failed_late = callbacks.contains(&-1) && callbacks.iter().any(|ack| *ack > 0);
            if falls || after_the_end || failed_late {
                found.push(broken("I6", id, &format!("callbacks {callbacks:?}")));
            }
        }
    }

    /// I7: no message key is used twice.
    fn no_key_is_used_twice(&self, found: &mut Vec<Violation>) {
        for id in &self.reused {
            let why = "encrypted with the key of another ciphertext";
            found.push(broken("I7", id, why));
        }
    }

    /// I8: the messages of a webhook reply are on the phone once and were sent in their order. The
    /// order on the phone may differ if the phone could not decrypt the first message and requested
    /// a resend. For each reply message that the server refused, one message may be missing.
    fn replies_are_sent_once(&self, found: &mut Vec<Violation>) {
        let accepted: BTreeSet<&str> = self.accepted().map(|(id, _)| id).collect();
        let refused = self.nacked.keys();
        let refused = refused.filter(|id| !accepted.contains(**id) && self.is_refused(id));
        let mut refused = refused.count();
        for (face, phone, answers) in &self.questions {
            let shown = self.shown.iter().filter(|(on, _, _)| on == phone);
            let mut of_it: Vec<(usize, &str)> = shown
                .filter(|(_, _, face)| answers.iter().any(|it| it == face))
                .map(|(_, id, face)| (self.framed.get(id).copied().unwrap_or(0), *face))
                .collect();
            of_it.sort_unstable();
            let sent: Vec<&str> = of_it.into_iter().map(|(_, face)| face).collect();
            let missing = answers.len().saturating_sub(sent.len());
            let mut left = answers.iter();
            let in_order = sent.iter().all(|face| left.any(|it| it == face));
            if in_order && missing <= refused {
                refused -= missing;
            } else {
                let why = format!("the reply is {answers:?}, and the phone got {sent:?}");
                found.push(broken("I8", face, &why));
            }
        }
    }

    /// I5: each subscriber gets an event for each message of a customer.
    fn every_customer_message_has_an_event(&self, found: &mut Vec<Violation>) {
        for (face, _, _) in &self.questions {
            if !self.events.contains(face) {
                found.push(broken("I5", face, "no event for the message of a customer"));
            }
        }
    }

    /// I10: an endpoint never has more concurrent calls than the limit. After a kill, the calls of
    /// the killed process may still be open beside those of the new process.
    fn no_endpoint_exceeds_the_limit(&self, found: &mut Vec<Violation>) {
        let limit = if self.processes_end { 2 * CAP } else { CAP };
        if self.peak_calls > limit {
            let why = format!("{} concurrent calls", self.peak_calls);
            found.push(broken("I10", "the endpoint", &why));
        }
    }

    /// I9: at the end the queues are empty, the database passes its integrity check, and the log is
    /// complete.
    fn queues_are_empty(&self, found: &mut Vec<Violation>) {
        if self.missed > 0 {
            let why = format!("the log lost {} observations", self.missed);
            found.push(broken("I9", "the log", &why));
        }
        let why = match self.settled {
            None => "the final state was not read".to_owned(),
            Some((0, 0, 0, true)) => return,
            Some((_, _, _, false)) => "the database is damaged".to_owned(),
            Some((pending, deliveries, stanzas, true)) => {
                format!("{pending} messages, {deliveries} deliveries and {stanzas} stanzas wait")
            }
        };
        found.push(broken("I9", "the end", &why));
    }
}

fn broken(rule: &'static str, about: &str, why: &str) -> Violation {
    Violation {
        rule,
        about: about.to_owned(),
        why: why.to_owned(),
    }
}
