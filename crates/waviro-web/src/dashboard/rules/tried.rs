//! The form of a rule test, and the words of its result.

use serde_json::{Value, json};

use crate::dashboard::form::Form;
use crate::dashboard::page_context::PageContext;
use crate::dashboard::state::Tone;
use crate::v1::rules::test::{CameOf, ReplyItem, Verdict};

/// Returns the body of a test for the API.
pub(in crate::dashboard) fn asked(form: &Form, send: bool) -> Value {
    // A typed number may have spaces, dashes and brackets.
    let plain = |said: &str| said.replace([' ', '+', '(', ')', '.', '-'], "");
    json!({
        "text": form.raw("text").replace("\r\n", "\n"),
        "from": form.get("from").map(plain),
        "group": form.get("group"),
        "send": send,
    })
}

/// The words of a test's outcome on the page.
impl CameOf {
    pub(in crate::dashboard) fn tone(&self) -> &'static str {
        match self.verdict {
            Verdict::Delivered => Tone::Good.class(),
            Verdict::Retried => Tone::Waits.class(),
            Verdict::SwitchedOff => Tone::Bad.class(),
        }
    }

    /// Returns the gateway's reaction to a real response, in words.
    pub(in crate::dashboard) fn words<'t>(&self, context: &'t PageContext) -> &'t str {
        match self.verdict {
            Verdict::Delivered => context.translate("Diterima webhook", "Accepted by the webhook"),
            Verdict::Retried => context.translate(
                "Gagal; yang sungguhan akan dicoba lagi",
                "Failed; a real webhook would be retried",
            ),
            Verdict::SwitchedOff => context.translate(
                "Webhook menolak untuk seterusnya; aturannya akan dimatikan",
                "The webhook refuses permanently; the rule would be switched off",
            ),
        }
    }
}

/// The words of a message of a webhook reply on the page.
impl ReplyItem {
    pub(in crate::dashboard) fn words<'t>(&self, context: &'t PageContext) -> &'t str {
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
