//! A message as the API shows it, in both directions.

use serde::Serialize;
use utoipa::ToSchema;
use waviro_link::{Content, Media};

use super::super::moment::Moment;
use crate::store::{CardDetail, FileDetail, HeardRow, SentRow, words};

/// Whether the bot wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Sent over this gateway.
    Out,
    /// Written to the bot, or by its own account on another device.
    In,
}

/// How far a message came.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MessageState {
    /// WhatsApp does not have it yet.
    Pending,
    /// WhatsApp has it.
    Sent,
    /// It reached the phone.
    Delivered,
    /// It was read or played.
    Read,
    /// It will not be sent; `cause` says why.
    Failed,
    /// It was written to the bot.
    Received,
}

/// A message.
#[derive(Serialize, ToSchema)]
#[schema(as = Message)]
pub struct MessageView {
    /// Its id on WhatsApp.
    #[schema(example = "3EB02B7BEAD27AFA278E")]
    id: String,
    /// Whether the bot wrote it.
    direction: Direction,
    /// The person or group.
    #[schema(example = "6281234567890@c.us")]
    chat: String,
    /// Who wrote it to the bot; null for what was sent.
    #[schema(required, example = "6281234567890@c.us")]
    sender: Option<String>,
    /// The name that the sender gives itself.
    #[schema(required, example = "Budi")]
    sender_name: Option<String>,
    /// Whether the bot's own account wrote it, here or on another device.
    from_me: bool,
    /// `text`, `image`, `location`, `contact` …
    #[schema(example = "text")]
    kind: String,
    /// Its text or caption, a place's or card's name; empty where it has none.
    text: String,
    /// How far it came.
    state: MessageState,
    /// Why it failed.
    #[schema(required)]
    cause: Option<String>,
    /// When it was accepted, or received.
    at: Moment,
    /// When WhatsApp took it, or it failed; of a received one WhatsApp's own time.
    #[schema(required)]
    sent_at: Option<Moment>,
    /// When it reached the phone, where that was told before it was read.
    #[schema(required)]
    delivered_at: Option<Moment>,
    /// When it was read or played.
    #[schema(required)]
    read_at: Option<Moment>,
    /// Where changes of its state are posted.
    #[schema(required)]
    notify_url: Option<String>,
    /// The delivery whose answer it is of.
    #[schema(required)]
    reply_of: Option<i64>,
    /// The id of the message that it answers; of one that was written to the bot.
    #[schema(required)]
    quoted: Option<String>,
    /// Its file.
    #[schema(required)]
    media: Option<FileView>,
    /// Its place.
    #[schema(required)]
    location: Option<PlaceView>,
    /// Its cards.
    #[schema(required)]
    contacts: Option<Vec<CardView>>,
    /// The id of the message that it edits, deletes or reacts to.
    #[schema(required)]
    of: Option<String>,
    /// What it reacts with; empty where a reaction was taken back.
    #[schema(required, example = "👍")]
    emoji: Option<String>,
}

/// A file, as far as it is known without opening it.
#[derive(Serialize, ToSchema)]
#[schema(as = MessageFile)]
pub struct FileView {
    /// The media type; empty where the sender gave none.
    #[schema(example = "application/pdf")]
    mime: String,
    /// What it is called.
    #[schema(required, example = "katalog.pdf")]
    file_name: Option<String>,
    /// Bytes, of a file that was written to the bot and whose sender says so.
    #[schema(required, minimum = 0)]
    size: Option<u64>,
    /// How long sound or film is.
    #[schema(required, minimum = 0)]
    seconds: Option<u32>,
    /// Sound that was spoken into a phone.
    voice: bool,
}

/// A place.
#[derive(Serialize, ToSchema)]
#[schema(as = MessagePlace)]
pub struct PlaceView {
    /// Degrees north.
    #[schema(example = -6.2)]
    latitude: f64,
    /// Degrees east.
    #[schema(example = 106.8)]
    longitude: f64,
    /// What stands under it.
    #[schema(required, example = "Monas")]
    name: Option<String>,
}

/// Somebody's card.
#[derive(Serialize, ToSchema)]
#[schema(as = MessageCard)]
pub struct CardView {
    /// Whose it is.
    #[schema(example = "Ani")]
    name: String,
    /// The numbers on it, as they stand there.
    #[schema(example = json!(["6281234567890"]))]
    numbers: Vec<String>,
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
            text: words(&row.content).to_owned(),
            state: match row.ack {
                0 => MessageState::Pending,
                1 => MessageState::Sent,
                2 => MessageState::Delivered,
                3.. => MessageState::Read,
                _ => MessageState::Failed,
            },
            cause: row.cause,
            at: Moment(row.accepted_at),
            sent_at: row.settled_at.map(Moment),
            delivered_at: row.delivered_at.map(Moment),
            read_at: row.read_at.map(Moment),
            notify_url: row.notify_url,
            reply_of: row.reply_of,
            quoted: None,
            media: match &row.content {
                Content::Media(media) => Some(FileView::from(media.as_ref())),
                _ => None,
            },
            location: match &row.content {
                Content::Location(place) => Some(PlaceView {
                    latitude: place.latitude,
                    longitude: place.longitude,
                    name: place.name.clone(),
                }),
                _ => None,
            },
            contacts: match &row.content {
                Content::Contact(card) => Some(vec![CardView {
                    name: card.name.clone(),
                    numbers: card.numbers.iter().map(ToString::to_string).collect(),
                }]),
                _ => None,
            },
            of: None,
            emoji: None,
        }
    }
}

impl From<HeardRow> for MessageView {
    fn from(row: HeardRow) -> Self {
        let detail = row.detail;
        Self {
            id: row.id,
            direction: Direction::In,
            chat: row.chat,
            sender: Some(row.sender),
            sender_name: Some(row.push_name),
            from_me: row.from_me,
            kind: row.kind,
            // An edit has its text beside it: keywords are not held against it.
            text: detail.text.unwrap_or(row.text),
            state: MessageState::Received,
            cause: None,
            at: Moment(row.received_at),
            sent_at: Some(Moment(row.at)),
            delivered_at: None,
            read_at: None,
            notify_url: None,
            reply_of: None,
            quoted: row.quoted,
            media: detail.media.map(FileView::from),
            location: detail.location.map(|place| PlaceView {
                latitude: place.latitude,
                longitude: place.longitude,
                name: place.name,
            }),
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

impl From<CardDetail> for CardView {
    fn from(card: CardDetail) -> Self {
        Self {
            numbers: numbers(&card.vcard),
            name: card.name,
        }
    }
}

/// The numbers of a vCard: the value of each TEL line, as its writer put it there (RFC 6350, 6.4.1).
fn numbers(vcard: &str) -> Vec<String> {
    let telephone = |line: &str| {
        let (property, value) = line.split_once(':')?;
        let name = property.split(';').next()?;
        // Phones group lines: `item1.TEL;waid=62812…:+62 812…`.
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
