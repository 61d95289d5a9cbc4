//! From an incoming text to what is posted for it.

use super::{Payload, pick};

/// A rule, as far as texts are held against it.
pub trait Rule {
    /// As registered.
    fn keyword(&self) -> &str;

    /// Whether it takes texts at all, and those of groups.
    fn listens(&self, in_group: bool) -> bool;
}

/// What was written.
#[derive(Debug, Clone, Copy)]
pub struct Heard<'a> {
    /// The text.
    pub text: &'a str,
    /// The sender's phone number; empty where WhatsApp hides it.
    pub from: &'a str,
    /// The group that it was written in, see [`super::group_id`].
    pub group_id: Option<&'a str>,
}

/// The rule that a text belongs to, and what is posted to its URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Routed<'r, R> {
    /// The rule.
    pub rule: &'r R,
    /// The [`Payload`] as it is posted.
    pub body: String,
}

/// Finds the rule of a text, by [`pick`] among those that listen; `None` where none takes it.
#[must_use]
pub fn route<'r, R: Rule>(
    rules: &'r [R],
    heard: Heard<'_>,
    webhook_key: &str,
) -> Option<Routed<'r, R>> {
    let listening = rules
        .iter()
        .filter(|rule| rule.listens(heard.group_id.is_some()));
    let picked = pick(listening.map(Candidate), heard.text)?;
    let rule = picked.rule.0;
    let payload = Payload {
        keyword: rule.keyword(),
        data: &picked.data,
        webhook_key,
        from: heard.from,
        group_id: heard.group_id,
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
