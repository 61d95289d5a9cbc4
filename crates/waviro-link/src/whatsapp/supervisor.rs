//! The background jobs of a device: retrying refused logins, restarting a broken client,
//! and storing the device's state.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tracing::{error, info};

use super::bans::{REFUSED_PAUSE, pause_after};
use super::device::{Device, Session, has_ended};
use super::task::{pause, spawn};
use crate::{OfflineCause, Status};

/// The longest time that a change of the device's state stays in memory only.
const FLUSH_EVERY: Duration = Duration::from_secs(2);

/// Retries the login if the refusal may pass: after a ban, after a login refused for a temporary
/// reason, and after a refused client version if a newer version is available. The job ends with
/// the device.
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
                // The server would refuse the same version again.
                continue;
            }
            let Some(device) = myself.upgrade() else {
                return;
            };
            let mut session = device.session.lock().await;
            // The library itself retries some refusals, so the client may still run in this state.
            if has_ended(session.as_ref()) {
                device.restart(&mut session).await;
            }
        }
    });
}

/// Restarts the client after a panic in the library's run loop. Without the restart the last state,
/// for example `online`, would stay for ever.
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
                bot_id = device.shared.bot_id,
                "link client panicked; restarting the client"
            );
            let cause = OfflineCause::Ended("the client panicked".to_owned());
            device.shared.set(&Status::Reconnecting { cause });
            device.restart(&mut session).await;
            drop(session);
            drop(device);
            // The cause of the panic may still exist.
            pause(REFUSED_PAUSE).await;
        }
    });
}

/// Writes changes of the device's state (prekey counters, migrations, sessions) within seconds, see
/// [`super::shared::Shared::flush`].
///
/// While writes fail, the library cannot store incoming stanzas either. The library then leaves the
/// stanzas with WhatsApp without an error, and WhatsApp redelivers them only on the next
/// connection. Therefore the job reconnects the link as soon as a write succeeds again.
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
                // After a failure the job writes the full state, because a write without changes
                // does not test the disk.
                let all = device.shared.write_again.swap(false, Ordering::SeqCst) || failed;
                let durable = device.shared.write_down(&client, all).await;
                if *device.shared.status.borrow() != Status::Online {
                    // The next login redelivers the stanzas left with WhatsApp.
                    failed &= !durable;
                    continue;
                }
                let sessions = client.flush_pending_signal_state().await;
                let was_failing = failed;
                failed = !durable || sessions.is_err();
                if was_failing && !failed {
                    info!(bot_id = device.shared.bot_id, "link store works again");
                    client.reconnect_immediately().await;
                }
            }
        }
    });
}
