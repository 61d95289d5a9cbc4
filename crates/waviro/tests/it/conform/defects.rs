//! What hosts get wrong, one at a time, and which checks must say so: a file for each part of the API, as the checks have theirs.

#![expect(
    clippy::too_many_lines,
    reason = "each of these functions is a list, a defect an entry"
)]

mod answer;
mod bot;
mod callback;
mod contact;
mod door;
mod group;
mod location;
mod media;
mod text;

use serde_json::{Value, json};

use super::crooked::{Answered, Asked, Told};

/// One thing that a host gets wrong.
#[derive(Clone)]
pub struct Defect {
    pub name: &'static str,
    /// Which checks look at it; the others would only take time.
    pub only: &'static [&'static str],
    /// Exactly these find it.
    pub finds: &'static [&'static str],
    pub spoils: Spoils,
}

/// Where it goes wrong.
#[derive(Clone)]
pub enum Spoils {
    /// Before the request is read: by its head as it was written.
    Head(fn(&str) -> bool),
    /// The request is changed, or answered at once.
    Asked(fn(&mut Asked) -> Option<Answered>),
    /// The answer is changed.
    Answered(fn(&Asked, &mut Answered)),
    /// What notifyurl is told is changed.
    Told(fn(&Value) -> Vec<Told>),
    /// The same, and whatever it answers is taken for a success.
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

/// A message that is said to be accepted.
fn taken(to: &Value, kind: &str) -> Answered {
    let address = to.as_str().unwrap_or_default();
    Answered::success(json!({
        "id": "3EB02B7BEAD27AFA278E", "status": 0, "type": kind, "timestamp": 1_678_849_330,
        "from": "6281200000001@c.us", "to": format!("{address}@c.us"),
    }))
}

/// The file that the request names.
fn file(asked: &Asked) -> &str {
    let url = asked.json["mediaurl"].as_str().unwrap_or_default();
    url.rsplit('/').next().unwrap_or_default()
}

pub fn all() -> Vec<Defect> {
    [
        door::defects(),
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
