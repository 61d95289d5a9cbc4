//! The times that show if a link is alive: the start of the connection, and the last data from the
//! server.
//!
//! The library also records the time of the last data, but resets the time with each connection.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::Evidence;

/// Times in milliseconds since 1970; 0 for none.
#[derive(Debug, Default)]
pub(super) struct Liveness {
    up: AtomicU64,
    last_data: AtomicU64,
}

impl Liveness {
    /// Records the arrival of data from the server.
    pub(super) fn data_received(&self) {
        self.last_data.store(now(), Ordering::Relaxed);
    }

    /// Records that the device went online or offline.
    pub(super) fn online_changed(&self, online: bool) {
        self.up
            .store(if online { now() } else { 0 }, Ordering::Relaxed);
    }

    pub(super) fn evidence(&self) -> Evidence {
        let moment = |kept: &AtomicU64| {
            let millis = kept.load(Ordering::Relaxed);
            (millis > 0).then(|| UNIX_EPOCH + Duration::from_millis(millis))
        };
        Evidence {
            connected_since: moment(&self.up),
            last_data: moment(&self.last_data),
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a connection's timeouts use the real clock; a link never runs on a test clock"
)]
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_activity_outlives_the_connection_but_its_start_does_not() {
        let liveness = Liveness::default();
        assert_eq!(liveness.evidence(), Evidence::default());
        liveness.online_changed(true);
        liveness.data_received();
        let up = liveness.evidence();
        assert!(up.connected_since.is_some() && up.last_data.is_some());
        liveness.online_changed(false);
        let down = liveness.evidence();
        assert_eq!((down.connected_since, down.last_data), (None, up.last_data));
    }
}
