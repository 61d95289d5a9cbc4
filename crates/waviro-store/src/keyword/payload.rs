//! The body for a keyword's webhook: the four fields of the API document, in the same order.

use serde::Serialize;
use waviro_link::GroupId;

/// The payload of the API document, plus the group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Payload<'a> {
    /// The keyword as registered; empty for the catch-all.
    pub keyword: &'a str,
    /// The parts after the keyword; for the catch-all the whole text.
    pub data: &'a [String],
    /// The bot's webhook key, never its SecretKey.
    #[serde(rename = "webhookkey")]
    pub webhook_key: &'a str,
    /// The sender's phone number; empty if WhatsApp hides the number. Never a LID.
    pub from: &'a str,
    /// The group of the message.
    #[serde(rename = "groupid", skip_serializing_if = "Option::is_none")]
    pub group_id: Option<&'a str>,
}

impl Payload<'_> {
    /// Returns the payload as JSON.
    #[must_use]
    pub fn json(&self) -> String {
        // Texts and lists of texts are always serializable.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Returns a group's id in the form of the payload and of the API's `groupid`.
#[must_use]
pub fn group_id(group: &GroupId) -> String {
    format!("{group}@g.us")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_payload_is_the_documents() {
        let data = ["Jhon Doe".to_owned(), "jhon@example.com".to_owned()];
        let payload = Payload {
            keyword: "penawaran#",
            data: &data,
            webhook_key: "YourSecretWebhookKey",
            from: "6282386000000",
            group_id: None,
        };
        let expected = r#"{"keyword":"penawaran#","data":["Jhon Doe","jhon@example.com"],"webhookkey":"YourSecretWebhookKey","from":"6282386000000"}"#;
        assert_eq!(payload.json(), expected);
        let in_group = Payload {
            group_id: Some("120363000000000001@g.us"),
            ..payload
        };
        assert!(
            in_group
                .json()
                .ends_with(r#","groupid":"120363000000000001@g.us"}"#)
        );
    }
}
