//! The reply to an `<iq>` request.

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Node, NodeRef, SERVER_JID};

use crate::node::attr;

/// The server's reply to a request.
pub(crate) enum Answer {
    Result(Vec<Node>),
    Error(u16, &'static str),
}

impl Answer {
    pub(crate) fn empty() -> Self {
        Self::Result(Vec::new())
    }

    pub(crate) fn one(node: Node) -> Self {
        Self::Result(vec![node])
    }

    pub(crate) const UNKNOWN: Self = Self::Error(501, "feature-not-implemented");
    pub(crate) const NOT_FOUND: Self = Self::Error(404, "item-not-found");
    pub(crate) const BAD_REQUEST: Self = Self::Error(400, "bad-request");
    pub(crate) const FORBIDDEN: Self = Self::Error(403, "forbidden");

    /// Returns the `<iq>` with the answer.
    pub(crate) fn to_node(&self, question: &NodeRef<'_>) -> Node {
        let mut iq = NodeBuilder::new("iq").attr("id", attr(question, "id").unwrap_or_default());
        iq = match question.get_attr("to") {
            Some(to) => iq.attr("from", to.to_node_value()),
            None => iq.attr("from", SERVER_JID),
        };
        match self {
            Self::Result(children) => iq
                .attr("type", "result")
                .children(children.iter().cloned())
                .build(),
            Self::Error(code, text) => iq
                .attr("type", "error")
                .children([NodeBuilder::new("error")
                    .attr("code", *code)
                    .attr("text", *text)
                    .build()])
                .build(),
        }
    }
}
