//! Send location message.

use super::{Defect, Names, asked, refuse_if, taken};
use crate::conform::NOBODY;

pub fn defects() -> Vec<Defect> {
    const ALL: Names = &["location"];
    vec![
        asked(
            "coordinates only as numbers",
            ALL,
            &["location.sample", "location.no-caption", "location.repeat"],
            |asked| {
                refuse_if(
                    asked.json["latitude"]
                        .as_str()
                        .is_some_and(|text| text.parse::<f64>().is_ok()),
                )
            },
        ),
        asked(
            "coordinates only as text",
            ALL,
            &["location.as-numbers"],
            |asked| refuse_if(asked.json["latitude"].is_number()),
        ),
        asked(
            "a location without a name is refused",
            ALL,
            &["location.no-caption"],
            |asked| {
                refuse_if(asked.endpoint() == "sendlocation" && asked.json.get("pesan").is_none())
            },
        ),
        asked(
            "a missing latitude is accepted",
            ALL,
            &["location.requires"],
            |asked| {
                (asked.endpoint() == "sendlocation" && asked.json.get("latitude").is_none())
                    .then(|| taken(&asked.json["nohp"], "chat"))
            },
        ),
        asked(
            "a latitude out of range is accepted",
            ALL,
            &["location.no-angle"],
            |asked| (asked.json["latitude"] == "90.1").then(|| taken(&asked.json["nohp"], "chat")),
        ),
        asked(
            "a latitude with a comma is accepted",
            ALL,
            &["location.no-angle"],
            |asked| {
                asked.json["latitude"]
                    .as_str()
                    .is_some_and(|text| text.contains(','))
                    .then(|| taken(&asked.json["nohp"], "chat"))
            },
        ),
        asked(
            "no duplicate rule for locations",
            ALL,
            &["location.repeat"],
            |asked| {
                (asked.repeated && asked.endpoint() == "sendlocation")
                    .then(|| taken(&asked.json["nohp"], "chat"))
            },
        ),
        asked(
            "a location to a number without WhatsApp is accepted",
            ALL,
            &["location.not-on-whatsapp"],
            |asked| (asked.json["nohp"] == NOBODY).then(|| taken(&asked.json["nohp"], "chat")),
        ),
    ]
}
