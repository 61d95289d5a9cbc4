//! Requests about the account: properties, privacy settings, block list.
//!
//! The simulator stores no settings. The answers are those of a new account.

use wacore_binary::builder::NodeBuilder;

use super::answer::Answer;

/// Answers a request by its namespace.
pub(crate) fn answer(namespace: &str, kind: &str, tag: &str) -> Answer {
    match (namespace, kind, tag) {
        (
            "passive" | "urn:xmpp:whatsapp:dirty" | "privacy" | "blocklist" | "disappearing_mode",
            "set",
            _,
        ) => Answer::empty(),
        ("abt", "get", _) => Answer::one(
            NodeBuilder::new("props")
                .attr("protocol", "1")
                .attr("hash", "sim")
                .attr("refresh", 86_400)
                .build(),
        ),
        ("blocklist", "get", _) => Answer::one(NodeBuilder::new("list").build()),
        ("privacy", "get", _) => {
            let categories = [
                "readreceipts",
                "last",
                "online",
                "profile",
                "status",
                "groupadd",
                "calladd",
            ];
            let categories = categories.map(|name| {
                NodeBuilder::new("category")
                    .attr("name", name)
                    .attr("value", "all")
                    .build()
            });
            Answer::one(NodeBuilder::new("privacy").children(categories).build())
        }
        ("w:profile:picture", "get", _) => Answer::NOT_FOUND,
        _ => Answer::UNKNOWN,
    }
}
