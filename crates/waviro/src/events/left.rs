//! What could not be committed when it came: it was left with WhatsApp, which tells it again on the next connection, and that may be
//! hours away. So it is held here too, and committed as soon as the database can.

use std::time::Duration;

use tokio::sync::mpsc;
use tracing::{info, warn};
use waviro_link::{Inbound, MessageId};

use super::keeper::Keeper;
use crate::jobs::Jobs;
use crate::store::{News, StoreError};

/// How often it is tried.
const AGAIN: Duration = Duration::from_secs(1);

/// So much is held of one bot, most of it messages of some hundred bytes; what comes beyond waits for the next connection.
const HELD: usize = 1_000;

/// Something that WhatsApp told.
pub(super) enum Told {
    Messages(Vec<Inbound>),
    News(Vec<(MessageId, News)>),
}

/// Where it is put.
pub(super) type Left = mpsc::Sender<Told>;

/// Starts trying, until the ear is gone or the gateway stops.
pub(super) fn start(keeper: Keeper, jobs: &Jobs) -> Left {
    let (left, mut waiting) = mpsc::channel(HELD);
    let stop = jobs.stop();
    jobs.spawn(async move {
        let work = async {
            while let Some(told) = waiting.recv().await {
                commit(&keeper, told).await;
                if waiting.is_empty() {
                    info!(
                        bot = keeper.bot.name(),
                        "all that could not be committed is"
                    );
                }
            }
        };
        tokio::select! {
            () = work => {}
            () = stop.cancelled() => {}
        }
    });
    left
}

async fn commit(keeper: &Keeper, told: Told) {
    loop {
        keeper.clock.sleep(AGAIN).await;
        let done = match &told {
            Told::Messages(batch) => keeper.inbound(batch.clone()).await,
            Told::News(news) => keeper.raise(news.clone()).await,
        };
        match done {
            Ok(()) => return,
            Err(StoreError::Failed(_) | StoreError::Busy) => {}
            Err(reason) => {
                warn!(bot = keeper.bot.name(), %reason, "what is left with WhatsApp cannot be kept");
                return;
            }
        }
    }
}
