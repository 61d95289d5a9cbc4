//! The reports of spawned tasks to the delivery engine.

use std::collections::HashSet;

use waviro_link::Chat;
use waviro_store::{AttemptFailure, Due};

/// A report from a spawned task to the engine.
pub(super) enum Report {
    /// The endpoint answered or the request failed. `result` is the result for the endpoint's
    /// health, or `None` if the attempt says nothing about the endpoint.
    Answered {
        endpoint: String,
        bot: i32,
        failing: bool,
        result: Option<Result<(), AttemptFailure>>,
    },
    /// The outcome of the delivery is durable.
    Over {
        endpoint: String,
        bot: i32,
        alone: Option<Chat>,
        after: After,
    },
    /// A poll ended. `more` is set if a queue had more due rows than a poll takes; `on` lists
    /// endpoints switched on again by a user.
    Polled { more: bool, on: HashSet<String> },
    /// A change in the health of this endpoint is in the database, and rows may be due because of
    /// the change. `None` if the write failed.
    HealthWritten(Option<String>),
}

/// The next step after a delivery.
pub(super) enum After {
    /// No step, or a step in the database for the next poll.
    Nothing,
    /// The next delivery starts at once: the message's next stage, or the next event about the same
    /// subject.
    Next(Due),
    /// The task of the delivery with this id panicked.
    Panicked(i64),
}
