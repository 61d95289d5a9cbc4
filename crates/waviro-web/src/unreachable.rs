//! The explanation of a failed connection to WhatsApp, with a remedy: one text for the API, health,
//! the dashboard and `doctor`.

use waviro_link::{DialFailure, DialStep};

use crate::texts::Language;

/// Returns the cause and the remedy, without an initial capital and without a final stop. The texts
/// reveal nothing about the operator's network to a tenant; system messages appear only in logs and
/// in `doctor`.
#[must_use]
pub fn why_unreachable(failure: &DialFailure, language: Language) -> &'static str {
    let text = &language.texts().unreachable;
    match failure {
        DialFailure::Dns(_) => text.dns,
        DialFailure::NoRoute => text.no_route,
        DialFailure::Refused => text.refused,
        DialFailure::Tcp(_) => text.tcp,
        DialFailure::TlsUnknownCa => text.tls_unknown_ca,
        DialFailure::TlsWrongName => text.tls_wrong_name,
        DialFailure::TlsExpired => text.tls_expired,
        DialFailure::TlsNotYetValid => text.tls_not_yet_valid,
        DialFailure::Tls(_) => text.tls,
        DialFailure::UpgradeStatus(429) => text.status_429,
        DialFailure::UpgradeStatus(407) => text.status_407,
        DialFailure::UpgradeStatus(400..=499) => text.status_4xx,
        DialFailure::UpgradeStatus(500..=599) => text.status_5xx,
        // Instead of a WebSocket, a web page answers.
        DialFailure::UpgradeStatus(_) => text.status_other,
        DialFailure::NotWebSocket => text.not_web_socket,
        DialFailure::ServerKey => text.server_key,
        DialFailure::Closed(DialStep::Dns | DialStep::Tcp | DialStep::Tls) => {
            text.closed_before_tls
        }
        DialFailure::Closed(DialStep::Upgrade | DialStep::Handshake) => text.closed_before_answer,
        DialFailure::Silent(DialStep::Dns) => text.silent_dns,
        DialFailure::Silent(DialStep::Tcp) => text.silent_tcp,
        DialFailure::Silent(DialStep::Tls | DialStep::Upgrade | DialStep::Handshake) => {
            text.silent_after_tcp
        }
    }
}

/// Returns the same text for a code from [`DialFailure::code`].
#[must_use]
pub fn why_unreachable_by_code(code: &str, language: Language) -> Option<&'static str> {
    let samples = DialFailure::samples();
    let same = samples.iter().find(|failure| failure.code() == code)?;
    Some(why_unreachable(same, language))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_cause_of_a_failed_dial_has_a_cause_and_a_remedy_in_both_languages() {
        let tls = [
            DialFailure::TlsUnknownCa,
            DialFailure::TlsWrongName,
            DialFailure::TlsExpired,
            DialFailure::TlsNotYetValid,
        ];
        for language in [Language::Indonesian, Language::English] {
            for failure in &DialFailure::samples() {
                let text = why_unreachable(failure, language);
                assert!(text.contains([';', ',']) && !text.ends_with('.'), "{text}");
                let same = why_unreachable_by_code(failure.code(), language);
                assert_eq!(same, Some(text));
            }
            assert_eq!(why_unreachable_by_code("no_such_code", language), None);
            let texts = tls.iter().map(|failure| why_unreachable(failure, language));
            assert_eq!(texts.collect::<BTreeSet<_>>().len(), tls.len());
        }
    }
}
