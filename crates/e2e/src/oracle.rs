//! What must hold of a log, whatever was done to the gateway meanwhile: one pure function.
//!
//! The log is what simulator, receiver and load generator saw, never what the gateway says of itself but for the depth of its queues
//! at the end. A message is known by its *face*: what a phone shows of it, which the load makes unique.

mod seen;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

pub use seen::{Entry, Seen};

/// Calls to one endpoint that the gateway has under way at most.
const CAP: usize = 8;

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// `I1` to `I10`.
    pub rule: &'static str,
    /// The message, by its id or its face.
    pub about: String,
    /// In words.
    pub why: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.rule, self.about, self.why)
    }
}

/// The log's entries that a violation is about, in their order.
#[must_use]
pub fn evidence<'l>(violation: &Violation, log: &'l [Entry]) -> Vec<&'l Entry> {
    let book = Book::of(log);
    let mut names = BTreeSet::from([violation.about.as_str()]);
    let questions = book.questions.iter();
    let asked = questions.filter(|(face, _, _)| *face == violation.about);
    names.extend(
        asked
            .flat_map(|(_, _, answers)| *answers)
            .map(String::as_str),
    );
    // An id has its face's entries too, and the other way round.
    for (id, face) in book.pairs() {
        if names.contains(id) || names.contains(face) {
            names.extend([id, face]);
        }
    }
    let of = |entry: &&Entry| match &entry.seen {
        Seen::Asked { face, .. } | Seen::Heard { face } => names.contains(face.as_str()),
        Seen::Accepted { request, .. }
        | Seen::Refused { request, .. }
        | Seen::Unanswered { request } => book
            .asked
            .get(request)
            .is_some_and(|asked| names.contains(asked.face)),
        Seen::Framed { id }
        | Seen::ServerAcked { id, .. }
        | Seen::Shown { id, .. }
        | Seen::Reached { id, .. }
        | Seen::Told { id, .. }
        | Seen::KeyReused { id } => names.contains(id.as_str()),
        Seen::Question { face, answers, .. } => {
            names.contains(face.as_str()) || answers.iter().any(|it| names.contains(it.as_str()))
        }
        Seen::Fault { .. } | Seen::Missed { .. } | Seen::Crowd { .. } | Seen::Settled { .. } => {
            true
        }
    };
    log.iter().filter(of).collect()
}

