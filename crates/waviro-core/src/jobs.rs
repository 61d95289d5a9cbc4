//! The background jobs: sending accepted messages and delivering callbacks, webhooks and events.
//!
//! [`send_message`] runs a lane per bot; the queue of a lane is the message rows with ack 0.
//! [`deliver`] runs an endpoint queue per bot and endpoint; the queue is the deliveries table. Both
//! get new work in memory right after the commit. Both read from the database at the start, after a
//! failure, and if a backlog does not fit in memory.

pub mod deliver;
pub mod retention;
pub mod retry;
pub mod send_message;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info};
use waviro_store::clock::Clock;
use waviro_store::panics;
use waviro_store::{CommitFeeds, Committed, Due, Store, StoreError};

use crate::bots::{Bot, Profiles};
use crate::net::Net;
use crate::outbox::Outbox;
use deliver::{DeliveryEngine, RunningBots};

/// The pause before a lane restarts after a panic. Without a pause, a lane with a panic in the
/// first step would restart in a busy loop.
const AFTER_A_PANIC: Duration = Duration::from_secs(1);

/// Starts and feeds all lanes. Cheap to clone.
#[derive(Clone)]
pub struct Jobs {
    store: Store,
    clock: Clock,
    tasks: TaskTracker,
    stop: CancellationToken,
    deliveries: mpsc::UnboundedSender<Due>,
    bots: RunningBots,
}

impl Jobs {
    /// Releases the leases of a previous process and starts the deliveries. The lane of each bot
    /// starts when the bot comes up ([`crate::events::attach`]). At `stop` no new work starts; work
    /// in progress ends on `tasks`.
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
        let released = store.release_all(clock.now()).await?;
        info!(deliveries = released, "leases of the last run released");
        let endpoint_failures = store.endpoint_failures().await?;
        let (deliveries, inbox) = mpsc::unbounded_channel();
        let bots = RunningBots::default();
        let handles = deliver::Handles {
            store: store.clone(),
            client: deliver::EndpointClient::new(net, profiles, clock.clone()),
            outbox,
            bots: bots.clone(),
            clock: clock.clone(),
            stop: stop.clone(),
        };
        let feed = deliveries.clone();
        let engine = DeliveryEngine::new(handles, tasks.clone(), feed, endpoint_failures);
        tasks.spawn(panics::vital("deliveries", engine.run(inbox)));
        Ok(Self {
            store,
            clock,
            tasks: tasks.clone(),
            stop,
            deliveries,
            bots,
        })
    }

    /// Starts the lane of a bot.
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

    /// Runs the lane of a bot and restarts the lane from the database after a panic. A message that
    /// causes a panic must not stop the bot's lane for good, and must not affect other bots.
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
            error!(bot = bot.name(), "lane panicked; restarting the lane");
            metrics::counter!("waviro_lane_panics_total").increment(1);
            self.clock.sleep(AFTER_A_PANIC).await;
        }
    }

    /// Runs a task that the shutdown waits for. The task must end at [`Jobs::stop`].
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(work);
    }

    /// Returns the token for the shutdown.
    pub(crate) fn stop(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Returns the channels to notify when messages of a bot change.
    pub(crate) fn feeds(&self, bot: &Bot) -> CommitFeeds {
        CommitFeeds {
            lane: bot.lane(),
            deliveries: self.deliveries.clone(),
        }
    }
}
