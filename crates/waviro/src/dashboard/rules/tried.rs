//! What would become of a text, as the API says it, for people.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::RuleRow;
use crate::dashboard::form::Form;
use crate::dashboard::frame::Frame;
use crate::dashboard::state::Tone;

/// What would become of it.
#[derive(Debug, Deserialize)]
pub(super) struct Tried {
    /// The rule that takes it.
    pub(super) rule: Option<RuleRow>,
    pub(super) request: Option<Request>,
    /// What came of posting it, where that was asked for.
    pub(super) sent: Option<Sent>,
}

/// What is posted.
#[derive(Debug, Deserialize)]
pub(super) struct Request {
    pub(super) url: String,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: String,
}

/// What was answered, and what would be made of it.
#[derive(Debug, Deserialize)]
pub(super) struct Sent {
    pub(super) status: Option<u16>,
    pub(super) duration_ms: i64,
    pub(super) address: Option<String>,
    pub(super) answer: String,
    pub(super) verdict: String,
    pub(super) cause: Option<String>,
    pub(super) reply: Vec<Item>,
    pub(super) skipped: Vec<Skipped>,
    pub(super) nothing_because: Option<String>,
}

/// A message that would be sent.
#[derive(Debug, Deserialize)]
pub(super) struct Item {
    r#type: String,
    pub(super) text: Option<String>,
    pub(super) url: Option<String>,
    pub(super) coordinate: Option<[f64; 2]>,
    pub(super) numbers: Vec<String>,
}

/// One that would not.
#[derive(Debug, Deserialize)]
pub(super) struct Skipped {
    pub(super) position: usize,
    pub(super) why: String,
}

/// The form as the API wants it.
pub(super) fn asked(form: &Form, send: bool) -> Value {
    // A number as people write it: without blanks, dashes and brackets.
    let plain = |said: &str| said.replace([' ', '+', '(', ')', '.', '-'], "");
    json!({
        "text": form.raw("text").replace("\r\n", "\n"),
        "from": form.get("from").map(plain),
        "group": form.get("group"),
        "send": send,
    })
}

impl Sent {
    pub(super) fn tone(&self) -> &'static str {
        match self.verdict.as_str() {
            "delivered" => Tone::Good.class(),
            "retried" => Tone::Waits.class(),
            _ => Tone::Bad.class(),
        }
    }

    /// What the gateway would do about a real one.
    pub(super) fn words<'t>(&self, frame: &'t Frame) -> &'t str {
        match self.verdict.as_str() {
            "delivered" => frame.say("Diterima webhook", "Taken by the webhook"),
            "retried" => frame.say(
                "Gagal; yang sungguhan akan dicoba lagi",
                "Failed; a real one would be tried again",
            ),
            _ => frame.say(
                "Webhook menolak untuk seterusnya; aturannya akan dimatikan",
                "The webhook refuses for good; the rule would be switched off",
            ),
        }
    }
}

impl Item {
    pub(super) fn words<'t>(&self, frame: &'t Frame) -> &'t str {
        match self.r#type.as_str() {
            "text" => frame.say("Teks", "Text"),
            "location" => frame.say("Lokasi", "Location"),
            "image" => frame.say("Gambar", "Image"),
            "video" => frame.say("Video", "Video"),
            "audio" => frame.say("Audio", "Audio"),
            "document" => frame.say("Dokumen", "Document"),
            _ => frame.say("Kontak", "Contact"),
        }
    }
}
