//! The words of settings, keys and subscriptions.

use waviro_store::clock::Millis;

use crate::dashboard::page_context::PageContext;
use crate::v1::keys::CurrentKey;
use crate::v1::timestamp::Timestamp;

/// All kinds of events, first `*` for all kinds.
pub(super) const KINDS: [&str; 9] = [
    "*",
    "message.received",
    "message.ack",
    "message.edited",
    "message.deleted",
    "message.reaction",
    "bot.state",
    "group.changed",
    "call.received",
];

const DAY: Millis = 86_400_000;

/// Returns a number as text; empty for none.
pub(super) fn or_nothing(number: Option<u32>) -> String {
    number.map(|it| it.to_string()).unwrap_or_default()
}

/// Returns the age of the key in words.
pub(super) fn age(key: &CurrentKey, now: Millis, context: &PageContext) -> String {
    let Some(Timestamp(made)) = key.created_at else {
        return context.text.key_age.unknown.to_owned();
    };
    match now.saturating_sub(made) / DAY {
        0 => context.text.key_age.under_a_day.to_owned(),
        1 => context.text.key_age.one_day.to_owned(),
        days => format!("{days} {}", context.text.common.days),
    }
}

/// Returns the validity of an old key in words.
pub(super) fn overlap(seconds: u32, context: &PageContext) -> &'static str {
    match seconds {
        0 => context.text.key_overlap.none,
        3600 => context.text.key_overlap.hour,
        86_400 => context.text.key_overlap.day,
        _ => context.text.key_overlap.week,
    }
}

/// Returns a kind of event in words.
pub(super) fn kind(word: &str, context: &PageContext) -> String {
    let said = match word {
        "*" => context.text.event_kind.all,
        "message.received" => context.text.event_kind.message_received,
        "message.ack" => context.text.event_kind.message_ack,
        "message.edited" => context.text.message_kind.edited,
        "message.deleted" => context.text.message_kind.deleted,
        "message.reaction" => context.text.message_kind.reaction,
        "bot.state" => context.text.event_kind.bot_state,
        "group.changed" => context.text.event_kind.group_changed,
        "call.received" => context.text.event_kind.call_received,
        other => other,
    };
    said.to_owned()
}
