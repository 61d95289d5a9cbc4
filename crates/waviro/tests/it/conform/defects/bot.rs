//! Get QR code, Check number, and an unlinked bot.

use serde_json::{Value, json};

use super::{Defect, Names, answered, asked, refuse_if};
use crate::conform::crooked::OutgoingAnswer;

pub fn defects() -> Vec<Defect> {
    const ALL: Names = &["getqr", "checknumber", "unlinked"];
    vec![
        answered(
            "qrcode null where there is none",
            ALL,
            &["getqr.linked"],
            |asked, answer| {
                if asked.endpoint() == "getqr" && answer.body["message"]["isAuthenticated"] == true
                {
                    answer.body["message"]["qrcode"] = Value::Null;
                }
            },
        ),
        answered(
            "checknumber answers with an object",
            ALL,
            &[
                "checknumber.known",
                "checknumber.unknown",
                "checknumber.as-number",
            ],
            |asked, answer| {
                if asked.endpoint() == "checknumber" && answer.status == 200 {
                    answer.body["message"] = json!({"exists": answer.body["message"]});
                }
            },
        ),
        answered(
            "who is not on WhatsApp is a refusal",
            ALL,
            &["checknumber.unknown"],
            |asked, answer| {
                if asked.endpoint() == "checknumber" && answer.body["message"] == false {
                    *answer = OutgoingAnswer::refusal();
                }
            },
        ),
        asked(
            "checknumber wants text",
            ALL,
            &["checknumber.as-number"],
            |asked| refuse_if(asked.endpoint() == "checknumber" && asked.json["nohp"].is_u64()),
        ),
        answered(
            "no number is no WhatsApp",
            ALL,
            &["checknumber.requires"],
            |asked, answer| {
                if asked.endpoint() == "checknumber" && asked.json["nohp"] == "" {
                    *answer = OutgoingAnswer::success(json!(false));
                }
            },
        ),
        answered(
            "08 is false",
            ALL,
            &["checknumber.national"],
            |asked, answer| {
                if asked.endpoint() == "checknumber"
                    && asked.json["nohp"]
                        .as_str()
                        .is_some_and(|number| number.starts_with('0'))
                {
                    *answer = OutgoingAnswer::success(json!(false));
                }
            },
        ),
        answered(
            "the code as a picture",
            ALL,
            &["unlinked.getqr"],
            |asked, answer| {
                if asked.endpoint() == "getqr" && answer.body["message"]["isAuthenticated"] == false
                {
                    answer.body["message"]["qrcode"] = json!("data:image/png;base64,AAAA");
                }
            },
        ),
        answered(
            "not linked, and all is accepted",
            ALL,
            &["unlinked.refuses"],
            |asked, answer| {
                if asked.endpoint() == "groups" && answer.status == 400 {
                    *answer = OutgoingAnswer::success(json!([]));
                }
            },
        ),
    ]
}
