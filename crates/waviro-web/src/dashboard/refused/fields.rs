//! Explanations of wrong fields of rules, settings, subscriptions and users, and of rare problems.

use crate::texts;

/// Returns the explanation of a rare code, or `None` for a code that no page causes.
pub(super) fn other(code: &str, text: &texts::Dashboard) -> Option<&'static str> {
    let (text, common) = (&text.refusal, &text.common);
    Some(match code {
        "key_taken" => text.key_taken,
        "keyword_taken" => text.keyword_taken,
        "too_many" => text.too_many,
        "last_admin" => text.last_admin,
        "idempotency_conflict" => text.idempotency_conflict,
        "wrong_state" => text.wrong_state,
        "refused_by_whatsapp" => text.refused_by_whatsapp,
        "too_many_tries" => common.too_many_tries,
        "body_too_large" => text.body_too_large,
        "too_many_fetches" => text.too_many_fetches,
        "too_many_files" => text.too_many_files,
        "disk_full" => text.disk_full,
        "too_many_at_work" => text.too_many_at_work,
        "internal" => text.internal,
        _ => return None,
    })
}

/// Returns the expected form of a field: the text with the key of the field's path.
pub(super) fn explained(name: &str, text: &texts::Dashboard) -> Option<&'static str> {
    let key = match name {
        "endpoint" | "media.url" | "notify_url" => "url",
        "enabled" | "duplicate_rule.enabled" | "pacing.typing" | "group_acks" | "groups" => {
            "switch"
        }
        "old_password" => return Some(text.common.old_password_wrong),
        "password" => return Some(text.common.password_too_short),
        name => name,
    };
    text.field.named(&key.replace('.', "_"))
}
