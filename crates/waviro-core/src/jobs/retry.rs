//! The retry schedule: a single table for all requests to users' endpoints.

use std::time::Duration;

use waviro_store::AttemptFailure;

use crate::net::{Answer, NetError};

/// The waits before the second, third … attempt. The first attempt starts at once; the thirteenth
/// is the last, after about 76 hours.
pub const TABLE: [Duration; 12] = [
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_mins(2),
    Duration::from_mins(10),
    Duration::from_mins(30),
    Duration::from_hours(1),
    Duration::from_hours(2),
    Duration::from_hours(4),
    Duration::from_hours(8),
    Duration::from_hours(12),
    Duration::from_hours(24),
    Duration::from_hours(24),
];

/// Each wait varies by up to a fifth, so that deliveries with a common failure are not retried
/// together.
const SPREAD: f64 = 0.2;

/// The shortest wait after an endpoint was overloaded or timed out.
const STRAINED: Duration = Duration::from_mins(1);

/// The decision after an attempt.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// The endpoint answered with a 2xx status.
    Delivered,
    /// Retry after a wait.
    Retry {
        /// How long to wait.
        after: Duration,
        /// The error, without URL or body.
        error: AttemptFailure,
        /// The endpoint asked for the wait or is overloaded. The wait is kept even if the endpoint
        /// works again earlier.
        held: bool,
    },
    /// The last attempt of the table failed.
    GiveUp {
        /// The error of the last attempt.
        error: AttemptFailure,
    },
    /// The endpoint answered 410: no further attempt follows.
    Gone,
}

/// Decides between retry and end after an attempt. `failed` counts the failed attempts before;
/// `spread` is between -1.0 and 1.0.
#[must_use]
pub fn decide(answer: &Result<Answer, NetError>, failed: u32, spread: f64) -> Decision {
    let (error, strained, retry_after) = match answer {
        Ok(answer) if (200..300).contains(&answer.status) => return Decision::Delivered,
        Ok(answer) if answer.status == 410 => return Decision::Gone,
        Ok(answer) => {
            let strained = matches!(answer.status, 429 | 502 | 504);
            (
                AttemptFailure::status(answer.status),
                strained,
                answer.retry_after,
            )
        }
        Err(error) => (
            error.failure(),
            matches!(error, NetError::TimedOut(_)),
            None,
        ),
    };
    schedule(error, (strained, retry_after), failed, spread)
}

/// Decides after the URL of the answer, to which an endpoint redirected, answered 410. Such a 410
/// does not apply to the rule's own URL.
#[must_use]
pub fn answer_gone(failed: u32, spread: f64) -> Decision {
    schedule(AttemptFailure::answer_gone(), (false, None), failed, spread)
}

/// Schedules the retry after `error`. A strained endpoint gets a longer wait; `retry_after` is
/// the wait requested by the endpoint.
fn schedule(
    error: AttemptFailure,
    (strained, retry_after): (bool, Option<Duration>),
    failed: u32,
    spread: f64,
) -> Decision {
    let Some(wait) = wait(failed, spread) else {
        return Decision::GiveUp { error };
    };
    let wait = if strained { wait.max(STRAINED) } else { wait };
    let after = retry_after.map_or(wait, |retry_after| retry_after.clamp(wait, wait * 2));
    let held = retry_after.is_some() || strained;
    Decision::Retry { after, error, held }
}

/// Returns the wait after `failed` earlier failures and the current failure; `None` after the last
/// attempt.
fn wait(failed: u32, spread: f64) -> Option<Duration> {
    let base = TABLE.get(usize::try_from(failed).ok()?)?;
    Some(base.mul_f64(1.0 + SPREAD * spread.clamp(-1.0, 1.0)))
}

