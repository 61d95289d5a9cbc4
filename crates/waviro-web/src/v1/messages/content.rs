//! The body of a request to send a message, with the fields of each kind.

use serde::Deserialize;
use url::Url;
use utoipa::ToSchema;
use waviro_core::outbox::Draft;
use waviro_link::{Chat, Contact, Content, Location};

use super::super::body::required;
use super::super::fields::{Degrees, Field, MessageText, Numbers, object};
use super::super::problem::Problem;

/// A message to send, with exactly one of text, media, location and contact.
#[derive(Deserialize, ToSchema)]
pub struct SendMessage {
    /// The recipient: a phone number (country code first) or a group id.
    #[schema(value_type = String, example = "6281234567890")]
    pub(super) to: Field<Chat>,
    /// A text.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 65_536, example = "Halo")]
    text: Option<Field<MessageText>>,
    /// A file.
    #[serde(default, deserialize_with = "object")]
    media: Option<SendMedia>,
    /// A location.
    #[serde(default, deserialize_with = "object")]
    location: Option<SendLocation>,
    /// A contact card.
    #[serde(default, deserialize_with = "object")]
    contact: Option<SendContact>,
    /// The URL for callbacks about the message.
    #[schema(value_type = Option<String>, max_length = 2048, format = "uri",
        example = "https://toko.example/notify.php")]
    pub(super) notify_url: Option<Field<Url>>,
}

/// A file to send. The gateway determines the kind of file from its bytes.
#[derive(Deserialize, ToSchema)]
pub struct SendMedia {
    /// The URL of the file; the file has at most 16 MB.
    #[schema(value_type = String, max_length = 2048, format = "uri", example = "https://toko.example/katalog.pdf")]
    url: Field<Url>,
    /// The caption. Audio has no caption on WhatsApp: the caption follows as a text message.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 65_536)]
    caption: Option<Field<MessageText>>,
}

/// A location to send.
#[derive(Deserialize, ToSchema)]
pub struct SendLocation {
    /// Degrees north.
    #[schema(value_type = f64, minimum = -90, maximum = 90, example = -6.2)]
    latitude: Field<Degrees<90>>,
    /// Degrees east.
    #[schema(value_type = f64, minimum = -180, maximum = 180, example = 106.8)]
    longitude: Field<Degrees<180>>,
    /// The name below the map.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 65_536, example = "Toko")]
    name: Option<Field<MessageText>>,
}

/// A contact card to send.
#[derive(Deserialize, ToSchema)]
pub struct SendContact {
    /// The name of the contact.
    #[schema(value_type = String, min_length = 1, max_length = 65_536, example = "Budi")]
    name: Field<MessageText>,
    /// The phone numbers, country code first.
    #[schema(value_type = Vec<String>, min_items = 1, max_items = 50)]
    numbers: Field<Numbers>,
}

impl SendMessage {
    /// Returns the content of a message with exactly one of the kinds.
    ///
    /// # Errors
    /// [`Problem::MissingField`] without a kind, [`Problem::InvalidField`] with several kinds.
    pub(super) fn draft(self) -> Result<Draft, Problem> {
        let text = self.text.map(|text| Draft::Ready(Content::Text(text.0)));
        let media = self.media.map(|media| Draft::File {
            url: media.url.0,
            caption: media.caption.map(|caption| caption.0),
        });
        let location = self.location.map(|place| {
            Draft::Ready(Content::Location(Location {
                latitude: place.latitude.0,
                longitude: place.longitude.0,
                name: place.name.map(|name| name.0),
            }))
        });
        let contact = self.contact.map(|card| {
            Draft::Ready(Content::Contact(Contact {
                name: card.name.0,
                numbers: card.numbers.0,
            }))
        });
        let mut said = [text, media, location, contact].into_iter().flatten();
        let draft = required("text", said.next())?;
        if said.next().is_some() {
            let form = "alone: a message is one of text, media, location and contact";
            return Err(Problem::invalid("text", form));
        }
        Ok(draft)
    }
}
