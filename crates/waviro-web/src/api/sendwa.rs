//! `POST /api/sendwa`, `/api/sendwatogroup`: send a text.

use std::sync::Arc;

use axum::extract::State;
use waviro_link::Content;

use super::auth::Caller;
use super::body::Fields;
use super::error::ApiError;
use super::send::{SendRequest, Sending, What, Whom, send};
use crate::services::Services;

pub(super) async fn sendwa(
    State(services): State<Arc<Services>>,
    Caller(bot): Caller,
    request: SendRequest,
) -> Result<Sending, ApiError> {
    send(&services, &bot, request, Whom::Person, What::Text).await
}

pub(super) async fn sendwatogroup(
    State(services): State<Arc<Services>>,
    Caller(bot): Caller,
    request: SendRequest,
) -> Result<Sending, ApiError> {
    send(&services, &bot, request, Whom::Group, What::Text).await
}

/// Returns the text in the body, or `None`.
pub(super) fn content(fields: &Fields) -> Result<Option<Content>, ApiError> {
    if !fields.has("pesan") {
        return Ok(None);
    }
    Ok(Some(Content::Text(fields.text("pesan")?)))
}
