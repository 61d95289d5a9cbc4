//! `POST /api/getqr`: who the bot is linked as, or the code to scan now.

use std::sync::Arc;

use axum::extract::State;
use serde::Serialize;

use super::Api;
use super::auth::Caller;
use super::error::ApiError;
use super::reply::Reply;
use crate::bots::LinkCode;

#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Shown {
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

/// The body is not read: nothing is asked for, and the document's own sample sends an empty one.
pub(super) async fn getqr(
    State(api): State<Arc<Api>>,
    Caller(bot): Caller,
) -> Result<Reply<Shown>, ApiError> {
    let code = tokio::select! {
        code = bot.link_code(&api.clock, api.qr_within) => code?,
        () = api.stop.cancelled() => return Err(ApiError::QrNotReady(None)),
    };
    let shown = match code {
        LinkCode::Linked(identity) => Shown::Linked {
            is_authenticated: true,
            number: identity.number.to_string(),
            // The document shows the number where the account has no name.
            name: if identity.name.is_empty() {
                identity.number.to_string()
            } else {
                identity.name
            },
            qrcode: "",
        },
        LinkCode::Code(code) => Shown::Code {
            is_authenticated: false,
            qrcode: code.text,
        },
    };
    Ok(Reply(shown))
}
