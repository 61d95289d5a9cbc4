//! A JSON value whose members keep their order. `serde_json`'s own maps are sorted, but viewers
//! show paths in the order of the file, and a sample has the order of the document.

use std::ops::{Index, IndexMut};

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::ser::{PrettyFormatter, Serializer};

#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Ordered {
    #[default]
    Null,
    Members(IndexMap<String, Self>),
    Items(Vec<Self>),
    Plain(Value),
}

impl Ordered {
    pub fn text(&self) -> &str {
        match self {
            Self::Plain(value) => value.as_str().unwrap_or_default(),
            _ => "",
        }
    }

    pub fn items(&self) -> &[Self] {
        match self {
            Self::Items(items) => items,
            _ => &[],
        }
    }

    pub fn members(&self) -> impl Iterator<Item = (&String, &Self)> + Clone {
        let members = match self {
            Self::Members(members) => Some(members),
            _ => None,
        };
        members.into_iter().flatten()
    }

    /// Returns the JSON text with four spaces, as in the document.
    pub fn pretty(&self) -> String {
        let mut text = Vec::new();
        let form = PrettyFormatter::with_indent(b"    ");
        let _ = self.serialize(&mut Serializer::with_formatter(&mut text, form));
        String::from_utf8(text).unwrap_or_default()
    }
}

impl From<Value> for Ordered {
    fn from(value: Value) -> Self {
        serde_json::from_value(value).unwrap_or_default()
    }
}

impl Index<&str> for Ordered {
    type Output = Self;

    fn index(&self, name: &str) -> &Self {
        let found = self.members().find(|(known, _)| *known == name);
        found.map_or(&Self::Null, |(_, value)| value)
    }
}

impl IndexMut<&str> for Ordered {
    fn index_mut(&mut self, name: &str) -> &mut Self {
        if matches!(self, Self::Null) {
            *self = Self::Members(IndexMap::new());
        }
        match self {
            Self::Members(members) => members.entry(name.to_owned()).or_default(),
            other => other,
        }
    }
}
