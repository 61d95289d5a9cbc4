//! The limits of a caller or of the whole gateway, as problems.

use std::time::Duration;

use axum::http::StatusCode;
use waviro_core::outbox::NoRoom;
use waviro_core::permits::NoPermit;

/// A limit reached by a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// The gateway accepts no more files now.
    Files(NoRoom),
    /// The caller or all callers together have the maximum number of requests with an
    /// Idempotency-Key in progress.
    AtWork(NoPermit),
    /// The token or all tokens together have the maximum number of open streams.
    Streams(NoPermit),
}

impl Limit {
    /// A sample of each kind, for the documentation.
    pub(super) const SAMPLES: [Self; 5] = [
        Self::Files(NoRoom::Fetches(NoPermit::Owner(8))),
        Self::Files(NoRoom::Waiting {
            files: 1000,
            mib: 1024,
        }),
        Self::Files(NoRoom::Disk),
        Self::AtWork(NoPermit::Owner(8)),
        Self::Streams(NoPermit::Owner(8)),
    ];

    /// Returns the stable code, the status and the title.
    pub(super) fn kind(self) -> (&'static str, StatusCode, &'static str) {
        use StatusCode as S;
        match self {
            Self::Files(NoRoom::Fetches(_)) => (
                "too_many_fetches",
                S::TOO_MANY_REQUESTS,
                "Too many files at once",
            ),
            Self::Files(NoRoom::Waiting { .. }) => (
                "too_many_files",
                S::TOO_MANY_REQUESTS,
                "Too many files wait",
            ),
            Self::Files(NoRoom::Disk) => (
                "disk_full",
                S::SERVICE_UNAVAILABLE,
                "The disk is almost full",
            ),
            Self::AtWork(_) => (
                "too_many_at_work",
                S::TOO_MANY_REQUESTS,
                "Too many requests at once",
            ),
            Self::Streams(_) => ("too_many_streams", S::TOO_MANY_REQUESTS, "Too many streams"),
        }
    }

    /// Returns a text with the problem and its remedy.
    pub(super) fn detail(self) -> String {
        match self {
            Self::Files(NoRoom::Fetches(NoPermit::Owner(most))) => format!(
                "{most} files are being downloaded for this bot, the maximum for one bot (limits.fetches_per_bot); wait until a download ends."
            ),
            Self::Files(NoRoom::Fetches(NoPermit::InAll(most))) => format!(
                "{most} files are being downloaded, the maximum for all bots (limits.fetches); try again in a few seconds."
            ),
            Self::Files(NoRoom::Waiting { files, mib }) => format!(
                "{files} files of this bot, or files of {mib} MB, wait to be sent, the maximum for one bot (limits.waiting_files, limits.waiting_files_mib); texts are accepted."
            ),
            Self::Files(NoRoom::Disk) => {
                "The disk has less free space than limits.free_disk_mib, so files are refused; texts are accepted."
                    .to_owned()
            }
            Self::AtWork(NoPermit::Owner(most)) => format!(
                "{most} of your requests with an Idempotency-Key are in progress, the maximum for one caller (limits.keyed_per_caller); wait until a request is answered."
            ),
            Self::AtWork(NoPermit::InAll(most)) => format!(
                "{most} requests with an Idempotency-Key are in progress, the maximum for all callers (limits.keyed); try again in a few seconds."
            ),
            Self::Streams(NoPermit::Owner(most)) => format!(
                "{most} streams are open with this token, the maximum for one token (limits.streams_per_token); close a stream first."
            ),
            Self::Streams(NoPermit::InAll(most)) => format!(
                "{most} streams are open, the maximum for your token's role (limits.streams, limits.streams_for_admins); close a stream first."
            ),
        }
    }

    /// Returns the delay after which a retry can succeed.
    pub(super) fn retry_after(self) -> Duration {
        match self {
            Self::Files(NoRoom::Fetches(_)) | Self::AtWork(_) => Duration::from_secs(5),
            Self::Streams(_) => Duration::from_secs(15),
            Self::Files(NoRoom::Waiting { .. } | NoRoom::Disk) => Duration::from_mins(1),
        }
    }
}
