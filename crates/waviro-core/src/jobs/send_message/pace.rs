//! The pace of a bot: even gaps with some jitter, at most a set number of messages per minute, and
//! typing before a text.
//!
//! The jitter is derived from the random message ids, so the same message always gets the same gap
//! and typing time.

use std::collections::VecDeque;
use std::time::Duration;

use waviro_link::{Chat, Content, Outgoing};
use waviro_store::clock::{Millis, millis};

use crate::bots::Pacing;
use crate::jobs::retry::spread;

const MINUTE: Millis = 60_000;

/// The number of remembered send times: as many as the fastest pace needs.
pub(super) const REMEMBERED: usize = 600;

/// The time per character of a fast typist.
const CHARACTER: Duration = Duration::from_millis(40);

/// The shortest typing time.
const SHORTEST: Duration = Duration::from_millis(500);

/// The longest typing time. For a long text a realistic time would delay the queue, and the
/// recipient assumes a pasted text anyway.
const LONGEST: Duration = Duration::from_secs(4);

/// The largest relative variation of a typing time.
const UNEVEN: f64 = 0.3;

/// The past and planned send times, oldest first.
#[derive(Debug, Default)]
pub(super) struct Pace {
    moments: VecDeque<Millis>,
    /// The position of the next gap within the jitter, from -1.0 to 1.0.
    uneven: f64,
}

impl Pace {
    /// Continues after the send times before a restart.
    pub(super) fn after(mut moments: Vec<Millis>) -> Self {
        moments.sort_unstable();
        Self {
            moments: moments.into(),
            uneven: 0.0,
        }
    }

    /// Returns the earliest time for the next message.
    pub(super) fn next(&mut self, pacing: Pacing, now: Millis) -> Millis {
        let Some(per_minute) = pacing.per_minute.filter(|count| *count > 0) else {
            return now;
        };
        // A send time in the future comes from a clock that was put back, and would block the queue
        // for that long.
        self.moments.retain(|at| *at <= now + MINUTE);
        let Some(last) = self.moments.back() else {
            return now;
        };
        let even = Duration::from_mins(1) / per_minute;
        let gap = even.mul_f64((1.0 + pacing.jitter * self.uneven).max(0.0));
        let after_last = last + millis(gap);
        // Gaps shortened by the jitter must not add up beyond the limit per minute.
        let count = usize::try_from(per_minute).unwrap_or(REMEMBERED);
        let full = self.moments.len().checked_sub(count);
        let after_minute = full
            .and_then(|at| self.moments.get(at))
            .map(|at| at + MINUTE);
        after_last.max(after_minute.unwrap_or(Millis::MIN)).max(now)
    }

    /// Records that the message is written at this time.
    pub(super) fn took(&mut self, message: &Outgoing, at: Millis) {
        if self.moments.len() >= REMEMBERED {
            self.moments.pop_front();
        }
        self.moments.push_back(at);
        self.uneven = spread(message.id.as_str(), 0);
    }
}

/// Returns how long the bot shows typing before this message; `None` if it shows none. Only texts
/// to a person show typing.
pub(super) fn typing(pacing: Pacing, message: &Outgoing) -> Option<Duration> {
    let (Content::Text(text), Chat::Person(_) | Chat::Hidden(_)) = (&message.content, &message.to)
    else {
        return None;
    };
    if !pacing.typing {
        return None;
    }
    let characters = u32::try_from(text.chars().take(1000).count()).unwrap_or(1000);
    let usual = (CHARACTER * characters).clamp(SHORTEST, LONGEST);
    let uneven = 1.0 + UNEVEN * spread(message.id.as_str(), 1);
    Some(usual.mul_f64(uneven).clamp(SHORTEST, LONGEST))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use waviro_link::MessageId;

    use super::*;

    fn message(id: u64, text: &str) -> Outgoing {
        Outgoing {
            id: MessageId::from_random(id.to_be_bytes()),
            to: Chat::Person("6281000001".parse().unwrap()),
            content: Content::Text(text.to_owned()),
        }
    }

    fn pacing(per_minute: u32, jitter: f64) -> Pacing {
        Pacing {
            per_minute: Some(per_minute),
            jitter,
            typing: true,
        }
    }

    #[test]
    fn without_pacing_no_message_waits_and_the_first_never_waits() {
        let mut pace = Pace::default();
        assert_eq!(pace.next(pacing(1, 0.3), 7), 7);
        pace.took(&message(1, "a"), 7);
        assert_eq!(pace.next(Pacing::default(), 8), 8);
        assert_eq!(pace.next(pacing(1, 0.0), 8), 60_007);
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_stop_the_queue() {
        let mut pace = Pace::after(vec![10_000_000]);
        assert_eq!(pace.next(pacing(1, 0.3), 1000), 1000);
    }

    #[test]
    fn a_pause_grows_with_the_text_between_its_bounds() {
        let pause = |text: &str| typing(pacing(1, 0.3), &message(5, text)).unwrap();
        assert_eq!(pause("a"), pause("a"));
        assert!(pause(&"a".repeat(30)) < pause(&"a".repeat(60)));
        let group = Outgoing {
            to: Chat::Group("120363000000000001".parse().unwrap()),
            ..message(5, "a")
        };
        assert_eq!(typing(pacing(1, 0.3), &group), None);
        assert_eq!(typing(Pacing::default(), &message(5, "a")), None);
    }

    proptest! {
        #[test]
        fn no_minute_holds_more_than_the_pace_and_gaps_stay_within_the_jitter(
            per_minute in 1_u32..=60, jitter in 0.0..=1.0_f64, ids in prop::collection::vec(any::<u64>(), 200)
        ) {
            let (pacing, mut pace) = (pacing(per_minute, jitter), Pace::default());
            let (mut now, mut written) = (1_000_000, Vec::new());
            for id in ids {
                now = pace.next(pacing, now);
                pace.took(&message(id, "a"), now);
                written.push(now);
            }
            let count = usize::try_from(per_minute).unwrap();
            for window in written.windows(count + 1) {
                prop_assert!(window[count] - window[0] >= MINUTE);
            }
            let even = 60_000.0 / f64::from(per_minute);
            for pair in written.windows(2) {
                #[expect(clippy::cast_precision_loss, reason = "gaps are short, so no precision is lost")]
                let gap = (pair[1] - pair[0]) as f64;
                prop_assert!(gap >= even * (1.0 - jitter) - 1.0);
            }
        }

        #[test]
        fn a_pause_is_never_shorter_or_longer_than_its_bounds(id in any::<u64>(), length in 0_usize..5000) {
            let pause = typing(pacing(1, 0.3), &message(id, &"a".repeat(length))).unwrap();
            prop_assert!((SHORTEST..=LONGEST).contains(&pause));
            let usual = 40.0 * f64::from(u32::try_from(length).unwrap()).clamp(12.5, 100.0);
            let pause = pause.as_secs_f64() * 1000.0;
            prop_assert!((usual * 0.69..=usual * 1.31).contains(&pause));
        }
    }
}
