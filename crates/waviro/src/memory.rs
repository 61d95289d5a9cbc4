//! Returns freed memory to the operating system. Otherwise a process that runs for months keeps the
//! memory of its busiest hour.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use waviro_store::clock::Clock;

/// The interval between two runs. Each run walks the whole heap, so runs must be rare; runs that
/// are too rare let new allocations settle in the memory freed after a burst.
const EVERY: Duration = Duration::from_secs(30);

/// Returns freed memory to the operating system every 30 seconds, until `stop`.
pub async fn keep_given_back(clock: Clock, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = clock.sleep(EVERY) => {}
            () = stop.cancelled() => return,
        }
        // The call takes milliseconds under the allocator's locks, so a blocking thread does the
        // work. An error is ignored: the next run repeats the call.
        let _ = tokio::task::spawn_blocking(waviro_heap::give_back).await;
    }
}
