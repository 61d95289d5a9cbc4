//! `POST /api/sendcontact`, `/api/sendcontacttogroup`: send a contact card.

use std::sync::Arc;

use axum::extract::State;
use waviro_core::limits::NUMBERS_CAP;
use waviro_link::{Contact, Content};

use super::auth::Caller;
use super::body::Fields;
use super::error::ApiError;
use super::send::{SendRequest, Sending, What, Whom, send};
use crate::services::Services;

pub(super) async fn sendcontact(
    State(services): State<Arc<Services>>,
    Caller(bot): Caller,
    request: SendRequest,
) -> Result<Sending, ApiError> {
    send(&services, &bot, request, Whom::Person, What::Contact).await
}

pub(super) async fn sendcontacttogroup(
    State(services): State<Arc<Services>>,
    Caller(bot): Caller,
    request: SendRequest,
) -> Result<Sending, ApiError> {
    send(&services, &bot, request, Whom::Group, What::Contact).await
}

/// Returns the contact in the body, or `None`. Each send path accepts a contact, see
/// [`super::send`].
pub(super) fn content(fields: &Fields) -> Result<Option<Content>, ApiError> {
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
    Ok(Some(Content::Contact(Contact { name, numbers })))
}
