//! The states of a link, each with its cause. The gateway decides by the state, and users see it.

use std::borrow::Cow;
use std::time::SystemTime;

use crate::dial::{DialFailure, OfflineCause};
use crate::message::Number;

/// The state of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// WhatsApp knows no device for the bot: a user must scan a code. The link does not connect
    /// until linking is started.
    Unlinked(UnlinkedCause),
    /// Linking has started, and the link waits for a phone.
    Linking {
        /// The code to show now; `None` before the first code arrives.
        qr: Option<QrCode>,
    },
    /// Linking has started, but WhatsApp cannot be reached, so there is no code until a dial
    /// succeeds. The link redials by itself.
    Unreachable(DialFailure),
    /// Connected, logged in and synchronised.
    Online,
    /// Linked, but without a connection at the moment. The link redials by itself.
    Reconnecting {
        /// The reason.
        cause: OfflineCause,
    },
    /// Another client opened the same session. The link stays off until [`crate::Link::reconnect`]
    /// is called; otherwise both clients would disconnect each other again and again.
    Replaced,
    /// WhatsApp banned the account for a limited or unknown time.
    Banned {
        /// The reason in WhatsApp's words.
        reason: String,
        /// The end of the ban, if WhatsApp names it.
        until: Option<SystemTime>,
    },
    /// Linking stopped at a passkey request. Only the phone or WhatsApp's own client can answer the
    /// request.
    PasskeyAsked,
    /// WhatsApp refuses this client version. A newer version must be configured.
    ClientOutdated,
}

/// The times that show if a link is alive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Evidence {
    /// The start of the current connection; `None` without a connection.
    pub connected_since: Option<SystemTime>,
    /// The time of the last data from the server. A working connection receives at least the answer
    /// to a ping every 30 seconds. The value is kept across connections; `None` before the first
    /// data.
    pub last_data: Option<SystemTime>,
}

/// The reason why there is no device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnlinkedCause {
    /// The bot was never linked.
    Never,
    /// The phone or WhatsApp removed the device. The text is WhatsApp's reason.
    LoggedOut(String),
    /// WhatsApp sent no further QR code. Starting to link again brings fresh codes.
    CodesUsedUp,
    /// A phone scanned the code, but pairing failed. The text is the reason in English. The user
    /// can start to link again.
    PairingFailed(String),
}

/// The text of a QR code and its expiry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QrCode {
    /// The content of the QR code: `2@…`.
    pub text: String,
    /// The expiry at WhatsApp: the first code is valid for 60 s, later codes for 20 s.
    pub expires: SystemTime,
}

/// The account that a device is linked to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The account's phone number.
    pub number: Number,
    /// The display name of the account; empty until WhatsApp sends it.
    pub name: String,
}

impl Status {
    /// Returns true if WhatsApp has a device for the bot, as far as the link knows.
    #[must_use]
    pub fn is_linked(&self) -> bool {
        matches!(
            self,
            Self::Online | Self::Reconnecting { .. } | Self::Replaced
        )
    }

    /// Returns the reason, if WhatsApp or the connection gave a reason.
    #[must_use]
    pub fn cause(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Unlinked(
                UnlinkedCause::LoggedOut(cause) | UnlinkedCause::PairingFailed(cause),
            )
            | Self::Banned { reason: cause, .. } => Some(Cow::Borrowed(cause)),
            Self::Reconnecting { cause } => Some(Cow::Owned(cause.to_string())),
            Self::Unreachable(failure) => Some(Cow::Owned(failure.to_string())),
            Self::Unlinked(UnlinkedCause::Never | UnlinkedCause::CodesUsedUp)
            | Self::Linking { .. }
            | Self::Online
            | Self::Replaced
            | Self::PasskeyAsked
            | Self::ClientOutdated => None,
        }
    }

    /// Returns the dial failure, if the state has such a cause.
    #[must_use]
    pub fn failure(&self) -> Option<&DialFailure> {
        match self {
            Self::Reconnecting { cause } => cause.failure(),
            Self::Unreachable(failure) => Some(failure),
            _ => None,
        }
    }

    /// Returns a stable word for logs, metrics and JSON.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Unlinked(UnlinkedCause::Never) => "unlinked",
            Self::Unlinked(UnlinkedCause::LoggedOut(_)) => "logged_out",
            Self::Unlinked(UnlinkedCause::CodesUsedUp) => "codes_used_up",
            Self::Unlinked(UnlinkedCause::PairingFailed(_)) => "pairing_failed",
            Self::Linking { .. } | Self::Unreachable(_) => "linking",
            Self::Online => "online",
            Self::Reconnecting { .. } => "reconnecting",
            Self::Replaced => "replaced",
            Self::Banned { .. } => "banned",
            Self::PasskeyAsked => "passkey_asked",
            Self::ClientOutdated => "client_outdated",
        }
    }
}
