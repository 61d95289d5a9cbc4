//! What the documentation says: the one description of the endpoints, in the document's order, in Indonesian and English.
//!
//! The page, `openapi.json` and the Postman collection are all made from it. Tests hold it to the router: the same
//! endpoints, samples that work, and no refusal that it does not name. Sentences of refusals come from [`crate::api::error`].

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

/// The same in both languages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text {
    /// Indonesian.
    pub id: &'static str,
    /// English.
    pub en: &'static str,
}

/// Endpoints that belong together.
#[derive(Debug, Clone)]
pub struct Section {
    /// Stable: the anchor on the page.
    pub anchor: &'static str,
    /// The heading.
    pub title: Text,
    /// One sentence.
    pub text: Text,
    /// In the document's order.
    pub endpoints: Vec<Endpoint>,
}

/// One path.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// The path below `/api/`.
    pub name: &'static str,
    /// The heading.
    pub title: Text,
    /// What it does.
    pub text: Text,
    /// What it reads.
    pub takes: Takes,
    /// The body to send, as JSON; `None` where the body is not read.
    pub sample: Option<String>,
    /// What a success looks like, each with its case.
    pub answers: Vec<(Text, String)>,
    /// What to know besides.
    pub notes: Vec<Text>,
}

/// What an endpoint reads from its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// A message to send. Every such path also takes the other kind of destination, and a contact in place of its own content.
    Message(Whom, What),
    /// A number.
    Number,
    /// Nothing: the body is not looked at.
    Nothing,
}

/// Whom a path is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whom {
    /// `nohp`
    Person,
    /// `groupid`
    Group,
}

/// What a path is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// `pesan`
    Text,
    /// `mediaurl`
    Media,
    /// `latitude` and `longitude`
    Location,
    /// `contact`
    Contact,
}

/// A state of a message, as the notifyurl hears it.
#[derive(Debug, Clone, Copy)]
pub struct Ack {
    /// The number.
    pub ack: i8,
    /// The document's word.
    pub word: &'static str,
    /// What it means.
    pub text: Text,
}

/// Every state, the document's order.
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
    /// In one language.
    #[must_use]
    pub fn r#in(self, language: Language) -> &'static str {
        match language {
            Language::Indonesian => self.id,
            Language::English => self.en,
        }
    }
}

impl Endpoint {
    /// The path as it is routed, below the base path.
    #[must_use]
    pub fn path(&self) -> String {
        format!("/api/{}", self.name)
    }

    /// What its body holds, required ones first.
    #[must_use]
    pub fn fields(&self) -> Vec<Field> {
        fields::of(self.takes)
    }
}

/// Every endpoint, in the document's order.
pub fn endpoints() -> impl Iterator<Item = Endpoint> {
    sections().into_iter().flat_map(|section| section.endpoints)
}
