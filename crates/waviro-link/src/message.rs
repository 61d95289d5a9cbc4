//! The gateway's types for messages, receipts and groups.
//!
//! Raw strings are parsed into these types at the boundary.

use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::content::Content;
use crate::nack::Nack;

/// A phone number: country code first, digits only, 7 to 15 of them (ITU E.164 allows at most 15).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Number(String);

/// A group's id without its server: digits, or `creator-timestamp` for groups created before 2021.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupId(String);

/// A message's id on the wire, unchanged from the accept to the last callback.
///
/// An id of the gateway is `3EB0` and 16 upper-case hex digits, like the ids of WhatsApp's own web
/// client. Other senders choose their ids freely.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(String);

/// The chat of a message.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Chat {
    /// A person, named by the phone number.
    Person(Number),
    /// A group.
    Group(GroupId),
    /// A person with a hidden phone number, named by the digits of the LID. The gateway replies to
    /// such a chat; a user cannot address it.
    Hidden(String),
}

/// A message to write to the socket.
#[derive(Debug, Clone, PartialEq)]
pub struct Outgoing {
    /// The id, the same at every attempt.
    pub id: MessageId,
    /// The recipient.
    pub to: Chat,
    /// The content.
    pub content: Content,
}

/// The author of a message, the caller of a call, or the person behind a group change.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Sender {
    /// A known phone number.
    Number(Number),
    /// A LID, if WhatsApp does not reveal the number. A LID is stable per account and is not a
    /// phone number.
    Hidden(String),
}

/// The server's ack for a message of the bot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerAck {
    /// The id of the bot's message.
    pub id: MessageId,
    /// Accepted or refused.
    pub verdict: Verdict,
}

/// The server's decision about a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The server has stored the message.
    Accepted,
    /// The server will not deliver the message.
    Refused(Nack),
}

/// A receipt of one recipient for messages of the bot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The ids of the messages.
    pub ids: Vec<MessageId>,
    /// The progress of the messages.
    pub level: ReceiptLevel,
    /// The account of the reporting device; in a group, the member. The phone number if the receipt
    /// names it, else the LID. In one-to-one chats that WhatsApp has moved to LIDs, receipts name
    /// only the LID.
    pub from: Option<Sender>,
    /// The other name of the same person, if known. The gateway needs it because messages to a
    /// hidden number are addressed by LID.
    pub alias: Option<Sender>,
    /// True if the chat of the messages is a group.
    pub in_group: bool,
    /// The group of the messages, if the chat is a group.
    pub group: Option<GroupId>,
}

/// The progress of a message at the recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReceiptLevel {
    /// A device of the recipient has received the message.
    Delivered,
    /// The recipient has read the message, or has played the voice note.
    Read,
}

/// A group with the bot as a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The group's id.
    pub id: GroupId,
    /// The group's subject: untrusted text.
    pub name: String,
    /// The time of the group's creation, if WhatsApp reports it.
    pub created: Option<SystemTime>,
}

/// The reason why a text is not a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    /// The text is empty.
    #[error("the number is empty")]
    Empty,
    /// The text starts with a plus sign: `+62…`.
    #[error("the number starts with a plus sign")]
    Plus,
    /// The text starts with 0: a national prefix (`08…`) instead of the country code.
    #[error("the number starts with 0 instead of a country code")]
    LeadingZero,
    /// The text contains spaces, dashes or letters.
    #[error("the number contains characters other than digits")]
    NotDigits,
    /// The text has fewer than 7 or more than 15 digits.
    #[error("the number must have 7 to 15 digits")]
    Length,
}

/// The error for a text that is not a group id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a group id must be digits, or digits-digits for old groups")]
pub struct GroupIdError;

/// The error for a text that is not a message id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a message id is 1 to 1024 bytes of text without control characters")]
pub struct MessageIdError;

impl Number {
    /// Returns the digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl GroupId {
    /// Returns the id without `@g.us`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl MessageId {
    /// Creates an id of the gateway from eight random bytes.
    #[must_use]
    pub fn from_random(random: [u8; 8]) -> Self {
        Self(format!("3EB0{:016X}", u64::from_be_bytes(random)))
    }

    /// Creates the id of an inbound message. The sender chooses the id freely, and the gateway must
    /// not lose a message because of its id. An id that is too long for a database index is
    /// shortened, and control characters are replaced. A changed id ends with a hash of the
    /// original, so that different ids stay different and the same id always gives the same result.
    #[must_use]
    pub fn from_wire(text: &str) -> Self {
        if is_kept_as_it_is(text) {
            return Self(text.to_owned());
        }
        let mut readable: String = text.replace(char::is_control, "\u{fffd}");
        readable.truncate(readable.floor_char_boundary(CUT_TO));
        Self(format!("{readable}~{:016x}", fingerprint(text)))
    }

