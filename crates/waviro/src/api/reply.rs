//! What an endpoint says when it did what it was asked.

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::once::REPLAY;
use crate::outbox::Accepted;
use crate::store::KeptAnswer;

/// `200 {"success":true,"message":…}`
pub struct Reply<T>(pub T);

/// What was answered before under the same Idempotency-Key, byte for byte.
pub struct Again(pub KeptAnswer);

/// The `message` of every send endpoint.
#[derive(Debug, Serialize)]
pub struct Sent {
    id: String,
    /// Always 0, pending: what comes later is told to the notifyurl.
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
    /// `kind` is the document's word for what was sent.
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
    /// The body, as it is sent.
    pub fn text(&self) -> String {
        let body = Body {
            success: true,
            message: &self.0,
        };
        // Texts and numbers: it cannot fail.
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
