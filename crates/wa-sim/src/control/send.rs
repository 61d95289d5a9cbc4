//! `POST /control/phones/{n}/send`: a phone sends something of any kind.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::phones::find;
use super::{ApiError, Body, Named};
use crate::media::MAX_FILE;
use crate::phone::{MediaKind, Outgoing, OutgoingMedia, SendError};
use crate::sim::Sim;
use crate::snapshot::decode;

/// A file of 100 MiB in base64, and room for the rest of the JSON.
pub(super) const MAX_BODY: usize = MAX_FILE / 3 * 4 + (1 << 20);

/// Who it goes to, and one thing to send.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Request {
    to: Option<String>,
    groupid: Option<String>,
    text: Option<String>,
    media: Option<Media>,
    location: Option<Place>,
    contact: Option<Card>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Media {
    kind: MediaKind,
    base64: String,
    mimetype: Option<String>,
    file_name: Option<String>,
    caption: Option<String>,
    #[serde(default)]
    voice: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    latitude: f64,
    longitude: f64,
    name: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Card {
    name: String,
    numbers: Vec<String>,
}

/// `POST /control/phones/{n}/send {"to"|"groupid","text"|"media"|"location"|"contact"}`: `{"id"}`.
pub(super) async fn send(
    State(sim): State<Sim>,
    Named(number): Named,
    Body(request): Body<Request>,
) -> Result<Json<Value>, ApiError> {
    let phone = find(&sim, &number)?;
    let outgoing = outgoing(
        request.text,
        request.media,
        request.location,
        request.contact,
    )?;
    let sent = match (request.to, request.groupid) {
        (Some(to), None) => phone.send(&to, outgoing).await,
        (None, Some(group)) => phone.send_to_group(&group, outgoing).await,
        _ => {
            return Err(ApiError::bad_request(
                "give either to (a number) or groupid",
            ));
        }
    };
    match sent {
        Ok(id) => Ok(Json(json!({ "id": id }))),
        Err(error @ SendError::NotAMember { .. }) => {
            Err(ApiError::new(StatusCode::CONFLICT, error.to_string()))
        }
        Err(error @ SendError::File(_)) => Err(ApiError::bad_request(error.to_string())),
        Err(error) => Err(ApiError::not_found(error.to_string())),
    }
}

fn outgoing(
    text: Option<String>,
    media: Option<Media>,
    location: Option<Place>,
    contact: Option<Card>,
) -> Result<Outgoing, ApiError> {
    match (text, media, location, contact) {
        (Some(text), None, None, None) => Ok(Outgoing::Text(text)),
        (None, Some(file), None, None) => {
            let bytes = decode(&file.base64)
                .ok_or_else(|| ApiError::bad_request("media.base64 is not base64"))?;
            let mut media = OutgoingMedia::new(file.kind, bytes).voice(file.voice);
            media.mimetype = file.mimetype;
            media.file_name = file.file_name;
            media.caption = file.caption;
            Ok(Outgoing::Media(media))
        }
        (None, None, Some(place), None) => Ok(Outgoing::Location {
            latitude: place.latitude,
            longitude: place.longitude,
            name: place.name,
        }),
        (None, None, None, Some(card)) => Ok(Outgoing::Contact {
            name: card.name,
            numbers: card.numbers,
        }),
        _ => Err(ApiError::bad_request(
            "give one of text, media, location and contact",
        )),
    }
}
