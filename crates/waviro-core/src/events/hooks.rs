//! Builds the webhook for an inbound message, by the bot's rules.

use sha2::{Digest, Sha256};
use waviro_link::{Chat, Inbound, Sender};
use waviro_store::keyword::{self, InboundText};
use waviro_store::{Hook, RuleRow};

use crate::bots::Profile;

/// Returns the webhook of a message; `None` if no rule applies. Rules apply only to texts from
/// other people, and in groups only if the rule includes groups.
pub(super) fn of(
    bot_id: i32,
    inbound: &Inbound,
    rules: &[RuleRow],
    profile: &Profile,
) -> Option<Hook> {
    let text = text(inbound)?;
    let group = match &inbound.chat {
        Chat::Group(group) => Some(keyword::group_id(group)),
        Chat::Person(_) | Chat::Hidden(_) => None,
    };
    let received = InboundText {
        text,
        from: match &inbound.sender {
            Sender::Number(number) => number.as_str(),
            Sender::Hidden(_) => "",
        },
        group_id: group.as_deref(),
    };
    let routed = keyword::route(rules, received, profile.webhook_key())?;
    let rule = routed.rule;
    Some(Hook {
        bot_id,
        subject: inbound.id.as_str().to_owned(),
        chat: Some(inbound.chat.clone()),
        source: rule.id,
        webhook_id: webhook_id(bot_id, inbound, rule.id),
        url: rule.url.clone(),
        body: routed.body,
        line: None,
    })
}

/// Returns the text for the rules: a typed text, a chosen option or a caption.
pub(super) fn text(inbound: &Inbound) -> Option<&str> {
    if inbound.from_me {
        return None;
    }
    inbound.kind.text()
}

/// Returns an id that stays the same when WhatsApp redelivers the message. A sender can choose only
/// the message id, so nobody can produce the webhook id of another message.
fn webhook_id(bot_id: i32, inbound: &Inbound, rule: i64) -> String {
    let mut hash = Sha256::new();
    let sender = match &inbound.sender {
        Sender::Number(number) => number.as_str(),
        Sender::Hidden(lid) => lid,
    };
    let chat = inbound.chat.address();
    for part in [chat.as_str(), sender, inbound.id.as_str()] {
        hash.update(part);
        hash.update([0]);
    }
    hash.update(bot_id.to_le_bytes());
    hash.update(rule.to_le_bytes());
    let hash: [u8; 32] = hash.finalize().into();
    format!("msg_{}", hex::encode(&hash[..12]))
}
