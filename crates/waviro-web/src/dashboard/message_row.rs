//! A message in lists: words for its state and kind, shortened texts, and encoded path parts.

use url::form_urlencoded;

use super::causes;
use super::page_context::PageContext;
use crate::v1::causes::MessageCauseCode;
use crate::v1::messages::{Direction, MessageState, MessageView};

/// The maximum number of characters of a text in a row. A text may be very long, and a page has
/// fifty rows.
const GIST: usize = 180;

/// The words of a message on all pages.
impl MessageView {
    pub(super) fn is_in(&self) -> bool {
        self.direction == Direction::In
    }

    pub(super) fn is_failed(&self) -> bool {
        self.state == MessageState::Failed
    }

    /// Returns the id, encoded for a path.
    pub(super) fn path(&self) -> String {
        part(&self.id)
    }

    /// Returns the beginning of the text, or the emoji or name of a message without text.
    pub(super) fn gist(&self) -> String {
        let text = self.text.trim();
        let place = || self.location.as_ref().and_then(|place| place.name.clone());
        let card = || {
            self.contacts
                .as_ref()?
                .first()
                .map(|card| card.name.clone())
        };
        if text.is_empty() {
            let other = self.emoji.clone().or_else(place).or_else(card);
            return shortened(&other.unwrap_or_default());
        }
        shortened(text)
    }

    /// Returns the shortened name of the file.
    pub(super) fn file_name(&self) -> Option<String> {
        self.media.as_ref()?.file_name.as_deref().map(shortened)
    }

    /// Returns the chat, in words.
    pub(super) fn with(&self, context: &PageContext) -> String {
        address(&self.chat, context)
    }

    /// Returns the sender of a message in a group.
    pub(super) fn writer(&self, context: &PageContext) -> Option<String> {
        let sender = self.sender.as_deref()?;
        (sender != self.chat).then(|| address(sender, context))
    }

    /// Returns the CSS class of the state; each state has a different shape.
    pub(super) fn tone(&self) -> &'static str {
        match self.state {
            MessageState::Pending => "waits",
            MessageState::Sent => "good sent",
            MessageState::Delivered => "good delivered",
            MessageState::Read => "good read",
            MessageState::Failed => "bad",
            MessageState::Received => "heard",
        }
    }

    /// Returns the cause, if the message failed.
    pub(super) fn failure(&self) -> Option<MessageCauseCode> {
        let code = self.cause_code.unwrap_or(MessageCauseCode::Unknown);
        (self.state == MessageState::Failed).then_some(code)
    }

    pub(super) fn words(&self, context: &PageContext) -> String {
        let text = &context.text.message_state;
        let words = match self.state {
            MessageState::Pending => context.text.common.waiting,
            MessageState::Sent => text.sent,
            MessageState::Delivered => text.delivered,
            MessageState::Read => text.read,
            MessageState::Failed => return causes::failed(self.whatsapp_code, context),
            MessageState::Received if self.from_me => text.from_phone,
            MessageState::Received => text.received,
        };
        words.to_owned()
    }

    /// Returns the kind in words; an unknown kind is shown as the API's word.
    pub(super) fn kind_words(&self, context: &PageContext) -> String {
        let words = context.text.message_kind.named(&self.kind);
        words.map_or_else(|| shortened(&self.kind), str::to_owned)
    }
}

/// Formats the address of a chat or a sender.
pub(super) fn address(text: &str, context: &PageContext) -> String {
    match text.split_once('@') {
        Some((number, "c.us")) => number.to_owned(),
        Some((group, "g.us")) => format!("{} {group}", context.text.chat.group),
        Some((hidden, "lid")) => {
            format!("{} {hidden}", context.text.chat.hidden_number)
        }
        _ => text.to_owned(),
    }
}

/// Returns the beginning of a text.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(GIST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Encodes a part of a path. The sender chooses the id of a received message, so the id may contain
/// any characters.
pub(super) fn part(text: &str) -> String {
    let encoded: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
    encoded.replace('+', "%20")
}
