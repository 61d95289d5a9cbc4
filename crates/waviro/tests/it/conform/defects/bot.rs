//! Get QR code, Check number, and an unlinked bot.

use serde_json::{Value, json};

use super::{Defect, Names, answered, asked, refuse_if};
use crate::conform::defective_host::OutgoingAnswer;

pub fn defects() -> Vec<Defect> {
    const ALL: Names = &["getqr", "checknumber", "unlinked"];
    vec![
        answered(
            "qrcode is null for a linked bot",
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
            "checknumber refuses a number without WhatsApp",
            ALL,
            &["checknumber.unknown"],
            |asked, answer| {
                if asked.endpoint() == "checknumber" && answer.body["message"] == false {
                    *answer = OutgoingAnswer::refusal();
                }
            },
        ),
        asked(
            "checknumber refuses a JSON number",
            ALL,
            &["checknumber.as-number"],
            |asked| refuse_if(asked.endpoint() == "checknumber" && asked.json["nohp"].is_u64()),
        ),
        answered(
            "checknumber answers false for an empty number",
            ALL,
            &["checknumber.requires"],
            |asked, answer| {
                if asked.endpoint() == "checknumber" && asked.json["nohp"] == "" {
                    *answer = OutgoingAnswer::success(json!(false));
                }
            },
        ),
        answered(
            "checknumber answers false for a national number",
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
            "the code is a picture",
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
            "an unlinked bot lists groups",
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
