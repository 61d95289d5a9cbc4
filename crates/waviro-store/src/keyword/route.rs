//! Finds the rule for an inbound text, and builds the body to post.

use super::{Payload, pick};

/// A rule, reduced to the parts that decide about a text.
pub trait Rule {
    /// Returns the keyword as registered.
    fn keyword(&self) -> &str;

    /// Returns whether the rule takes texts of the given kind of chat.
    fn listens(&self, in_group: bool) -> bool;
}

/// An inbound text.
#[derive(Debug, Clone, Copy)]
pub struct InboundText<'a> {
    pub text: &'a str,
    /// The sender's phone number; empty if WhatsApp hides the number.
    pub from: &'a str,
    /// The group of the message, see [`super::group_id`].
    pub group_id: Option<&'a str>,
}

/// The rule for a text, and the body to post to its URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Routed<'r, R> {
    pub rule: &'r R,
    /// The [`Payload`] as JSON.
    pub body: String,
}

/// Finds the rule for a text, with [`pick`] among the rules that listen to the chat; `None` if no
/// rule applies.
#[must_use]
pub fn route<'r, R: Rule>(
    rules: &'r [R],
    inbound: InboundText<'_>,
    webhook_key: &str,
) -> Option<Routed<'r, R>> {
    let listening = rules
        .iter()
        .filter(|rule| rule.listens(inbound.group_id.is_some()));
    let picked = pick(listening.map(Candidate), inbound.text)?;
    let rule = picked.rule.0;
    let payload = Payload {
        keyword: rule.keyword(),
        data: &picked.data,
        webhook_key,
        from: inbound.from,
        group_id: inbound.group_id,
    };
    let body = payload.json();
    Some(Routed { rule, body })
}

struct Candidate<'a, R>(&'a R);

impl<R: Rule> AsRef<str> for Candidate<'_, R> {
    fn as_ref(&self) -> &str {
        self.0.keyword()
    }
}
