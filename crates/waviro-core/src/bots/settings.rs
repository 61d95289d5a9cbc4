//! The settings of a bot. The defaults give the documented behaviour of `/api`.

use std::time::Duration;

use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;
use tracing::error;
use waviro_store::Repeats;
use waviro_store::clock::{Millis, millis};

use crate::config::AllowedNetwork;

/// The most networks of a bot. Every address of a delivery is compared with each network.
pub const NETWORKS: usize = 64;

/// The settings of a bot, as `/v1` shows and accepts them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The rule for repeated messages.
    pub duplicate_rule: DuplicateRule,
    /// The speed of sending.
    pub pacing: Pacing,
    /// Post acks 2 and 3 for group messages, as soon as the phone of the first member reports.
    pub group_acks: bool,
    /// How long the bot accepts messages without a connection, in seconds; `None` means
    /// `delivery.grace_s`.
    #[serde(deserialize_with = "maybe_whole::<_, 0, 86_400>")]
    pub grace_s: Option<u32>,
    /// Networks that the bot's deliveries may reach in addition to public addresses and
    /// `outbound.allow`.
    #[serde(serialize_with = "networks_out", deserialize_with = "networks_in")]
    pub allow: Vec<AllowedNetwork>,
}

/// The duplicate rule: refuses a message with the same content as the message before in the same
/// chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DuplicateRule {
    /// The rule is on.
    pub enabled: bool,
    /// The rule applies only if the message before was accepted at most this many seconds ago;
    /// `None` means no limit.
    #[serde(deserialize_with = "maybe_whole::<_, 1, 31_536_000>")]
    pub within_s: Option<u32>,
}

/// The speed of sending, and typing before texts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pacing {
    /// The most messages per minute, spaced evenly; `None` means no limit.
    #[serde(deserialize_with = "maybe_whole::<_, 1, 600>")]
    pub per_minute: Option<u32>,
    /// The largest variation of a gap between two messages, as a part of the even gap.
    #[serde(deserialize_with = "part")]
    pub jitter: f64,
    /// Show typing to a person before a text.
    pub typing: bool,
}

impl Default for DuplicateRule {
    fn default() -> Self {
        Self {
            enabled: true,
            within_s: None,
        }
    }
}

/// Even gaps look like a machine. People vary by about a third.
const JITTER: f64 = 0.3;

impl Default for Pacing {
    fn default() -> Self {
        Self {
            per_minute: None,
            jitter: JITTER,
            typing: false,
        }
    }
}

/// A setting with an invalid value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadSetting {
    /// The full name, such as `pacing.jitter`; for an unknown name, the object that contains the
    /// name.
    pub field: &'static str,
    /// The description of a valid value.
    pub should: &'static str,
}

/// Every setting by full name, with the description of a valid value.
const FORMS: [(&str, &str); 8] = [
    ("duplicate_rule.enabled", "true or false"),
    (
        "duplicate_rule.within_s",
        "a whole number from 1 to 31536000, or null",
    ),
    ("pacing.per_minute", "a whole number from 1 to 600, or null"),
    ("pacing.jitter", "a number from 0 to 1"),
    ("pacing.typing", "true or false"),
    ("group_acks", "true or false"),
    ("grace_s", "a whole number from 0 to 86400, or null"),
    (
        "allow",
        "a list of at most 64 networks, such as \"10.0.0.5\", \"10.0.0.0/8\" and \"10.0.0.5:8080\"",
    ),
];

/// The objects that contain settings, with a description of their fields.
const GROUPS: [(&str, &str); 3] = [
    (
        "duplicate_rule",
        "an object with enabled and within_s, and nothing else",
    ),
    (
        "pacing",
        "an object with per_minute, jitter and typing, and nothing else",
    ),
    (
        "settings",
        "an object with duplicate_rule, pacing, group_acks, grace_s and allow, and nothing else",
    ),
];

impl Settings {
    /// Returns these settings with a JSON merge patch (RFC 7396) applied: an absent field stays,
    /// null restores the default.
    ///
    /// # Errors
    /// [`BadSetting`], the first.
    pub fn patched(&self, patch: &Value) -> Result<Self, BadSetting> {
        let mut document = serde_json::to_value(self).unwrap_or_default();
        if !knows(&document, patch) {
            // An unknown field is an error even with the value null, although a merge would only
            // remove a field that does not exist.
            return Err(blame(patch));
        }
        merge(&mut document, patch);
        // Serde would read a list as the fields in their order.
        let lists = GROUPS.iter().find(|(group, _)| {
            let value = document.get(group);
            value.is_some_and(|value| !value.is_object())
        });
        if let Some(&(field, should)) = lists {
            return Err(BadSetting { field, should });
        }
        serde_json::from_value(document.clone()).map_err(|_| blame(&document))
    }

