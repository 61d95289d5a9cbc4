//! The content of a message, as shown in the inbox.

use serde_json::{Map, Value};

use crate::world::file::Download;

/// The content of a message in the inbox.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Content {
    pub(crate) kind: String,
    pub(crate) text: String,
    pub(crate) fields: Map<String, Value>,
    /// The location of the file, if the message has one.
    pub(crate) download: Option<Download>,
    /// The quoted message, if the message has a quote.
    pub(crate) quoted: Option<Quoted>,
}

impl Content {
    /// Builds a content without a file and a quote. Fields with `null` are left out.
    pub(super) fn new(kind: &str, text: &str, fields: Value) -> Self {
        let fields = match fields {
            Value::Object(fields) => fields
                .into_iter()
                .filter(|(_, value)| !value.is_null())
                .collect(),
            _ => Map::new(),
        };
        Self {
            kind: kind.to_owned(),
            text: text.to_owned(),
            fields,
            download: None,
            quoted: None,
        }
    }
}

/// A quoted message, as given in the reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Quoted {
    pub(crate) id: String,
    /// The address of the author.
    pub(crate) author: Option<String>,
    pub(crate) kind: String,
    pub(crate) text: String,
}
