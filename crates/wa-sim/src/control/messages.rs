//! `/control/phones/{n}/messages` and `…/media/{id}`: the inbox of a phone and the files of
//! messages.

use std::fmt::Write as _;

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::phones::find;
use super::request::{ApiError, Named};
use crate::sim::Sim;
use crate::world::inbox::InboxMessage;

#[derive(Deserialize)]
pub(super) struct Which {
    after: Option<String>,
    last: Option<usize>,
}

/// `GET /control/phones/{n}/messages[?after=ID][&last=COUNT]`: oldest first.
pub(super) async fn messages(
    State(sim): State<Sim>,
    Named(number): Named,
    query: Result<Query<Which>, QueryRejection>,
) -> Result<Json<Vec<Value>>, ApiError> {
    let phone = find(&sim, &number)?;
    let Query(query) = query.map_err(|error| {
        ApiError::bad_request(format!("the query cannot be read: {}", error.body_text()))
    })?;
    let messages = {
        let inbox = phone.account.inbox.lock();
        match query.after {
            Some(id) => inbox.after(&id),
            None => inbox.last_of(query.last.unwrap_or(usize::MAX)),
        }
    };
    let skipped = messages
        .len()
        .saturating_sub(query.last.unwrap_or(usize::MAX));
    let ticks = phone.account.ticks.lock();
    let shown = messages.into_iter().skip(skipped).map(|mut message| {
        message.download = None;
        let tick = ticks.find(&message.id).filter(|_| message.from_me);
        let mut shown = json!(message);
        if let Some(tick) = tick {
            shown["delivered_to"] = json!(tick.delivered_to);
            shown["read_by"] = json!(tick.read_by);
        }
        shown
    });
    Ok(Json(shown.collect()))
}

/// `GET /control/phones/{n}/media/{id}`: the decrypted file of a message, with the MIME type of the
/// message.
pub(super) async fn media(
    State(sim): State<Sim>,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<Response, ApiError> {
    let (number, id) = named(path)?;
    let phone = find(&sim, &number)?;
    let headers = {
        let inbox = phone.account.inbox.lock();
        let message = inbox.with_file(&id).ok_or_else(|| {
            ApiError::not_found(format!(
                "the phone {number} has no message {id} with a file"
            ))
        })?;
        guarded(message)
    };
    let bytes = phone.media(&id).await.ok_or_else(|| {
        ApiError::not_found("the file failed a check; see media_error of the message")
    })?;
    Ok((headers, bytes).into_response())
}

/// Returns the headers for a file. The MIME type is only the sender's claim, and a browser must not
/// run a sender's file. Therefore only pictures, films and sound are shown inline, any other file
/// is a download, and a policy forbids scripts, origin and requests.
fn guarded(message: &InboxMessage) -> [(HeaderName, HeaderValue); 5] {
    let field = |name: &str| message.fields.get(name).and_then(Value::as_str);
    let claimed = field("mimetype").unwrap_or_default();
    let mimetype = HeaderValue::from_str(claimed)
        .ok()
        .filter(|_| claimed.contains('/'))
        .unwrap_or(HeaderValue::from_static("application/octet-stream"));
    let essence = claimed.split(';').next().unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    // An SVG is a document with scripts.
    let is_shown = ["image/", "video/", "audio/"]
        .iter()
        .any(|family| essence.starts_with(family))
        && !essence.contains("svg")
        && !essence.contains("xml");
    let disposition = if is_shown {
        "inline".to_owned()
    } else {
        let name = field("file_name").unwrap_or(&message.id);
        format!("attachment; filename*=UTF-8''{}", percent_encoded(name))
    };
    let disposition = HeaderValue::from_str(&disposition);
    [
        (header::CONTENT_TYPE, mimetype),
        (
            header::CONTENT_DISPOSITION,
            disposition.unwrap_or(HeaderValue::from_static("attachment")),
        ),
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static("default-src 'none'; sandbox"),
        ),
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            HeaderValue::from_static("same-origin"),
        ),
    ]
}

/// Percent-encodes a file name as in RFC 8187: every byte except letters, digits and `.-_`.
fn percent_encoded(name: &str) -> String {
    name.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_') {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

/// `DELETE /control/phones/{n}/media/{id}`: expires the file on the media host. The phone keeps the
/// file.
pub(super) async fn expire_media(
    State(sim): State<Sim>,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<StatusCode, ApiError> {
    let (number, id) = named(path)?;
    if find(&sim, &number)?.expire_media(&id) {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(ApiError::not_found(format!(
        "the phone {number} has no message {id} with a file on the media host"
    )))
}

fn named(
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<(String, String), ApiError> {
    let Path(named) = path.map_err(|error| {
        ApiError::bad_request(format!("the path cannot be read: {}", error.body_text()))
    })?;
    Ok(named)
}
