//! What came out, for people and for programs.

use std::fmt::Write as _;
use std::time::Duration;

use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};
use serde_json::{Value, json};
use url::Url;

use crate::run::Sent;
use crate::{Check, Origin};

/// How a check ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// As promised.
    Passed,
    /// Not as promised; what was asked, expected and seen.
    Failed(String),
    /// Not checked, and why.
    Skipped(String),
}

/// A check that has run.
#[derive(Clone)]
pub struct Tried {
    /// Which.
    pub check: Check,
    /// How it ended.
    pub outcome: Outcome,
    /// How long it took.
    pub took: Duration,
}

/// All that came out.
pub struct Report {
    /// The host.
    pub url: Url,
    /// In the order in which they ran.
    pub tried: Vec<Tried>,
    /// Every message that the host accepted, so that whoever holds the phone can look for it.
    pub sent: Vec<Sent>,
    /// From the first request to the last.
    pub took: Duration,
}

impl Report {
    /// Those that are not as promised.
    pub fn failed(&self) -> impl Iterator<Item = &Tried> {
        let failed = |tried: &&Tried| matches!(tried.outcome, Outcome::Failed(_));
        self.tried.iter().filter(failed)
    }

    /// How many passed, failed, and were skipped.
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

    /// The last lines of the table: what failed, who promises it, and the counts.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut text = String::new();
        for tried in self.failed() {
            let by = match tried.check.origin {
                Origin::Document => "the document promises it",
                Origin::Waviro => "the document leaves it open; Waviro promises it",
            };
            // Writing into a String cannot fail.
            let _ = writeln!(text, "not as promised: {} ({by})", tried.check.name);
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

    /// For programs: every check, and every message that was accepted.
    #[must_use]
    pub fn json(&self) -> Value {
        let checks: Vec<Value> = self.tried.iter().map(Tried::json).collect();
        json!({"url": self.url.as_str(), "checks": checks, "sent": self.sent})
    }

    /// For CI: `JUnit`'s XML.
    ///
    /// # Errors
    /// Where it cannot be written as XML.
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
    /// One line of the table, and below it why where it did not pass.
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
