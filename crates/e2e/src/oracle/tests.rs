//! Logs written by hand: one log without a violation, and for each rule a log that breaks the rule.

use super::*;

fn at(seen: Vec<Seen>) -> Vec<Entry> {
    (0..)
        .zip(seen)
        .map(|(at, seen)| Entry { at, seen })
        .collect()
}

fn asked(request: u64, face: &str) -> Seen {
    Seen::Requested {
        request,
        face: face.to_owned(),
        phones: vec!["62813".to_owned()],
        notify: true,
    }
}

fn accepted(request: u64, id: &str) -> Seen {
    let id = id.to_owned();
    Seen::Accepted { request, id }
}

fn framed(id: &str) -> Seen {
    Seen::Framed { id: id.to_owned() }
}

fn acked(id: &str) -> Seen {
    let (id, error) = (id.to_owned(), None);
    Seen::ServerAcked { id, error }
}

fn shown(id: &str, face: &str) -> Seen {
    Seen::Shown {
        phone: "62813".to_owned(),
        id: id.to_owned(),
        face: face.to_owned(),
    }
}

fn reached(id: &str, stage: i64) -> Seen {
    let id = id.to_owned();
    Seen::Reached { id, stage }
}

fn called_back(id: &str, ack: i64) -> Seen {
    let id = id.to_owned();
    Seen::CalledBack { id, ack }
}

fn question(answers: &[&str]) -> Seen {
    Seen::Question {
        face: "tanya".to_owned(),
        phone: "62813".to_owned(),
        answers: answers.iter().map(|it| (*it).to_owned()).collect(),
    }
}

fn event_received(face: &str) -> Seen {
    let face = face.to_owned();
    Seen::EventReceived { face }
}

fn nacked(id: &str) -> Seen {
    let (id, error) = (id.to_owned(), Some(479));
    Seen::ServerAcked { id, error }
}

fn settled() -> Seen {
    Seen::Settled {
        pending: 0,
        deliveries: 0,
        stanzas: 0,
        sound: true,
    }
}

/// Returns a log without a violation: one message of each outcome and one question with its reply.
fn well() -> Vec<Seen> {
    vec![
        asked(1, "satu"),
        accepted(1, "A"),
        framed("A"),
        acked("A"),
        shown("A", "satu"),
        called_back("A", 1),
        reached("A", 2),
        called_back("A", 2),
        asked(2, "dua"),
        Seen::Fault {
            what: "kill".to_owned(),
        },
        Seen::Unanswered { request: 2 },
        // The gateway had accepted this message before the connection ended.
        framed("B"),
        acked("B"),
        shown("B", "dua"),
        called_back("B", 1),
        asked(3, "tiga"),
        Seen::Refused {
            request: 3,
            status: 400,
        },
        asked(4, "empat"),
        accepted(4, "D"),
        called_back("D", -1),
        // Two requests with the same content: the gateway accepts only one.
        asked(5, "lima"),
        asked(6, "lima"),
        accepted(6, "E"),
        Seen::Refused {
            request: 5,
            status: 400,
        },
        framed("E"),
        // The message was resent under the same id after a kill, and the callback was repeated
        // because its 2xx was lost.
        framed("E"),
        acked("E"),
        shown("E", "lima"),
        called_back("E", 1),
        called_back("E", 1),
        question(&["jawab 1", "jawab 2"]),
        event_received("tanya"),
        framed("R1"),
        framed("R2"),
        acked("R1"),
        acked("R2"),
        shown("R1", "jawab 1"),
        shown("R2", "jawab 2"),
        settled(),
    ]
}

/// Returns the rule and the subject of each violation in a log.
fn broken_by(log: Vec<Seen>) -> Vec<(&'static str, String)> {
    let found = judge(&at(log));
    found.into_iter().map(|it| (it.rule, it.about)).collect()
}

/// Returns the violations of the log of [`well`] after `change`.
fn but(change: impl FnOnce(&mut Vec<Seen>)) -> Vec<(&'static str, String)> {
    let mut log = well();
    change(&mut log);
    broken_by(log)
}

fn without(seen: &Seen) -> Vec<(&'static str, String)> {
    but(|log| log.retain(|it| it != seen))
}

fn with(seen: Seen) -> Vec<(&'static str, String)> {
    but(|log| log.push(seen))
}

fn one(rule: &'static str, about: &str) -> Vec<(&'static str, String)> {
    vec![(rule, about.to_owned())]
}

#[test]
fn a_log_without_a_broken_promise_has_no_violation() {
    assert_eq!(broken_by(well()), []);
}

