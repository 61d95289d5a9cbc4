//! The states in which a device has ended (logged out, banned, never linked), and the failure of
//! the messages that were queued for the device.

use waviro_link::{Status, UnlinkedCause};
use waviro_store::MessageFailure;

/// Returns true if the device is gone or locked, so that queued messages will never be sent.
pub(super) fn has_ended(status: &Status) -> bool {
    match status {
        Status::Unlinked(_)
        | Status::Linking { .. }
        | Status::Unreachable(_)
        | Status::PasskeyAsked
        | Status::Banned { .. } => true,
        Status::Online
        | Status::Reconnecting { .. }
        | Status::Replaced
        | Status::ClientOutdated => false,
    }
}

/// Returns the failure of the messages that a device with this status will never send.
pub(super) fn failure(status: &Status) -> MessageFailure {
    match status {
        Status::Unlinked(UnlinkedCause::LoggedOut(reason)) => MessageFailure::logged_out(reason),
        Status::Banned { reason, .. } => MessageFailure::banned(reason),
        Status::Unlinked(
            UnlinkedCause::Never | UnlinkedCause::CodesUsedUp | UnlinkedCause::PairingFailed(_),
        )
        | Status::Linking { .. }
        | Status::Unreachable(_)
        | Status::Online
        | Status::Reconnecting { .. }
        | Status::Replaced
        | Status::PasskeyAsked
        | Status::ClientOutdated => MessageFailure::not_linked(status.word()),
    }
}
