//! `POST /api/sendwa`, `/api/sendwatogroup`: send a text.

use std::sync::Arc;

use axum::extract::State;
use waviro_link::Content;

use super::Api;
use super::auth::Caller;
use super::body::Fields;
use super::error::ApiError;
use super::send::{SendRequest, Sending, What, Whom, send};

pub(super) async fn sendwa(
    State(api): State<Arc<Api>>,
    Caller(bot): Caller,
    request: SendRequest,
) -> Result<Sending, ApiError> {
    send(&api, &bot, request, Whom::Person, What::Text).await
}

pub(super) async fn sendwatogroup(
    State(api): State<Arc<Api>>,
    Caller(bot): Caller,
    request: SendRequest,
) -> Result<Sending, ApiError> {
    send(&api, &bot, request, Whom::Group, What::Text).await
}

/// Returns the text in the body, or `None`.
pub(super) fn content(fields: &Fields) -> Result<Option<Content>, ApiError> {
    if !fields.has("pesan") {
        return Ok(None);
    }
    Ok(Some(Content::Text(fields.text("pesan")?)))
}