#[test]
fn i1_an_accepted_message_that_is_neither_acked_nor_failed() {
    // The process was killed before the commit, or the queue lost the message.
    let lost = but(|log| {
        log.retain(|it| {
            *it != acked("A") && *it != called_back("A", 1) && *it != shown("A", "satu")
        });
        log.retain(|it| *it != reached("A", 2) && *it != called_back("A", 2) && *it != framed("A"));
    });
    assert_eq!(lost, one("I1", "A"));
    // The server withheld its ack. A phone has the message, and the gateway knows this from the
    // receipt.
    assert_eq!(without(&acked("A")), []);
    let silent = but(|log| log.retain(|it| *it != called_back("D", -1)));
    assert_eq!(silent, one("I1", "D"));
    let both = with(called_back("A", -1));
    assert!(both.contains(&("I1", "A".to_owned())), "{both:?}");
}

#[test]
fn i2_a_message_with_two_ids_and_an_unknown_id() {
    let doubled = but(|log| log.extend([framed("A2"), acked("A2"), shown("A2", "satu")]));
    assert!(doubled.contains(&("I2", "satu".to_owned())), "{doubled:?}");
    assert!(doubled.contains(&("I2", "A2".to_owned())), "{doubled:?}");
    assert_eq!(with(framed("X")), one("I2", "X"));
    // Both identical requests were accepted: the duplicate rule failed.
    let twins = but(|log| {
        for entry in log.iter_mut() {
            if matches!(entry, Seen::Refused { request: 5, .. }) {
                *entry = accepted(5, "E2");
            }
        }
        log.extend([
            framed("E2"),
            acked("E2"),
            shown("E2", "lima"),
            called_back("E2", 1),
        ]);
    });
    assert_eq!(twins, one("I2", "lima"));
}

#[test]
fn i3_a_message_shown_twice_changed_or_not_at_all() {
    assert_eq!(with(shown("A", "satu")), one("I3", "A"));
    let changed = but(|log| {
        for entry in log.iter_mut() {
            if *entry == shown("A", "satu") {
                *entry = shown("A", "sa");
            }
        }
    });
    assert_eq!(changed, one("I3", "A"));
    assert_eq!(without(&shown("A", "satu")), one("I3", "A"));
    // The message is on a phone other than the requested phone.
    let astray = but(|log| {
        for entry in log.iter_mut() {
            if let Seen::Shown { phone, id, .. } = entry
                && id == "A"
            {
                *phone = "62899".to_owned();
            }
        }
    });
    assert_eq!(astray, one("I3", "A"));
    let unknown = with(shown("Z", "siapa"));
    assert_eq!(unknown, one("I3", "Z"));
}

#[test]
fn i4_a_refused_message_on_a_phone_and_a_5xx() {
    let shown = but(|log| log.extend([shown("C", "tiga")]));
    assert_eq!(shown, one("I4", "tiga"));
    let failed = but(|log| {
        let status = 500;
        log.extend([asked(9, "sembilan"), Seen::Refused { request: 9, status }]);
    });
    assert_eq!(failed, one("I4", "sembilan"));
}

#[test]
fn i5_a_stage_without_a_callback_and_a_message_without_an_event() {
    assert_eq!(without(&called_back("A", 1)), one("I5", "A"));
    assert_eq!(without(&called_back("A", 2)), one("I5", "A"));
    assert_eq!(with(reached("E", 3)).len(), 2);
    assert_eq!(without(&event_received("tanya")), one("I5", "tanya"));
}

#[test]
fn i6_stages_that_fall_and_callbacks_after_the_end() {
    assert_eq!(with(called_back("A", 1)), one("I6", "A"));
    let risen = with(called_back("D", 1));
    assert_eq!(risen, one("I6", "D"));
}

#[test]
fn i7_a_key_used_twice() {
    let reused = with(Seen::KeyReused { id: "A".to_owned() });
    assert_eq!(reused, one("I7", "A"));
}

#[test]
fn i8_an_answer_that_is_missing_doubled_or_out_of_order() {
    let missing = without(&shown("R2", "jawab 2"));
    assert!(missing.contains(&("I8", "tanya".to_owned())), "{missing:?}");
    let twice = but(|log| log.extend([framed("R3"), shown("R3", "jawab 2")]));
    assert!(twice.contains(&("I8", "tanya".to_owned())), "{twice:?}");
    let swapped = but(|log| {
        let first = log.iter().position(|it| *it == framed("R1"));
        log.swap(first.unwrap(), first.unwrap() + 1);
    });
    assert_eq!(swapped, one("I8", "tanya"));
    // The phone requested a resend of the first message.
    let late = but(|log| {
        let first = log.iter().position(|it| *it == shown("R1", "jawab 1"));
        log.swap(first.unwrap(), first.unwrap() + 1);
    });
    assert_eq!(late, []);
}

