//! Sending a message: the same outbox as `/api/send…`, with the request and response of `/v1`.

use std::sync::Arc;

use axum::Extension;
use axum::extract::OriginalUri;
use axum::http::StatusCode;
use url::Url;
use utoipa::ToSchema;
use waviro_core::bots::Bot;
use waviro_core::outbox::{Accepted, Draft, NewMessage, Taken};
use waviro_link::{Chat, Contact, Content, GroupId, Location, Number};

use super::super::auth::ChangesBot;
use super::super::body::{Body, Fields, FromFields, permitted, required};
use super::super::problem::Problem;
use super::super::responses::{Conflict, Located, Unavailable, located};
use super::MessageView;
use crate::services::{Services, SharedServices};
use crate::v1::idempotency::{self, Keyed};

/// A message to send, with exactly one of text, media, location and contact.
#[derive(ToSchema)]
pub struct SendMessage {
    /// The recipient: a phone number (country code first) or a group id.
    #[schema(value_type = String, example = "6281234567890")]
    to: Chat,
    /// A text.
    #[schema(min_length = 1, max_length = 65_536, example = "Halo")]
    text: Option<String>,
    /// A file.
    media: Option<SendMedia>,
    /// A location.
    location: Option<SendLocation>,
    /// A contact card.
    contact: Option<SendContact>,
    /// The URL for callbacks about the message.
    #[schema(value_type = Option<String>, max_length = 2048, format = "uri", example = "https://toko.example/notify.php")]
    notify_url: Option<Url>,
}

/// A file to send. The gateway determines the kind of file from its bytes.
#[derive(ToSchema)]
pub struct SendMedia {
    /// The URL of the file; the file has at most 16 MB.
    #[schema(value_type = String, max_length = 2048, format = "uri", example = "https://toko.example/katalog.pdf")]
    url: Url,
    /// The caption. Audio has no caption on WhatsApp: the caption follows as a text message.
    #[schema(min_length = 1, max_length = 65_536)]
    caption: Option<String>,
}

/// A location to send.
#[derive(ToSchema)]
pub struct SendLocation {
    /// Degrees north.
    #[schema(minimum = -90, maximum = 90, example = -6.2)]
    latitude: f64,
    /// Degrees east.
    #[schema(minimum = -180, maximum = 180, example = 106.8)]
    longitude: f64,
    /// The name below the map.
    #[schema(min_length = 1, max_length = 65_536, example = "Toko")]
    name: Option<String>,
}

/// A contact card to send.
#[derive(ToSchema)]
pub struct SendContact {
    /// The name of the contact.
    #[schema(min_length = 1, max_length = 65_536, example = "Budi")]
    name: String,
    /// The phone numbers, country code first.
    #[schema(value_type = Vec<String>, min_items = 1, max_items = 50)]
    numbers: Vec<Number>,
}

impl FromFields for SendMessage {
    fn from_fields(fields: &Fields) -> Result<Self, Problem> {
        let media = fields.object("media")?.map(|media| -> Result<_, Problem> {
            let url = media.url("url").and_then(|url| required("url", url));
            let caption = media.words("caption");
            Ok(SendMedia {
                url: url.map_err(|wrong| wrong.inside("media.url"))?,
                caption: caption.map_err(|wrong| wrong.inside("media.caption"))?,
            })
        });
        let location = fields.object("location")?;
        let location = location.map(|place| -> Result<_, Problem> {
            let degrees = |field: &'static str, named: &'static str, most: f64| {
                let read = place.degrees(field, most);
                let read = read.and_then(|degrees| required(field, degrees));
                read.map_err(|wrong| wrong.inside(named))
            };
            let name = place.words("name");
            Ok(SendLocation {
                latitude: degrees("latitude", "location.latitude", 90.0)?,
                longitude: degrees("longitude", "location.longitude", 180.0)?,
                name: name.map_err(|wrong| wrong.inside("location.name"))?,
            })
        });
        let contact = fields.object("contact")?;
        let contact = contact.map(|card| -> Result<_, Problem> {
            let name = card.words("name").and_then(|name| required("name", name));
            let numbers = card.numbers("numbers");
            Ok(SendContact {
                name: name.map_err(|wrong| wrong.inside("contact.name"))?,
                numbers: numbers.map_err(|wrong| wrong.inside("contact.numbers"))?,
            })
        });
        Ok(Self {
            to: chat(required("to", fields.text("to")?)?)?,
            text: fields.words("text")?,
            media: media.transpose()?,
            location: location.transpose()?,
            contact: contact.transpose()?,
            notify_url: fields.url("notify_url")?,
        })
    }
}

