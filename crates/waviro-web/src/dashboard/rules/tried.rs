//! The result of a rule test in the API's response.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::RuleRow;
use crate::dashboard::form::Form;
use crate::dashboard::page_context::PageContext;
use crate::dashboard::state::Tone;

#[derive(Debug, Deserialize)]
pub(super) struct Tried {
    /// The matching rule.
    pub(super) rule: Option<RuleRow>,
    pub(super) request: Option<Request>,
    /// The outcome of the request, if the text was posted.
    pub(super) sent: Option<Sent>,
}

/// The webhook's request.
#[derive(Debug, Deserialize)]
pub(super) struct Request {
    pub(super) url: String,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: String,
}

/// The response of the endpoint and its effect.
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

/// A message of the webhook reply.
#[derive(Debug, Deserialize)]
pub(super) struct Item {
    r#type: String,
    pub(super) text: Option<String>,
    pub(super) url: Option<String>,
    pub(super) coordinate: Option<[f64; 2]>,
    pub(super) numbers: Vec<String>,
}

/// A skipped item of the webhook reply.
#[derive(Debug, Deserialize)]
pub(super) struct Skipped {
    pub(super) position: usize,
    pub(super) why: String,
}

/// Returns the body of a test for the API.
pub(super) fn asked(form: &Form, send: bool) -> Value {
    // A typed number may have spaces, dashes and brackets.
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

    /// Returns the gateway's reaction to a real response, in words.
    pub(super) fn words<'t>(&self, context: &'t PageContext) -> &'t str {
        match self.verdict.as_str() {
            "delivered" => context.translate("Diterima webhook", "Accepted by the webhook"),
            "retried" => context.translate(
                "Gagal; yang sungguhan akan dicoba lagi",
                "Failed; a real webhook would be retried",
            ),
            _ => context.translate(
                "Webhook menolak untuk seterusnya; aturannya akan dimatikan",
                "The webhook refuses permanently; the rule would be switched off",
            ),
        }
    }
}

impl Item {
    pub(super) fn words<'t>(&self, context: &'t PageContext) -> &'t str {
        match self.r#type.as_str() {
            "text" => context.translate("Teks", "Text"),
            "location" => context.translate("Lokasi", "Location"),
            "image" => context.translate("Gambar", "Image"),
            "video" => context.translate("Video", "Video"),
            "audio" => context.translate("Audio", "Audio"),
            "document" => context.translate("Dokumen", "Document"),
            _ => context.translate("Kontak", "Contact"),
        }
    }
}
