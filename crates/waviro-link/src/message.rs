//! What goes over a link, in the gateway's own types. Parsed at the door, never a raw string inside.

use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

use crate::content::Content;

/// A phone number: country code first, digits only, 7 to 15 of them (ITU E.164 allows 15 at most).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Number(String);

/// A group's id without its server: digits, or `creator-timestamp` for groups of before 2021.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupId(String);

/// A message's id on the wire, the same from accept to the last callback. Ours are `3EB0` and 16 upper-case hex
/// digits, as WhatsApp's own web client makes them; those of others are what they are.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(String);

/// Where a message goes to or came from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Chat {
    /// One person.
    Person(Number),
    /// A group.
    Group(GroupId),
    /// One person whose number WhatsApp hides: a LID's digits. Only answered, never addressed by a user.
    Hidden(String),
}

/// A message to write on the wire.
#[derive(Debug, Clone, PartialEq)]
pub struct Outgoing {
    /// Kept at every try.
    pub id: MessageId,
    /// To whom.
    pub to: Chat,
    /// What.
    pub content: Content,
}

/// Who wrote a message, calls, or did something in a group.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Sender {
    /// A known phone number.
    Number(Number),
    /// A LID whose number WhatsApp has not told. Stable per account, not a phone number.
    Hidden(String),
}

/// The server's word on a message of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerAck {
    /// Our message.
    pub id: MessageId,
    /// Taken or refused.
    pub verdict: Verdict,
}

/// Taken or refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The server holds the message now.
    Accepted,
    /// The server will not deliver it; the code as it came (`463`, `479` …).
    Refused(String),
}

/// News of messages of ours from one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Which messages.
    pub ids: Vec<MessageId>,
    /// How far they came.
    pub level: ReceiptLevel,
    /// Whose device said so, in a group the member: the number where the receipt tells it, else the LID. Chats between
    /// two that have moved to LIDs name the LID alone.
    pub from: Option<Sender>,
    /// The other name of the same person, if it is known: messages to a number that WhatsApp hides are addressed by LID.
    pub alias: Option<Sender>,
    /// The chat they stand in was a group.
    pub in_group: bool,
    /// The group, if it was one.
    pub group: Option<GroupId>,
}

/// How far a message came at the recipient's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReceiptLevel {
    /// On a device of theirs.
    Delivered,
    /// Read, or played where it is a voice note.
    Read,
}

/// A group that the bot is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its id.
    pub id: GroupId,
    /// Its subject. Hostile text.
    pub name: String,
    /// When it was made, if WhatsApp says.
    pub created: Option<SystemTime>,
}

/// Why a text is not a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    /// Nothing there.
    #[error("the number is empty")]
    Empty,
    /// `+62…`.
    #[error("the number starts with a plus sign")]
    Plus,
    /// `08…`: a national prefix where the country code belongs.
    #[error("the number starts with 0 instead of a country code")]
    LeadingZero,
    /// Blanks, dashes, letters.
    #[error("the number holds something other than digits")]
    NotDigits,
    /// Outside 7 to 15 digits.
    #[error("the number must have 7 to 15 digits")]
    Length,
}

/// Why a text is not a group id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a group id is digits, or digits-digits for old groups")]
pub struct GroupIdError;

/// Why a text is not a message id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a message id is 1 to 1024 bytes of text without control characters")]
pub struct MessageIdError;

impl Number {
    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl GroupId {
    /// The id without `@g.us`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl MessageId {
    /// A fresh id of ours from eight random bytes.
    #[must_use]
    pub fn from_random(random: [u8; 8]) -> Self {
        Self(format!("3EB0{:016X}", u64::from_be_bytes(random)))
    }

    /// The id of somebody else's message. Its sender chooses it freely, and no message is lost for its id: an id that no database
    /// index takes is shortened, one with control characters is made readable. Both keep a hash of the whole, so that two
    /// ids stay two, and one stays the same however often it comes.
    #[must_use]
    pub fn from_wire(text: &str) -> Self {
        if is_kept_as_it_is(text) {
            return Self(text.to_owned());
        }
        let mut readable: String = text.replace(char::is_control, "\u{fffd}");
        readable.truncate(readable.floor_char_boundary(CUT_TO));
        Self(format!("{readable}~{:016x}", fingerprint(text)))
    }

    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The longest id that is kept as it is, in bytes. PostgreSQL takes no more than 2,704 bytes in an index, with chat and sender.
const LONGEST_ID: usize = 1024;

/// How much of a longer id is kept, in bytes.
const CUT_TO: usize = 256;

fn is_kept_as_it_is(id: &str) -> bool {
    (1..=LONGEST_ID).contains(&id.len()) && !id.chars().any(char::is_control)
}

/// FNV-1a of 64 bits: the same in every version of this program, which no hasher of the standard library promises. Whoever makes two
/// ids collide loses one of their own messages.
fn fingerprint(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

impl Chat {
    /// The form that the WAVIRO answer uses: `628…@c.us`, `1203…@g.us`.
    #[must_use]
    pub fn address(&self) -> String {
        match self {
            Self::Person(number) => format!("{number}@c.us"),
            Self::Group(group) => format!("{group}@g.us"),
            Self::Hidden(lid) => format!("{lid}@lid"),
        }
    }

    /// Whether it is a group.
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

impl FromStr for GroupId {
    type Err = GroupIdError;

    /// Takes the id with or without `@g.us`.
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

/// Logs carry no full number: `Debug` shows the first five digits and the last two.
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

/// Ids of old groups hold their creator's number: `Debug` shows the last four digits.
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
