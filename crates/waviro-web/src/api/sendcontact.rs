//! `POST /api/sendcontact`, `/api/sendcontacttogroup`: send a contact card.

use waviro_core::limits::NUMBERS_CAP;
use waviro_core::outbox::Draft;
use waviro_link::{Contact, Content};

use super::body::Fields;
use super::error::ApiError;
use super::send::{Reading, SendPath};

pub(super) const PATH: SendPath = SendPath {
    name: "sendcontact",
    field: "contact",
    read,
    before_contact: false,
};

/// Returns the contact in the body, or `None`. Each send path accepts a contact, see
/// [`super::send`].
pub(super) fn read(fields: &Fields, _: &Reading<'_>) -> Result<Option<Draft>, ApiError> {
    let Some(card) = fields.object(["contact", "Contact"])? else {
        return Ok(None);
    };
    let name = card
        .text("name")
        .map_err(|error| error.inside("contact.name"))?;
    let numbers = card
        .numbers("numbers")
        .map_err(|error| error.inside("contact.numbers"))?;
    if numbers.is_empty() {
        return Err(ApiError::MissingField("contact.numbers"));
    }
    if numbers.len() > NUMBERS_CAP {
        return Err(ApiError::TooManyNumbers { most: NUMBERS_CAP });
    }
    let card = Contact { name, numbers };
    Ok(Some(Draft::Ready(Content::Contact(card))))
}