    /// Returns the id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The length in bytes up to which an id stays unchanged. PostgreSQL allows at most 2,704 bytes in
/// an index entry, and the entry also holds the chat and the sender.
const LONGEST_ID: usize = 1024;

/// The number of bytes kept of a longer id.
const CUT_TO: usize = 256;

fn is_kept_as_it_is(id: &str) -> bool {
    (1..=LONGEST_ID).contains(&id.len()) && !id.chars().any(char::is_control)
}

/// Computes the 64-bit FNV-1a hash: the same in every version of the gateway, unlike the hashers of
/// the standard library. A sender who makes two ids collide loses only an own message.
fn fingerprint(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

impl Chat {
    /// Returns the chat in the form of the WAVIRO API: `628…@c.us`, `1203…@g.us`.
    #[must_use]
    pub fn address(&self) -> String {
        match self {
            Self::Person(number) => format!("{number}@c.us"),
            Self::Group(group) => format!("{group}@g.us"),
            Self::Hidden(lid) => format!("{lid}@lid"),
        }
    }

    /// Returns true for a group.
    #[must_use]
    pub fn is_group(&self) -> bool {
        matches!(self, Self::Group(_))
    }
}

impl FromStr for Number {
    type Err = NumberError;

    fn from_str(text: &str) -> Result<Self, NumberError> {
        if text.is_empty() {
            return Err(NumberError::Empty);
        }
        if text.starts_with('+') {
            return Err(NumberError::Plus);
        }
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(NumberError::NotDigits);
        }
        if text.starts_with('0') {
            return Err(NumberError::LeadingZero);
        }
        if !(7..=15).contains(&text.len()) {
            return Err(NumberError::Length);
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for Number {
    type Error = NumberError;

    fn try_from(text: String) -> Result<Self, NumberError> {
        text.parse()
    }
}

impl FromStr for GroupId {
    type Err = GroupIdError;

    /// Accepts the id with or without `@g.us`.
    fn from_str(text: &str) -> Result<Self, GroupIdError> {
        let id = text.strip_suffix("@g.us").unwrap_or(text);
        let digits = |part: &str| {
            (5..=25).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
        };
        let valid = match id.split_once('-') {
            Some((creator, timestamp)) => digits(creator) && digits(timestamp),
            None => digits(id),
        };
        if valid {
            Ok(Self(id.to_owned()))
        } else {
            Err(GroupIdError)
        }
    }
}

impl FromStr for MessageId {
    type Err = MessageIdError;

    fn from_str(text: &str) -> Result<Self, MessageIdError> {
        if is_kept_as_it_is(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(MessageIdError)
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Shows only the first five and the last two digits, because logs must not contain full numbers.
impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (head, tail) = (
            self.0.get(..5).unwrap_or(""),
            self.0.get(self.0.len() - 2..).unwrap_or(""),
        );
        write!(f, "{head}…{tail}")
    }
}

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Shows only the last four digits, because ids of old groups contain the creator's number.
impl fmt::Debug for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "…{}",
            self.0.get(self.0.len().saturating_sub(4)..).unwrap_or("")
        )
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_starts_with_its_country_code_and_holds_digits_only() {
        assert_eq!(
            "6282386000001".parse::<Number>().unwrap().as_str(),
            "6282386000001"
        );
        assert_eq!(
            "082386000001".parse::<Number>(),
            Err(NumberError::LeadingZero)
        );
        assert_eq!("+6282386000001".parse::<Number>(), Err(NumberError::Plus));
        assert_eq!(
            "62 8238-6000".parse::<Number>(),
            Err(NumberError::NotDigits)
        );
        assert_eq!("628".parse::<Number>(), Err(NumberError::Length));
        assert_eq!(
            "6282386000001234".parse::<Number>(),
            Err(NumberError::Length)
        );
        assert_eq!("".parse::<Number>(), Err(NumberError::Empty));
        assert_eq!("٦٢٨٢٣٨٦٠٠٠".parse::<Number>(), Err(NumberError::NotDigits));
    }

    #[test]
    fn a_group_id_comes_with_or_without_its_server_and_in_the_old_form() {
        assert_eq!(
            "120363000000000001@g.us"
                .parse::<GroupId>()
                .unwrap()
                .as_str(),
            "120363000000000001"
        );
        assert_eq!(
            "6281200000001-1500000000"
                .parse::<GroupId>()
                .unwrap()
                .as_str(),
            "6281200000001-1500000000"
        );
        for wrong in [
            "",
            "abc",
            "120363@c.us",
            "1-2-3",
            "-1500000000",
            "12036300000000000100000000",
        ] {
            assert_eq!(wrong.parse::<GroupId>(), Err(GroupIdError), "{wrong}");
        }
    }

    #[test]
    fn an_id_of_any_length_and_content_is_kept() {
        let long = "é".repeat(512);
        for kept in ["3A", "a b", "ünïcode ✓", "<b>\"'", long.as_str()] {
            assert_eq!(MessageId::from_wire(kept).as_str(), kept);
            assert_eq!(kept.parse::<MessageId>().unwrap().as_str(), kept);
        }
        let (one, other) = ("é".repeat(5_000), format!("{}x", "é".repeat(4_999)));
        let ids = ["", "a\0b", "a\nb", "a\u{85}b", &one, &other];
        let ids = ids.map(MessageId::from_wire);
        for (at, id) in ids.iter().enumerate() {
            assert_eq!(id.as_str().parse::<MessageId>().as_ref(), Ok(id));
            assert!(ids[..at].iter().all(|other| other != id), "{id}");
        }
        assert_eq!("".parse::<MessageId>(), Err(MessageIdError));
        assert_eq!("a\nb".parse::<MessageId>(), Err(MessageIdError));
    }

    #[test]
    fn our_ids_look_like_those_of_the_document() {
        let id = MessageId::from_random([0x2B, 0x7B, 0xEA, 0xD2, 0x7A, 0xFA, 0x27, 0x8E]);
        assert_eq!(id.as_str(), "3EB02B7BEAD27AFA278E");
    }

    #[test]
    fn debug_output_holds_no_full_number() {
        assert_eq!(
            format!("{:?}", "6282386000001".parse::<Number>().unwrap()),
            "62823…01"
        );
    }
}
