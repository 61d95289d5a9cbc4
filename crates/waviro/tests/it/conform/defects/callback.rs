//! Callbacks to `notifyurl`.

use axum::http::Method;
use serde_json::json;

use super::{Defect, Names, Spoils, defect, told};
use crate::conform::crooked::OutgoingCallback;

pub fn defects() -> Vec<Defect> {
    const PERSON: Names = &["callback.text", "callback.media", "callback.contact"];
    const ONE: Names = &["callback.text"];
    vec![
        told("lost", &["callback.text"], ONE, |_| Vec::new()),
        told("a form", PERSON, PERSON, |told| {
            vec![OutgoingCallback {
                content_type: "application/x-www-form-urlencoded",
                body: format!("msgid={}&ack={}", told["msgid"], told["ack"]),
                ..OutgoingCallback::as_it_is(told)
            }]
        }),
        told("a GET", ONE, ONE, |told| {
            vec![OutgoingCallback {
                method: Method::GET,
                ..OutgoingCallback::as_it_is(told)
            }]
        }),
        told("in pieces", ONE, ONE, |told| {
            vec![OutgoingCallback {
                chunked: true,
                ..OutgoingCallback::as_it_is(told)
            }]
        }),
        told("called text", ONE, ONE, |told| {
            vec![OutgoingCallback {
                content_type: "text/plain",
                ..OutgoingCallback::as_it_is(told)
            }]
        }),
        told("a third field", ONE, ONE, |told| {
            let mut more = told.clone();
            more["from"] = json!("6281200000001");
            vec![OutgoingCallback::as_it_is(&more)]
        }),
        told("ack as text", ONE, ONE, |told| {
            let mut text = told.clone();
            text["ack"] = json!(told["ack"].to_string());
            vec![OutgoingCallback::as_it_is(&text)]
        }),
        told("another id", ONE, ONE, |told| {
            let mut other = told.clone();
            other["msgid"] = json!("3EB000000000000000AB");
            vec![OutgoingCallback::as_it_is(&other)]
        }),
        told(
            "back from read to sent",
            &["callback.order"],
            &["callback.order"],
            |told| {
                let mut read = told.clone();
                read["ack"] = json!(3);
                vec![
                    OutgoingCallback::as_it_is(&read),
                    OutgoingCallback::as_it_is(told),
                ]
            },
        ),
        told("an ack that there is not", ONE, ONE, |told| {
            let mut played = told.clone();
            played["ack"] = json!(4);
            vec![OutgoingCallback::as_it_is(&played)]
        }),
        told(
            "a group's members are told of",
            &["callback.group"],
            &["callback.group"],
            |told| {
                let mut delivered = told.clone();
                delivered["ack"] = json!(2);
                vec![
                    OutgoingCallback::as_it_is(told),
                    OutgoingCallback::as_it_is(&delivered),
                ]
            },
        ),
        defect(
            "told once, whatever it answers",
            &["callback.again"],
            &["callback.again"],
            Spoils::Lost(|told| vec![OutgoingCallback::as_it_is(told)]),
        ),
    ]
}
