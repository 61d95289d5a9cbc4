//! Callbacks to `notifyurl`.

use axum::http::Method;
use serde_json::json;

use super::{Defect, Names, Spoils, called_back, defect};
use crate::conform::defective_host::OutgoingCallback;

pub fn defects() -> Vec<Defect> {
    const PERSON: Names = &["callback.text", "callback.media", "callback.contact"];
    const ONE: Names = &["callback.text"];
    vec![
        called_back("callbacks are lost", &["callback.text"], ONE, |_| {
            Vec::new()
        }),
        called_back("a callback is a form", PERSON, PERSON, |callback| {
            vec![OutgoingCallback {
                content_type: "application/x-www-form-urlencoded",
                body: format!("msgid={}&ack={}", callback["msgid"], callback["ack"]),
                ..OutgoingCallback::unchanged(callback)
            }]
        }),
        called_back("a callback is a GET", ONE, ONE, |callback| {
            vec![OutgoingCallback {
                method: Method::GET,
                ..OutgoingCallback::unchanged(callback)
            }]
        }),
        called_back("a callback has no Content-Length", ONE, ONE, |callback| {
            vec![OutgoingCallback {
                chunked: true,
                ..OutgoingCallback::unchanged(callback)
            }]
        }),
        called_back("a callback is text/plain", ONE, ONE, |callback| {
            vec![OutgoingCallback {
                content_type: "text/plain",
                ..OutgoingCallback::unchanged(callback)
            }]
        }),
        called_back("a callback has a third field", ONE, ONE, |callback| {
            let mut more = callback.clone();
            more["from"] = json!("6281200000001");
            vec![OutgoingCallback::unchanged(&more)]
        }),
        called_back("the ack is a text", ONE, ONE, |callback| {
            let mut text = callback.clone();
            text["ack"] = json!(callback["ack"].to_string());
            vec![OutgoingCallback::unchanged(&text)]
        }),
        called_back("a callback has another id", ONE, ONE, |callback| {
            let mut other = callback.clone();
            other["msgid"] = json!("3EB000000000000000AB");
            vec![OutgoingCallback::unchanged(&other)]
        }),
        called_back(
            "the ack falls from 3 to 1",
            &["callback.order"],
            &["callback.order"],
            |callback| {
                let mut read = callback.clone();
                read["ack"] = json!(3);
                vec![
                    OutgoingCallback::unchanged(&read),
                    OutgoingCallback::unchanged(callback),
                ]
            },
        ),
        called_back("a callback has ack 4", ONE, ONE, |callback| {
            let mut played = callback.clone();
            played["ack"] = json!(4);
            vec![OutgoingCallback::unchanged(&played)]
        }),
        called_back(
            "a group message gets ack 2",
            &["callback.group"],
            &["callback.group"],
            |callback| {
                let mut delivered = callback.clone();
                delivered["ack"] = json!(2);
                vec![
                    OutgoingCallback::unchanged(callback),
                    OutgoingCallback::unchanged(&delivered),
                ]
            },
        ),
        defect(
            "a failed callback is not retried",
            &["callback.again"],
            &["callback.again"],
            Spoils::Lost(|callback| vec![OutgoingCallback::unchanged(callback)]),
        ),
    ]
}
