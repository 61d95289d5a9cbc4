//! Defects of hosts, with the checks that must find each defect. Each part of the API has a file,
//! as in the suite.

#![expect(
    clippy::too_many_lines,
    reason = "each of these functions is a list, a defect an entry"
)]

mod answer;
mod bot;
mod callback;
mod contact;
mod group;
mod http;
mod location;
mod media;
mod text;

use serde_json::{Value, json};

use super::defective_host::{IncomingRequest, OutgoingAnswer, OutgoingCallback};

/// A defect of a host.
#[derive(Clone)]
pub struct Defect {
    pub name: &'static str,
    /// The checks to run; the other checks would only take time.
    pub only: &'static [&'static str],
    /// The checks that find the defect; all others must pass.
    pub finds: &'static [&'static str],
    pub spoils: Spoils,
}

/// The place of the defect.
#[derive(Clone)]
pub enum Spoils {
    /// Answers 400 depending on the request head as written on the wire.
    Head(fn(&str) -> bool),
    /// Changes the request, or answers at once.
    Request(fn(&mut IncomingRequest) -> Option<OutgoingAnswer>),
    /// Changes the answer.
    Answer(fn(&IncomingRequest, &mut OutgoingAnswer)),
    /// Changes the callbacks.
    Callback(fn(&Value) -> Vec<OutgoingCallback>),
    /// Changes the callbacks and treats every answer as a success.
    Lost(fn(&Value) -> Vec<OutgoingCallback>),
}

type Names = &'static [&'static str];

fn head(name: &'static str, only: Names, finds: Names, refuses: fn(&str) -> bool) -> Defect {
    defect(name, only, finds, Spoils::Head(refuses))
}

fn asked(
    name: &'static str,
    only: Names,
    finds: Names,
    spoil: fn(&mut IncomingRequest) -> Option<OutgoingAnswer>,
) -> Defect {
    defect(name, only, finds, Spoils::Request(spoil))
}

fn answered(
    name: &'static str,
    only: Names,
    finds: Names,
    spoil: fn(&IncomingRequest, &mut OutgoingAnswer),
) -> Defect {
    defect(name, only, finds, Spoils::Answer(spoil))
}

fn called_back(
    name: &'static str,
    only: Names,
    finds: Names,
    spoil: fn(&Value) -> Vec<OutgoingCallback>,
) -> Defect {
    defect(name, only, finds, Spoils::Callback(spoil))
}

fn defect(name: &'static str, only: Names, finds: Names, spoils: Spoils) -> Defect {
    Defect {
        name,
        only,
        finds,
        spoils,
    }
}

fn refuse_if(wrong: bool) -> Option<OutgoingAnswer> {
    wrong.then(OutgoingAnswer::refusal)
}

/// Returns the answer for an accepted message.
fn taken(to: &Value, kind: &str) -> OutgoingAnswer {
    let address = to.as_str().unwrap_or_default();
    OutgoingAnswer::success(json!({
        "id": "3EB02B7BEAD27AFA278E", "status": 0, "type": kind, "timestamp": 1_678_849_330,
        "from": "6281200000001@c.us", "to": format!("{address}@c.us"),
    }))
}

/// The file name in the `mediaurl` of the request.
fn file(asked: &IncomingRequest) -> &str {
    let url = asked.json["mediaurl"].as_str().unwrap_or_default();
    url.rsplit('/').next().unwrap_or_default()
}

pub fn all() -> Vec<Defect> {
    [
        http::defects(),
        answer::defects(),
        text::defects(),
        media::defects(),
        location::defects(),
        contact::defects(),
        group::defects(),
        bot::defects(),
        callback::defects(),
    ]
    .concat()
}