/// The shortest log that shows the violation: of its evidence what cannot be left out, what was asked and answered, and the fault
/// before each entry.
#[must_use]
pub fn shortest(violation: &Violation, log: &[Entry]) -> Vec<Entry> {
    let mut kept: Vec<Entry> = evidence(violation, log).into_iter().cloned().collect();
    let mut at = kept.len();
    while at > 0 {
        at -= 1;
        let stays = matches!(kept[at].seen, Seen::Asked { .. } | Seen::Accepted { .. });
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

/// Every promise that the log shows broken.
#[must_use]
pub fn judge(log: &[Entry]) -> Vec<Violation> {
    let book = Book::of(log);
    let mut found = Vec::new();
    book.accepted_is_sent(&mut found);
    book.one_id_a_message(&mut found);
    book.phones_show_what_was_asked(&mut found);
    book.refused_is_nothing(&mut found);
    book.every_stage_is_told(&mut found);
    book.stages_rise(&mut found);
    book.no_key_twice(&mut found);
    book.answers_go_out_once(&mut found);
    book.what_was_written_is_heard(&mut found);
    book.nobody_is_crowded(&mut found);
    book.queues_are_empty(&mut found);
    found
}

#[derive(Default)]
struct Asked<'l> {
    face: &'l str,
    phones: &'l [String],
    notify: bool,
    accepted: Option<&'l str>,
    refused: Option<u16>,
    unanswered: bool,
}

/// The log, sorted by what is asked of it.
#[derive(Default)]
struct Book<'l> {
    asked: BTreeMap<u64, Asked<'l>>,
    /// With where in the log it was first.
    framed: BTreeMap<&'l str, usize>,
    acked: BTreeSet<&'l str>,
    nacked: BTreeMap<&'l str, u16>,
    shown: Vec<(&'l str, &'l str, &'l str)>,
    reached: BTreeMap<&'l str, i64>,
    told: BTreeMap<&'l str, Vec<i64>>,
    questions: Vec<(&'l str, &'l str, &'l [String])>,
    reused: Vec<&'l str>,
    heard: BTreeSet<&'l str>,
    crowd: usize,
    /// Some fault ends the gateway's process.
    processes_end: bool,
    missed: u64,
    settled: Option<(i64, i64, i64, bool)>,
}

impl<'l> Book<'l> {
    fn of(log: &'l [Entry]) -> Self {
        let mut book = Self::default();
        for (place, entry) in log.iter().enumerate() {
            match &entry.seen {
                Seen::Asked {
                    request,
                    face,
                    phones,
                    notify,
                } => {
                    let asked = book.asked.entry(*request).or_default();
                    (asked.face, asked.phones, asked.notify) = (face, phones, *notify);
                }
                Seen::Accepted { request, id } => {
                    book.asked.entry(*request).or_default().accepted = Some(id);
                }
                Seen::Refused { request, status } => {
                    book.asked.entry(*request).or_default().refused = Some(*status);
                }
                Seen::Unanswered { request } => {
                    book.asked.entry(*request).or_default().unanswered = true;
                }
                Seen::Framed { id } => {
                    book.framed.entry(id).or_insert(place);
                }
                Seen::ServerAcked { id, error: None } => {
                    book.acked.insert(id);
                }
                Seen::ServerAcked {
                    id,
                    error: Some(code),
                } => {
                    book.nacked.insert(id, *code);
                }
                Seen::Shown { phone, id, face } => book.shown.push((phone, id, face)),
                Seen::Reached { id, stage } => {
                    let reached = book.reached.entry(id).or_insert(0);
                    *reached = (*reached).max(*stage);
                }
                Seen::Told { id, ack } => book.told.entry(id).or_default().push(*ack),
                Seen::Question {
                    face,
                    phone,
                    answers,
                } => book.questions.push((face, phone, answers)),
                Seen::KeyReused { id } => book.reused.push(id),
                Seen::Heard { face } => drop(book.heard.insert(face)),
                Seen::Crowd { most } => book.crowd = book.crowd.max(*most),
                Seen::Missed { count } => book.missed += count,
                Seen::Fault { what } => {
                    let ends = ["kill", "stop", "ended at"];
                    book.processes_end |= ends.iter().any(|end| what.starts_with(end));
                }
                Seen::Settled {
                    pending,
                    owed,
                    untaken,
                    sound,
                } => book.settled = Some((*pending, *owed, *untaken, *sound)),
            }
        }
        book
    }

    /// Which id and which face belong together.
    fn pairs(&self) -> Vec<(&'l str, &'l str)> {
        let accepted = self.asked.values();
        let accepted = accepted.filter_map(|asked| Some((asked.accepted?, asked.face)));
        let shown = self.shown.iter().map(|(_, id, face)| (*id, *face));
        accepted.chain(shown).collect()
    }

    fn accepted(&self) -> impl Iterator<Item = (&'l str, &Asked<'l>)> {
        let accepted = self.asked.values();
        accepted.filter_map(|asked| Some((asked.accepted?, asked)))
    }

    fn failures(&self, id: &str) -> usize {
        let told = self.told.get(id).map(Vec::as_slice).unwrap_or_default();
        told.iter().filter(|ack| **ack == -1).count()
    }

    /// The server said so; or it kept its word back, and a phone has the message all the same.
    fn is_taken(&self, id: &str) -> bool {
        let shown = || self.shown.iter().any(|(_, shown, _)| *shown == id);
        self.acked.contains(id) || self.reached.contains_key(id) || shown()
    }

    /// The server refused it, and never took it.
    fn is_refused(&self, id: &str) -> bool {
        self.nacked.contains_key(id) && !self.is_taken(id)
    }

    /// I1: what was accepted is on the wire and acked, or told of as failed.
    fn accepted_is_sent(&self, found: &mut Vec<Violation>) {
        for (id, asked) in self.accepted() {
            let acked = self.is_taken(id);
            let refused = self.nacked.contains_key(id);
            let failed = self.failures(id) > 0 || (!asked.notify && refused);
            // What was sent again and refused then may have been taken before.
            if acked && self.failures(id) > 0 && !refused {
                found.push(broken("I1", id, "acked, and told of as failed"));
            } else if !acked && !failed {
                found.push(broken("I1", id, "accepted, and neither acked nor failed"));
            }
        }
    }

    /// I2: one id for one message, and no id on the wire that nobody knows.
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
        // Of what was refused no phone says whether it was an answer, or of a request that lost its connection.
        let named = |id: &&&str| known.contains(**id) || self.is_refused(id);
        for id in self.framed.keys().filter(|id| !named(id)) {
            found.push(broken("I2", id, "an id on the wire that nobody was given"));
        }
    }

    /// I3: each phone shows an id once, and what was asked for.
    fn phones_show_what_was_asked(&self, found: &mut Vec<Violation>) {
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
                    let why = format!("{phone} shows {face:?} in place of {wanted:?}");
                    found.push(broken("I3", id, &why));
                }
                _ if !faces.contains(face) => {
                    let why = format!("{phone} shows {face:?}, which nobody asked for");
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

    /// I4: what was refused is nowhere.
    fn refused_is_nothing(&self, found: &mut Vec<Violation>) {
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

    /// I5: each stage that a message came to is told.
    fn every_stage_is_told(&self, found: &mut Vec<Violation>) {
        for (id, _) in self.accepted().filter(|(_, asked)| asked.notify) {
            if self.nacked.contains_key(id) {
                if self.failures(id) > 0 {
                    continue;
                }
                if !self.is_taken(id) {
                    let why = "refused by the server, and nobody was told";
                    found.push(broken("I5", id, why));
                    continue;
                }
            }
            let reached = self.reached.get(id).copied().unwrap_or(0);
            let last = reached.max(i64::from(self.acked.contains(id)));
            let told = self.told.get(id).map(Vec::as_slice).unwrap_or_default();
            for stage in (1..=last).filter(|stage| !told.contains(stage)) {
                found.push(broken("I5", id, &format!("ack {stage} was never told")));
            }
        }
    }

    /// I6: stages rise; the same may come again, a lower one never, and nothing after -1.
    fn stages_rise(&self, found: &mut Vec<Violation>) {
        for (id, told) in &self.told {
            let falls = told.windows(2).any(|two| two[1] < two[0] && two[1] != -1);
            let after_the_end = told.windows(2).any(|two| two[0] == -1 && two[1] != -1);
            let failed_late = told.contains(&-1) && told.iter().any(|ack| *ack > 0);
            if falls || after_the_end || failed_late {
                found.push(broken("I6", id, &format!("told {told:?}")));
            }
        }
    }

    /// I7: no message key is used twice.
    fn no_key_twice(&self, found: &mut Vec<Violation>) {
        for id in &self.reused {
            let why = "encrypted with a key that another ciphertext had";
            found.push(broken("I7", id, why));
        }
    }

    /// I8: an answer's messages are on the phone once, and went out in their order. A phone may show them in another one, where it
    /// could not read the first and had to ask for it again.
    /// Of each that the server refused one may be missing.
    fn answers_go_out_once(&self, found: &mut Vec<Violation>) {
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
                let why = format!("answered with {answers:?}, and the phone was sent {sent:?}");
                found.push(broken("I8", face, &why));
            }
        }
    }

    /// I5: what a customer wrote is told to who subscribed to it.
    fn what_was_written_is_heard(&self, found: &mut Vec<Violation>) {
        for (face, _, _) in &self.questions {
            if !self.heard.contains(face) {
                found.push(broken(
                    "I5",
                    face,
                    "written, and told to nobody as an event",
                ));
            }
        }
    }

    /// I10: an endpoint has no more calls under way than its cap; those of a process that was killed a moment ago may be among them.
    fn nobody_is_crowded(&self, found: &mut Vec<Violation>) {
        let most = if self.processes_end { 2 * CAP } else { CAP };
        if self.crowd > most {
            let why = format!("{} calls at one time", self.crowd);
            found.push(broken("I10", "the endpoint", &why));
        }
    }

    /// I9: in the end nothing waits, the database is sound, and so is the log.
    fn queues_are_empty(&self, found: &mut Vec<Violation>) {
        if self.missed > 0 {
            let why = format!("the log misses {} things", self.missed);
            found.push(broken("I9", "the log", &why));
        }
        let why = match self.settled {
            None => "nobody looked".to_owned(),
            Some((0, 0, 0, true)) => return,
            Some((_, _, _, false)) => "the database is not sound".to_owned(),
            Some((pending, owed, untaken, true)) => {
                format!("{pending} messages, {owed} deliveries and {untaken} stanzas wait")
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
