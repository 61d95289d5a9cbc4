//! The result of a run, for people and for programs.

use std::fmt::Write as _;
use std::time::Duration;

use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};
use serde_json::{Value, json};
use url::Url;

use crate::checks::{Check, Origin};
use crate::failure::Failure;
use crate::sent::Sent;

/// The result of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The host keeps the promise.
    Passed,
    /// The host breaks the promise. The text has the request, the expected answer and the received
    /// answer.
    Failed(String),
    /// The check was skipped, with the reason.
    Skipped(String),
}

impl From<Failure> for Outcome {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Broken(why) => Self::Failed(why),
            Failure::Skipped(why) => Self::Skipped(why),
        }
    }
}

/// A finished check.
#[derive(Clone)]
pub struct Tried {
    /// The check.
    pub check: Check,
    /// The result.
    pub outcome: Outcome,
    /// The duration.
    pub took: Duration,
}

/// The results of a run.
pub struct Report {
    /// The tested host.
    pub url: Url,
    /// The finished checks in the order of execution.
    pub tried: Vec<Tried>,
    /// Every message accepted by the host, so that the owner of the phone can look for the
    /// messages.
    pub sent: Vec<Sent>,
    /// The time from the first request to the last answer.
    pub took: Duration,
}

impl Report {
    /// Returns the failed checks.
    pub fn failed(&self) -> impl Iterator<Item = &Tried> {
        let failed = |tried: &&Tried| matches!(tried.outcome, Outcome::Failed(_));
        self.tried.iter().filter(failed)
    }

    /// Returns the number of passed, failed and skipped checks.
    #[must_use]
    pub fn counts(&self) -> [usize; 3] {
        let mut counts = [0; 3];
        for tried in &self.tried {
            counts[match tried.outcome {
                Outcome::Passed => 0,
                Outcome::Failed(_) => 1,
                Outcome::Skipped(_) => 2,
            }] += 1;
        }
        counts
    }

    /// Returns the last lines of the table: the failed checks with the source of each promise, and
    /// the counts.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut text = String::new();
        for tried in self.failed() {
            let by = match tried.check.origin {
                Origin::Document => "promised by the document",
                Origin::Waviro => "promised by Waviro, not in the document",
            };
            // Writing into a String cannot fail.
            let _ = writeln!(text, "promise not kept: {} ({by})", tried.check.name);
        }
        let [passed, failed, skipped] = self.counts();
        let seconds = self.took.as_secs_f32();
        let messages = self.sent.len();
        let _ = write!(
            text,
            "{passed} passed, {failed} failed, {skipped} skipped, {messages} messages sent, in {seconds:.1} s"
        );
        text
    }

    /// Returns every check and every accepted message as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        let checks: Vec<Value> = self.tried.iter().map(Tried::json).collect();
        json!({"url": self.url.as_str(), "checks": checks, "sent": self.sent})
    }

    /// Returns the result as `JUnit` XML for CI.
    ///
    /// # Errors
    /// If the result cannot be written as XML.
    pub fn junit(&self) -> Result<String, String> {
        let mut suite = TestSuite::new(self.url.as_str());
        for tried in &self.tried {
            let status = match &tried.outcome {
                Outcome::Passed => TestCaseStatus::success(),
                Outcome::Failed(why) => {
                    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                    status.set_message(why.as_str());
                    status
                }
                Outcome::Skipped(why) => {
                    let mut status = TestCaseStatus::skipped();
                    status.set_message(why.as_str());
                    status
                }
            };
            let mut case = TestCase::new(tried.check.name, status);
            case.set_classname("waviro").set_time(tried.took);
            suite.add_test_case(case);
        }
        let mut report = quick_junit::Report::new("WAVIRO API");
        report.set_time(self.took).add_test_suite(suite);
        report.to_string().map_err(|error| error.to_string())
    }
}

impl Tried {
    /// Returns the table line of the check, followed by the reason if the check did not pass.
    #[must_use]
    pub fn line(&self) -> String {
        let Check { name, says, .. } = self.check;
        match &self.outcome {
            Outcome::Passed => format!("  ok    {name:<34} {says}"),
            Outcome::Failed(why) => format!("  FAIL  {name:<34} {says}\n          {why}"),
            Outcome::Skipped(why) => format!("  skip  {name:<34} {says}\n          {why}"),
        }
    }

    fn json(&self) -> Value {
        let (outcome, why) = match &self.outcome {
            Outcome::Passed => ("passed", None),
            Outcome::Failed(why) => ("failed", Some(why)),
            Outcome::Skipped(why) => ("skipped", Some(why)),
        };
        let origin = match self.check.origin {
            Origin::Document => "document",
            Origin::Waviro => "waviro",
        };
        json!({"name": self.check.name, "says": self.check.says, "origin": origin, "outcome": outcome, "why": why})
    }
}
