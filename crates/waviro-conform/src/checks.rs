//! The checks in the order of the API document, with a file for each part of the API.

#![expect(
    clippy::too_many_lines,
    reason = "each function is a list with one entry per promise"
)]

mod bot;
mod callback;
mod contact;
mod group;
mod http;
mod location;
mod media;
mod text;

use futures::future::BoxFuture;
use serde_json::{Value, json};

use crate::answer::Failure;
use crate::run::Run;
use crate::{Check, Origin};

pub(crate) type Test = for<'r> fn(&'r Run) -> BoxFuture<'r, Result<(), Failure>>;

/// The eleven endpoints in the order of the API document.
const ENDPOINTS: [&str; 11] = [
    "sendwa",
    "sendmedia",
    "sendlocation",
    "sendcontact",
    "sendwatogroup",
    "sendmediatogroup",
    "sendlocationtogroup",
    "sendcontacttogroup",
    "groups",
    "getqr",
    "checknumber",
];

/// Numbers on the contact card of the documented sample. The suite sends no messages to these
/// numbers.
const CARD: [&str; 3] = ["628124000001", "628125000001", "628126000001"];

/// The contact name in the documented sample.
const CARD_NAME: &str = "Test";

pub(crate) fn all() -> Vec<Check> {
    [
        http::checks(),
        text::checks(),
        media::checks(),
        location::checks(),
        contact::checks(),
        group::checks(),
        bot::checks(),
        callback::checks(),
    ]
    .concat()
}

/// A promise of the API document.
fn document(name: &'static str, says: &'static str, run: Test) -> Check {
    Check {
        name,
        origin: Origin::Document,
        says,
        run,
    }
}

/// A promise of Waviro about a point that the API document leaves open.
fn waviro(name: &'static str, says: &'static str, run: Test) -> Check {
    Check {
        origin: Origin::Waviro,
        ..document(name, says, run)
    }
}

/// Expects that the host refuses the body as documented.
async fn refuses(run: &Run, endpoint: &str, body: Value) -> Result<(), Failure> {
    run.host.json(endpoint, &body).send().await?.refused()
}

/// Returns `fields` without one field, and with this field `null`, empty and blank.
fn without(fields: &Value, field: &str) -> Vec<Value> {
    let mut bodies = Vec::new();
    for value in [None, Some(Value::Null), Some(json!("")), Some(json!("  "))] {
        let mut body = fields.clone();
        if let Some(object) = body.as_object_mut() {
            object.remove(field);
            if let Some(value) = value {
                object.insert(field.to_owned(), value);
            }
        }
        bodies.push(body);
    }
    bodies
}

/// Checks that each of `fields` is required: the host refuses a missing, `null`, empty or blank
/// field.
async fn requires(
    run: &Run,
    endpoint: &str,
    fields: &Value,
    required: &[&str],
) -> Result<(), Failure> {
    for field in required {
        for body in without(fields, field) {
            refuses(run, endpoint, body).await?;
        }
    }
    Ok(())
}