#[test]
fn i9_queues_that_are_not_empty_and_a_damaged_database() {
    assert_eq!(without(&settled()), one("I9", "the end"));
    for (pending, deliveries, stanzas, sound) in [
        (1, 0, 0, true),
        (0, 1, 0, true),
        (0, 0, 1, true),
        (0, 0, 0, false),
    ] {
        let end = Seen::Settled {
            pending,
            deliveries,
            stanzas,
            sound,
        };
        assert_eq!(with(end), one("I9", "the end"));
    }
    assert_eq!(with(Seen::Missed { count: 1 }), one("I9", "the log"));
}

#[test]
fn i10_more_concurrent_calls_than_an_endpoint_allows() {
    assert_eq!(with(Seen::PeakCalls { calls: 16 }), []);
    assert_eq!(
        with(Seen::PeakCalls { calls: 17 }),
        one("I10", "the endpoint")
    );
    // No process was killed, so only one process makes calls.
    let alone = but(|log| {
        log.retain(|it| !matches!(it, Seen::Fault { .. }));
        log.push(Seen::PeakCalls { calls: 9 });
    });
    assert_eq!(alone, one("I10", "the endpoint"));
}

#[test]
fn a_message_refused_by_the_server_is_called_back_as_failed_and_may_miss_in_a_reply() {
    let refused = |log: &mut Vec<Seen>| {
        log.extend([
            asked(8, "delapan"),
            accepted(8, "H"),
            framed("H"),
            nacked("H"),
        ]);
    };
    assert_eq!(
        but(refused),
        [("I1", "H".to_owned()), ("I5", "H".to_owned())]
    );
    let reported = but(|log| {
        refused(log);
        log.push(called_back("H", -1));
    });
    assert_eq!(reported, []);
    let of_an_answer = |log: &mut Vec<Seen>| {
        log.retain(|it| *it != shown("R2", "jawab 2") && *it != acked("R2"));
        log.push(nacked("R2"));
    };
    assert_eq!(but(of_an_answer), []);
    let two = but(|log| {
        of_an_answer(log);
        log.retain(|it| *it != shown("R1", "jawab 1"));
    });
    assert!(two.contains(&("I8", "tanya".to_owned())), "{two:?}");
}

#[test]
fn the_evidence_is_every_entry_about_the_message() {
    let mut log = well();
    log.push(framed("A2"));
    log.push(shown("A2", "satu"));
    let log = at(log);
    let found = judge(&log);
    let doubled = found
        .iter()
        .find(|it| it.rule == "I2" && it.about == "satu");
    let seen: Vec<&Seen> = evidence(doubled.unwrap(), &log)
        .iter()
        .map(|it| &it.seen)
        .collect();
    for wanted in [asked(1, "satu"), accepted(1, "A"), acked("A"), framed("A2")] {
        assert!(seen.contains(&&wanted), "{wanted:?}");
    }
    assert!(!seen.contains(&&acked("B")));
}

#[test]
fn the_shortest_log_has_only_necessary_entries() {
    let mut log = well();
    log.extend([framed("A2"), acked("A2"), shown("A2", "satu")]);
    let log = at(log);
    let found = judge(&log);
    let doubled = found
        .iter()
        .find(|it| it.rule == "I2" && it.about == "satu");
    let short: Vec<Seen> = shortest(doubled.unwrap(), &log)
        .into_iter()
        .map(|it| it.seen)
        .collect();
    let killed = Seen::Fault {
        what: "kill".to_owned(),
    };
    assert_eq!(
        short,
        [
            asked(1, "satu"),
            accepted(1, "A"),
            killed,
            shown("A2", "satu")
        ]
    );
}

/// The shortest log of a reply in the wrong order must keep all parts of the reply. Without a part
/// the log would show a missing message.
#[test]
fn the_shortest_log_shows_the_same_violation_and_no_other() {
    let mut log = well();
    let first = log.iter().position(|it| *it == framed("R1")).unwrap();
    log.swap(first, first + 1);
    let log = at(log);
    let found = judge(&log);
    let short = shortest(&found[0], &log);
    assert!(judge(&short).contains(&found[0]), "{short:?}");
    assert!(short.len() < log.len() / 2, "{short:?}");
}
