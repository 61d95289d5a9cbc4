//! Settings, keys and subscriptions in the API's responses.

use serde::Deserialize;
use waviro_store::clock::Millis;

use crate::dashboard::page_context::PageContext;

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

/// The known facts about the SecretKey.
#[derive(Debug, Deserialize)]
pub(super) struct Keys {
    pub(super) current: Current,
    pub(super) previous: Option<Old>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Current {
    pub(super) fingerprint: String,
    pub(super) created_at: Option<String>,
}

/// The previous key.
#[derive(Debug, Deserialize)]
pub(super) struct Old {
    pub(super) fingerprint: String,
    pub(super) until: String,
}

/// A newly created key.
#[derive(Debug, Deserialize)]
pub(super) struct NewKey {
    pub(super) secret_key: String,
    pub(super) previous_until: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct SigningSecret {
    pub(super) signing_secret: String,
    pub(super) previous: Option<OldSecret>,
}

/// The previous secret, which still signs too.
#[derive(Debug, Deserialize)]
pub(super) struct OldSecret {
    pub(super) signing_secret: String,
    pub(super) until: String,
}

/// The settings of a bot.
#[derive(Debug, Deserialize)]
pub(super) struct SettingsView {
    pub(super) duplicate_rule: DuplicateRule,
    pub(super) pacing: Pacing,
    pub(super) group_acks: bool,
    grace_s: Option<u32>,
    pub(super) allow: Vec<String>,
}

/// The duplicate rule of a bot.
#[derive(Debug, Deserialize)]
pub(super) struct DuplicateRule {
    pub(super) enabled: bool,
    within_s: Option<u32>,
}

/// The speed of sending.
#[derive(Debug, Deserialize)]
pub(super) struct Pacing {
    per_minute: Option<u32>,
    jitter: f64,
    pub(super) typing: bool,
}

/// A subscription in the API's response.
#[derive(Debug, Deserialize)]
pub(super) struct Subscription {
    pub(super) id: i64,
    pub(super) url: String,
    pub(super) kinds: Vec<String>,
    pub(super) enabled: bool,
    pub(super) timeout_s: Option<i64>,
    pub(super) off_cause: Option<String>,
}

fn or_nothing(number: Option<u32>) -> String {
    number.map(|it| it.to_string()).unwrap_or_default()
}

impl SettingsView {
    /// Returns the grace time; empty for the gateway's configuration.
    pub(super) fn grace(&self) -> String {
        or_nothing(self.grace_s)
    }
}

impl DuplicateRule {
    /// Returns the time span of the rule; empty for no limit.
    pub(super) fn within(&self) -> String {
        or_nothing(self.within_s)
    }
}

impl Pacing {
    /// Returns the messages per minute; empty for no limit.
    pub(super) fn per_minute(&self) -> String {
        or_nothing(self.per_minute)
    }

    pub(super) fn percent(&self) -> String {
        // Rounds to a hundredth of a percent, to hide the imprecision of binary fractions.
        let percent = (self.jitter * 10_000.0).round() / 100.0;
        percent.to_string()
    }
}

impl Current {
    /// Returns the age of the key in words.
    pub(super) fn age(&self, now: Millis, context: &PageContext) -> String {
        let made = self.created_at.as_deref().and_then(|at| at.parse().ok());
        let Some(made): Option<jiff::Timestamp> = made else {
            return context
                .translate("dari versi lama", "from an older version")
                .to_owned();
        };
        match now.saturating_sub(made.as_millisecond()) / DAY {
            0 => context
                .translate("kurang dari sehari", "less than a day")
                .to_owned(),
            1 => context.translate("1 hari", "1 day").to_owned(),
            days => format!("{days} {}", context.translate("hari", "days")),
        }
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
