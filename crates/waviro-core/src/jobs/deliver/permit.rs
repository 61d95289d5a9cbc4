//! The permit of a delivery in progress, released on every outcome, including a panic.

use tokio::sync::mpsc;
use waviro_link::Chat;
use waviro_store::Due;

use super::{After, Report};

/// The right of a delivery to run. `Drop` releases the permit, also after a panic.
pub(super) struct Permit {
    pub(super) endpoint: String,
    bot: i32,
    failing: bool,
    alone: Option<Chat>,
    report: mpsc::UnboundedSender<Report>,
    answered: bool,
    after: After,
}

impl Permit {
    pub(super) fn new(
        endpoint: &str,
        failing: bool,
        due: &Due,
        report: &mpsc::UnboundedSender<Report>,
    ) -> Self {
        Self {
            endpoint: endpoint.to_owned(),
            bot: due.bot_id,
            failing,
            alone: due.alone_in().map(|(_, chat)| chat.clone()),
            report: report.clone(),
            answered: false,
            after: After::Panicked(due.id),
        }
    }

    /// The request has ended, with or without an answer. Releases the share of the requests in
    /// progress.
    pub(super) fn answered(&mut self, result: Option<Result<(), String>>) {
        self.answered = true;
        let (endpoint, failing) = (self.endpoint.clone(), self.failing);
        // The receiver is gone if the gateway is stopping.
        let _ = self.report.send(Report::Answered {
            endpoint,
            bot: self.bot,
            failing,
            result,
        });
    }

    pub(super) fn over(mut self, next: Option<Due>) {
        self.after = next.map_or(After::Nothing, After::Next);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if !self.answered {
            self.answered(None);
        }
        let after = std::mem::replace(&mut self.after, After::Nothing);
        let (endpoint, alone) = (std::mem::take(&mut self.endpoint), self.alone.take());
        let bot = self.bot;
        let _ = self.report.send(Report::Over {
            endpoint,
            bot,
            alone,
            after,
        });
    }
}
