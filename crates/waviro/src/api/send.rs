//! What the eight send paths share: whom, what, and the way to the outbox.
//!
//! The document's samples post groups to the paths of persons and contacts to the path of locations, so the body decides:
//! `groupid` means the group and `nohp` the person, both the one that the path is made for; and a `contact` is a contact on every
//! path, unless a place is told on one that is made for places.

use std::sync::Arc;

use waviro_link::{Chat, Content, MediaKind};

use super::body::Fields;
use super::error::ApiError;
use super::reply::{Reply, Sent};
use super::{Api, sendcontact, sendlocation, sendmedia, sendwa};
use crate::bots::Bot;
use crate::outbox::{Accepted, Draft, NewMessage};

/// Whom a path is made for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Whom {
    Person,
    Group,
}

/// What a path is made for.
#[derive(Debug, Clone, Copy)]
pub(super) enum What {
    Text,
    Media,
    Location,
    Contact,
}

/// Accepts what the body says.
pub(super) async fn send(
    api: &Api,
    bot: &Arc<Bot>,
    fields: &Fields,
    whom: Whom,
    what: What,
) -> Result<Reply<Sent>, ApiError> {
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
        (None, What::Media) => sendmedia::draft(api, fields)?,
        (None, What::Location | What::Contact) => None,
    };
    let content = content.ok_or(ApiError::MissingField(what.field()))?;
    let message = NewMessage {
        to,
        content,
        notify_url: fields.url("notifyurl", &api.net)?,
    };
    let accepted = api.outbox.accept(bot, message).await?;
    Ok(Reply(Sent::new(&accepted, word(&accepted))))
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

/// The document's word for what was sent.
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
    /// The field that is missing where the body says nothing.
    fn field(self) -> &'static str {
        match self {
            Self::Text => "pesan",
            Self::Media => "mediaurl",
            Self::Location => "latitude",
            Self::Contact => "contact",
        }
    }
}
