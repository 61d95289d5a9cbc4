//! The kinds of a message to send, in the body of a request.

use serde::Deserialize;
use url::Url;
use utoipa::ToSchema;
use waviro_core::outbox::Draft;
use waviro_link::{Contact, Content, Location};

use super::super::body::required;
use super::super::fields::{Degrees, Field, MessageText, Numbers};
use super::super::problem::Problem;

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

/// Returns the content of a message with exactly one of the kinds.
///
/// # Errors
/// [`Problem::MissingField`] without a kind, [`Problem::InvalidField`] with several kinds.
pub(super) fn draft(
    text: Option<Field<MessageText>>,
    media: Option<SendMedia>,
    location: Option<SendLocation>,
    contact: Option<SendContact>,
) -> Result<Draft, Problem> {
    let text = text.map(|text| Draft::Ready(Content::Text(text.0)));
    let media = media.map(|media| Draft::File {
        url: media.url.0,
        caption: media.caption.map(|caption| caption.0),
    });
    let location = location.map(|place| {
        Draft::Ready(Content::Location(Location {
            latitude: place.latitude.0,
            longitude: place.longitude.0,
            name: place.name.map(|name| name.0),
        }))
    });
    let contact = contact.map(|card| {
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
