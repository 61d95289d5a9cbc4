//! Sending to groups, and Get group lists.

use serde_json::json;

use super::{Defect, Names, answered, asked, file, refuse_if, taken};

pub fn defects() -> Vec<Defect> {
    const ALL: Names = &["group"];
    vec![
        answered(
            "a text to a group is text",
            ALL,
            &["group.text", "group.address", "group.both", "group.repeat"],
            |asked, answer| {
                if asked.endpoint() == "sendwatogroup" && answer.status == 200 {
                    answer.body["message"]["type"] = json!("text");
                }
            },
        ),
        asked(
            "a group's address is no id",
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
        asked("no files to groups", ALL, &["group.media"], |asked| {
            refuse_if(asked.endpoint() == "sendmediatogroup")
        }),
        asked(
            "no cap for groups",
            ALL,
            &["group.media-too-large"],
            |asked| (file(asked) == "besar.pdf").then(|| taken(&asked.json["groupid"], "document")),
        ),
        asked("no places to groups", ALL, &["group.location"], |asked| {
            refuse_if(asked.endpoint() == "sendlocationtogroup")
        }),
        asked(
            "no path for cards to groups",
            ALL,
            &["group.contact"],
            |asked| refuse_if(asked.endpoint() == "sendcontacttogroup"),
        ),
        asked(
            "sendcontact is for persons",
            ALL,
            &["group.contact-on-sendcontact"],
            |asked| {
                refuse_if(asked.endpoint() == "sendcontact" && asked.json["groupid"].is_string())
            },
        ),
        asked("groupid always wins", ALL, &["group.both"], |asked| {
            if asked.json["groupid"].is_string() && asked.json["nohp"].is_string() {
                asked.json.as_object_mut().unwrap().remove("nohp");
            }
            None
        }),
        asked(
            "a place without a longitude to a group",
            ALL,
            &["group.requires"],
            |asked| {
                (asked.endpoint() == "sendlocationtogroup" && asked.json["longitude"].is_null())
                    .then(|| taken(&asked.json["groupid"], "chat"))
            },
        ),
        asked("every group is taken", ALL, &["group.invalid"], |asked| {
            (asked.json["groupid"] == "120363999999999999")
                .then(|| taken(&asked.json["groupid"], "chat"))
        }),
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
            "a group's id with its host",
            ALL,
            &["groups.list"],
            |asked, answer| {
                if asked.endpoint() == "groups" {
                    answer.body["message"][0]["groupid"] = json!("120363000000000001@g.us");
                }
            },
        ),
        answered(
            "when somebody wrote as a date",
            ALL,
            &["groups.list"],
            |asked, answer| {
                if asked.endpoint() == "groups" {
                    answer.body["message"][0]["grouplastchat"] = json!("2023-03-15");
                }
            },
        ),
        answered(
            "no group where nobody wrote",
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
