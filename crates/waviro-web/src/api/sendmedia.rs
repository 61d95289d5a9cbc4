//! `POST /api/sendmedia`, `/api/sendmediatogroup`: send a file from a URL, with `pesan` as its
//! caption.

use std::sync::Arc;

use axum::extract::State;
use waviro_core::config::AllowedNetwork;
use waviro_core::outbox::Draft;

use super::auth::Caller;
use super::body::Fields;
use super::error::ApiError;
use super::send::{SendRequest, Sending, What, Whom, send};
use crate::services::Services;

pub(super) async fn sendmedia(
    State(services): State<Arc<Services>>,
    Caller(bot): Caller,
    request: SendRequest,
) -> Result<Sending, ApiError> {
    send(&services, &bot, request, Whom::Person, What::Media).await
}

pub(super) async fn sendmediatogroup(
    State(services): State<Arc<Services>>,
    Caller(bot): Caller,
    request: SendRequest,
) -> Result<Sending, ApiError> {
    send(&services, &bot, request, Whom::Group, What::Media).await
}

/// Returns the file to fetch, or `None` if the body has no `mediaurl`.
pub(super) fn draft(
    services: &Services,
    fields: &Fields,
    allow: &[AllowedNetwork],
) -> Result<Option<Draft>, ApiError> {
    let Some(url) = fields.url("mediaurl", &services.net, allow)? else {
        return Ok(None);
    };
    let caption = fields
        .has("pesan")
        .then(|| fields.text("pesan"))
        .transpose()?;
    Ok(Some(Draft::File { url, caption }))
}
