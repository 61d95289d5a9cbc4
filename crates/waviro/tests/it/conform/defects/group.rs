//! Sending to groups, and Get group lists.

use serde_json::json;

use super::{Defect, Names, answered, asked, file, refuse_if, taken};

pub fn defects() -> Vec<Defect> {
    const ALL: Names = &["group"];
    vec![
        answered(
            "the type of a text to a group is text",
            ALL,
            &["group.text", "group.address", "group.both", "group.repeat"],
            |asked, answer| {
                if asked.endpoint() == "sendwatogroup" && answer.status == 200 {
                    answer.body["message"]["type"] = json!("text");
                }
            },
        ),
        asked(
            "groupid with @g.us is refused",
            ALL,
            &["group.address"],
            |asked| {
                refuse_if(
                    asked.json["groupid"]
                        .as_str()
                        .is_some_and(|id| id.ends_with("@g.us")),
                )
            },
        ),
        asked(
            "sendmediatogroup refuses everything",
            ALL,
            &["group.media"],
            |asked| refuse_if(asked.endpoint() == "sendmediatogroup"),
        ),
        asked(
            "no limit of file sizes for groups",
            ALL,
            &["group.media-too-large"],
            |asked| (file(asked) == "besar.pdf").then(|| taken(&asked.json["groupid"], "document")),
        ),
        asked(
            "sendlocationtogroup refuses everything",
            ALL,
            &["group.location"],
            |asked| refuse_if(asked.endpoint() == "sendlocationtogroup"),
        ),
        asked(
            "sendcontacttogroup refuses everything",
            ALL,
            &["group.contact"],
            |asked| refuse_if(asked.endpoint() == "sendcontacttogroup"),
        ),
        asked(
            "sendcontact refuses a group",
            ALL,
            &["group.contact-on-sendcontact"],
            |asked| {
                refuse_if(asked.endpoint() == "sendcontact" && asked.json["groupid"].is_string())
            },
        ),
        asked(
            "groupid takes precedence on every path",
            ALL,
            &["group.both"],
            |asked| {
                if asked.json["groupid"].is_string() && asked.json["nohp"].is_string() {
                    asked.json.as_object_mut().unwrap().remove("nohp");
                }
                None
            },
        ),
        asked(
            "a location without a longitude to a group is accepted",
            ALL,
            &["group.requires"],
            |asked| {
                (asked.endpoint() == "sendlocationtogroup" && asked.json["longitude"].is_null())
                    .then(|| taken(&asked.json["groupid"], "chat"))
            },
        ),
        asked(
            "an unknown group is accepted",
            ALL,
            &["group.invalid"],
            |asked| {
                (asked.json["groupid"] == "120363999999999999")
                    .then(|| taken(&asked.json["groupid"], "chat"))
            },
        ),
        asked(
            "no duplicate rule for groups",
            ALL,
            &["group.repeat"],
            |asked| {
                (asked.repeated && asked.endpoint() == "sendwatogroup")
                    .then(|| taken(&asked.json["groupid"], "chat"))
            },
        ),
        answered(
            "the list has group ids with @g.us",
            ALL,
            &["groups.list"],
            |asked, answer| {
                if asked.endpoint() == "groups" {
                    answer.body["message"][0]["groupid"] = json!("120363000000000001@g.us");
                }
            },
        ),
        answered(
            "grouplastchat is a date",
            ALL,
            &["groups.list"],
            |asked, answer| {
                if asked.endpoint() == "groups" {
                    answer.body["message"][0]["grouplastchat"] = json!("2023-03-15");
                }
            },
        ),
        answered(
            "the list of groups is empty",
            ALL,
            &["groups.list"],
            |asked, answer| {
                if asked.endpoint() == "groups" {
                    answer.body["message"] = json!([]);
                }
            },
        ),
    ]
}
