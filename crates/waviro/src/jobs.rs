//! Work that goes on after the answer: writing messages to the wire and telling users what became of them.
//!
//! [`send_message`] is one lane per bot; its queue are the message rows with ack 0. [`notify_ack`] is one lane per
//! endpoint; its queue is the jobs table. Both get their work in memory right after the commit that made it, and from
//! the database where memory did not hold it: at the start, after a failure, in a backlog.

pub mod notify_ack;
pub mod retry;
pub mod send_message;

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::info;

use crate::bots::Bot;
use crate::clock::Clock;
use crate::net::Net;
use crate::outbox::Outbox;
use crate::store::{Committed, Due, Feeds, Store, StoreError};

/// All lanes. Cheap to clone.
#[derive(Clone)]
pub struct Jobs {
    store: Store,
    clock: Clock,
    tasks: TaskTracker,
    stop: CancellationToken,
    callbacks: mpsc::UnboundedSender<Due>,
}

impl Jobs {
    /// Frees what a dead process had in hand and starts the callbacks. The lanes of the bots start as the bots come up
    /// ([`crate::events::attach`]). At `stop` nothing new is begun; what is under way ends on `tasks`.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn start(
        store: Store,
        net: Net,
        clock: Clock,
        tasks: &TaskTracker,
        stop: CancellationToken,
    ) -> Result<Self, StoreError> {
        let freed = store.release_all(clock.now()).await?;
        info!(callbacks = freed, "took over what the last run had in hand");
        let (callbacks, inbox) = mpsc::unbounded_channel();
        let poster = notify_ack::Callbacks::new(
            store.clone(),
            net,
            clock.clone(),
            tasks.clone(),
            stop.clone(),
            callbacks.clone(),
        );
        tasks.spawn(poster.run(inbox));
        Ok(Self {
            store,
            clock,
            tasks: tasks.clone(),
            stop,
            callbacks,
        })
    }

    /// Starts a bot's lane.
    pub(crate) fn start_lane(
        &self,
        bot: &Arc<Bot>,
        outbox: Outbox,
        committed: mpsc::UnboundedReceiver<Committed>,
    ) {
        let lane = send_message::Lane::new(
            Arc::clone(bot),
            self.store.clone(),
            outbox,
            self.feeds(bot),
            self.clock.clone(),
            self.stop.clone(),
        );
        self.tasks.spawn(lane.run(committed));
    }

    /// Who is told when messages of a bot change.
    pub(crate) fn feeds(&self, bot: &Bot) -> Feeds {
        Feeds {
            lane: bot.lane(),
            callbacks: self.callbacks.clone(),
        }
    }
}
