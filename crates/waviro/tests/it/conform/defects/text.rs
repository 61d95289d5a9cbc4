//! Send text message.

use serde_json::json;

use super::{Defect, Names, asked, refuse_if, taken};
use crate::conform::NOBODY;
use crate::conform::defective_host::OutgoingAnswer;

pub fn defects() -> Vec<Defect> {
    const ALL: Names = &["text"];
    vec![
        asked(
            "a JSON number in nohp is refused",
            ALL,
            &["text.number-as-number"],
            |asked| refuse_if(asked.endpoint() == "sendwa" && asked.json["nohp"].is_u64()),
        ),
        asked(
            "a text with a line break is refused",
            ALL,
            &["text.as-written"],
            |asked| {
                refuse_if(
                    asked.json["pesan"]
                        .as_str()
                        .is_some_and(|text| text.contains('\n')),
                )
            },
        ),
        asked(
            "a text above 4096 bytes is refused",
            ALL,
            &["text.long"],
            |asked| {
                refuse_if(
                    asked.json["pesan"]
                        .as_str()
                        .is_some_and(|text| text.len() > 4096),
                )
            },
        ),
        asked(
            "an empty notifyurl is refused",
            ALL,
            &["text.no-notifyurl"],
            |asked| refuse_if(asked.json["notifyurl"] == ""),
        ),
        asked(
            "a national number is accepted",
            ALL,
            &["text.national-number"],
            |asked| {
                let number = asked.json["nohp"].as_str().unwrap_or_default().to_owned();
                (number.starts_with('0') || number.starts_with('+'))
                    .then(|| taken(&json!("6282386000001"), "text"))
            },
        ),
        asked(
            "a number with blanks and dashes is accepted",
            ALL,
            &["text.no-number"],
            |asked| {
                let number = asked.json["nohp"].as_str().unwrap_or_default().to_owned();
                (number.trim().contains([' ', '-'])).then(|| taken(&json!("6282386000001"), "text"))
            },
        ),
        asked(
            "a list in nohp is a 500",
            ALL,
            &["text.no-number"],
            |asked| {
                asked.json["nohp"].is_array().then(|| OutgoingAnswer {
                    status: 500,
                    ..OutgoingAnswer::refusal()
                })
            },
        ),
        asked(
            "a text to a number without WhatsApp is accepted",
            ALL,
            &["text.not-on-whatsapp"],
            |asked| (asked.json["nohp"] == NOBODY).then(|| taken(&asked.json["nohp"], "text")),
        ),
        asked(
            "no duplicate rule",
            ALL,
            &["text.repeat", "text.repeat-at-once"],
            |asked| {
                // The gateway gets a different text each time and so accepts duplicates.
                if let Some(text) = asked.json["pesan"]
                    .as_str()
                    .filter(|text| text.contains("kali") || text.contains("Serentak"))
                {
                    asked.json["pesan"] = json!(format!("{text}{:x}", rand::random::<u64>()));
                }
                None
            },
        ),
        asked(
            "a duplicate rule with a race",
            ALL,
            &["text.repeat-at-once"],
            |asked| {
                if let Some(text) = asked.json["pesan"]
                    .as_str()
                    .filter(|text| text.contains("Serentak"))
                {
                    asked.json["pesan"] = json!(format!("{text}{:x}", rand::random::<u64>()));
                }
                None
            },
        ),
        asked(
            "a duplicate rule over all earlier texts",
            ALL,
            &["text.repeat-later"],
            |asked| refuse_if(asked.repeated),
        ),
        asked(
            "a duplicate rule over all chats",
            ALL,
            &["text.repeat-elsewhere"],
            |asked| {
                refuse_if(
                    asked.endpoint() == "sendwatogroup"
                        && asked.json["pesan"]
                            .as_str()
                            .is_some_and(|text| text.starts_with("Ke mana")),
                )
            },
        ),
    ]
}
