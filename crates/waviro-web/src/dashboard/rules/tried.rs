//! The form of a rule test, and the words of its result.

use serde_json::{Value, json};

use crate::dashboard::form::Form;
use crate::dashboard::link_state::Tone;
use crate::dashboard::page_context::PageContext;
use crate::v1::rules::test::{CameOf, ReplyItem, Verdict};

/// Returns the body of a test for the API.
pub(in crate::dashboard) fn asked(form: &Form, send: bool) -> Value {
    // A typed number may have spaces, dashes and brackets.
    let plain = |said: &str| said.replace([' ', '+', '(', ')', '.', '-'], "");
    json!({
        "text": form.raw("text").replace("\r\n", "\n"),
        "from": form.get("from").map(plain),
        "group": form.get("group"),
        "send": send,
    })
}

/// The words of a test's outcome on the page.
impl CameOf {
    pub(in crate::dashboard) fn tone(&self) -> &'static str {
        match self.verdict {
            Verdict::Delivered => Tone::Good.class(),
            Verdict::Retried => Tone::Waits.class(),
            Verdict::SwitchedOff => Tone::Bad.class(),
        }
    }

    /// Returns the gateway's reaction to a real response, in words.
    pub(in crate::dashboard) fn words<'t>(&self, context: &'t PageContext) -> &'t str {
        match self.verdict {
            Verdict::Delivered => context.text.rule_test.accepted,
            Verdict::Retried => context.text.rule_test.retried,
            Verdict::SwitchedOff => context.text.rule_test.switched_off,
        }
    }
}

/// The words of a message of a webhook reply on the page.
impl ReplyItem {
    pub(in crate::dashboard) fn words<'t>(&'t self, context: &'t PageContext) -> &'t str {
        let text = &context.text.message_kind;
        match self.r#type.as_str() {
            "card" => text.contact,
            kind => text.named(kind).unwrap_or(kind),
        }
    }
}
