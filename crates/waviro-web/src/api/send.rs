//! The common part of the eight send paths: the recipient, the content, and the call to the outbox.
//!
//! The document's samples post groups to the paths of persons, and contacts to the path of
//! locations. Therefore the body decides. `groupid` is the group and `nohp` is the person; if the
//! body has both, the path decides. A `contact` is a contact on each path, unless the path is for
//! locations and the body has coordinates.

use std::sync::Arc;

use axum::extract::{FromRequest, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, post};
use waviro_core::bots::Bot;
use waviro_core::config::AllowedNetwork;
use waviro_core::idempotency::{First, Key, KeyUse};
use waviro_core::net::Net;
use waviro_core::outbox::{Accepted, Draft, NewMessage, Taken};
use waviro_link::{Chat, MessageKind};

use super::auth::Caller;
use super::body::Fields;
use super::error::ApiError;
use super::reply::{Again, Reply, Sent};
use super::sendcontact;
use crate::http;
use crate::services::Services;

/// The kind of chat that a path is for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Whom {
    Person,
    Group,
}

/// The two send paths of a kind of content: to a person, and with `togroup` in the name to a group.
pub(super) struct SendPath {
    /// The name of the path to a person.
    pub(super) name: &'static str,
    /// The field to report as missing if the body has no content.
    pub(super) field: &'static str,
    /// Reads the content; `None` if the body has no content of the kind.
    pub(super) read: fn(&Fields, &Reading<'_>) -> Result<Option<Draft>, ApiError>,
    /// A body with this content and a contact is no contact.
    pub(super) before_contact: bool,
}

/// The settings for the check of URLs in a body.
pub(super) struct Reading<'a> {
    pub(super) net: &'a Net,
    pub(super) allow: &'a [AllowedNetwork],
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

/// Returns the endpoint of a path.
pub(super) fn endpoint(path: &'static SendPath, whom: Whom) -> MethodRouter<Arc<Services>> {
    post(
        async move |State(services): State<Arc<Services>>,
                    Caller(bot): Caller,
                    request: SendRequest| {
            send(&services, &bot, request, whom, path).await
        },
    )
}

/// Accepts the message in the body, at most once for an idempotency key.
async fn send(
    services: &Services,
    bot: &Arc<Bot>,
    request: SendRequest,
    whom: Whom,
    path: &SendPath,
) -> Result<Sending, ApiError> {
    let Some((key, body)) = request.keyed else {
        let message = message(services, bot, &request.fields, whom, path)?;
        let accepted = services.outbox.accept(bot, message).await?;
        return Ok(Sending::Now(reply(&accepted)));
    };
    // An idempotency key is valid for a single path.
    let (who, name) = (format!("bot {}", bot.id()), path.name_to(whom));
    let first = match services.idempotency.begin(&who, &name, &key, &body).await? {
        KeyUse::Again(kept) => return Ok(Sending::Before(Again(kept))),
        KeyUse::First(first) => first,
    };
    let message = message(services, bot, &request.fields, whom, path)?;
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
    path: &SendPath,
) -> Result<NewMessage, ApiError> {
    let settings = bot.settings();
    let reading = Reading {
        net: &services.net,
        allow: &settings.allow,
    };
    let to = destination(fields, whom, path)?;
    let own = || (path.read)(fields, &reading);
    let contact = || sendcontact::read(fields, &reading);
    let content = if path.before_contact {
        own()?.map_or_else(contact, |own| Ok(Some(own)))
    } else {
        contact()?.map_or_else(own, |contact| Ok(Some(contact)))
    };
    Ok(NewMessage {
        to,
        content: content?.ok_or(ApiError::MissingField(path.field))?,
        notify_url: fields.url("notifyurl", reading.net, reading.allow)?,
    })
}

fn destination(fields: &Fields, whom: Whom, path: &SendPath) -> Result<Chat, ApiError> {
    let (number, group) = (fields.number("nohp")?, fields.group("groupid")?);
    match (number, group, whom) {
        (Some(number), None, _) | (Some(number), Some(_), Whom::Person) => Ok(Chat::Person(number)),
        (None, Some(group), _) | (Some(_), Some(group), Whom::Group) => Ok(Chat::Group(group)),
        (None, None, Whom::Person) if path.name == sendcontact::PATH.name => {
            Err(ApiError::NobodyNamed)
        }
        (None, None, Whom::Person) => Err(ApiError::MissingField("nohp")),
        (None, None, Whom::Group) => Err(ApiError::MissingField("groupid")),
    }
}

/// Returns the document's word for the kind of content.
fn word(accepted: &Accepted) -> &'static str {
    match accepted.content.kind() {
        MessageKind::Text if !accepted.to.is_group() => "text",
        MessageKind::Text | MessageKind::Location => "chat",
        MessageKind::Contact => "vcard",
        MessageKind::Media(kind) => kind.word(),
    }
}

impl SendPath {
    /// Returns the name of the path to a person or to a group.
    pub(super) fn name_to(&self, whom: Whom) -> String {
        match whom {
            Whom::Person => self.name.to_owned(),
            Whom::Group => format!("{}togroup", self.name),
        }
    }
}
