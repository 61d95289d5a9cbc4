//! Reads values from rows.

use url::Url;
use waviro_link::{Chat, MessageId};

use crate::error::StoreError;

/// Converts a number from the database. Columns are BIGINT in both databases, so smaller types are
/// checked here.
pub(crate) fn narrow<T: TryFrom<i64>>(wide: i64) -> Result<T, StoreError> {
    T::try_from(wide).map_err(|_| StoreError::Unreadable(format!("the number {wide}")))
}

pub(crate) fn message_id(text: &str) -> Result<MessageId, StoreError> {
    text.parse()
        .map_err(|_| StoreError::Unreadable("a message id".to_owned()))
}

/// Parses a stored URL. `of` names the row in the error.
pub(crate) fn url(text: &str, of: &str) -> Result<Url, StoreError> {
    Url::parse(text).map_err(|_| StoreError::Unreadable(format!("{of}'s URL")))
}

/// Parses the result of [`Chat::address`].
pub(crate) fn chat(address: &str) -> Result<Chat, StoreError> {
    let unreadable = || StoreError::Unreadable("a chat's address".to_owned());
    let (user, server) = address.split_once('@').ok_or_else(unreadable)?;
    match server {
        "c.us" => user.parse().map(Chat::Person).map_err(|_| unreadable()),
        "g.us" => user.parse().map(Chat::Group).map_err(|_| unreadable()),
        "lid" => Ok(Chat::Hidden(user.to_owned())),
        _ => Err(unreadable()),
    }
}
