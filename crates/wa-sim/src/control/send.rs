//! `POST /control/phones/{n}/send` and `/call`: a phone sends a message of any kind, or calls.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::phones::find;
use super::request::{ApiError, Body, Named};
use crate::base64::decode;
use crate::phone::outgoing::{
    AnswerTo, ContactCard, MediaKind, Outgoing, OutgoingMedia, SendError,
};
use crate::sim::Sim;
use crate::world::media::MAX_FILE;

/// The body limit: a file of 100 MiB in base64, and 1 MiB for the rest of the JSON.
pub(super) const MAX_BODY: usize = MAX_FILE / 3 * 4 + (1 << 20);

/// The receiver, exactly one content, and the options.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Request {
    to: Option<String>,
    groupid: Option<String>,
    list: Option<List>,
    text: Option<String>,
    media: Option<Media>,
    location: Option<LocationFields>,
    contact: Option<ContactCard>,
    contacts: Option<Vec<ContactCard>>,
    reaction: Option<Reaction>,
    edit: Option<Edit>,
    revoke: Option<String>,
    answer: Option<Answer>,
    raw: Option<String>,
    id: Option<String>,
    quote: Option<String>,
    #[serde(default)]
    view_once: bool,
    #[serde(default)]
    disappearing: bool,
}

/// A broadcast list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    id: String,
    to: Vec<String>,
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
struct LocationFields {
    latitude: f64,
    longitude: f64,
    name: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reaction {
    id: String,
    #[serde(default)]
    emoji: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Edit {
    id: String,
    text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    to: AnswerTo,
    id: String,
    title: Option<String>,
}

/// `POST /control/phones/{n}/send {"to"|"groupid", one content, options}`: `{"id"}`.
pub(super) async fn send(
    State(sim): State<Sim>,
    Named(number): Named,
    Body(mut request): Body<Request>,
) -> Result<Json<Value>, ApiError> {
    let phone = find(&sim, &number)?;
    let (to, group, list) = (
        request.to.take(),
        request.groupid.take(),
        request.list.take(),
    );
    let id = request.id.take().filter(|id| !id.is_empty());
    let outgoing = outgoing(request)?;
    let sent = match (to, group, list) {
        (Some(to), None, None) => phone.send_as(id, &to, outgoing).await,
        (None, Some(group), None) => phone.send_to_group_as(id, &group, outgoing).await,
        (None, None, Some(list)) => {
            let to: Vec<&str> = list.to.iter().map(String::as_str).collect();
            phone.send_to_list(&list.id, &to, outgoing).await
        }
        _ => {
            return Err(ApiError::bad_request(
                "give one of to (a number), groupid and list",
            ));
        }
    };
    answer(sent)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Claim {
    to: String,
    id: String,
    #[serde(default)]
    read: bool,
}

/// `POST /control/phones/{n}/claim {"to","id"[,"read"]}`: sends a receipt, even for a message that
/// the phone never got.
pub(super) async fn claim(
    State(sim): State<Sim>,
    Named(number): Named,
    Body(claim): Body<Claim>,
) -> Result<Json<Value>, ApiError> {
    let phone = find(&sim, &number)?;
    let claimed = phone.claim(&claim.to, &claim.id, claim.read);
    answer(claimed.map(|()| claim.id))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ring {
    to: Option<String>,
    groupid: Option<String>,
    #[serde(default)]
    video: bool,
}

/// `POST /control/phones/{n}/call {"to"|"groupid"[,"video"]}`: `{"id"}` of the call.
pub(super) async fn call(
    State(sim): State<Sim>,
    Named(number): Named,
    Body(ring): Body<Ring>,
) -> Result<Json<Value>, ApiError> {
    let phone = find(&sim, &number)?;
    let called = match (ring.to, ring.groupid) {
        (Some(to), None) => phone.call(&to, ring.video).await,
        (None, Some(group)) => phone.call_group(&group, ring.video).await,
        _ => return Err(to_whom()),
    };
    answer(called)
}

fn to_whom() -> ApiError {
    ApiError::bad_request("give either to (a number) or groupid")
}

fn answer(sent: Result<String, SendError>) -> Result<Json<Value>, ApiError> {
    match sent {
        Ok(id) => Ok(Json(json!({ "id": id }))),
        Err(error @ (SendError::NotAMember { .. } | SendError::NotOwn(_))) => {
            Err(ApiError::new(StatusCode::CONFLICT, error.to_string()))
        }
        Err(error @ (SendError::File(_) | SendError::Unreadable(_))) => {
            Err(ApiError::bad_request(error.to_string()))
        }
        Err(error) => Err(ApiError::not_found(error.to_string())),
    }
}

/// Converts the request to the message to send. Exactly one content must be given.
fn outgoing(request: Request) -> Result<Outgoing, ApiError> {
    let media = request.media.map(file).transpose()?;
    let raw = request.raw.map(|raw| {
        let bytes = decode(&raw).ok_or_else(|| ApiError::bad_request("raw is not base64"));
        bytes.map(Outgoing::Raw)
    });
    let things = [
        request.text.map(Outgoing::Text),
        media.map(Outgoing::Media),
        request.location.map(|place| Outgoing::Location {
            latitude: place.latitude,
            longitude: place.longitude,
            name: place.name,
        }),
        request.contact.map(|card| Outgoing::Contact {
            name: card.name,
            numbers: card.numbers,
        }),
        request.contacts.map(Outgoing::Contacts),
        request.reaction.map(|reaction| Outgoing::Reaction {
            to: reaction.id,
            emoji: reaction.emoji,
        }),
        request.edit.map(|edit| Outgoing::Edit {
            of: edit.id,
            text: edit.text,
        }),
        request.revoke.map(|of| Outgoing::Revoke { of }),
        request.answer.map(|answer| Outgoing::Answer {
            to: answer.to,
            id: answer.id,
            title: answer.title,
        }),
        raw.transpose()?,
    ];
    let mut things = things.into_iter().flatten();
    let (Some(mut outgoing), None) = (things.next(), things.next()) else {
        return Err(ApiError::bad_request(
            "give one of text, media, location, contact, contacts, reaction, edit, revoke, answer and raw",
        ));
    };
    if let Some(to) = request.quote {
        let with = Box::new(outgoing);
        outgoing = Outgoing::Reply { to, with };
    }
    if request.view_once {
        outgoing = Outgoing::ViewOnce(Box::new(outgoing));
    }
    if request.disappearing {
        outgoing = Outgoing::Disappearing(Box::new(outgoing));
    }
    Ok(outgoing)
}

fn file(file: Media) -> Result<OutgoingMedia, ApiError> {
    let bytes =
        decode(&file.base64).ok_or_else(|| ApiError::bad_request("media.base64 is not base64"))?;
    let mut media = OutgoingMedia::new(file.kind, bytes).voice(file.voice);
    media.mimetype = file.mimetype;
    media.file_name = file.file_name;
    media.caption = file.caption;
    Ok(media)
}
