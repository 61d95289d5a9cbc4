//! Moments at which a torture run can end the gateway's process, and bugs that test the oracle of
//! the torture run.
//!
//! Without the feature `planted-bugs` every function here is empty, so a release cannot be ended or
//! broken. With the feature, in the torture binary, two environment variables control the faults:
//!
//! - `TORTURE_END_AT=before accept*3` ends the process like a power cut at the third arrival at
//!   this moment;
//! - `TORTURE_BUG=new-id-on-resend` switches on a [`Bug`].

#[cfg(feature = "planted-bugs")]
mod planted;

/// The writes to the database that carry a promise, by the name of the store's function. Each write
/// has two [`moments`]: before its commit, and after its commit, before any caller gets the result.
/// Other writes change settings; a kill there leaves the old or the new value.
pub const WRITES: [&str; 16] = [
    "accept",
    "answered",
    "apply_acks",
    "claim",
    "end",
    "endpoint_works",
    "follow",
    "keep",
    "keep_inbound",
    "lose_stage",
    "posted",
    "publish_events",
    "put_off",
    "release_all",
    "replay",
    "reply",
];

/// The moments outside the database.
pub const STEPS: [&str; 17] = [
    "before migration",
    "after migration",
    // A file for a message: before the write to the disk, and after the sync.
    "spool begun",
    "spool safe",
    // A message: taken from the queue, before and after the write to the socket, and sent.
    "send begun",
    "wire before",
    "wire after",
    "send done",
    // A stanza from WhatsApp, before its data is stored.
    "server ack received",
    "receipt received",
    "inbound received",
    // A redelivered message: recorded, but not yet processed by the client library.
    "redelivery recorded",
    // A call to a user's endpoint: before the request, and after the answer.
    "post begun",
    "post answered",
    // A webhook's answer: after reading, and after fetching the files of the reply.
    "answer read",
    "reply composed",
    // A received file: downloaded, but not yet served.
    "download done",
];

/// A bug that the torture tests must find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// Commits and files are not synced.
    NoSync,
    /// The gateway commits a message some time after answering 200.
    CommitAfterAnswer,
    /// A resent message gets a new id.
    NewIdOnResend,
    /// The gateway acknowledges an inbound message to WhatsApp before storing the message.
    AckBeforeCommit,
    /// The stored ack falls if a lower ack arrives later.
    UnorderedAcks,
    /// An endpoint has no limit of concurrent calls.
    NoCap,
    /// The duplicate rule is off.
    DuplicatesAccepted,
    /// Each webhook reply is sent twice.
    RepliesTwice,
}

/// Every bug with its name in `TORTURE_BUG`.
pub const BUGS: [(&str, Bug); 8] = [
    ("no-sync", Bug::NoSync),
    ("commit-after-answer", Bug::CommitAfterAnswer),
    ("new-id-on-resend", Bug::NewIdOnResend),
    ("ack-before-commit", Bug::AckBeforeCommit),
    ("unordered-acks", Bug::UnorderedAcks),
    ("no-cap", Bug::NoCap),
    ("duplicates-accepted", Bug::DuplicatesAccepted),
    ("replies-twice", Bug::RepliesTwice),
];

/// Returns the name of every moment, as used in `TORTURE_END_AT`.
pub fn moments() -> impl Iterator<Item = String> {
    let steps = STEPS.into_iter().map(str::to_owned);
    let writes = WRITES
        .into_iter()
        .flat_map(|write| ["before", "after"].map(|side| format!("{side} {write}")));
    steps.chain(writes)
}

/// Marks a moment of [`STEPS`].
#[inline]
pub fn step(name: &'static str) {
    #[cfg(feature = "planted-bugs")]
    planted::reached("", name);
    let _ = name;
}

/// Marks the moment before the commit of one of [`WRITES`].
#[inline]
pub fn writing(name: &'static str) {
    #[cfg(feature = "planted-bugs")]
    planted::reached("before ", name);
    let _ = name;
}

/// Marks the moment after the commit of one of [`WRITES`], before any effect outside the database.
#[inline]
pub fn written(name: &'static str) {
    #[cfg(feature = "planted-bugs")]
    planted::reached("after ", name);
    let _ = name;
}

/// Runs `work` later: a bug that does its work too late.
pub fn later(work: impl Future<Output = ()> + Send + 'static) {
    #[cfg(feature = "planted-bugs")]
    planted::later(work);
    #[cfg(not(feature = "planted-bugs"))]
    drop(work);
}

/// Returns whether the bug is switched on; always false without the feature.
#[inline]
#[must_use]
pub fn planted(bug: Bug) -> bool {
    #[cfg(feature = "planted-bugs")]
    return planted::is_on(bug);
    #[cfg(not(feature = "planted-bugs"))]
    {
        let _ = bug;
        false
    }
}
