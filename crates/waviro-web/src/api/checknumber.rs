//! `POST /api/checknumber`: tells the caller whether a number is registered on WhatsApp.

use std::sync::Arc;

use axum::extract::State;

use super::auth::Caller;
use super::body::Fields;
use super::error::ApiError;
use super::reply::Reply;
use crate::services::Services;

pub(super) async fn checknumber(
    State(services): State<Arc<Services>>,
    Caller(bot): Caller,
    fields: Fields,
) -> Result<Reply<bool>, ApiError> {
    let number = fields
        .number("nohp")?
        .ok_or(ApiError::MissingField("nohp"))?;
    let registered = services.outbox.is_registered(&bot, &number).await?;
    Ok(Reply(registered))
}
