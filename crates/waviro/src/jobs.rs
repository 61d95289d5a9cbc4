//! Work that goes on after the answer: writing messages to the wire and telling users what became of them.
//!
//! [`send_message`] is one lane per bot; its queue are the message rows with ack 0. [`deliver`] is one lane per
//! endpoint; its queue is the deliveries table. Both get their work in memory right after the commit that made it, and from
//! the database where memory did not hold it: at the start, after a failure, in a backlog.

pub mod deliver;
pub mod retention;
pub mod retry;
pub mod send_message;

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info};

use crate::bots::{Bot, Profiles};
use crate::clock::Clock;
use crate::net::Net;
use crate::outbox::Outbox;
use crate::store::{Committed, Due, Feeds, Store, StoreError};
use crate::telemetry::panics;

/// A lane that panicked rests so long: what broke it may be the first thing that it does.
const AFTER_A_PANIC: Duration = Duration::from_secs(1);

/// All lanes. Cheap to clone.
#[derive(Clone)]
pub struct Jobs {
    store: Store,
    clock: Clock,
    tasks: TaskTracker,
    stop: CancellationToken,
    deliveries: mpsc::UnboundedSender<Due>,
    bots: Living,
}

/// The bots by slot, for whoever sends an answer through one. Weak: a removed bot is not kept alive by this.
#[derive(Debug, Clone, Default)]
pub(crate) struct Living(Arc<Mutex<HashMap<i32, Weak<Bot>>>>);

impl Living {
    fn insert(&self, bot: &Arc<Bot>) {
        let mut bots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        bots.insert(bot.slot(), Arc::downgrade(bot));
    }

    fn find(&self, slot: i32) -> Option<Arc<Bot>> {
        let bots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        bots.get(&slot)?.upgrade()
    }
}

impl Jobs {
    /// Frees what a dead process had in hand and starts the deliveries. The lanes of the bots start as the bots come up
    /// ([`crate::events::attach`]). At `stop` nothing new is begun; what is under way ends on `tasks`.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn start(
        store: Store,
        net: Net,
        outbox: Outbox,
        profiles: Profiles,
        clock: Clock,
        tasks: &TaskTracker,
        stop: CancellationToken,
    ) -> Result<Self, StoreError> {
        let freed = store.release_all(clock.now()).await?;
        info!(
            deliveries = freed,
            "took over what the last run had in hand"
        );
        let troubles = store.troubles().await?;
        let (deliveries, inbox) = mpsc::unbounded_channel();
        let bots = Living::default();
        let poster = deliver::Poster {
            store: store.clone(),
            net,
            outbox,
            profiles,
            bots: bots.clone(),
            clock: clock.clone(),
            stop: stop.clone(),
        };
        let endpoints =
            deliver::Endpoints::new(poster, tasks.clone(), deliveries.clone(), troubles);
        tasks.spawn(panics::vital("deliveries", endpoints.run(inbox)));
        Ok(Self {
            store,
            clock,
            tasks: tasks.clone(),
            stop,
            deliveries,
            bots,
        })
    }

    /// Starts a bot's lane.
    pub(crate) fn start_lane(
        &self,
        bot: &Arc<Bot>,
        outbox: Outbox,
        committed: mpsc::UnboundedReceiver<Committed>,
    ) {
        self.bots.insert(bot);
        let (jobs, bot) = (self.clone(), Arc::clone(bot));
        self.tasks.spawn(jobs.keep_lane(bot, outbox, committed));
    }

    /// Starts a lane again, from the database, where it panicked: one message that breaks something must not silence
    /// its bot, and never another.
    async fn keep_lane(
        self,
        bot: Arc<Bot>,
        outbox: Outbox,
        mut committed: mpsc::UnboundedReceiver<Committed>,
    ) {
        loop {
            let lane = send_message::Lane::new(
                Arc::clone(&bot),
                self.store.clone(),
                outbox.clone(),
                self.feeds(&bot),
                self.clock.clone(),
                self.stop.clone(),
            );
            let run = AssertUnwindSafe(lane.run(&mut committed)).catch_unwind();
            if run.await.is_ok() {
                return;
            }
            error!(bot = bot.name(), "a bot's lane panicked; it starts again");
            metrics::counter!("waviro_lane_panics_total").increment(1);
            self.clock.sleep(AFTER_A_PANIC).await;
        }
    }

    /// Runs work that a stop waits for; it must end at [`Jobs::stop`].
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(work);
    }

    /// When work is to end.
    pub(crate) fn stop(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Who is told when messages of a bot change.
    pub(crate) fn feeds(&self, bot: &Bot) -> Feeds {
        Feeds {
            lane: bot.lane(),
            deliveries: self.deliveries.clone(),
        }
    }
}
