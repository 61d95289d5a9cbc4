//! The stanzas of one device that the library has read and not worked off, and a bound for them.
//!
//! The library spawns a task for each receipt and reads on, however many tasks wait. A text to a group of 1,000 brings a
//! receipt from each member, so 100 texts brought 200,000 tasks: 250 MB, and every server ack and every text of the
//! bot waited behind them. The socket is therefore read only while few stanzas wait; the rest stays with
//! WhatsApp's server.
//!
//! Only tasks that wait for a thread or for a commit of the gateway count. A task that waits for an answer from
//! WhatsApp does not: the answer comes over the very socket.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// The socket is read while fewer stanzas of the device wait. Receipts that wait for a commit hold a thread each, and
/// all devices share [`super::runtime`]'s 512.
const MOST: usize = 64;

/// The backlog of one device.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    waiting: AtomicUsize,
    less: Notify,
}

/// One stanza of the backlog, as long as this lives.
#[derive(Debug)]
pub(super) struct Waiting(Arc<Backlog>);

impl Backlog {
    /// One more waits.
    pub(super) fn add(self: &Arc<Self>) -> Waiting {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        Waiting(Arc::clone(self))
    }

    /// Returns once few wait.
    pub(super) async fn is_short(&self) {
        loop {
            let less = self.less.notified();
            tokio::pin!(less);
            less.as_mut().enable();
            if self.waiting.load(Ordering::SeqCst) < MOST {
                return;
            }
            less.await;
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.0.waiting.fetch_sub(1, Ordering::SeqCst) == MOST {
            self.0.less.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_socket_is_read_again_once_one_stanza_less_waits() {
        let backlog = Arc::<Backlog>::default();
        backlog.is_short().await;
        let mut waiting: Vec<_> = (0..MOST).map(|_| backlog.add()).collect();
        let short = backlog.is_short();
        tokio::pin!(short);
        assert!(futures::poll!(short.as_mut()).is_pending());
        waiting.pop();
        short.await;
    }
}
