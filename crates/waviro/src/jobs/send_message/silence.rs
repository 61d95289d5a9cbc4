//! When the server acks nothing: a fresh connection, and another write.

use std::sync::Arc;
use std::time::Duration;

use tracing::warn;
use waviro_link::Link;

use super::window::Written;
use super::{ACK_WITHIN, Lane, Outcome, REST};
use crate::clock::{Millis, millis};

/// An ack within this proves that the connection works.
const ALIVE: Duration = Duration::from_secs(30);

impl Lane {
    /// Silence on a link that looks alive: ask for a fresh connection, which writes again what is unacked. Where others
    /// were acked lately the link is alive, and only the overdue messages are written again.
    pub(super) fn watch_acks(&mut self, link: &Arc<dyn Link>, now: Millis) {
        let connection = self.connection;
        let overdue = |written: Written| written.at + millis(ACK_WITHIN) <= now;
        if !self.up {
            return;
        }
        if let Some(kick) = self.kicked.filter(|kick| kick.connection == connection) {
            if kick.at + millis(REST) <= now {
                // The old connection stayed, or the link never said that it changed.
                self.kicked = None;
                self.window.write_again(overdue);
            }
            return;
        }
        let silent = self.window.oldest_write().is_some_and(overdue);
        let stalled = silent && self.last_ack + millis(ALIVE) < now;
        if stalled || self.timeouts >= 2 {
            warn!(
                bot = self.bot.name(),
                "the server acks nothing: reconnecting"
            );
            metrics::counter!("waviro_link_kicks_total").increment(1);
            self.kicked = Some(Written {
                connection,
                at: now,
            });
            self.timeouts = 0;
            let link = Arc::clone(link);
            self.work.push(Box::pin(async move {
                link.reconnect().await;
                Outcome::Done
            }));
        } else if silent {
            self.window.write_again(overdue);
        }
    }
}
