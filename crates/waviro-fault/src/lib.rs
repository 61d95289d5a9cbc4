//! Where the torture rig ends the gateway's process, and bugs that it switches on to see whether it finds them.
//!
//! Without the feature `planted-bugs` every function here is empty and nothing can be switched on: a release holds none of it.
//! With it, in the rig's own binary, two variables of the environment say what to do:
//!
//! - `TORTURE_END_AT=before accept*3` ends the process, as a power cut would, when it comes to that moment for the third time;
//! - `TORTURE_BUG=new-id-on-resend` plants one [`Bug`].

#[cfg(feature = "planted-bugs")]
mod planted;

/// What writes to the database, by the name of the store's function. Each is two [`moments`]: before its commit, and after the
/// commit, before anybody hears of it.
pub const WRITES: [&str; 54] = [
    "accept",
    "add_bot",
    "add_rule",
    "add_subscription",
    "add_token",
    "add_user",
    "answered",
    "begin_session",
    "bot_forgotten",
    "bot_linked",
    "change_rule",
    "change_subscription",
    "change_user",
    "claim",
    "delete_rule",
    "delete_subscription",
    "drop_previous_key",
    "end",
    "end_session",
    "endpoint_fails",
    "endpoint_works",
    "follow",
    "forget_kept",
    "forget_number",
    "give_secrets",
    "keep",
    "keep_inbound",
    "lose_stage",
    "media_secret",
    "note_streamed",
    "posted",
    "put_off",
    "raise",
    "release",
    "release_all",
    "remember_number",
    "remind",
    "remove_bot",
    "remove_user",
    "rename_bot",
    "replay",
    "replay_all",
    "reply",
    "revoke_token",
    "rotate_media_secret",
    "rotate_signing",
    "set_bot_key",
    "set_settings",
    "set_webhook_key",
    "sweep",
    "switch_rule_off",
    "switch_subscription_off",
    "tell",
    "use_token",
];

/// Moments outside the database.
pub const STEPS: [&str; 17] = [
    "before migration",
    "after migration",
    // A file that is fetched for a message: on its way to the disk, and safe there.
    "spool begun",
    "spool safe",
    // A message: taken from the queue, on its way through the socket, and out.
    "send begun",
    "wire before",
    "wire after",
    "send done",
    // What WhatsApp tells, before anything of it is kept.
    "server ack heard",
    "receipt heard",
    "inbound heard",
    // A message that came again: noted, and the library has not looked at it.
    "came again",
    // A call to a user's endpoint: about to be made, and answered.
    "post begun",
    "post answered",
    // A webhook's answer: read, and its files fetched.
    "answer read",
    "reply composed",
    // A file that came in: loaded, and about to be shown.
    "download done",
];

/// A bug that the rig must find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// Commits and files are not synced.
    NoSync,
    /// The 200 leaves, and the message is committed a moment later.
    CommitAfterAnswer,
    /// What is written again goes under a new id.
    NewIdOnResend,
    /// WhatsApp hears that we have a message before it is kept.
    AckBeforeCommit,
    /// An ack falls where news come in another order.
    UnorderedAcks,
    /// An endpoint gets everything at once.
    NoCap,
    /// The duplicate rule is not asked.
    DuplicatesAccepted,
    /// What a webhook answered is sent twice.
    RepliesTwice,
}

/// Every bug, by the word that plants it.
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

/// The name of every moment, as `TORTURE_END_AT` takes it.
pub fn moments() -> impl Iterator<Item = String> {
    let steps = STEPS.into_iter().map(str::to_owned);
    let writes = WRITES
        .into_iter()
        .flat_map(|write| ["before", "after"].map(|side| format!("{side} {write}")));
    steps.chain(writes)
}

/// A moment of [`STEPS`].
#[inline]
pub fn step(name: &'static str) {
    #[cfg(feature = "planted-bugs")]
    planted::reached("", name);
    let _ = name;
}

/// One of [`WRITES`] is about to be committed.
#[inline]
pub fn writing(name: &'static str) {
    #[cfg(feature = "planted-bugs")]
    planted::reached("before ", name);
    let _ = name;
}

/// One of [`WRITES`] is committed, and nobody has heard of it.
#[inline]
pub fn written(name: &'static str) {
    #[cfg(feature = "planted-bugs")]
    planted::reached("after ", name);
    let _ = name;
}

/// What a bug does too late.
pub fn later(work: impl Future<Output = ()> + Send + 'static) {
    #[cfg(feature = "planted-bugs")]
    planted::later(work);
    #[cfg(not(feature = "planted-bugs"))]
    drop(work);
}

/// Whether the bug is switched on. Never without the feature.
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
