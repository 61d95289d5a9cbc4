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
        return context
            .translate("dari versi lama", "from an older version")
            .to_owned();
    };
    match now.saturating_sub(made) / DAY {
        0 => context
            .translate("kurang dari sehari", "less than a day")
            .to_owned(),
        1 => context.translate("1 hari", "1 day").to_owned(),
        days => format!("{days} {}", context.translate("hari", "days")),
    }
}

/// Returns the validity of an old key in words.
pub(super) fn overlap(seconds: u32, context: &PageContext) -> &'static str {
    match seconds {
        0 => context.translate("langsung mati", "stops at once"),
        3600 => context.translate("masih berlaku 1 jam", "valid for 1 more hour"),
        86_400 => context.translate("masih berlaku 1 hari", "valid for 1 more day"),
        _ => context.translate("masih berlaku 7 hari", "valid for 7 more days"),
    }
}

/// Returns a kind of event in words.
pub(super) fn kind(word: &str, context: &PageContext) -> String {
    let said = match word {
        "*" => context.translate(
            "Semua peristiwa, juga yang baru kelak",
            "All events, including events of later versions",
        ),
        "message.received" => context.translate("Pesan masuk", "Message received"),
        "message.ack" => context.translate("Status pesan keluar", "State of a sent message"),
        "message.edited" => context.translate("Pesan diubah", "Message edited"),
        "message.deleted" => context.translate("Pesan dihapus", "Message deleted"),
        "message.reaction" => context.translate("Reaksi", "Reaction"),
        "bot.state" => context.translate("Keadaan bot", "Bot's state"),
        "group.changed" => context.translate("Perubahan grup", "Group changed"),
        "call.received" => context.translate("Panggilan masuk", "Call received"),
        other => other,
    };
    said.to_owned()
}
