//! Send contact.

use serde_json::json;

use super::{Defect, Names, answered, asked, refuse_if, taken};
use crate::conform::NOBODY;

pub fn defects() -> Vec<Defect> {
    const ALL: Names = &["contact"];
    vec![
        answered(
            "the type of a contact is contact",
            ALL,
            &[
                "contact.sample",
                "contact.on-sendlocation",
                "contact.capital",
                "contact.beside-text",
                "contact.as-text",
                "contact.one-number",
                "contact.hostile-name",
                "contact.repeat",
            ],
            |_, answer| {
                if answer.status == 200 && answer.body["message"].get("type").is_some() {
                    answer.body["message"]["type"] = json!("contact");
                }
            },
        ),
        asked(
            "sendlocation refuses a contact",
            &["contact", "group.contact"],
            &["contact.on-sendlocation", "group.contact-on-sendlocation"],
            |asked| {
                refuse_if(asked.endpoint() == "sendlocation" && asked.json.get("contact").is_some())
            },
        ),
        asked(
            "a text takes precedence over a contact",
            ALL,
            &["contact.beside-text"],
            |asked| {
                if asked.endpoint() == "sendwa" && asked.json["pesan"].is_string() {
                    asked.json.as_object_mut().unwrap().remove("contact");
                }
                None
            },
        ),
        asked("Contact is unknown", ALL, &["contact.capital"], |asked| {
            refuse_if(asked.json.get("Contact").is_some())
        }),
        asked(
            "a contact as JSON text is refused",
            ALL,
            &["contact.as-text"],
            |asked| {
                refuse_if(
                    asked.json["contact"]
                        .as_str()
                        .is_some_and(|text| text.starts_with('{')),
                )
            },
        ),
        asked(
            "numbers only as a list",
            ALL,
            &["contact.one-number"],
            |asked| refuse_if(asked.json["contact"]["numbers"].is_string()),
        ),
        asked(
            "a name with ; is refused",
            ALL,
            &["contact.hostile-name"],
            |asked| {
                refuse_if(
                    asked.json["contact"]["name"]
                        .as_str()
                        .is_some_and(|name| name.contains(';')),
                )
            },
        ),
        asked(
            "an empty contact is accepted",
            ALL,
            &["contact.requires"],
            |asked| {
                (asked.endpoint() == "sendcontact" && asked.json["contact"] == "")
                    .then(|| taken(&asked.json["nohp"], "vcard"))
            },
        ),
        asked(
            "a contact without numbers is accepted",
            ALL,
            &["contact.incomplete"],
            |asked| {
                (asked.json["contact"]["numbers"] == json!([]))
                    .then(|| taken(&asked.json["nohp"], "vcard"))
            },
        ),
        asked(
            "no duplicate rule for contacts",
            ALL,
            &["contact.repeat"],
            |asked| {
                (asked.repeated && asked.endpoint() == "sendcontact")
                    .then(|| taken(&asked.json["nohp"], "vcard"))
            },
        ),
        asked(
            "a contact to a number without WhatsApp is accepted",
            ALL,
            &["contact.not-on-whatsapp"],
            |asked| (asked.json["nohp"] == NOBODY).then(|| taken(&asked.json["nohp"], "vcard")),
        ),
    ]
}
