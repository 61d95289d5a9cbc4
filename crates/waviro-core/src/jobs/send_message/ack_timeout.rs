//! The reaction to missing server acks: reconnect and resend.

use std::sync::Arc;
use std::time::Duration;

use tracing::warn;
use waviro_link::Link;
use waviro_store::clock::{Millis, millis};

use super::window::Written;
use super::{ACK_WITHIN, Lane, Outcome, REST};

/// The connection works if an ack arrived within this time.
const ALIVE: Duration = Duration::from_secs(30);

impl Lane {
    /// Requests a reconnect if no ack arrives although the link is up; the unacked messages are
    /// resent after the reconnect. If other messages were acked recently, the link works, and only
    /// the overdue messages are resent.
    pub(super) fn watch_acks(&mut self, link: &Arc<dyn Link>, now: Millis) {
        let connection = self.connection;
        let overdue = |written: Written| written.at + millis(ACK_WITHIN) <= now;
        if !self.up {
            return;
        }
        if let Some(reconnect) = self
            .reconnect_asked
            .filter(|reconnect| reconnect.connection == connection)
        {
            if reconnect.at + millis(REST) <= now {
                // The connection did not change, or the link did not report the change.
                self.reconnect_asked = None;
                self.window.write_again(overdue);
            }
            return;
        }
        let overdue_ack = self.window.oldest_write().is_some_and(overdue);
        let stalled = overdue_ack && self.last_ack + millis(ALIVE) < now;
        if stalled || self.timeouts >= 2 {
            warn!(bot = self.bot.name(), "no server acks; reconnecting");
            metrics::counter!("waviro_link_kicks_total").increment(1);
            self.reconnect_asked = Some(Written {
                connection,
                at: now,
            });
            self.timeouts = 0;
            let link = Arc::clone(link);
            self.work.push(Box::pin(async move {
                link.reconnect().await;
                Outcome::Done
            }));
        } else if overdue_ack {
            self.window.write_again(overdue);
        }
    }
}