/// Returns a number between -1.0 and 1.0, always the same for the same attempt. The random ids
/// distribute the numbers evenly over deliveries.
#[must_use]
pub fn spread(id: &str, failed: u32) -> f64 {
    // FNV-1a distributes well enough and needs no random generator as an argument.
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in id.bytes().chain(failed.to_le_bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    let sixteen_bits = u16::try_from(hash >> 48).unwrap_or(0);
    f64::from(sixteen_bits) / f64::from(u16::MAX) * 2.0 - 1.0
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;
    use waviro_link::MessageId;
    use waviro_store::AttemptCause;

    use super::*;

    fn answered(status: u16, retry_after: Option<u64>) -> Answer {
        Answer {
            status,
            retry_after: retry_after.map(Duration::from_secs),
            body: Bytes::new(),
            cut: false,
            location: None,
        }
    }

    fn decision(status: u16, failed: u32) -> Decision {
        decide(&Ok(answered(status, None)), failed, 0.0)
    }

    /// Returns the wait before the next attempt in seconds; 0 if no attempt follows.
    fn after(answer: &Result<Answer, NetError>, failed: u32, spread: f64) -> f64 {
        match decide(answer, failed, spread) {
            Decision::Retry { after, .. } => after.as_secs_f64(),
            _ => 0.0,
        }
    }

    fn waits(answer: &Result<Answer, NetError>) -> Vec<u64> {
        let waits = (0..13).map(|failed| after(answer, failed, 0.0));
        waits
            .map(|wait| Duration::from_secs_f64(wait).as_secs())
            .collect()
    }

    #[test]
    fn the_table_is_the_promised_one_and_ends_after_thirteen_attempts() {
        assert_eq!(
            waits(&Ok(answered(500, None))),
            [
                5, 30, 120, 600, 1800, 3600, 7200, 14400, 28800, 43200, 86400, 86400, 0
            ]
        );
        assert!(matches!(decision(500, 12), Decision::GiveUp { .. }));
    }

    #[test]
    fn only_a_2xx_is_success_and_410_ends_it() {
        assert_eq!(decision(204, 0), Decision::Delivered);
        assert_eq!(decision(410, 0), Decision::Gone);
        let long = Answer {
            cut: true,
            ..answered(200, None)
        };
        assert_eq!(decide(&Ok(long), 0, 0.0), Decision::Delivered);
        for status in [301, 302, 400, 404, 500, 503] {
            assert!(
                matches!(decision(status, 0), Decision::Retry { .. }),
                "{status}"
            );
        }
    }

    #[test]
    fn an_answer_gone_behind_a_redirect_is_retried_and_is_not_the_410_of_the_endpoint() {
        assert!(matches!(
            answer_gone(0, 0.0),
            Decision::Retry { error, held: false, .. } if error.cause == AttemptCause::AnswerGone
        ));
        assert!(matches!(answer_gone(12, 0.0), Decision::GiveUp { .. }));
    }

    #[test]
    fn an_overloaded_endpoint_is_not_called_for_a_minute() {
        for status in [429, 502, 504] {
            assert_eq!(waits(&Ok(answered(status, None)))[..4], [60, 60, 120, 600]);
        }
        let timed_out = Err(NetError::TimedOut(Duration::from_secs(15)));
        assert_eq!(waits(&timed_out)[0], 60);
        let unreachable = Err(NetError::Unreachable("refused".to_owned()));
        assert_eq!(waits(&unreachable)[0], 5);
    }

    #[test]
    fn retry_after_is_followed_between_the_wait_and_twice_the_wait() {
        for (retry_after, granted) in [(1, 30), (45, 45), (3600, 60)] {
            assert_eq!(waits(&Ok(answered(503, Some(retry_after))))[1], granted);
        }
    }

    proptest! {
        #[test]
        fn waits_stay_within_a_fifth_of_the_table(random in any::<[u8; 8]>(), failed in 0_u32..12) {
            let spread = spread(MessageId::from_random(random).as_str(), failed);
            let after = after(&Ok(answered(500, None)), failed, spread);
            let base = TABLE[failed as usize].as_secs_f64();
            prop_assert!((base * 0.799..=base * 1.201).contains(&after));
        }
    }
}
