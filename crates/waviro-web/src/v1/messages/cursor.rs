//! The cursor of a list of received messages. WhatsApp's ids of received messages are unique only
//! within a chat and a sender, so the cursor holds all three values.

use std::fmt;
use std::str::FromStr;

use waviro_store::InboundAfter;

/// The cursor of a page of received messages: a row's key as JSON.
pub(super) struct ReceivedCursor(pub(super) InboundAfter);

impl fmt::Display for ReceivedCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let InboundAfter {
            received_at,
            id,
            sender,
            chat,
        } = &self.0;
        serde_json::json!([received_at, id, sender, chat]).fmt(f)
    }
}

impl FromStr for ReceivedCursor {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (received_at, id, sender, chat): (i64, String, String, String) =
            serde_json::from_str(text).map_err(drop)?;
        if [&id, &sender, &chat].iter().any(|part| part.contains('\0')) {
            return Err(());
        }
        Ok(Self(InboundAfter {
            received_at,
            id,
            sender,
            chat,
        }))
    }
}
