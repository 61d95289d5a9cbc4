//! `POST /api/getqr`: returns the linked account of the bot, or the QR code to scan.

use std::sync::Arc;

use axum::extract::State;
use serde::Serialize;
use waviro_core::bots::LinkCode;

use super::auth::Caller;
use super::error::ApiError;
use super::reply::Reply;
use crate::services::Services;

#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum QrResponse {
    #[serde(rename_all = "camelCase")]
    Linked {
        is_authenticated: bool,
        number: String,
        name: String,
        qrcode: &'static str,
    },
    #[serde(rename_all = "camelCase")]
    Code {
        is_authenticated: bool,
        qrcode: String,
    },
}

/// Handles `/api/getqr`. The handler ignores the body: the endpoint has no fields, and the
/// document's sample sends an empty body.
pub(super) async fn getqr(
    State(services): State<Arc<Services>>,
    Caller(bot): Caller,
) -> Result<Reply<QrResponse>, ApiError> {
    let code = tokio::select! {
        code = bot.link_code(&services.clock, services.qr_within) => code?,
        () = services.stop.cancelled() => return Err(ApiError::QrNotReady(None)),
    };
    let shown = match code {
        LinkCode::Linked(identity) => QrResponse::Linked {
            is_authenticated: true,
            number: identity.number.to_string(),
            // As in the document's sample, an account without a name is shown by its number.
            name: if identity.name.is_empty() {
                identity.number.to_string()
            } else {
                identity.name
            },
            qrcode: "",
        },
        LinkCode::Code(code) => QrResponse::Code {
            is_authenticated: false,
            qrcode: code.text,
        },
    };
    Ok(Reply(shown))
}
