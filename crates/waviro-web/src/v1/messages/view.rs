//! The API's view of a message, sent or received.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use waviro_link::{Card, Contact, Location, Media};
use waviro_store::{FileDetail, InboundRow, SentRow};

use super::super::causes::MessageCauseCode;
use super::super::timestamp::Timestamp;

/// The direction of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Sent through the gateway.
    Out,
    /// Received by the bot, or sent from another device of the bot's account.
    In,
}

/// The state of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MessageState {
    /// WhatsApp has not acknowledged the message yet.
    Pending,
    /// WhatsApp acknowledged the message.
    Sent,
    /// The message reached the phone.
    Delivered,
    /// The message was read or played.
    Read,
    /// The message will not be sent; `cause` has the reason.
    Failed,
    /// The bot received the message.
    Received,
}

/// A message.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = Message)]
pub struct MessageView {
    /// The id of the message on WhatsApp.
    #[schema(example = "3EB02B7BEAD27AFA278E")]
    pub(crate) id: String,
    /// The direction of the message.
    pub(crate) direction: Direction,
    /// The person or group of the chat.
    #[schema(example = "6281234567890@c.us")]
    pub(crate) chat: String,
    /// The sender of a received message; null for a sent message.
    #[schema(required, example = "6281234567890@c.us")]
    pub(crate) sender: Option<String>,
    /// The sender's own display name.
    #[schema(required, example = "Budi")]
    pub(crate) sender_name: Option<String>,
    /// True if the bot's own account sent the message, here or on another device.
    pub(crate) from_me: bool,
    /// `text`, `image`, `location`, `contact` …
    #[schema(example = "text")]
    pub(crate) kind: String,
    /// The text or caption, or the name of a location or card; empty if there is none.
    pub(crate) text: String,
    /// The state of the message.
    pub(crate) state: MessageState,
    /// The cause of the failure, in words for people.
    #[schema(required, example = "nack: 463")]
    pub(crate) cause: Option<String>,
    /// The stable code of the cause; null if the message did not fail.
    #[schema(required)]
    pub(crate) cause_code: Option<MessageCauseCode>,
    /// WhatsApp's own error code, if WhatsApp refused the message.
    #[schema(required, minimum = 0, example = 463)]
    pub(crate) whatsapp_code: Option<u16>,
    /// When the gateway accepted or received the message.
    pub(crate) at: Timestamp,
    /// When WhatsApp acknowledged the message, or when sending failed; for a received message,
    /// WhatsApp's own time.
    #[schema(required)]
    pub(crate) sent_at: Option<Timestamp>,
    /// When the message reached the phone, if WhatsApp reported the delivery before the reading.
    #[schema(required)]
    pub(crate) delivered_at: Option<Timestamp>,
    /// When the message was read or played.
    #[schema(required)]
    pub(crate) read_at: Option<Timestamp>,
    /// The URL for callbacks about the message.
    #[schema(required)]
    pub(crate) notify_url: Option<String>,
    /// The delivery with the webhook reply that the message belongs to.
    #[schema(required)]
    pub(crate) reply_of: Option<i64>,
    /// The id of the quoted message; only for a received message.
    #[schema(required)]
    pub(crate) quoted: Option<String>,
    /// The file of the message.
    #[schema(required)]
    pub(crate) media: Option<FileView>,
    /// The location of the message.
    #[schema(required)]
    pub(crate) location: Option<PlaceView>,
    /// The contact cards of the message.
    #[schema(required)]
    pub(crate) contacts: Option<Vec<CardView>>,
    /// The id of the message that this message edits, deletes or reacts to.
    #[schema(required)]
    pub(crate) of: Option<String>,
    /// The emoji of a reaction; empty if the reaction was removed.
    #[schema(required, example = "👍")]
    pub(crate) emoji: Option<String>,
}

/// The known facts about a file, without opening the file.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = MessageFile)]
pub struct FileView {
    /// The media type; empty if the sender gave none.
    #[schema(example = "application/pdf")]
    pub(crate) mime: String,
    /// The file name.
    #[schema(required, example = "katalog.pdf")]
    pub(crate) file_name: Option<String>,
    /// The size in bytes, for a received file if the sender gave a size.
    #[schema(required, minimum = 0)]
    pub(crate) size: Option<u64>,
    /// The duration of audio or video, in seconds.
    #[schema(required, minimum = 0)]
    pub(crate) seconds: Option<u32>,
    /// True for a voice message.
    pub(crate) voice: bool,
}

/// A location.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = MessagePlace)]
pub struct PlaceView {
    /// Degrees north.
    #[schema(example = -6.2)]
    pub(crate) latitude: f64,
    /// Degrees east.
    #[schema(example = 106.8)]
    pub(crate) longitude: f64,
    /// The name below the map.
    #[schema(required, example = "Monas")]
    pub(crate) name: Option<String>,
}

