//! Memory that is free goes back to the machine, lest a process that runs for months keeps the room of its busiest hour.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock::Clock;

/// Rare enough that the walk through the heap costs nothing, often enough that a burst's room is not built upon.
const EVERY: Duration = Duration::from_secs(30);

/// Gives back what is free, until `stop`.
pub async fn keep_given_back(clock: Clock, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = clock.sleep(EVERY) => {}
            () = stop.cancelled() => return,
        }
        // Not on a thread that others wait for; and that it could not be done now is no matter.
        let _ = tokio::task::spawn_blocking(waviro_heap::give_back).await;
    }
}