    /// Returns the stored form; `None` for the defaults.
    #[must_use]
    pub fn stored(&self) -> Option<String> {
        if *self == Self::default() {
            return None;
        }
        serde_json::to_string(self).ok()
    }

    /// Reads the form of [`Settings::stored`]. An unreadable text, for example from a newer
    /// version, is logged and gives the defaults.
    #[must_use]
    pub fn read(bot_id: i32, stored: Option<&str>) -> Self {
        let Some(text) = stored else {
            return Self::default();
        };
        serde_json::from_str(text).unwrap_or_else(|cause| {
            error!(bot_id, %cause, "bot settings cannot be read; using the defaults");
            Self::default()
        })
    }

    /// Returns the duplicate rule for a message accepted at `now`.
    #[must_use]
    pub fn repeats(&self, now: Millis) -> Repeats {
        match self.duplicate_rule {
            DuplicateRule { enabled: false, .. } => Repeats::Fine,
            DuplicateRule { within_s: None, .. } => Repeats::Refused,
            DuplicateRule {
                within_s: Some(seconds),
                ..
            } => Repeats::RefusedSince(now - millis(Duration::from_secs(seconds.into()))),
        }
    }

    /// Returns how long the bot accepts messages without a connection; `usual` if the setting is
    /// empty.
    #[must_use]
    pub fn grace(&self, usual: Duration) -> Duration {
        self.grace_s
            .map_or(usual, |seconds| Duration::from_secs(seconds.into()))
    }
}

/// Returns true if the document has every field of the patch.
fn knows(document: &Value, patch: &Value) -> bool {
    let (Value::Object(known), Value::Object(fields)) = (document, patch) else {
        return true;
    };
    let mut fields = fields.iter();
    fields.all(|(name, value)| known.get(name).is_some_and(|at| knows(at, value)))
}

fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    let Some(object) = target.as_object_mut() else {
        return;
    };
    for (name, value) in fields {
        if value.is_null() {
            object.remove(name);
        } else {
            merge(object.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}

/// Finds the invalid setting in a rejected document: the setting that is also rejected alone.
fn blame(document: &Value) -> BadSetting {
    for (field, should) in FORMS {
        let mut parts = field.split('.');
        let (first, second) = (parts.next().unwrap_or_default(), parts.next());
        let value = match second {
            None => document.get(first),
            Some(second) => document.get(first).and_then(|group| group.get(second)),
        };
        let Some(value) = value else {
            continue;
        };
        let mut alone = serde_json::json!({ first: value });
        if let Some(second) = second {
            alone = serde_json::json!({ first: { second: value } });
        }
        if serde_json::from_value::<Settings>(alone).is_err() {
            return BadSetting { field, should };
        }
    }
    for (field, should) in GROUPS {
        if let Some(group) = document.get(field)
            && serde_json::from_value::<Settings>(serde_json::json!({ field: group })).is_err()
        {
            return BadSetting { field, should };
        }
    }
    let [.., (field, should)] = GROUPS;
    BadSetting { field, should }
}

/// Reads a whole number. A number such as `1.0` counts as whole, as in JSON Schema.
fn maybe_whole<'de, D: Deserializer<'de>, const LOW: u32, const HIGH: u32>(
    input: D,
) -> Result<Option<u32>, D::Error> {
    let Some(number) = Option::<f64>::deserialize(input)? else {
        return Ok(None);
    };
    if number.fract() != 0.0 || !(f64::from(LOW)..=f64::from(HIGH)).contains(&number) {
        return Err(D::Error::custom("out of its bounds"));
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the number is whole and in the range of both types"
    )]
    Ok(Some(number as u32))
}

fn part<'de, D: Deserializer<'de>>(input: D) -> Result<f64, D::Error> {
    let part = f64::deserialize(input)?;
    if (0.0..=1.0).contains(&part) {
        Ok(part)
    } else {
        Err(D::Error::custom("out of its bounds"))
    }
}

fn networks_in<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<AllowedNetwork>, D::Error> {
    let texts = Vec::<String>::deserialize(input)?;
    if texts.len() > NETWORKS {
        return Err(D::Error::custom("too many"));
    }
    let parsed = texts.iter().map(|text| text.parse());
    parsed
        .collect::<Result<_, String>>()
        .map_err(D::Error::custom)
}

fn networks_out<S: Serializer>(allow: &[AllowedNetwork], output: S) -> Result<S::Ok, S::Error> {
    output.collect_seq(allow.iter().map(ToString::to_string))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn patched(patch: &Value) -> Result<Settings, BadSetting> {
        Settings::default().patched(patch)
    }

    #[test]
    fn default_settings_follow_the_api_document_and_are_not_stored() {
        let none = Settings::default();
        assert_eq!(none.stored(), None);
        assert_eq!(none.repeats(5), Repeats::Refused);
        assert_eq!(none.grace(Duration::from_secs(7)), Duration::from_secs(7));
        assert_eq!(
            (none.pacing.per_minute, none.pacing.typing, none.group_acks),
            (None, false, false)
        );
        assert!(none.allow.is_empty());
        assert_eq!(Settings::read(1, None), none);
        assert_eq!(Settings::read(1, Some("no settings")), none);
    }

    #[test]
    fn a_patch_changes_the_named_settings_and_null_restores_the_default() {
        let first = patched(&json!({
            "pacing": {"per_minute": 20.0, "jitter": 0}, "grace_s": 5,
            "allow": ["10.0.0.5", "10.0.0.0/8:8080", "[::1]:90"],
        }))
        .unwrap();
        assert_eq!(
            (first.pacing.per_minute, first.pacing.typing),
            (Some(20), false)
        );
        let second = first.patched(&json!({"pacing": {"typing": true}, "grace_s": null}));
        let second = second.unwrap();
        assert_eq!(
            (second.pacing.per_minute, second.pacing.typing),
            (Some(20), true)
        );
        assert_eq!((second.grace_s, &second.allow), (None, &first.allow));
        assert_eq!(Settings::read(1, second.stored().as_deref()), second);
        let shown = serde_json::to_value(&second).unwrap();
        assert_eq!(
            shown["allow"],
            json!(["10.0.0.5", "10.0.0.0/8:8080", "[::1]:90"])
        );
        let third = second.patched(&json!({"pacing": null, "allow": null}));
        assert_eq!(third.unwrap(), Settings::default());
    }

    #[test]
    fn a_bad_value_is_named() {
        for (patch, field) in [
            (json!({"pacing": {"per_minute": 0}}), "pacing.per_minute"),
            (json!({"pacing": {"per_minute": 601}}), "pacing.per_minute"),
            (json!({"pacing": {"per_minute": "5"}}), "pacing.per_minute"),
            (json!({"pacing": {"per_minute": 1.5}}), "pacing.per_minute"),
            (json!({"pacing": {"jitter": 1.01}}), "pacing.jitter"),
            (json!({"pacing": {"jitter": -0.1}}), "pacing.jitter"),
            (json!({"pacing": {"typing": 1}}), "pacing.typing"),
            (json!({"pacing": {"speed": 1}}), "pacing"),
            (json!({"pacing": 5}), "pacing"),
            (
                json!({"duplicate_rule": {"within_s": 0}}),
                "duplicate_rule.within_s",
            ),
            (
                json!({"duplicate_rule": {"enabled": "no"}}),
                "duplicate_rule.enabled",
            ),
            (json!({"duplicate_rule": []}), "duplicate_rule"),
            (json!({"group_acks": "yes"}), "group_acks"),
            (json!({"grace_s": 86_401}), "grace_s"),
            (json!({"allow": ["10.0.0.0/99"]}), "allow"),
            (json!({"allow": "10.0.0.5"}), "allow"),
            (json!({"allow": vec!["10.0.0.5"; 65]}), "allow"),
            (json!({"colour": "red"}), "settings"),
            (json!({"colour": null}), "settings"),
            (json!({"pacing": {"colour": null}}), "pacing"),
        ] {
            assert_eq!(patched(&patch).unwrap_err().field, field, "{patch}");
        }
    }

    #[test]
    fn a_duplicate_rule_covers_its_window_and_nothing_when_off() {
        let bounded = patched(&json!({"duplicate_rule": {"within_s": 60}})).unwrap();
        assert_eq!(bounded.repeats(100_000), Repeats::RefusedSince(40_000));
        let off = patched(&json!({"duplicate_rule": {"enabled": false}})).unwrap();
        assert_eq!(off.repeats(100_000), Repeats::Fine);
    }
}
