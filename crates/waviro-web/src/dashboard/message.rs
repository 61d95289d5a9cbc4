//! The page of a message: its history with all attempts of its deliveries, the cause of a failure,
//! and the content.

use askama::Template;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use waviro_store::clock::Millis;

use super::causes;
use super::errors::PageError;
use super::message_row::{address, part};
use super::page_context::PageContext;
use super::session::Me;
use crate::v1::bots::{self, BotView};
use crate::v1::deliveries::{AttemptView, FullDelivery};
use crate::v1::messages::{self, FullMessage, Members, MessageView};
use crate::v1::timestamp::Timestamp;

/// The maximum number of attempts of a delivery in the history; later attempts take precedence. The
/// retry schedule has thirteen attempts; the page of the delivery shows all attempts.
const ATTEMPTS: usize = 15;

/// An entry of the history, past or expected.
struct Step<'m> {
    /// `accepted`, `received`, `sent`, `failed`, `delivered`, `read`, `posted` or `replied`.
    what: &'static str,
    /// `None` for an expected entry.
    at: Option<Timestamp>,
    /// The time since the previous entry of the message itself.
    after_ms: Option<Millis>,
    /// The attempt and its delivery.
    tried: Option<(&'m FullDelivery, &'m AttemptView)>,
    /// The delivery of the entry.
    of: Option<&'m FullDelivery>,
}

#[derive(Template)]
#[template(path = "dashboard/message.html")]
struct Page<'m> {
    context: PageContext,
    bot: BotView,
    message: &'m MessageView,
    steps: Vec<Step<'m>>,
    deliveries: &'m [FullDelivery],
    replies: &'m [MessageView],
    members: Option<&'m Members>,
}

/// Shows the message.
pub(super) async fn show(
    me: Me,
    Path((bot, id)): Path<(i32, String)>,
) -> Result<Response, PageError> {
    let shown = me.ask(async {
        let (services, at) = (&me.services, me.sees(bot)?);
        Ok((
            bots::show(services, &at).await?,
            messages::show(services, &at, &id).await?,
        ))
    });
    let (bot, history) = shown.await?;
    let page = Page {
        context: me.context.clone(),
        bot,
        message: &history.message,
        steps: history.steps(),
        deliveries: &history.deliveries,
        replies: &history.replies,
        members: history.members.as_ref(),
    };
    Ok(me.context.show(StatusCode::OK, &page))
}

/// The history of a message on its page.
impl FullMessage {
    /// Returns the past entries in order, then the expected entries.
    fn steps(&self) -> Vec<Step<'_>> {
        let mut steps = self.own();
        for full in &self.deliveries {
            let left = full.attempts.len().saturating_sub(ATTEMPTS);
            steps.extend(full.attempts.iter().skip(left).map(|tried| Step {
                tried: Some((full, tried)),
                ..Step::new("posted", Some(tried.at), Some(full))
            }));
            let replied = full.row.replied_at;
            steps.extend(replied.map(|at| Step::new("replied", Some(at), Some(full))));
        }
        // In the same millisecond, the message's own entry comes first, because the delivery
        // reports the entry.
        // An expected entry comes last.
        let sorted_at = |step: &Step<'_>| step.at.map_or(Millis::MAX, |at| at.0);
        steps.sort_by_key(|step| (sorted_at(step), step.of.is_some()));
        let mut before = None;
        for step in steps.iter_mut().filter(|step| step.of.is_none()) {
            let at = step.at.map(|at| at.0);
            step.after_ms = at.zip(before).map(|(at, before)| at - before);
            before = at.or(before);
        }
        steps
    }

    fn own(&self) -> Vec<Step<'_>> {
        let row = &self.message;
        let own = |what, at| Step::new(what, at, None);
        if row.is_in() {
            return vec![own("received", Some(row.at))];
        }
        let mut steps = vec![own("accepted", Some(row.at))];
        if row.is_failed() {
            steps.push(own("failed", row.sent_at));
            return steps;
        }
        steps.push(own("sent", row.sent_at));
        // A group message gets no further acks, unless the bot has the setting `group_acks`.
        let history = |at: Option<Timestamp>| at.is_some() || !row.chat.ends_with("@g.us");
        let read = row.read_at;
        // A read receipt without a delivery receipt implies the delivery, at an unknown time.
        if history(row.delivered_at) && (row.delivered_at.is_some() || read.is_none()) {
            steps.push(own("delivered", row.delivered_at));
        }
        if history(row.read_at) {
            steps.push(own("read", read));
        }
        steps
    }
}

impl<'m> Step<'m> {
    fn new(what: &'static str, at: Option<Timestamp>, of: Option<&'m FullDelivery>) -> Self {
        Self {
            what,
            at,
            after_ms: None,
            tried: None,
            of,
        }
    }

    /// Returns the CSS class of the entry's mark.
    fn tone(&self) -> &'static str {
        match (self.what, self.tried) {
            (_, Some((_, tried))) => tried.tone(),
            ("failed", _) => "bad",
            _ if self.at.is_none() => "yet",
            _ => "good",
        }
    }

    fn is_own(&self) -> bool {
        self.of.is_none()
    }

    /// Returns the time since the previous entry, in words.
    fn span(&self, context: &PageContext) -> Option<String> {
        self.after_ms.map(|ms| span(ms, context))
    }
}

/// Formats a duration in the largest useful unit; below ten seconds, in milliseconds.
fn span(ms: Millis, context: &PageContext) -> String {
    let seconds = ms / 1000;
    match seconds {
        ..10 => format!("{ms} ms"),
        10..120 => format!("{seconds} {}", context.text.common.seconds_short),
        120..7200 => format!("{} {}", seconds / 60, context.text.common.minutes_short),
        7200..172_800 => format!("{} {}", seconds / 3600, context.text.common.hours_short),
        _ => format!("{} {}", seconds / 86_400, context.text.common.days),
    }
}

impl Page<'_> {
    /// Says that the message failed, and explains why, with the remedy.
    fn why(&self) -> Option<(String, &'static str)> {
        let cause = self.message.failure()?;
        let code = self.message.whatsapp_code;
        let headline = causes::headline(code, &self.context);
        Some((headline, causes::of_message(cause, code, &self.context)))
    }

    fn is_group(&self) -> bool {
        self.message.chat.ends_with("@g.us")
    }

    /// Returns the path of another message.
    fn other(&self, id: &str) -> String {
        format!(
            "{}/bots/{}/messages/{}",
            self.context.home,
            self.bot.id,
            part(id)
        )
    }

    fn sender(&self) -> Option<String> {
        let sender = self.message.sender.as_deref()?;
        Some(address(sender, &self.context))
    }

    /// Returns the size of the file in a readable unit.
    fn size(&self) -> Option<String> {
        let bytes = self.message.media.as_ref()?.size?;
        Some(match bytes {
            ..1024 => format!("{bytes} B"),
            1024..1_048_576 => format!("{} KiB", bytes / 1024),
            _ => format!("{} MiB", bytes / 1_048_576),
        })
    }
}
