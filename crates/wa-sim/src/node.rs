//! Reading stanzas.

use wacore_binary::NodeRef;

/// Returns an attribute as text.
pub(crate) fn attr(node: &NodeRef<'_>, name: &str) -> Option<String> {
    node.get_attr(name).map(|value| value.as_str().into_owned())
}
