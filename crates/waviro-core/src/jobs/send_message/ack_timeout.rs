//! The timeout for server acks, and the reaction: reconnect or resend.

use std::time::Duration;

use waviro_store::clock::{Millis, millis};

use super::window::Written;

/// The timeout for a server ack. The server usually acks within two seconds, so after a minute
/// without acks the connection is dead or the ack is lost.
const ACK_WITHIN: Duration = Duration::from_mins(1);

/// The connection works if an ack arrived within this time.
const ALIVE: Duration = Duration::from_secs(30);

/// The wait for the new connection after a request to reconnect.
const RECONNECT_WITHIN: Duration = Duration::from_secs(5);

/// The number of timed-out writes without an ack in between that causes a reconnect.
const MAX_TIMEOUTS: u32 = 2;

/// The wait for the server acks of a lane.
#[derive(Debug, Default)]
pub(super) struct AckTimeout {
    last_ack: Millis,
    /// The last request to reconnect, and the connection to replace.
    reconnect: Option<Written>,
    /// The writes that timed out since the last ack.
    timeouts: u32,
}

/// The reaction to missing acks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reaction {
    Nothing,
    /// Resend the overdue messages on the same connection.
    Resend,
    /// Request a reconnect. The unacked messages are resent on the new connection.
    Reconnect,
}

impl AckTimeout {
    /// A message of the lane became final.
    pub(super) fn acked(&mut self, now: Millis) {
        self.last_ack = now;
        self.timeouts = 0;
    }

    /// A write timed out.
    pub(super) fn write_timed_out(&mut self) {
        self.timeouts += 1;
    }

    /// Returns true if the ack of the write is overdue.
    pub(super) fn is_overdue(written: Written, now: Millis) -> bool {
        written.at + millis(ACK_WITHIN) <= now
    }

    /// Decides about missing acks while the link is up. `oldest` is the oldest unacked write. If no
    /// ack arrives, the lane reconnects. If other messages were acked recently, the link works, and
    /// only the overdue messages are resent.
    pub(super) fn check(
        &mut self,
        connection: u64,
        oldest: Option<Written>,
        now: Millis,
    ) -> Reaction {
        let reconnect = self.reconnect;
        if let Some(reconnect) = reconnect.filter(|it| it.connection == connection) {
            if reconnect.at + millis(RECONNECT_WITHIN) > now {
                return Reaction::Nothing;
            }
            // The connection did not change, or the link did not report the change.
            self.reconnect = None;
            return Reaction::Resend;
        }
        let is_overdue = oldest.is_some_and(|oldest| Self::is_overdue(oldest, now));
        let is_stalled = is_overdue && self.last_ack + millis(ALIVE) < now;
        if is_stalled || self.timeouts >= MAX_TIMEOUTS {
            let at = now;
            self.reconnect = Some(Written { connection, at });
            self.timeouts = 0;
            return Reaction::Reconnect;
        }
        if is_overdue {
            Reaction::Resend
        } else {
            Reaction::Nothing
        }
    }

    /// Returns the next time at which [`Self::check`] may have a reaction.
    pub(super) fn next_check(&self, oldest: Option<Written>) -> Option<Millis> {
        let ack = oldest.map(|written| written.at + millis(ACK_WITHIN));
        let reconnect = self.reconnect.map(|it| it.at + millis(RECONNECT_WITHIN));
        [ack, reconnect].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Millis = 60_000;

    #[test]
    fn a_minute_without_any_ack_causes_one_reconnect() {
        let mut acks = AckTimeout::default();
        let (connection, at) = (1, 100);
        let oldest = Some(Written { connection, at });
        assert_eq!(acks.check(1, oldest, MINUTE), Reaction::Nothing);
        assert_eq!(acks.check(1, oldest, MINUTE + 100), Reaction::Reconnect);
        assert_eq!(acks.check(1, oldest, MINUTE + 101), Reaction::Nothing);
        assert_eq!(acks.check(2, None, MINUTE + 200), Reaction::Nothing);
    }

    #[test]
    fn an_overdue_message_is_resent_while_other_messages_are_acked() {
        let mut acks = AckTimeout::default();
        acks.acked(MINUTE);
        let (connection, at) = (1, 0);
        let reaction = acks.check(1, Some(Written { connection, at }), MINUTE + 1);
        assert_eq!(reaction, Reaction::Resend);
    }

    #[test]
    fn an_unanswered_request_to_reconnect_is_followed_by_a_resend() {
        let mut acks = AckTimeout::default();
        acks.write_timed_out();
        acks.acked(0);
        acks.write_timed_out();
        assert_eq!(acks.check(1, None, 1), Reaction::Nothing);
        acks.write_timed_out();
        assert_eq!(acks.check(1, None, 1), Reaction::Reconnect);
        assert_eq!(acks.check(1, None, 5_001), Reaction::Resend);
        assert_eq!(acks.next_check(None), None);
    }
}
