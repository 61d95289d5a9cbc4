//! Once an hour what has ended and is old enough is removed: rows, and then the files that no row knows any more.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::clock::{Clock, Millis, millis};
use crate::config;
use crate::files::Files;
use crate::store::{Keeping, Store};

/// Often enough that a day's limit is one of a day, and rare enough that nobody notices.
const EVERY: Duration = Duration::from_hours(1);

/// Sweeps at the start and then every hour, until `stop`.
pub async fn keep_swept(
    store: Store,
    files: Files,
    limits: config::Retention,
    clock: Clock,
    stop: CancellationToken,
) {
    loop {
        let swept = tokio::select! {
            // What was kept while it seemed to be earlier must not go at once when the clock is put right.
            swept = sweep(&store, &files, &limits, clock.steady()) => swept,
            () = stop.cancelled() => return,
        };
        match swept {
            Ok((0, 0)) => {}
            Ok((rows, removed)) => {
                info!(rows, files = removed, "removed what was kept long enough");
            }
            Err(reason) => error!(reason, "old rows and files stay for now"),
        }
        tokio::select! {
            () = clock.sleep(EVERY) => {}
            () = stop.cancelled() => return,
        }
    }
}

async fn sweep(
    store: &Store,
    files: &Files,
    limits: &config::Retention,
    now: Millis,
) -> Result<(u64, usize), String> {
    let before = |days: u64| now - millis(Duration::from_hours(24 * days));
    let rows = store.sweep(Keeping {
        events: before(limits.events_days),
        deliveries: before(limits.deliveries_days),
        inbound: before(limits.inbound_days),
        messages: before(limits.messages_days),
        media: before(limits.media_days),
    });
    let rows = rows.await.map_err(|reason| reason.to_string())?;
    let removed = files.sweep().await.map_err(|reason| reason.to_string())?;
    Ok((rows, removed))
}
