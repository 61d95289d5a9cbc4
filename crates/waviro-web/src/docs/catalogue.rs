//! The description of the `/api` endpoints, in the document's order, in Indonesian and English.
//!
//! The page, `openapi.json` and the Postman collection are all made from the catalogue. Tests
//! compare the catalogue with the router: the endpoints must be the same, each sample must work,
//! and each refusal must be listed. The texts of refusals come from [`crate::api::error`].

mod endpoints;
mod fields;
mod refusals;
mod samples;

use crate::api::error::Language;

pub use endpoints::sections;
pub use fields::{Field, Form};
pub use refusals::{anywhere, possible};
pub use samples::{
    CALLBACK, GROUP_ID, HOOK, HOOK_IN_PHP, LATITUDE, LONGITUDE, MEDIA_URL, MESSAGE_ID, NOTIFY_URL,
    NUMBER, REFUSAL, REPLY,
};

/// A text in both languages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text {
    /// The Indonesian text.
    pub id: &'static str,
    /// The English text.
    pub en: &'static str,
}

/// A group of endpoints; a chapter of the document.
#[derive(Debug, Clone)]
pub struct Section {
    /// The stable anchor on the page.
    pub anchor: &'static str,
    /// The heading.
    pub title: Text,
    /// The description in a sentence.
    pub text: Text,
    /// The endpoints, in the document's order.
    pub endpoints: Vec<Endpoint>,
}

/// An endpoint below `/api`.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// The path below `/api/`.
    pub name: &'static str,
    /// The heading.
    pub title: Text,
    /// The description in a sentence.
    pub text: Text,
    /// The expected body.
    pub takes: Takes,
    /// A sample body as JSON, or `None` if the endpoint ignores the body.
    pub sample: Option<String>,
    /// The success responses: the case and a sample of the body.
    pub answers: Vec<(Text, String)>,
    /// Further notes for the reader.
    pub notes: Vec<Text>,
}

/// The body that an endpoint expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// A message to send. Each send path also accepts the other kind of destination, and a contact
    /// in place of its own content.
    Message(Whom, What),
    /// A phone number.
    Number,
    /// Nothing; the endpoint ignores the body.
    Nothing,
}

/// The kind of chat that a path is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whom {
    /// A person; the field is `nohp`.
    Person,
    /// A group; the field is `groupid`.
    Group,
}

/// The kind of content that a path is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A text; the field is `pesan`.
    Text,
    /// A file; the field is `mediaurl`.
    Media,
    /// A location; the fields are `latitude` and `longitude`.
    Location,
    /// A contact; the field is `contact`.
    Contact,
}

/// A state of a message, as the callback to the `notifyurl` reports the state.
#[derive(Debug, Clone, Copy)]
pub struct Ack {
    /// The number in the callback.
    pub ack: i8,
    /// The document's word.
    pub word: &'static str,
    /// The meaning.
    pub text: Text,
}

/// All states, in the document's order.
pub const ACKS: [Ack; 5] = [
    Ack {
        ack: -1,
        word: "Error",
        text: Text {
            id: "Pesan tidak terkirim dan tidak akan dicoba lagi.",
            en: "The message was not sent and will not be tried again.",
        },
    },
    Ack {
        ack: 0,
        word: "Pending",
        text: Text {
            id: "Pesan masih menunggu. Hanya dikirim bila 10 detik setelah diterima pesan belum juga sampai ke WhatsApp.",
            en: "The message still waits. Told only where WhatsApp does not have it 10 seconds after it was accepted.",
        },
    },
    Ack {
        ack: 1,
        word: "Sent",
        text: Text {
            id: "WhatsApp sudah menerima pesan.",
            en: "WhatsApp has the message.",
        },
    },
    Ack {
        ack: 2,
        word: "Delivered",
        text: Text {
            id: "Pesan sudah sampai di ponsel penerima. Tidak ada untuk grup.",
            en: "The message is on the recipient's phone. Not told for groups.",
        },
    },
    Ack {
        ack: 3,
        word: "Read",
        text: Text {
            id: "Pesan sudah dibaca atau diputar. Tidak ada untuk grup.",
            en: "The message was read or played. Not told for groups.",
        },
    },
];

impl Text {
    /// Returns the text in the given language.
    #[must_use]
    pub fn r#in(self, language: Language) -> &'static str {
        match language {
            Language::Indonesian => self.id,
            Language::English => self.en,
        }
    }
}

impl Endpoint {
    /// Returns the path below the base path.
    #[must_use]
    pub fn path(&self) -> String {
        format!("/api/{}", self.name)
    }

    /// Returns the fields of the body, the required fields first.
    #[must_use]
    pub fn fields(&self) -> Vec<Field> {
        fields::of(self.takes)
    }
}

/// Returns all endpoints, in the document's order.
pub fn endpoints() -> impl Iterator<Item = Endpoint> {
    sections().into_iter().flat_map(|section| section.endpoints)
}
