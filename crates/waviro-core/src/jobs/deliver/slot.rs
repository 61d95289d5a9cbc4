//! The slot of a delivery in progress, released on every outcome, including a panic.

use tokio::sync::mpsc;
use waviro_link::Chat;
use waviro_store::{AttemptFailure, Due};

use super::report::{After, Report};

/// The share of a delivery in the caps of its endpoint. `Drop` releases the slot, also after a
/// panic.
pub(super) struct Slot {
    endpoint: String,
    bot: i32,
    failing: bool,
    alone: Option<Chat>,
    report: mpsc::UnboundedSender<Report>,
    answered: bool,
    after: After,
}

impl Slot {
    pub(super) fn new(
        endpoint: &str,
        failing: bool,
        due: &Due,
        report: mpsc::UnboundedSender<Report>,
    ) -> Self {
        Self {
            endpoint: endpoint.to_owned(),
            bot: due.bot_id,
            failing,
            alone: due.alone_in().map(|(_, chat)| chat.clone()),
            report,
            answered: false,
            after: After::Panicked(due.id),
        }
    }

    /// Returns the endpoint whose caps count the delivery.
    pub(super) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The request has ended, with or without an answer. Releases the share of the requests in
    /// progress. `result` is the result for the endpoint's health, or `None` if the attempt says
    /// nothing about the endpoint.
    pub(super) fn answered(&mut self, result: Option<Result<(), AttemptFailure>>) {
        self.answered = true;
        // The receiver is gone if the gateway is stopping.
        let _ = self.report.send(Report::Answered {
            endpoint: self.endpoint.clone(),
            bot: self.bot,
            failing: self.failing,
            result,
        });
    }

    /// The outcome is durable. Releases the slot and reports the delivery to start at once.
    pub(super) fn over(mut self, next: Option<Due>) {
        self.after = next.map_or(After::Nothing, After::Next);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if !self.answered {
            self.answered(None);
        }
        let _ = self.report.send(Report::Over {
            endpoint: std::mem::take(&mut self.endpoint),
            bot: self.bot,
            alone: self.alone.take(),
            after: std::mem::replace(&mut self.after, After::Nothing),
        });
    }
}
