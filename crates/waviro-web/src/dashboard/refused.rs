//! The refusal of an operation or of a form, explained on the page of the form.

mod api;
mod fields;

use axum::http::StatusCode;

use super::page_context::PageContext;
use crate::v1::problem::Problem;

/// The refusal of an operation or of a form.
#[derive(Debug, Clone)]
pub(super) struct Refused {
    /// The status.
    pub(super) status: u16,
    /// The stable code of the problem.
    pub(super) code: String,
    /// The problem and its remedy, in English.
    pub(super) detail: String,
    /// The wrong field.
    pub(super) field: Option<String>,
    /// The request's id in the log.
    pub(super) request_id: String,
    /// The typed problem of an operation.
    pub(super) problem: Option<Box<Problem>>,
}

impl Refused {
    /// Returns the status of a page with a refusal, or 200 without a refusal.
    pub(super) fn status_of(wrong: Option<&Self>) -> StatusCode {
        wrong.map_or(StatusCode::OK, |wrong| {
            StatusCode::from_u16(wrong.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
        })
    }

    /// The refusal if the name typed as confirmation differs.
    pub(super) fn other_name() -> Self {
        Self {
            status: StatusCode::UNPROCESSABLE_ENTITY.as_u16(),
            code: "other_name".to_owned(),
            detail: String::new(),
            field: None,
            request_id: String::new(),
            problem: None,
        }
    }

    /// The refusal of a form larger than `limits.body_kib`.
    pub(super) fn too_large() -> Self {
        Self {
            status: StatusCode::PAYLOAD_TOO_LARGE.as_u16(),
            code: "body_too_large".to_owned(),
            ..Self::other_name()
        }
    }

    /// The refusal after too many attempts with a password.
    pub(super) fn too_many_tries() -> Self {
        Self {
            status: StatusCode::TOO_MANY_REQUESTS.as_u16(),
            code: "too_many_tries".to_owned(),
            ..Self::other_name()
        }
    }

    /// The refusal of a change by a viewer.
    pub(super) fn read_only() -> Self {
        Self {
            status: StatusCode::FORBIDDEN.as_u16(),
            code: "read_only".to_owned(),
            ..Self::other_name()
        }
    }

    /// Explains the refusal and its remedy, in the reader's language. The page shows the API's own
    /// text below, for programmers.
    pub(super) fn explained(&self, context: &PageContext) -> String {
        if let Some(same) = self.problem.as_deref().and_then(api::same) {
            return same.sentence(context.language(), &self.request_id, 0);
        }
        let (text, common) = (&context.text.refusal, &context.text.common);
        let field = self.field.as_deref().unwrap_or_default();
        let words = match (self.code.as_str(), field) {
            ("name_taken", _) => text.name_taken,
            ("invalid_field" | "missing_field", "name") => common.name_rule,
            ("invalid_field" | "missing_field", "to") => text.to,
            ("invalid_field" | "missing_field", "number") => text.number,
            ("url_refused", _) => text.url_refused,
            ("no_file", _) => text.no_file,
            ("still_open", _) => text.still_open,
            ("pointless", _) => text.pointless,
            ("invalid_field", "body") => text.body,
            ("no_such_thing", _) => text.no_such_thing,
            ("not_connected", _) => text.not_connected,
            ("not_registered", _) => text.not_registered,
            ("not_in_group", _) => text.not_in_group,
            ("duplicate_message", _) => text.duplicate_message,
            ("other_name", _) => text.other_name,
            ("read_only", _) => common.read_only,
            ("admin_only", _) => text.admin_only,
            ("no_such_bot", _) => text.no_such_bot,
            ("whatsapp_unavailable", _) => text.whatsapp_unavailable,
            ("busy", _) => text.busy,
            ("invalid_field" | "missing_field", field) => {
                let Some(words) = fields::explained(field, context.text) else {
                    // The API's text is more helpful than the name of a field.
                    let why = if self.detail.is_empty() {
                        field
                    } else {
                        &self.detail
                    };
                    return text.invalid_field(why);
                };
                words
            }
            (code, _) => fields::other(code, context.text).unwrap_or(text.unknown),
        };
        words.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use waviro_core::net::{FetchError, NetError};
    use waviro_core::outbox::Refusal;

    use super::*;
    use crate::api::error::ApiError;
    use crate::http::Refusal as _;
    use crate::texts::Language;
    use crate::v1::problem::Problem;

    /// Codes about tokens, signed links, streams, other methods and broken bodies. No page causes
    /// such a problem.
    const NO_PAGE_MEETS: [&str; 12] = [
        "not_found",
        "method_not_allowed",
        "no_token",
        "invalid_token",
        "too_many_wrong_keys",
        "body_incomplete",
        "invalid_body",
        "bad_signature",
        "link_expired",
        "media_gone",
        "media_unavailable",
        "too_many_streams",
    ];

    fn explained(code: &str, field: Option<&str>, language: Language) -> String {
        let refused = Refused {
            code: code.to_owned(),
            field: field.map(ToOwned::to_owned),
            ..Refused::other_name()
        };
        refused.explained(&PageContext::in_language(language))
    }

    /// Returns the text of a page about a problem of the API.
    fn words_about(problem: &Problem, language: Language) -> String {
        let refused = Refused {
            code: problem.code().to_owned(),
            field: problem.field().map(ToOwned::to_owned),
            problem: Some(Box::new(problem.clone())),
            ..Refused::other_name()
        };
        refused.explained(&PageContext::in_language(language))
    }

    #[test]
    fn a_failed_download_has_the_same_text_as_in_the_api() {
        let within = std::time::Duration::from_secs(25);
        for cause in [
            FetchError::TooLarge(1),
            FetchError::Empty,
            FetchError::Lost,
            FetchError::Status(404),
            FetchError::Status(503),
            FetchError::Net(NetError::TimedOut(within)),
            FetchError::Net(NetError::Unreachable("reset".to_owned())),
        ] {
            let same = ApiError::from(Refusal::NoFile(cause.clone()));
            for language in [Language::Indonesian, Language::English] {
                let words = words_about(&Refusal::NoFile(cause.clone()).into(), language);
                assert_eq!(words, same.sentence(language, "", 0));
            }
        }
    }

    #[test]
    fn each_field_of_a_form_has_its_words_in_both_languages() {
        for field in [
            "to",
            "text",
            "media.url",
            "media.caption",
            "location.latitude",
            "location.longitude",
            "location.name",
            "contact.name",
            "contact.numbers",
            "notify_url",
            "name",
            "secret_key",
            "webhook_key",
            "number",
            "overlap_s",
            "duplicate_rule.enabled",
            "duplicate_rule.within_s",
            "pacing.per_minute",
            "pacing.jitter",
            "pacing.typing",
            "group_acks",
            "grace_s",
            "allow",
            "keyword",
            "url",
            "timeout_s",
            "groups",
            "enabled",
            "from",
            "group",
            "kinds",
            "endpoint",
            "body",
            "password",
            "old_password",
            "role",
            "bots",
        ] {
            for language in [Language::Indonesian, Language::English] {
                let words = explained("invalid_field", Some(field), language);
                assert!(!words.ends_with(&format!(": {field}")), "{words}");
            }
        }
    }

    #[test]
    fn each_problem_that_a_page_meets_has_its_own_words_in_both_languages() {
        let (mut seen, mut met) = (HashSet::new(), 0);
        for language in [Language::Indonesian, Language::English] {
            let rest = explained("no such code", None, language);
            for problem in Problem::samples() {
                let (code, field) = (problem.code(), problem.field());
                if !NO_PAGE_MEETS.contains(&code) {
                    let words = explained(code, field, language);
                    assert_ne!(words, rest, "{code}");
                    seen.insert(words);
                    met += 1;
                }
            }
        }
        assert_eq!(seen.len(), met, "two problems have the same words");
        assert_eq!(
            explained("invalid_field", Some("limit"), Language::Indonesian),
            "Isian ini tidak benar: limit"
        );
        let full = Refused {
            code: "invalid_field".to_owned(),
            field: Some("limit".to_owned()),
            detail: "limit must be a whole number.".to_owned(),
            ..Refused::other_name()
        };
        assert_eq!(
            full.explained(&PageContext::in_language(Language::Indonesian)),
            "Isian ini tidak benar: limit must be a whole number."
        );
    }
}
