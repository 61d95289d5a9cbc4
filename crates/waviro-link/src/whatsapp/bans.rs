//! Bans and other refusals of a login: the state of the bot, and the pause before the retry.
//!
//! A banned device has ended: the gateway fails its queued messages, see `waviro-core`'s
//! `bots/ended.rs`. [`super::supervisor`] tries the login again after [`pause_after`].

use std::time::Duration;

use whatsapp_rust::types::events::{ConnectFailure, ConnectFailureReason, TemporaryBan};

use super::task::now;
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

/// Returns the pause before an automatic retry in this state; `None` without a retry.
pub(super) fn pause_after(state: &Status) -> Option<Duration> {
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
