//! The common part of all answers, tested with a text and its refusals.

use serde_json::{Value, json};

use super::{Defect, Names, answered};
use crate::conform::defective_host::OutgoingAnswer;

pub fn defects() -> Vec<Defect> {
    const SEEN: Names = &["text.sample", "text.requires"];
    const SENT: Names = &["text.sample"];
    const REFUSED: Names = &["text.requires"];
    /// Changes one field of the answer.
    fn set(answer: &mut OutgoingAnswer, field: &str, value: Value) {
        if answer.body["message"].get(field).is_some() {
            answer.body["message"][field] = value;
        }
    }
    vec![
        answered(
            "an accepted message is a 201",
            SEEN,
            SENT,
            |asked, answer| {
                if asked.endpoint() == "sendwa" && answer.status == 200 {
                    answer.status = 201;
                }
            },
        ),
        answered("success as text", SEEN, SENT, |asked, answer| {
            if asked.endpoint() == "sendwa" && answer.status == 200 {
                answer.body["success"] = json!("true");
            }
        }),
        answered("an id of another form", SEEN, SENT, |_, answer| {
            set(answer, "id", json!("3eb02b7bead27afa278e"));
        }),
        answered("status as text", SEEN, SENT, |_, answer| {
            set(answer, "status", json!("pending"));
        }),
        answered("status already sent", SEEN, SENT, |_, answer| {
            set(answer, "status", json!(1));
        }),
        answered("another type", SEEN, SENT, |_, answer| {
            set(answer, "type", json!("chat"));
        }),
        answered(
            "the timestamp is in milliseconds",
            SEEN,
            SENT,
            |_, answer| {
                let seconds = answer.body["message"]["timestamp"]
                    .as_i64()
                    .unwrap_or_default();
                set(answer, "timestamp", json!(seconds * 1000));
            },
        ),
        answered("from without @c.us", SEEN, SENT, |_, answer| {
            set(answer, "from", json!("6281200000001"));
        }),
        answered("to as in the request", SEEN, SENT, |asked, answer| {
            set(answer, "to", asked.json["nohp"].clone());
        }),
        answered(
            "all messages have the same id",
            &["text.as-written", "text.repeat-later"],
            &["text.repeat-later"],
            |_, answer| {
                set(answer, "id", json!("3EB02B7BEAD27AFA278E"));
            },
        ),
        answered("refusals are a 200", SEEN, REFUSED, |_, answer| {
            if answer.body["success"] == false {
                answer.status = 200;
            }
        }),
        answered("refusals are a 422", SEEN, REFUSED, |_, answer| {
            if answer.body["success"] == false {
                answer.status = 422;
            }
        }),
        answered(
            "a refusal has an empty errorMessage",
            SEEN,
            REFUSED,
            |_, answer| {
                if answer.body["success"] == false {
                    answer.body["errorMessage"] = json!("");
                }
            },
        ),
        answered(
            "a refusal has error instead of errorMessage",
            SEEN,
            REFUSED,
            |_, answer| {
                if answer.body["success"] == false {
                    answer.body = json!({"success": false, "error": "Tidak bisa."});
                }
            },
        ),
        answered("a refusal is an HTML page", SEEN, REFUSED, |_, answer| {
            if answer.body["success"] == false {
                (answer.content_type, answer.body) = ("text/html", json!("<h1>Bad Request</h1>"));
            }
        }),
    ]
}
