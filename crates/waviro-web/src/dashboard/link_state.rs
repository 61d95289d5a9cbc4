//! Explanations of a link's state for shop owners, with the remedy.

use super::page_context::PageContext;

/// The severity of a state. The page shows the severity in words too, not only as a colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    /// No action is needed.
    Good,
    /// The state ends by itself, or waits for the user.
    Waits,
    /// The user must act.
    Bad,
}

impl Tone {
    /// Returns the CSS class.
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Waits => "waits",
            Self::Bad => "bad",
        }
    }
}

/// Returns the severity, the words and the remedy for a state; `word` is the API's word.
pub(super) fn explained(
    word: &str,
    healthy: bool,
    context: &PageContext,
) -> (Tone, String, String) {
    let text = &context.text.link_state;
    let (tone, words, advice) = match word {
        "online" if healthy => (Tone::Good, text.online, text.online_advice),
        "online" => (Tone::Waits, text.stuck, text.stuck_advice),
        "reconnecting" => (Tone::Waits, text.reconnecting, text.reconnecting_advice),
        "linking" => (Tone::Waits, text.linking, text.linking_advice),
        "unlinked" => (Tone::Waits, text.unlinked, text.unlinked_advice),
        "logged_out" => (Tone::Bad, text.logged_out, text.logged_out_advice),
        "codes_used_up" => (Tone::Bad, text.codes_used_up, text.codes_used_up_advice),
        "pairing_failed" => (Tone::Bad, text.pairing_failed, text.pairing_failed_advice),
        "replaced" => (Tone::Bad, text.replaced, text.replaced_advice),
        "banned" => (Tone::Bad, text.banned, text.banned_advice),
        "passkey_asked" => (Tone::Bad, text.passkey_asked, text.passkey_asked_advice),
        _ => (Tone::Bad, text.client_outdated, text.client_outdated_advice),
    };
    (tone, words.to_owned(), advice.to_owned())
}

/// Returns the same for a bot that cannot reach WhatsApp; `why` is the reason in words.
pub(super) fn unreachable_explained(why: &str, context: &PageContext) -> (Tone, String, String) {
    let text = &context.text.link_state;
    let (words, advice) = (text.unreachable, text.unreachable_advice(why));
    (Tone::Bad, words.to_owned(), advice)
}
