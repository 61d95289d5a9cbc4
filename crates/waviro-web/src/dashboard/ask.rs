//! The way of all pages to the data: an operation of the administration API, run for the logged-in
//! user.
//!
//! A page cannot turn a [`Problem`] into its response. Therefore each operation runs through
//! [`Me::ask`] or [`Me::once`], which mask secrets for a viewer and log a refusal.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tracing::{Instrument, error, info, info_span};

use super::form::Form;
use super::refused::Refused;
use super::session::Me;
use crate::http::Refusal;
use crate::v1::auth::{AtBot, ChangesBot};
use crate::v1::bots::{self, BotView};
use crate::v1::idempotency::{self, Attempt};
use crate::v1::problem::Problem;
use crate::v1::viewer;

impl Me {
    /// Runs an operation for the user.
    ///
    /// # Errors
    /// [`Refused`]
    pub(super) async fn ask<T: Serialize + DeserializeOwned>(
        &self,
        operation: impl Future<Output = Result<T, Problem>>,
    ) -> Result<T, Refused> {
        // The proof of a permission records the bot.
        let span = info_span!("operation", bot = tracing::field::Empty);
        let asked = async {
            let result = operation.await;
            let masked = result.and_then(|result| viewer::masked_for(&self.caller, result));
            masked.map_err(|problem| self.refused(problem))
        };
        asked.instrument(span).await
    }

    /// Runs the operation of a form with the body `body`, at most once for the form's key; `path`
    /// is the path of the operation. Returns the result, and whether the result is the stored
    /// result of an earlier run.
    ///
    /// # Errors
    /// [`Refused`]
    pub(super) async fn once<T, F>(
        &self,
        form: &Form,
        path: &str,
        body: Value,
        operation: impl FnOnce(Attempt) -> F,
    ) -> Result<(T, bool), Refused>
    where
        T: Serialize + DeserializeOwned + Send + 'static,
        F: Future<Output = Result<T, Problem>> + Send + 'static,
    {
        let key = form.idempotency_key();
        let (services, caller) = (&self.services, &self.caller);
        self.ask(idempotency::once(
            services, caller, path, key, &body, operation,
        ))
        .await
    }

    /// Shows a bot.
    ///
    /// # Errors
    /// [`Refused`]
    pub(super) async fn bot(&self, bot: i32) -> Result<BotView, Refused> {
        let shown = self.ask(async { bots::show(&self.services, &self.sees(bot)?).await });
        shown.await
    }

    /// Returns the proof that the user may see the bot.
    ///
    /// # Errors
    /// [`Problem::NoSuchBot`].
    pub(super) fn sees(&self, bot: i32) -> Result<AtBot, Problem> {
        self.caller.sees(self.services.bots.by_id(bot))
    }

    /// Returns the proof that the user may see and change the bot.
    ///
    /// # Errors
    /// [`Problem::ReadOnly`], [`Problem::NoSuchBot`].
    pub(super) fn changes(&self, bot: i32) -> Result<ChangesBot, Problem> {
        self.caller.changes(self.services.bots.by_id(bot))
    }

    fn refused(&self, problem: Problem) -> Refused {
        let (status, code) = (problem.status().as_u16(), problem.code());
        if status >= 500 {
            error!(status, code, "operation of a page failed");
        } else {
            info!(status, code, "operation of a page refused");
        }
        Refused {
            status,
            code: code.to_owned(),
            detail: problem.detail(self.services.body.cap),
            field: problem.field().map(ToOwned::to_owned),
            request_id: self.request_id.clone(),
            problem: Some(Box::new(problem)),
        }
    }
}
