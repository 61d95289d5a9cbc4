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

use super::crooked::{Answered, Asked, Told};

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
    Asked(fn(&mut Asked) -> Option<Answered>),
    /// Changes the answer.
    Answered(fn(&Asked, &mut Answered)),
    /// Changes the callbacks.
    Told(fn(&Value) -> Vec<Told>),
    /// Changes the callbacks and treats every answer as a success.
    Lost(fn(&Value) -> Vec<Told>),
}

type Names = &'static [&'static str];

fn head(name: &'static str, only: Names, finds: Names, refuses: fn(&str) -> bool) -> Defect {
    defect(name, only, finds, Spoils::Head(refuses))
}

fn asked(
    name: &'static str,
    only: Names,
    finds: Names,
    spoil: fn(&mut Asked) -> Option<Answered>,
) -> Defect {
    defect(name, only, finds, Spoils::Asked(spoil))
}

fn answered(
    name: &'static str,
    only: Names,
    finds: Names,
    spoil: fn(&Asked, &mut Answered),
) -> Defect {
    defect(name, only, finds, Spoils::Answered(spoil))
}

fn told(name: &'static str, only: Names, finds: Names, spoil: fn(&Value) -> Vec<Told>) -> Defect {
    defect(name, only, finds, Spoils::Told(spoil))
}

fn defect(name: &'static str, only: Names, finds: Names, spoils: Spoils) -> Defect {
    Defect {
        name,
        only,
        finds,
        spoils,
    }
}

fn refuse_if(wrong: bool) -> Option<Answered> {
    wrong.then(Answered::refusal)
}

/// Returns the answer for an accepted message.
fn taken(to: &Value, kind: &str) -> Answered {
    let address = to.as_str().unwrap_or_default();
    Answered::success(json!({
        "id": "3EB02B7BEAD27AFA278E", "status": 0, "type": kind, "timestamp": 1_678_849_330,
        "from": "6281200000001@c.us", "to": format!("{address}@c.us"),
    }))
}

/// The file name in the `mediaurl` of the request.
fn file(asked: &Asked) -> &str {
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
