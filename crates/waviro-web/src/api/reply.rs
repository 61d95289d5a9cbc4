//! The success responses of `/api`.

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use waviro_core::idempotency::REPLAY;
use waviro_core::outbox::Accepted;
use waviro_store::KeptAnswer;

/// The response `200 {"success":true,"message":…}`.
pub struct Reply<T>(pub T);

/// The stored first response to an Idempotency-Key, sent again byte for byte.
pub struct Again(pub KeptAnswer);

/// The `message` object in the response of each send endpoint.
#[derive(Debug, Serialize)]
pub struct Sent {
    id: String,
    /// Always 0 (pending). Later acks go to the `notifyurl` as callbacks.
    status: i8,
    r#type: &'static str,
    /// Unix seconds.
    timestamp: i64,
    from: String,
    to: String,
}

#[derive(Serialize)]
struct Body<T> {
    success: bool,
    message: T,
}

impl Sent {
    /// Builds the object. `kind` is the document's word for the content.
    pub fn new(accepted: &Accepted, kind: &'static str) -> Self {
        Self {
            id: accepted.id.as_str().to_owned(),
            status: 0,
            r#type: kind,
            timestamp: accepted.at / 1000,
            from: format!("{}@c.us", accepted.from),
            to: accepted.to.address(),
        }
    }
}

impl<T: Serialize> Reply<T> {
    /// Returns the response's body, byte for byte as sent.
    pub fn text(&self) -> String {
        let body = Body {
            success: true,
            message: &self.0,
        };
        // The body has only texts and numbers, so serialization cannot fail.
        serde_json::to_string(&body).unwrap_or_default()
    }
}

impl IntoResponse for Again {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::OK);
        let headers = [(CONTENT_TYPE, "application/json")];
        (status, headers, [REPLAY.clone()], self.0.answer).into_response()
    }
}

impl<T: Serialize> IntoResponse for Reply<T> {
    fn into_response(self) -> Response {
        let body = Body {
            success: true,
            message: self.0,
        };
        Json(body).into_response()
    }
}
