//! The retention sweep: removes expired rows every hour, and then the files without a row.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{error, info};
use waviro_store::clock::{Clock, Millis, millis};
use waviro_store::{RetentionLimits, Store};

use crate::config;
use crate::files::Files;

/// A limit of a day stays close to a day, and the load of a sweep stays unnoticed.
const EVERY: Duration = Duration::from_hours(1);

/// Sweeps at the start and then every hour, until `stop`.
pub async fn keep_swept(
    store: Store,
    files: Files,
    limits: config::Retention,
    clock: Clock,
    stop: CancellationToken,
) {
    // A killed process may have left files behind, so the first sweep checks all files. Later
    // sweeps check only the files of the removed rows.
    let mut every_file = true;
    loop {
        let swept = tokio::select! {
            // Steady time: rows stored while the machine's clock was behind must not expire at once
            // when the clock is corrected.
            swept = sweep(&store, &files, &limits, clock.steady(), every_file) => swept,
            () = stop.cancelled() => return,
        };
        every_file &= swept.is_err();
        match swept {
            Ok((0, 0)) => {}
            Ok((rows, removed)) => {
                info!(rows, files = removed, "expired rows and files removed");
            }
            Err(reason) => error!(reason, "expired rows and files could not be removed"),
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
    every_file: bool,
) -> Result<(u64, usize), String> {
    let before = |days: u64| now - millis(Duration::from_hours(24 * days));
    let kept = RetentionLimits {
        events: before(limits.events_days),
        deliveries: before(limits.deliveries_days),
        inbound: before(limits.inbound_days),
        messages: before(limits.messages_days),
        media: before(limits.media_days),
    };
    let begun = store.begin_sweep(kept, now).await;
    let mut sweep = Some(begun.map_err(|reason| reason.to_string())?);
    let (mut rows, mut removed) = (0, 0);
    while let Some(from) = sweep {
        let (swept, next) = store
            .sweep(from)
            .await
            .map_err(|reason| reason.to_string())?;
        rows += swept.rows;
        removed += files.remove(&swept.media).await;
        sweep = next;
    }
    let lost = files.sweep(every_file).await;
    removed += lost.map_err(|reason| reason.to_string())?;
    Ok((rows, removed))
}
