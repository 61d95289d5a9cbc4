//! Counts the stanzas of one device that the library has read but not processed, and limits the
//! number.
//!
//! The library spawns a task for each receipt and reads on without a limit. A text to a group of
//! 1,000 members brings a receipt from each member, so 100 texts produced 200,000 tasks and used
//! 250 MB, and every server ack and every text of the bot waited behind the tasks. Therefore the
//! socket is read only while few stanzas wait; the rest stays on WhatsApp's server.
//!
//! The count includes only tasks that wait for a thread or for a commit of the gateway. A task that
//! waits for WhatsApp's answer does not count, because the answer arrives over the same socket.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// The limit of waiting stanzas of a device. Receipts that wait for a commit block a thread each,
/// and all devices share the 512 threads of [`super::runtime`].
const MAX_WAITING: usize = 64;

/// The number of waiting stanzas of one device.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    waiting: AtomicUsize,
    less: Notify,
}

/// A waiting stanza; dropping the value removes the stanza from the count.
#[derive(Debug)]
pub(super) struct Waiting(Arc<Backlog>);

impl Backlog {
    /// Adds a waiting stanza.
    pub(super) fn add(self: &Arc<Self>) -> Waiting {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        Waiting(Arc::clone(self))
    }

    /// Waits until few stanzas wait.
    pub(super) async fn is_short(&self) {
        loop {
            let less = self.less.notified();
            tokio::pin!(less);
            less.as_mut().enable();
            if self.waiting.load(Ordering::SeqCst) < MAX_WAITING {
                return;
            }
            less.await;
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.0.waiting.fetch_sub(1, Ordering::SeqCst) == MAX_WAITING {
            self.0.less.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_socket_is_read_again_when_a_waiting_stanza_is_handled() {
        let backlog = Arc::<Backlog>::default();
        backlog.is_short().await;
        let mut waiting: Vec<_> = (0..MAX_WAITING).map(|_| backlog.add()).collect();
        let short = backlog.is_short();
        tokio::pin!(short);
        assert!(futures::poll!(short.as_mut()).is_pending());
        waiting.pop();
        short.await;
    }
}