/// A contact card.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = MessageCard)]
pub struct CardView {
    /// The name of the contact.
    #[schema(example = "Ani")]
    pub(crate) name: String,
    /// The numbers on the card, unchanged.
    #[schema(example = json!(["6281234567890"]))]
    pub(crate) numbers: Vec<String>,
}

impl From<SentRow> for MessageView {
    fn from(row: SentRow) -> Self {
        Self {
            id: row.id,
            direction: Direction::Out,
            chat: row.chat,
            sender: None,
            sender_name: None,
            from_me: true,
            kind: row.kind,
            text: row.content.text().to_owned(),
            state: match row.ack {
                0 => MessageState::Pending,
                1 => MessageState::Sent,
                2 => MessageState::Delivered,
                3.. => MessageState::Read,
                _ => MessageState::Failed,
            },
            cause_code: row.failure.as_ref().map(|failure| failure.cause.into()),
            whatsapp_code: row
                .failure
                .as_ref()
                .and_then(|failure| failure.cause.whatsapp_code()),
            cause: row.failure.map(|failure| failure.text),
            at: Timestamp(row.accepted_at),
            sent_at: row.settled_at.map(Timestamp),
            delivered_at: row.delivered_at.map(Timestamp),
            read_at: row.read_at.map(Timestamp),
            notify_url: row.notify_url,
            reply_of: row.reply_of,
            quoted: None,
            media: row.content.file().map(FileView::from),
            location: row.content.location().cloned().map(PlaceView::from),
            contacts: row.content.contact().map(|card| vec![card.into()]),
            of: None,
            emoji: None,
        }
    }
}

impl From<InboundRow> for MessageView {
    fn from(row: InboundRow) -> Self {
        let detail = row.detail;
        Self {
            id: row.id,
            direction: Direction::In,
            chat: row.chat,
            sender: Some(row.sender),
            sender_name: Some(row.push_name),
            from_me: row.from_me,
            kind: row.kind,
            // The text of an edit is in the details, because rules do not apply to edits.
            text: detail.text.unwrap_or(row.text),
            state: MessageState::Received,
            cause: None,
            cause_code: None,
            whatsapp_code: None,
            at: Timestamp(row.received_at),
            sent_at: Some(Timestamp(row.at)),
            delivered_at: None,
            read_at: None,
            notify_url: None,
            reply_of: None,
            quoted: row.quoted,
            media: detail.media.map(FileView::from),
            location: detail.location.map(PlaceView::from),
            contacts: detail
                .contacts
                .map(|cards| cards.into_iter().map(CardView::from).collect()),
            of: detail.of,
            emoji: detail.emoji,
        }
    }
}

impl From<&Media> for FileView {
    fn from(media: &Media) -> Self {
        Self {
            mime: media.mime.clone(),
            file_name: Some(media.file_name.clone()).filter(|name| !name.is_empty()),
            size: None,
            seconds: media.preview.seconds,
            voice: media.voice,
        }
    }
}

impl From<FileDetail> for FileView {
    fn from(file: FileDetail) -> Self {
        Self {
            mime: file.mime,
            file_name: file.file_name,
            size: Some(file.size).filter(|size| *size > 0),
            seconds: file.seconds,
            voice: file.voice,
        }
    }
}

impl From<Location> for PlaceView {
    fn from(place: Location) -> Self {
        Self {
            latitude: place.latitude,
            longitude: place.longitude,
            name: place.name,
        }
    }
}

impl From<&Contact> for CardView {
    fn from(card: &Contact) -> Self {
        Self {
            name: card.name.clone(),
            numbers: card.numbers.iter().map(ToString::to_string).collect(),
        }
    }
}

impl From<Card> for CardView {
    fn from(card: Card) -> Self {
        Self {
            numbers: numbers(&card.vcard),
            name: card.name,
        }
    }
}

/// Returns the numbers of a vCard: the value of each TEL line, unchanged (RFC 6350, 6.4.1).
fn numbers(vcard: &str) -> Vec<String> {
    let telephone = |line: &str| {
        let (property, value) = line.split_once(':')?;
        let name = property.split(';').next()?;
        // Phones put a group name before a property: `item1.TEL;waid=62812…:+62 812…`.
        let name = name.rsplit('.').next()?;
        name.eq_ignore_ascii_case("tel")
            .then(|| value.trim().to_owned())
    };
    vcard.lines().filter_map(telephone).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cards_numbers_are_found_however_its_phone_writes_them() {
        let card = "BEGIN:VCARD\r\nFN:Ani\r\nTEL;type=CELL;waid=6281300000001:+62 813-0000-0001\r\nitem1.tel:0812\nNOTE:TEL\nEND:VCARD";
        assert_eq!(numbers(card), ["+62 813-0000-0001", "0812"]);
        assert_eq!(numbers("TEL"), [""; 0]);
    }
}
