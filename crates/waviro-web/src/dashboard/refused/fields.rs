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

/// Returns the expected form of a field.
pub(super) fn explained(name: &str, text: &texts::Dashboard) -> Option<&'static str> {
    let (field, common) = (&text.field, &text.common);
    Some(match name {
        "secret_key" => field.secret_key,
        "webhook_key" => field.webhook_key,
        "contact.numbers" => field.contact_numbers,
        "keyword" => field.keyword,
        "url" | "endpoint" | "media.url" | "notify_url" => field.url,
        "media.caption" => field.media_caption,
        "location.name" => field.location_name,
        "contact.name" => field.contact_name,
        "enabled" | "duplicate_rule.enabled" | "pacing.typing" | "group_acks" | "groups" => {
            field.switch
        }
        "timeout_s" => field.timeout_s,
        "text" => field.text,
        "from" => field.sender,
        "group" => field.group,
        "overlap_s" => field.overlap_s,
        "kinds" => field.kinds,
        "duplicate_rule.within_s" => field.duplicate_within_s,
        "pacing.per_minute" => field.pacing_per_minute,
        "pacing.jitter" => field.pacing_jitter,
        "grace_s" => field.grace_s,
        "allow" => field.allow,
        "old_password" => common.old_password_wrong,
        "password" => common.password_too_short,
        "role" => field.role,
        "bots" => field.bots,
        _ => return None,
    })
}
