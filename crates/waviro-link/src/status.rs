//! The states of a link, each with its cause: what the gateway acts on and what a user is told.

use std::borrow::Cow;
use std::time::SystemTime;

use crate::dial::{DialFailure, OfflineCause};
use crate::message::Number;

/// Where a link stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// No device at WhatsApp; a code must be scanned. Nothing is connected until linking is started.
    Unlinked(UnlinkedCause),
    /// Waiting for a phone. `qr` is the code to show now; `None` until the first one came.
    Linking {
        /// The code to show now.
        qr: Option<QrCode>,
    },
    /// Linking was started, and WhatsApp cannot be reached: there is no code until a dial succeeds. The link dials by itself.
    Unreachable(DialFailure),
    /// Ready: connected, logged in, synchronised.
    Online,
    /// Linked, but no connection at the moment; the link dials by itself.
    Reconnecting {
        /// Why.
        cause: OfflineCause,
    },
    /// Another client opened the same session. The link stays off until somebody asks for it
    /// ([`crate::Link::reconnect`]), or the two would throw each other out for ever.
    Replaced,
    /// WhatsApp closed the account for a while.
    Banned {
        /// WhatsApp's reason, as it named it.
        reason: String,
        /// When it says the ban ends.
        until: Option<SystemTime>,
    },
    /// Linking stopped at a passkey, which only the phone or WhatsApp's own client can answer.
    PasskeyAsked,
    /// WhatsApp refuses this client version. A newer version must be configured.
    ClientOutdated,
}

/// What shows that a link lives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Evidence {
    /// When the connection that is up came up; `None` while none is.
    pub connected_since: Option<SystemTime>,
    /// When anything last came from the server, an answer to the half-minute's ping at least. Kept over connections; `None`
    /// before the first.
    pub last_heard: Option<SystemTime>,
}

/// Why there is no device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnlinkedCause {
    /// It was never linked.
    Never,
    /// The phone removed the device, or WhatsApp did. The text is WhatsApp's reason.
    LoggedOut(String),
    /// WhatsApp gave no further QR code. Start linking again for fresh ones.
    CodesUsedUp,
    /// A phone scanned, but pairing failed; the reason in English. Start linking again.
    PairingFailed(String),
}

/// A QR code's text and the moment after which WhatsApp no longer takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QrCode {
    /// What the phone must read: `2@…`.
    pub text: String,
    /// The first code lives 60 s, later ones 20 s.
    pub expires: SystemTime,
}

/// Who a device is linked as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The account's phone number.
    pub number: Number,
    /// The name that the account shows; empty until WhatsApp told it.
    pub name: String,
}

impl Status {
    /// Whether a device exists at WhatsApp, as far as is known.
    #[must_use]
    pub fn is_linked(&self) -> bool {
        matches!(
            self,
            Self::Online | Self::Reconnecting { .. } | Self::Replaced
        )
    }

    /// More about it, where WhatsApp or the connection gave a reason.
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

    /// Why WhatsApp cannot be reached, where that is the state's cause.
    #[must_use]
    pub fn failure(&self) -> Option<&DialFailure> {
        match self {
            Self::Reconnecting { cause } => cause.failure(),
            Self::Unreachable(failure) => Some(failure),
            _ => None,
        }
    }

    /// A stable word for logs, metrics and JSON.
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