/// Send a message
///
/// Works like `/api/send…`, with the same rules: the message is stored durably before the response,
/// and the duplicate rule refuses a message with the same content as the last message to the chat.
/// A file is fetched before the response.
#[utoipa::path(
    post, path = "/v1/bots/{bot}/messages", tag = "messages", request_body = SendMessage,
    responses(
        (status = 202, description = "The message is in the queue.", body = MessageView,
            headers(("location" = String, description = "The message's path."))),
        Conflict, Unavailable,
    )
)]
pub(super) async fn http_send(
    services: SharedServices,
    at: ChangesBot,
    OriginalUri(uri): OriginalUri,
    keyed: Option<Extension<Keyed>>,
    Body(asked): Body<SendMessage>,
) -> Result<Located<MessageView>, Problem> {
    let keyed = keyed.map(|Extension(keyed)| keyed);
    let added = send(&services, &at, keyed, asked).await?;
    Ok(located(StatusCode::ACCEPTED, &uri, added.id.clone(), added))
}

pub(crate) async fn send(
    services: &Services,
    at: &ChangesBot,
    keyed: Option<Keyed>,
    asked: SendMessage,
) -> Result<MessageView, Problem> {
    let to = asked.to.clone();
    let allow = at.bot().settings().allow.clone();
    let notify_url = asked.notify_url.clone();
    let notify_url = notify_url.map(|url| permitted("notify_url", url, &services.net, &allow));
    let message = NewMessage {
        to,
        content: asked.draft()?,
        notify_url: notify_url.transpose()?,
    };
    let id = accept(services, at.bot(), message, keyed).await?;
    let row = services.store.sent(at.bot().id(), &id).await?;
    let row = row.ok_or(Problem::NoSuch("message"))?;
    Ok(row.into())
}

/// Accepts a message, once for an idempotency key; returns the message id.
async fn accept(
    services: &Services,
    bot: &Arc<Bot>,
    message: NewMessage,
    keyed: Option<Keyed>,
) -> Result<String, Problem> {
    let first = match keyed {
        None => {
            let accepted = services.outbox.accept(bot, message).await?;
            return Ok(accepted.id.as_str().to_owned());
        }
        Some(Keyed::Accepted(id)) => return Ok(id),
        Some(Keyed::First(first)) => first,
    };
    // Stores only the id: the rest of the response can be rebuilt from the stored message. The full
    // response replaces the id shortly afterwards.
    let keep = |accepted: &Accepted| {
        let status = StatusCode::ACCEPTED.as_u16();
        first.keeping(status, idempotency::accepted(accepted.id.as_str()))
    };
    match services.outbox.accept_with_key(bot, message, &keep).await? {
        Taken::New(accepted) => Ok(accepted.id.as_str().to_owned()),
        // An earlier request committed the message after its client had disconnected; the current
        // request is the retry.
        Taken::Before(kept) => {
            let kept = first.same(kept)?;
            let id = idempotency::accepted_id(&kept).map(ToOwned::to_owned);
            id.ok_or(Problem::Busy)
        }
    }
}

impl SendMessage {
    /// Returns the content of the message.
    fn draft(self) -> Result<Draft, Problem> {
        let text = self.text.map(|text| Draft::Ready(Content::Text(text)));
        let media = self.media.map(|media| Draft::File {
            url: media.url,
            caption: media.caption,
        });
        let location = self.location.map(|place| {
            Draft::Ready(Content::Location(Location {
                latitude: place.latitude,
                longitude: place.longitude,
                name: place.name,
            }))
        });
        let contact = self.contact.map(|card| {
            Draft::Ready(Content::Contact(Contact {
                name: card.name,
                numbers: card.numbers,
            }))
        });
        let mut said = [text, media, location, contact].into_iter().flatten();
        let draft = required("text", said.next())?;
        if said.next().is_some() {
            let form = "alone: a message is one of text, media, location and contact";
            return Err(Problem::InvalidField("text", form.into()));
        }
        Ok(draft)
    }
}

fn chat(said: &str) -> Result<Chat, Problem> {
    let number = said.strip_suffix("@c.us").unwrap_or(said);
    if let Ok(number) = number.parse::<Number>() {
        return Ok(Chat::Person(number));
    }
    let group = said.parse::<GroupId>().map(Chat::Group);
    group.map_err(|_| {
        let form = "a phone number as text, country code first, or a group's id";
        Problem::InvalidField("to", form.into())
    })
}
