//! Explanations of failures for shop owners: the cause and the remedy. Each explanation depends on
//! the code of the cause only. The API's text beside the explanation has the details, in English.

use waviro_link::Nack;

use super::page_context::PageContext;
use crate::v1::causes::{AttemptCauseCode, MessageCauseCode, ReplyOutcomeCode};

/// Says in a few words that a message failed, for its row. `whatsapp_code` is set if WhatsApp
/// refused the message.
pub(super) fn failed(whatsapp_code: Option<u16>, context: &PageContext) -> String {
    match whatsapp_code {
        Some(code) => context.text.message_state.refused(code),
        None => context.text.message_state.failed.to_owned(),
    }
}

/// Says in a sentence that a message failed, for its page. As [`failed`].
pub(super) fn headline(whatsapp_code: Option<u16>, context: &PageContext) -> String {
    match whatsapp_code {
        Some(code) => context.text.message.refused(code),
        None => context.text.message.not_sent.to_owned(),
    }
}

/// Explains why a message failed (ack -1), with the remedy.
pub(super) fn of_message(
    cause: MessageCauseCode,
    whatsapp_code: Option<u16>,
    context: &PageContext,
) -> &'static str {
    let text = &context.text.message_cause;
    match cause {
        MessageCauseCode::Nack => of_nack(Nack::from_code(whatsapp_code.unwrap_or(0)), context),
        MessageCauseCode::Refused => text.refused,
        MessageCauseCode::Unsendable => text.unsendable,
        MessageCauseCode::Expired => text.expired,
        MessageCauseCode::LoggedOut => text.logged_out,
        MessageCauseCode::Banned => text.banned,
        MessageCauseCode::BotRemoved => text.bot_removed,
        MessageCauseCode::NotLinked => text.not_linked,
        MessageCauseCode::Unknown => text.unknown,
    }
}

/// Explains a code of WhatsApp. [`Nack`] names the sources of the meanings.
fn of_nack(nack: Nack, context: &PageContext) -> &'static str {
    let text = &context.text.nack;
    match nack {
        Nack::MixedAddresses => text.mixed_addresses,
        Nack::Forbidden => text.forbidden,
        Nack::NoSuchAccount => text.no_such_account,
        Nack::NotAcceptable => text.not_acceptable,
        Nack::StaleGroup => text.stale_group,
        Nack::FirstMessage => text.first_message,
        Nack::NewChatsCapped => text.new_chats_capped,
        Nack::StaleDevices => text.stale_devices,
        Nack::ServerFailed => text.server_failed,
        Nack::ServerBusy => text.server_busy,
        Nack::Other(_) => text.other,
    }
}

/// Explains why an attempt of a delivery failed. Empty for an unknown cause.
pub(super) fn of_attempt(
    cause: AttemptCauseCode,
    status: Option<u16>,
    context: &PageContext,
) -> &'static str {
    let text = &context.text.attempt_cause;
    match cause {
        AttemptCauseCode::Status => of_status(status.unwrap_or(0), context),
        AttemptCauseCode::Refused => text.refused,
        AttemptCauseCode::TimedOut => text.timed_out,
        AttemptCauseCode::Unreachable => text.unreachable,
        AttemptCauseCode::NoClient => text.no_client,
        AttemptCauseCode::Redirected => text.redirected,
        AttemptCauseCode::AnswerGone => text.answer_gone,
        AttemptCauseCode::Unknown => "",
    }
}

/// Explains a status other than 2xx.
fn of_status(status: u16, context: &PageContext) -> &'static str {
    let text = &context.text.status;
    match status {
        300..=399 => text.redirect,
        401 | 403 => text.forbidden,
        404 => text.not_found,
        405 => text.no_post,
        410 => text.gone,
        429 => text.too_many,
        502..=504 => text.unavailable,
        500..=599 => text.failed,
        _ => text.other,
    }
}

/// Explains the outcome of a webhook reply. Empty for an unknown outcome.
pub(super) fn of_reply(outcome: ReplyOutcomeCode, context: &PageContext) -> &'static str {
    let text = &context.text.reply_outcome;
    match outcome {
        ReplyOutcomeCode::Sent => text.sent,
        ReplyOutcomeCode::SentInPart => text.sent_in_part,
        ReplyOutcomeCode::AllLeftOut => text.all_left_out,
        ReplyOutcomeCode::Empty => text.empty,
        ReplyOutcomeCode::Unreadable => text.unreadable,
        ReplyOutcomeCode::Unsuccessful => text.unsuccessful,
        ReplyOutcomeCode::RepliedBefore => text.replied_before,
        ReplyOutcomeCode::NotLinked => text.not_linked,
        ReplyOutcomeCode::BotRemoved => text.bot_removed,
        ReplyOutcomeCode::NotStored => text.not_stored,
        ReplyOutcomeCode::Cancelled => text.cancelled,
        ReplyOutcomeCode::Unknown => "",
    }
}

#[cfg(test)]
mod tests {
    use waviro_store::MessageCause;

    use super::*;
    use crate::api::error::Language;

    #[test]
    fn only_a_message_whose_bot_was_not_linked_asks_for_a_link() {
        let context = PageContext::in_language(Language::English);
        for cause in MessageCause::ALL.map(MessageCauseCode::from) {
            let asks = of_message(cause, None, &context).contains("Link the bot");
            let unlinked = matches!(
                cause,
                MessageCauseCode::NotLinked | MessageCauseCode::LoggedOut
            );
            assert_eq!(asks, unlinked, "{cause:?}");
        }
    }

    #[test]
    fn a_message_refused_by_whatsapp_says_so_with_the_code_in_both_languages() {
        let english = PageContext::in_language(Language::English);
        let indonesian = PageContext::in_language(Language::Indonesian);
        for nack in Nack::KNOWN.into_iter().chain([Nack::Other(499)]) {
            let code = Some(nack.code());
            assert_eq!(
                failed(code, &english),
                format!("Refused by WhatsApp ({nack})")
            );
            assert_eq!(
                headline(code, &indonesian),
                format!("WhatsApp menolak pesan ini, kode {nack}.")
            );
            let explained = |context| of_message(MessageCauseCode::Nack, code, context);
            assert_ne!(explained(&english), explained(&indonesian));
            let other = of_message(MessageCauseCode::Nack, Some(499), &english);
            assert_eq!(explained(&english) == other, nack == Nack::Other(499));
        }
        assert_eq!(failed(None, &english), "Failed");
    }
}
