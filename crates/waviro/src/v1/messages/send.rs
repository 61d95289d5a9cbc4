//! Sending: the same door out as `/api/send…`, in this API's shape.

use std::sync::Arc;

use axum::extract::{OriginalUri, State};
use axum::http::StatusCode;
use axum::http::header::{HeaderName, LOCATION};
use axum::{Extension, Json};
use url::Url;
use utoipa::ToSchema;
use waviro_link::{Chat, Contact, Content, GroupId, Location, Number};

use super::super::V1;
use super::super::answers::{Conflict, Unavailable};
use super::super::auth::AtBot;
use super::super::body::{Body, Fields, FromFields, permitted, required};
use super::super::problem::Problem;
use super::MessageView;
use crate::bots::Bot;
use crate::outbox::{Accepted, Draft, NewMessage, Taken};
use crate::v1::once::{self, Keyed};

/// A message to send: to somebody, and exactly one of text, media, location and contact.
#[derive(ToSchema)]
pub struct SendMessage {
    /// A phone number, country code first, or a group's id.
    #[schema(value_type = String, example = "6281234567890")]
    to: Chat,
    /// A text.
    #[schema(min_length = 1, max_length = 65_536, example = "Halo")]
    text: Option<String>,
    /// A file.
    media: Option<SendMedia>,
    /// A place.
    location: Option<SendLocation>,
    /// A card.
    contact: Option<SendContact>,
    /// Where changes of its state are posted.
    #[schema(value_type = Option<String>, max_length = 2048, format = "uri", example = "https://toko.example/notify.php")]
    notify_url: Option<Url>,
}

/// A file to send. What it is, its bytes say.
#[derive(ToSchema)]
pub struct SendMedia {
    /// Where it is; at most 16 MB.
    #[schema(value_type = String, max_length = 2048, format = "uri", example = "https://toko.example/katalog.pdf")]
    url: Url,
    /// What stands under it. Audio carries none on WhatsApp: there it follows as a text.
    #[schema(min_length = 1, max_length = 65_536)]
    caption: Option<String>,
}

/// A place to send.
#[derive(ToSchema)]
pub struct SendLocation {
    /// Degrees north.
    #[schema(minimum = -90, maximum = 90, example = -6.2)]
    latitude: f64,
    /// Degrees east.
    #[schema(minimum = -180, maximum = 180, example = 106.8)]
    longitude: f64,
    /// What stands beside the map.
    #[schema(min_length = 1, max_length = 65_536, example = "Toko")]
    name: Option<String>,
}

/// A card to send.
#[derive(ToSchema)]
pub struct SendContact {
    /// Whose it is.
    #[schema(min_length = 1, max_length = 65_536, example = "Budi")]
    name: String,
    /// Phone numbers, country code first.
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
/// Over the same way as `/api/send…`, with the same rules: it is durable when this is answered, and the same content to the same
/// chat twice running is refused. A file is fetched before the answer.
#[utoipa::path(
    post, path = "/v1/bots/{bot}/messages", tag = "messages", request_body = SendMessage,
    responses(
        (status = 202, description = "It is in the queue.", body = MessageView,
            headers(("location" = String, description = "The message's path."))),
        Conflict, Unavailable,
    )
)]
pub(super) async fn send(
    State(v1): State<Arc<V1>>,
    at: AtBot,
    OriginalUri(uri): OriginalUri,
    keyed: Option<Extension<Keyed>>,
    Body(asked): Body<SendMessage>,
) -> Result<(StatusCode, [(HeaderName, String); 1], Json<MessageView>), Problem> {
    let to = asked.to.clone();
    let allow = at.bot.settings().allow.clone();
    let notify_url = asked.notify_url.clone();
    let notify_url = notify_url.map(|url| permitted("notify_url", url, &v1.net, &allow));
    let message = NewMessage {
        to,
        content: asked.draft()?,
        notify_url: notify_url.transpose()?,
    };
    let id = accept(&v1, &at.bot, message, keyed.map(|Extension(keyed)| keyed)).await?;
    let row = v1.store.sent(at.bot.slot(), &id).await?;
    let row = row.ok_or(Problem::NoSuch("message"))?;
    let place = format!("{}/{}", uri.path().trim_end_matches('/'), row.id);
    Ok((StatusCode::ACCEPTED, [(LOCATION, place)], Json(row.into())))
}

/// Accepts a message, once under one key; its id.
async fn accept(
    v1: &V1,
    bot: &Arc<Bot>,
    message: NewMessage,
    keyed: Option<Keyed>,
) -> Result<String, Problem> {
    let first = match keyed {
        None => {
            let accepted = v1.outbox.accept(bot, message).await?;
            return Ok(accepted.id.as_str().to_owned());
        }
        Some(Keyed::Accepted(id)) => return Ok(id),
        Some(Keyed::First(first)) => first,
    };
    // The id alone: all else of the answer stands with the message. The whole answer takes its place right after.
    let keep = |accepted: &Accepted| {
        let status = StatusCode::ACCEPTED.as_u16();
        first.keeping(status, once::accepted(accepted.id.as_str()))
    };
    match v1.outbox.accept_once(bot, message, &keep).await? {
        Taken::New(accepted) => Ok(accepted.id.as_str().to_owned()),
        // Its client went away while it was committed, and this is the next try.
        Taken::Before(kept) => {
            let kept = first.same(kept)?;
            let id = once::accepted_id(&kept).map(ToOwned::to_owned);
            id.ok_or(Problem::Busy)
        }
    }
}

impl SendMessage {
    /// What it says.
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
