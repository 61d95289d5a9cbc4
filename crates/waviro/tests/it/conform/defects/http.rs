//! Key, path, method, body.

use axum::http::Method;
use serde_json::json;

use super::{Defect, answered, asked, head, refuse_if, taken};
use crate::conform::defective_host::OutgoingAnswer;

pub fn defects() -> Vec<Defect> {
    vec![
        head(
            "header names are case-sensitive",
            &["key"],
            &["key.title-case"],
            |head| head.contains("Secretkey:"),
        ),
        head(
            "a blank after the key is part of it",
            &["key"],
            &["key.trailing-blank"],
            |head| {
                head.lines()
                    .any(|line| line.starts_with("secretkey:") && line.ends_with(' '))
            },
        ),
        asked(
            "a ; after the key is part of it",
            &["key"],
            &["key.trailing-semicolon"],
            |asked| refuse_if(asked.header("secretkey").ends_with(';')),
        ),
        answered(
            "a missing key is accepted",
            &["key"],
            &["key.missing"],
            |asked, answer| {
                if asked.header("secretkey").is_empty() {
                    *answer = OutgoingAnswer::success(json!(true));
                }
            },
        ),
        answered(
            "one endpoint accepts a missing key",
            &["key"],
            &["key.missing"],
            |asked, answer| {
                let unlocked = asked.endpoint() == "sendcontacttogroup";
                if unlocked && asked.header("secretkey").is_empty() {
                    *answer = taken(&asked.json["groupid"], "vcard");
                }
            },
        ),
        answered(
            "a wrong key is accepted",
            &["key"],
            &["key.wrong"],
            |asked, answer| {
                if asked.header("secretkey").starts_with("bukan") {
                    *answer = OutgoingAnswer::success(json!(true));
                }
            },
        ),
        asked(
            "a path with a final slash is a 404",
            &["path", "method"],
            &["path.trailing-slash"],
            |asked| {
                asked.path.ends_with('/').then(|| OutgoingAnswer {
                    status: 404,
                    ..OutgoingAnswer::refusal()
                })
            },
        ),
        asked(
            "a path with a final slash is redirected",
            &["path"],
            &["path.trailing-slash"],
            |asked| {
                let there = asked.path.trim_end_matches('/').to_owned();
                asked.path.ends_with('/').then(|| OutgoingAnswer {
                    status: 301,
                    location: Some(there),
                    ..OutgoingAnswer::refusal()
                })
            },
        ),
        asked(
            "an unknown path is a page",
            &["path"],
            &["path.unknown"],
            |asked| {
                (asked.endpoint() == "sendnothing").then(|| OutgoingAnswer {
                    status: 404,
                    content_type: "text/html",
                    body: json!("<h1>404</h1>"),
                    location: None,
                })
            },
        ),
        asked("GET is accepted", &["method"], &["method.get"], |asked| {
            asked.method = Method::POST;
            None
        }),
        asked(
            "an empty form is refused",
            &["body"],
            &["body.empty-form"],
            |asked| {
                refuse_if(asked.body.is_empty() && asked.header("content-type").contains("form"))
            },
        ),
        asked("no body is refused", &["body"], &["body.none"], |asked| {
            refuse_if(asked.endpoint() == "groups" && asked.header("content-type").is_empty())
        }),
        asked(
            "a charset is refused",
            &["body"],
            &["body.charset"],
            |asked| refuse_if(asked.header("content-type").contains("charset")),
        ),
        asked(
            "a missing Content-Type is refused",
            &["body"],
            &["body.no-content-type"],
            |asked| refuse_if(!asked.body.is_empty() && asked.header("content-type").is_empty()),
        ),
        asked(
            "JSON with the Content-Type of a form is refused",
            &["body"],
            &["body.form-content-type"],
            |asked| {
                refuse_if(asked.json.is_object() && asked.header("content-type").contains("form"))
            },
        ),
        asked(
            "a byte order mark is refused",
            &["body"],
            &["body.byte-order-mark"],
            |asked| refuse_if(asked.body.starts_with("\u{feff}".as_bytes())),
        ),
        asked(
            "unknown fields are refused",
            &["body"],
            &["body.unknown-fields"],
            |asked| refuse_if(asked.json.get("token").is_some()),
        ),
        answered(
            "broken JSON is a 500",
            &["body"],
            &["body.not-json"],
            |asked, answer| {
                if !asked.body.is_empty()
                    && !asked.json.is_object()
                    && !asked.body.starts_with("\u{feff}".as_bytes())
                {
                    answer.status = 500;
                }
            },
        ),
        answered(
            "an empty object is accepted",
            &["body"],
            &["body.incomplete"],
            |asked, answer| {
                if asked.json == json!({}) {
                    *answer = OutgoingAnswer::success(json!(true));
                }
            },
        ),
        answered(
            "a large body is a 500",
            &["body"],
            &["body.too-large"],
            |asked, answer| {
                if asked.body.len() > 1_000_000 {
                    answer.status = 500;
                }
            },
        ),
        answered(
            "a refusal has no code",
            &["refusal"],
            &["refusal.code"],
            |_, answer| {
                answer.body.as_object_mut().unwrap().remove("code");
            },
        ),
        asked(
            "every refusal is Indonesian",
            &["refusal"],
            &["refusal.language"],
            |asked| {
                asked.headers.remove("accept-language");
                None
            },
        ),
    ]
}
