//! `POST /api/sendlocation`, `/api/sendlocationtogroup`: send a location, with `pesan` as its name.

use std::sync::Arc;

use axum::extract::State;
use waviro_link::{Content, Location};

use super::auth::Caller;
use super::body::Fields;
use super::error::ApiError;
use super::send::{SendRequest, Sending, What, Whom, send};
use crate::services::Services;

pub(super) async fn sendlocation(
    State(services): State<Arc<Services>>,
    Caller(bot): Caller,
    request: SendRequest,
) -> Result<Sending, ApiError> {
    send(&services, &bot, request, Whom::Person, What::Location).await
}

pub(super) async fn sendlocationtogroup(
    State(services): State<Arc<Services>>,
    Caller(bot): Caller,
    request: SendRequest,
) -> Result<Sending, ApiError> {
    send(&services, &bot, request, Whom::Group, What::Location).await
}

/// Returns the location in the body, or `None` if the body has no coordinates.
pub(super) fn content(fields: &Fields) -> Result<Option<Content>, ApiError> {
    if !fields.has("latitude") && !fields.has("longitude") {
        return Ok(None);
    }
    Ok(Some(Content::Location(Location {
        latitude: fields.degrees("latitude", 90.0)?,
        longitude: fields.degrees("longitude", 180.0)?,
        name: fields
            .has("pesan")
            .then(|| fields.text("pesan"))
            .transpose()?,
    })))
}
