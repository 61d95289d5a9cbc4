//! The reason why a check does not pass.

/// The reason why a check does not pass.
#[derive(Debug, Clone)]
pub(crate) enum Failure {
    /// The host breaks the promise.
    Broken(String),
    /// The promise could not be checked.
    Skipped(String),
}

impl Failure {
    pub(crate) fn new(why: impl Into<String>) -> Self {
        Self::Broken(why.into())
    }
}
