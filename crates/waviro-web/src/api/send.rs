//! The common part of the eight send paths: the recipient, the content, and the call to the outbox.
//!
//! The document's samples post groups to the paths of persons, and contacts to the path of
//! locations. Therefore the body decides. `groupid` is the group and `nohp` is the person; if the
//! body has both, the path decides. A `contact` is a contact on each path, unless the path is for
//! locations and the body has coordinates.

use std::sync::Arc;

use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};
use waviro_core::bots::Bot;
use waviro_core::idempotency::{First, Key, KeyUse};
use waviro_core::outbox::{Accepted, Draft, NewMessage, Taken};
use waviro_link::{Chat, Content, MediaKind};

use super::body::Fields;
use super::error::ApiError;
use super::reply::{Again, Reply, Sent};
use super::{sendcontact, sendlocation, sendmedia, sendwa};
use crate::http;
use crate::services::Services;

/// The kind of chat that a path is for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Whom {
    Person,
    Group,
}

/// The kind of content that a path is for.
#[derive(Debug, Clone, Copy)]
pub(super) enum What {
    Text,
    Media,
    Location,
    Contact,
}

/// The fields of a send request, with its idempotency key.
pub(super) struct SendRequest {
    fields: Fields,
    /// The key with the unparsed body: the same key with another body is an error.
    keyed: Option<(Key, Vec<u8>)>,
}

impl FromRequest<Arc<Services>> for SendRequest {
    type Rejection = ApiError;

    async fn from_request(request: Request, services: &Arc<Services>) -> Result<Self, ApiError> {
        let key = Key::of(request.headers()).map_err(|_| ApiError::InvalidIdempotencyKey);
        let body = http::read(request, services.body).await?;
        let fields = Fields::parse(&body)?;
        Ok(Self {
            fields,
            keyed: key?.map(|key| (key, body)),
        })
    }
}

/// A newly accepted message, or the stored response of an earlier request.
pub(super) enum Sending {
    Now(Reply<Sent>),
    Before(Again),
}

impl IntoResponse for Sending {
    fn into_response(self) -> Response {
        match self {
            Self::Now(reply) => reply.into_response(),
            Self::Before(again) => again.into_response(),
        }
    }
}

/// Accepts the message in the body, at most once for an idempotency key.
pub(super) async fn send(
    services: &Services,
    bot: &Arc<Bot>,
    request: SendRequest,
    whom: Whom,
    what: What,
) -> Result<Sending, ApiError> {
    let Some((key, body)) = request.keyed else {
        let message = message(services, bot, &request.fields, whom, what)?;
        let accepted = services.outbox.accept(bot, message).await?;
        return Ok(Sending::Now(reply(&accepted)));
    };
    let (who, path) = (format!("bot {}", bot.id()), path(whom, what));
    let first = match services.idempotency.begin(&who, &path, &key, &body).await? {
        KeyUse::Again(kept) => return Ok(Sending::Before(Again(kept))),
        KeyUse::First(first) => first,
    };
    let message = message(services, bot, &request.fields, whom, what)?;
    send_first(services, bot, message, &first).await
}

async fn send_first(
    services: &Services,
    bot: &Arc<Bot>,
    message: NewMessage,
    first: &First,
) -> Result<Sending, ApiError> {
    let keep = |accepted: &Accepted| first.keeping(200, reply(accepted).text());
    match services.outbox.accept_with_key(bot, message, &keep).await? {
        Taken::New(accepted) => Ok(Sending::Now(reply(&accepted))),
        Taken::Before(kept) => Ok(Sending::Before(Again(first.same(kept)?))),
    }
}

fn reply(accepted: &Accepted) -> Reply<Sent> {
    Reply(Sent::new(accepted, word(accepted)))
}

/// Builds the message from the body's fields.
fn message(
    services: &Services,
    bot: &Bot,
    fields: &Fields,
    whom: Whom,
    what: What,
) -> Result<NewMessage, ApiError> {
    let settings = bot.settings();
    let to = destination(fields, whom, what)?;
    let place = match what {
        What::Location => sendlocation::content(fields)?,
        _ => None,
    };
    let ready = match place {
        Some(place) => Some(place),
        None => sendcontact::content(fields)?,
    };
    let content = match (ready, what) {
        (Some(ready), _) => Some(Draft::Ready(ready)),
        (None, What::Text) => sendwa::content(fields)?.map(Draft::Ready),
        (None, What::Media) => sendmedia::draft(services, fields, &settings.allow)?,
        (None, What::Location | What::Contact) => None,
    };
    let content = content.ok_or(ApiError::MissingField(what.field()))?;
    Ok(NewMessage {
        to,
        content,
        notify_url: fields.url("notifyurl", &services.net, &settings.allow)?,
    })
}

fn destination(fields: &Fields, whom: Whom, what: What) -> Result<Chat, ApiError> {
    let (number, group) = (fields.number("nohp")?, fields.group("groupid")?);
    match (number, group, whom) {
        (Some(number), None, _) | (Some(number), Some(_), Whom::Person) => Ok(Chat::Person(number)),
        (None, Some(group), _) | (Some(_), Some(group), Whom::Group) => Ok(Chat::Group(group)),
        (None, None, Whom::Person) if matches!(what, What::Contact) => Err(ApiError::NobodyNamed),
        (None, None, Whom::Person) => Err(ApiError::MissingField("nohp")),
        (None, None, Whom::Group) => Err(ApiError::MissingField("groupid")),
    }
}

/// Returns the endpoint's name. An idempotency key is valid for a single path.
fn path(whom: Whom, what: What) -> String {
    let name = match what {
        What::Text => "sendwa",
        What::Media => "sendmedia",
        What::Location => "sendlocation",
        What::Contact => "sendcontact",
    };
    let group = match whom {
        Whom::Person => "",
        Whom::Group => "togroup",
    };
    format!("{name}{group}")
}

/// Returns the document's word for the kind of content.
fn word(accepted: &Accepted) -> &'static str {
    match &accepted.content {
        Content::Text(_) if !accepted.to.is_group() => "text",
        Content::Contact(_) => "vcard",
        Content::Media(media) => match media.kind {
            MediaKind::Image => "image",
            MediaKind::Video => "video",
            MediaKind::Audio => "audio",
            MediaKind::Document => "document",
        },
        _ => "chat",
    }
}

impl What {
    /// Returns the field to report as missing if the body has no content.
    fn field(self) -> &'static str {
        match self {
            Self::Text => "pesan",
            Self::Media => "mediaurl",
            Self::Location => "latitude",
            Self::Contact => "contact",
        }
    }
}
