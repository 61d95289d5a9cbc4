//! Bans and other refusals of a login: the state of the bot, and the retry.
//!
//! A banned device has ended: the gateway fails its queued messages, see `waviro-core`'s
//! `bots/ended.rs`. The login is tried again at the end of the ban.

use std::sync::Arc;
use std::time::Duration;

use whatsapp_rust::types::events::{ConnectFailure, ConnectFailureReason, TemporaryBan};

use super::device::{Device, has_ended};
use super::task::{now, pause, spawn};
use super::version::AGAIN;
use crate::{OfflineCause, Status};

/// The pause before the retry of a refused login, long enough to avoid pressure on the server.
pub(super) const REFUSED_PAUSE: Duration = Duration::from_mins(1);

/// The pause before the retry after a ban without an end.
const ENDLESS_PAUSE: Duration = Duration::from_hours(1);

/// Returns the state after a ban.
pub(super) fn banned(ban: &TemporaryBan) -> Status {
    let span = ban.expire.to_std().ok();
    Status::Banned {
        reason: ban.code.to_string(),
        until: span.and_then(|span| now().checked_add(span)),
    }
}

/// Returns the state after a refused login.
pub(super) fn refused(failure: &ConnectFailure) -> Status {
    match failure.reason {
        ConnectFailureReason::TempBanned => Status::Banned {
            reason: failure.message.clone().unwrap_or_default(),
            until: None,
        },
        reason => Status::Reconnecting {
            cause: OfflineCause::LoginRefused(format!("WhatsApp refused the login: {reason:?}")),
        },
    }
}

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

/// Returns the pause before an automatic retry in this state; `None` without a retry.
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
