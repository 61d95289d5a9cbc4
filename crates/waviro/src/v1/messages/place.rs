//! The cursor of received messages: WhatsApp's ids are unique within chat and sender only, so all of it is the key.

use std::fmt;
use std::str::FromStr;

use crate::store::HeardAfter;

/// Where a page begins: a row's key as JSON.
pub(super) struct Place(pub(super) HeardAfter);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let HeardAfter {
            received_at,
            id,
            sender,
            chat,
        } = &self.0;
        serde_json::json!([received_at, id, sender, chat]).fmt(f)
    }
}

impl FromStr for Place {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (received_at, id, sender, chat): (i64, String, String, String) =
            serde_json::from_str(text).map_err(drop)?;
        if [&id, &sender, &chat].iter().any(|part| part.contains('\0')) {
            return Err(());
        }
        Ok(Self(HeardAfter {
            received_at,
            id,
            sender,
            chat,
        }))
    }
}
