//! What a device does when nobody asks it for anything: trying again, and keeping its state on the disk.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use tracing::{error, info};

use super::device::{Device, Session, has_ended, pause, spawn};
use super::version::AGAIN;
use crate::{OfflineCause, Status};

/// Pause before a refused login is tried again: long enough not to press a server that said no.
const REFUSED_PAUSE: Duration = Duration::from_mins(1);

/// The same for a ban without an end.
const ENDLESS_PAUSE: Duration = Duration::from_hours(1);

/// How long a change of the device's own state may stay in memory.
const FLUSH_EVERY: Duration = Duration::from_secs(2);

/// Tries again by itself where WhatsApp's no may pass: a ban that ends, a login refused for a passing reason, a
/// client version that has since been raised. Ends with the device.
pub(super) fn retry(device: &Arc<Device>) {
    let (myself, mut states) = (Arc::downgrade(device), device.shared.status.subscribe());
    spawn(async move {
        loop {
            let state = states.borrow_and_update().clone();
            let newer = match myself.upgrade() {
                Some(device) if state == Status::ClientOutdated => device.has_newer_version().await,
                Some(_) => false,
                None => return,
            };
            let wait = if newer {
                Duration::ZERO.into()
            } else {
                pause_after(&state)
            };
            let over = async {
                match wait {
                    Some(wait) => pause(wait).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = states.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    continue;
                }
                () = over => {}
            }
            if state == Status::ClientOutdated && !newer {
                // The same version would only be refused again.
                continue;
            }
            let Some(device) = myself.upgrade() else {
                return;
            };
            let mut session = device.session.lock().await;
            // The client still runs in this state after a refusal that it retries itself.
            if has_ended(session.as_ref()) {
                device.restart(&mut session).await;
            }
        }
    });
}

/// When a state is worth another try without anybody asking.
fn pause_after(state: &Status) -> Option<Duration> {
    match state {
        Status::Banned {
            until: Some(until), ..
        } => Some(
            until
                .duration_since(now())
                .unwrap_or_default()
                .max(REFUSED_PAUSE),
        ),
        Status::Reconnecting { .. } => Some(REFUSED_PAUSE),
        Status::ClientOutdated => Some(AGAIN),
        Status::Banned { until: None, .. } => Some(ENDLESS_PAUSE),
        _ => None,
    }
}

/// Builds a fresh client where the library's run loop panicked: its state would stay what it was, `online` for one, for ever.
pub(super) fn keep_running(device: &Arc<Device>) {
    let myself = Arc::downgrade(device);
    spawn(async move {
        loop {
            pause(FLUSH_EVERY).await;
            let Some(device) = myself.upgrade() else {
                return;
            };
            let mut session = device.session.lock().await;
            if !session.as_mut().is_some_and(Session::has_broken) {
                continue;
            }
            error!(
                slot = device.shared.slot,
                "the link's client panicked; it starts again"
            );
            let cause = OfflineCause::Ended("the client panicked".to_owned());
            device.shared.set(&Status::Reconnecting { cause });
            device.restart(&mut session).await;
            drop(session);
            drop(device);
            // What broke it may break it again.
            pause(REFUSED_PAUSE).await;
        }
    });
}

/// What changes after the login (prekey counters, migrations, sessions) is written within seconds, see
/// [`super::device::Shared::flush`].
///
/// While that fails the library cannot keep what comes in either: it leaves it with WhatsApp, which tells it again on the next
/// connection, and says nothing of it to anybody. So the link is dialled anew as soon as the disk takes something again.
pub(super) fn keep_flushed(device: &Arc<Device>) {
    let myself = Arc::downgrade(device);
    spawn(async move {
        let mut failed = false;
        loop {
            pause(FLUSH_EVERY).await;
            let Some(device) = myself.upgrade() else {
                return;
            };
            if let Some(client) = device.shared.client() {
                // After a failure all of it: what has nothing to write proves nothing.
                let all = device.shared.write_again.swap(false, Ordering::SeqCst) || failed;
                let durable = device.shared.write_down(&client, all).await;
                if *device.shared.status.borrow() != Status::Online {
                    // Its next login brings what was left with WhatsApp by itself.
                    failed &= !durable;
                    continue;
                }
                let sessions = client.flush_pending_signal_state().await;
                let was_failing = failed;
                failed = !durable || sessions.is_err();
                if was_failing && !failed {
                    info!(slot = device.shared.slot, "the link's store works again");
                    client.reconnect_immediately().await;
                }
            }
        }
    });
}

#[expect(
    clippy::disallowed_methods,
    reason = "a ban ends by the world's time; a link never runs on a test's clock"
)]
fn now() -> SystemTime {
    SystemTime::now()
}
