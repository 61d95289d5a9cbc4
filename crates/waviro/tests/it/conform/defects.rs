//! What hosts get wrong, one at a time, and which checks must say so.

#![expect(
    clippy::too_many_lines,
    reason = "each of these functions is a list, a defect an entry"
)]

use axum::http::Method;
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

pub fn all() -> Vec<Defect> {
    [
        door(),
        answers(),
        texts(),
        files(),
        places(),
        cards(),
        groups(),
        bots(),
        callbacks(),
    ]
    .concat()
}

fn door() -> Vec<Defect> {
    vec![
        head(
            "header names are taken by their case",
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
            "no key needed",
            &["key"],
            &["key.missing"],
            |asked, answer| {
                if asked.header("secretkey").is_empty() {
                    *answer = Answered::success(json!(true));
                }
            },
        ),
        answered(
            "a door without a lock",
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
            "every key opens",
            &["key"],
            &["key.wrong"],
            |asked, answer| {
                if asked.header("secretkey").starts_with("bukan") {
                    *answer = Answered::success(json!(true));
                }
            },
        ),
        asked(
            "a path with a slash is none",
            &["path", "method"],
            &["path.trailing-slash"],
            |asked| {
                asked.path.ends_with('/').then(|| Answered {
                    status: 404,
                    ..Answered::refusal()
                })
            },
        ),
        asked(
            "a path with a slash sends on",
            &["path"],
            &["path.trailing-slash"],
            |asked| {
                let there = asked.path.trim_end_matches('/').to_owned();
                asked.path.ends_with('/').then(|| Answered {
                    status: 301,
                    location: Some(there),
                    ..Answered::refusal()
                })
            },
        ),
        asked(
            "an unknown path is a page",
            &["path"],
            &["path.unknown"],
            |asked| {
                (asked.endpoint() == "sendnothing").then(|| Answered {
                    status: 404,
                    content_type: "text/html",
                    body: json!("<h1>404</h1>"),
                    location: None,
                })
            },
        ),
        asked("GET does it too", &["method"], &["method.get"], |asked| {
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
            "only application/json to the letter",
            &["body"],
            &["body.charset"],
            |asked| refuse_if(asked.header("content-type").contains("charset")),
        ),
        asked(
            "a Content-Type is needed",
            &["body"],
            &["body.no-content-type"],
            |asked| refuse_if(!asked.body.is_empty() && asked.header("content-type").is_empty()),
        ),
        asked(
            "JSON that is called a form is refused",
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
            "what is incomplete is taken",
            &["body"],
            &["body.incomplete"],
            |asked, answer| {
                if asked.json == json!({}) {
                    *answer = Answered::success(json!(true));
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
        answered("no code", &["refusal"], &["refusal.code"], |_, answer| {
            answer.body.as_object_mut().unwrap().remove("code");
        }),
        asked(
            "Indonesian to everybody",
            &["refusal"],
            &["refusal.language"],
            |asked| {
                asked.headers.remove("accept-language");
                None
            },
        ),
    ]
}

/// What every answer has in common, seen at a text and its refusals.
fn answers() -> Vec<Defect> {
    const SEEN: Names = &["text.sample", "text.requires"];
    const SENT: Names = &["text.sample"];
    const REFUSED: Names = &["text.requires"];
    /// Changes one field of what was sent.
    fn set(answer: &mut Answered, field: &str, value: Value) {
        if answer.body["message"].get(field).is_some() {
            answer.body["message"][field] = value;
        }
    }
    vec![
        answered("201 for what was made", SEEN, SENT, |asked, answer| {
            if asked.endpoint() == "sendwa" && answer.status == 200 {
                answer.status = 201;
            }
        }),
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
        answered("milliseconds", SEEN, SENT, |_, answer| {
            let seconds = answer.body["message"]["timestamp"]
                .as_i64()
                .unwrap_or_default();
            set(answer, "timestamp", json!(seconds * 1000));
        }),
        answered("from without its host", SEEN, SENT, |_, answer| {
            set(answer, "from", json!("6281200000001"));
        }),
        answered("to as it was written", SEEN, SENT, |asked, answer| {
            set(answer, "to", asked.json["nohp"].clone());
        }),
        answered(
            "the same id for all",
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
        answered("refusals say nothing", SEEN, REFUSED, |_, answer| {
            if answer.body["success"] == false {
                answer.body["errorMessage"] = json!("");
            }
        }),
        answered("refusals are called error", SEEN, REFUSED, |_, answer| {
            if answer.body["success"] == false {
                answer.body = json!({"success": false, "error": "Tidak bisa."});
            }
        }),
        answered("refusals are a page", SEEN, REFUSED, |_, answer| {
            if answer.body["success"] == false {
                (answer.content_type, answer.body) = ("text/html", json!("<h1>Bad Request</h1>"));
            }
        }),
    ]
}

fn texts() -> Vec<Defect> {
    const ALL: Names = &["text"];
    vec![
        asked(
            "numbers only as text",
            ALL,
            &["text.number-as-number"],
            |asked| refuse_if(asked.endpoint() == "sendwa" && asked.json["nohp"].is_u64()),
        ),
        asked(
            "a text with lines is refused",
            ALL,
            &["text.as-written"],
            |asked| {
                refuse_if(
                    asked.json["pesan"]
                        .as_str()
                        .is_some_and(|text| text.contains('\n')),
                )
            },
        ),
        asked("a text of 4096 at most", ALL, &["text.long"], |asked| {
            refuse_if(
                asked.json["pesan"]
                    .as_str()
                    .is_some_and(|text| text.len() > 4096),
            )
        }),
        asked(
            "an empty notifyurl is a bad one",
            ALL,
            &["text.no-notifyurl"],
            |asked| refuse_if(asked.json["notifyurl"] == ""),
        ),
        asked(
            "08 is taken for 62",
            ALL,
            &["text.national-number"],
            |asked| {
                let number = asked.json["nohp"].as_str().unwrap_or_default().to_owned();
                (number.starts_with('0') || number.starts_with('+'))
                    .then(|| taken(&json!("6282386000001"), "text"))
            },
        ),
        asked(
            "blanks and dashes are taken out",
            ALL,
            &["text.no-number"],
            |asked| {
                let number = asked.json["nohp"].as_str().unwrap_or_default().to_owned();
                (number.trim().contains([' ', '-'])).then(|| taken(&json!("6282386000001"), "text"))
            },
        ),
        asked(
            "a number that is no number is a 500",
            ALL,
            &["text.no-number"],
            |asked| {
                asked.json["nohp"].is_array().then(|| Answered {
                    status: 500,
                    ..Answered::refusal()
                })
            },
        ),
        asked(
            "who is not on WhatsApp is written to",
            ALL,
            &["text.not-on-whatsapp"],
            |asked| {
                (asked.json["nohp"] == super::NOBODY).then(|| taken(&asked.json["nohp"], "text"))
            },
        ),
        asked(
            "no duplicate rule",
            ALL,
            &["text.repeat", "text.repeat-at-once"],
            |asked| {
                // Another text to the gateway each time, as if it looked at none.
                if let Some(text) = asked.json["pesan"]
                    .as_str()
                    .filter(|text| text.contains("kali") || text.contains("Serentak"))
                {
                    asked.json["pesan"] = json!(format!("{text}{:x}", rand::random::<u64>()));
                }
                None
            },
        ),
        asked(
            "a duplicate rule that looks first and writes later",
            ALL,
            &["text.repeat-at-once"],
            |asked| {
                if let Some(text) = asked.json["pesan"]
                    .as_str()
                    .filter(|text| text.contains("Serentak"))
                {
                    asked.json["pesan"] = json!(format!("{text}{:x}", rand::random::<u64>()));
                }
                None
            },
        ),
        asked(
            "a duplicate rule that never forgets",
            ALL,
            &["text.repeat-later"],
            |asked| refuse_if(asked.repeated),
        ),
        asked(
            "a duplicate rule over all chats",
            ALL,
            &["text.repeat-elsewhere"],
            |asked| {
                refuse_if(
                    asked.endpoint() == "sendwatogroup"
                        && asked.json["pesan"]
                            .as_str()
                            .is_some_and(|text| text.starts_with("Ke mana")),
                )
            },
        ),
    ]
}

/// The file that the request names.
fn file(asked: &Asked) -> &str {
    let url = asked.json["mediaurl"].as_str().unwrap_or_default();
    url.rsplit('/').next().unwrap_or_default()
}

fn files() -> Vec<Defect> {
    const ALL: Names = &["media"];
    fn said(kind: &str, asked: &Asked, answer: &mut Answered, name: &str) {
        if file(asked) == name && answer.status == 200 {
            answer.body["message"]["type"] = json!(kind);
        }
    }
    vec![
        answered(
            "a PDF is a file",
            ALL,
            &["media.document", "media.no-caption", "media.largest"],
            |asked, answer| {
                said("file", asked, answer, "daftar.pdf");
                said("file", asked, answer, "pas.pdf");
            },
        ),
        answered(
            "every picture is a document",
            ALL,
            &["media.image", "media.repeat"],
            |asked, answer| said("document", asked, answer, "foto.jpg"),
        ),
        answered(
            "a PNG is a sticker",
            ALL,
            &["media.png"],
            |asked, answer| said("sticker", asked, answer, "gambar.png"),
        ),
        answered(
            "a song is a document",
            ALL,
            &["media.audio"],
            |asked, answer| said("document", asked, answer, "lagu.mp3"),
        ),
        answered("a voice is ptt", ALL, &["media.voice"], |asked, answer| {
            said("ptt", asked, answer, "suara.ogg");
        }),
        answered(
            "a film is a document",
            ALL,
            &["media.video"],
            |asked, answer| said("document", asked, answer, "film.mp4"),
        ),
        asked("a caption is needed", ALL, &["media.no-caption"], |asked| {
            refuse_if(
                asked.endpoint() == "sendmedia"
                    && file(asked) == "daftar.pdf"
                    && asked.json["pesan"].is_null(),
            )
        }),
        answered(
            "the kind is what the host calls it",
            ALL,
            &["media.kind-from-bytes"],
            |asked, answer| said("document", asked, answer, "tanpa-jenis"),
        ),
        answered(
            "the kind is the name's",
            ALL,
            &["media.false-kind"],
            |asked, answer| said("image", asked, answer, "bukan-gambar.jpg"),
        ),
        asked(
            "no redirect is followed",
            ALL,
            &["media.redirect"],
            |asked| refuse_if(file(asked) == "pindah"),
        ),
        asked("10 MB at most", ALL, &["media.largest"], |asked| {
            refuse_if(file(asked) == "pas.pdf")
        }),
        asked(
            "no cap",
            ALL,
            &["media.too-large", "media.too-large-unannounced"],
            |asked| {
                file(asked)
                    .starts_with("besar")
                    .then(|| taken(&asked.json["nohp"], "document"))
            },
        ),
        asked(
            "a cap on what is announced",
            ALL,
            &["media.too-large-unannounced"],
            |asked| {
                (file(asked) == "besar-tanpa-panjang.pdf")
                    .then(|| taken(&asked.json["nohp"], "document"))
            },
        ),
        asked(
            "no duplicate rule for files",
            ALL,
            &["media.repeat"],
            |asked| {
                let caption = asked.json["pesan"].as_str().unwrap_or_default();
                if caption.starts_with("Dua kali") {
                    asked.json["pesan"] = json!(format!("{caption}{:x}", rand::random::<u64>()));
                }
                None
            },
        ),
        asked(
            "the page of a 404 is sent",
            ALL,
            &["media.not-found"],
            |asked| {
                (file(asked) == "tidak-ada.jpg").then(|| taken(&asked.json["nohp"], "document"))
            },
        ),
        asked("an empty file is sent", ALL, &["media.empty"], |asked| {
            (file(asked) == "kosong.pdf").then(|| taken(&asked.json["nohp"], "document"))
        }),
        asked(
            "a host that is not there is a 500",
            ALL,
            &["media.unreachable"],
            |asked| {
                asked.json["mediaurl"]
                    .as_str()
                    .is_some_and(|url| url.contains(":1/"))
                    .then(|| Answered {
                        status: 500,
                        ..Answered::refusal()
                    })
            },
        ),
        asked(
            "accepted first, fetched later",
            ALL,
            &["media.unreachable", "media.inside"],
            |asked| {
                let url = asked.json["mediaurl"].as_str().unwrap_or_default();
                let elsewhere = ["127.0.0.1:1/", "169.254", "fd00", "10.0.0.1"];
                elsewhere
                    .iter()
                    .any(|host| url.contains(host))
                    .then(|| taken(&asked.json["nohp"], "image"))
            },
        ),
        asked(
            "a file of its own disk is sent",
            ALL,
            &["media.no-url"],
            |asked| {
                asked.json["mediaurl"]
                    .as_str()
                    .is_some_and(|url| url.starts_with("file:"))
                    .then(|| taken(&asked.json["nohp"], "document"))
            },
        ),
        asked(
            "a file for nobody is taken",
            ALL,
            &["media.requires"],
            |asked| {
                (asked.endpoint() == "sendmedia" && asked.json["nohp"].is_null())
                    .then(|| taken(&json!("6282386000001"), "image"))
            },
        ),
        asked(
            "a file for who is not on WhatsApp is taken",
            ALL,
            &["media.not-on-whatsapp"],
            |asked| {
                (asked.json["nohp"] == super::NOBODY).then(|| taken(&asked.json["nohp"], "image"))
            },
        ),
    ]
}

fn places() -> Vec<Defect> {
    const ALL: Names = &["location"];
    vec![
        asked(
            "coordinates only as numbers",
            ALL,
            &["location.sample", "location.no-caption", "location.repeat"],
            |asked| {
                refuse_if(
                    asked.json["latitude"]
                        .as_str()
                        .is_some_and(|text| text.parse::<f64>().is_ok()),
                )
            },
        ),
        asked(
            "coordinates only as text",
            ALL,
            &["location.as-numbers"],
            |asked| refuse_if(asked.json["latitude"].is_number()),
        ),
        asked(
            "a place needs a name",
            ALL,
            &["location.no-caption"],
            |asked| {
                refuse_if(asked.endpoint() == "sendlocation" && asked.json.get("pesan").is_none())
            },
        ),
        asked(
            "what is missing is zero",
            ALL,
            &["location.requires"],
            |asked| {
                (asked.endpoint() == "sendlocation" && asked.json.get("latitude").is_none())
                    .then(|| taken(&asked.json["nohp"], "chat"))
            },
        ),
        asked("beyond the globe", ALL, &["location.no-angle"], |asked| {
            (asked.json["latitude"] == "90.1").then(|| taken(&asked.json["nohp"], "chat"))
        }),
        asked("a comma is a point", ALL, &["location.no-angle"], |asked| {
            asked.json["latitude"]
                .as_str()
                .is_some_and(|text| text.contains(','))
                .then(|| taken(&asked.json["nohp"], "chat"))
        }),
        asked(
            "no duplicate rule for places",
            ALL,
            &["location.repeat"],
            |asked| {
                (asked.repeated && asked.endpoint() == "sendlocation")
                    .then(|| taken(&asked.json["nohp"], "chat"))
            },
        ),
        asked(
            "a place for who is not on WhatsApp is taken",
            ALL,
            &["location.not-on-whatsapp"],
            |asked| {
                (asked.json["nohp"] == super::NOBODY).then(|| taken(&asked.json["nohp"], "chat"))
            },
        ),
    ]
}

fn cards() -> Vec<Defect> {
    const ALL: Names = &["contact"];
    vec![
        answered(
            "a card is a contact",
            ALL,
            &[
                "contact.sample",
                "contact.on-sendlocation",
                "contact.capital",
                "contact.beside-text",
                "contact.as-text",
                "contact.one-number",
                "contact.hostile-name",
                "contact.repeat",
            ],
            |_, answer| {
                if answer.status == 200 && answer.body["message"].get("type").is_some() {
                    answer.body["message"]["type"] = json!("contact");
                }
            },
        ),
        asked(
            "a card only on its own path",
            &["contact", "group.contact"],
            &["contact.on-sendlocation", "group.contact-on-sendlocation"],
            |asked| {
                refuse_if(asked.endpoint() == "sendlocation" && asked.json.get("contact").is_some())
            },
        ),
        asked(
            "a text wins over a contact",
            ALL,
            &["contact.beside-text"],
            |asked| {
                if asked.endpoint() == "sendwa" && asked.json["pesan"].is_string() {
                    asked.json.as_object_mut().unwrap().remove("contact");
                }
                None
            },
        ),
        asked("Contact is unknown", ALL, &["contact.capital"], |asked| {
            refuse_if(asked.json.get("Contact").is_some())
        }),
        asked("no JSON in JSON", ALL, &["contact.as-text"], |asked| {
            refuse_if(
                asked.json["contact"]
                    .as_str()
                    .is_some_and(|text| text.starts_with('{')),
            )
        }),
        asked(
            "numbers only as a list",
            ALL,
            &["contact.one-number"],
            |asked| refuse_if(asked.json["contact"]["numbers"].is_string()),
        ),
        asked(
            "a name of letters only",
            ALL,
            &["contact.hostile-name"],
            |asked| {
                refuse_if(
                    asked.json["contact"]["name"]
                        .as_str()
                        .is_some_and(|name| name.contains(';')),
                )
            },
        ),
        asked("no card needed", ALL, &["contact.requires"], |asked| {
            (asked.endpoint() == "sendcontact" && asked.json["contact"] == "")
                .then(|| taken(&asked.json["nohp"], "vcard"))
        }),
        asked(
            "a card without numbers",
            ALL,
            &["contact.incomplete"],
            |asked| {
                (asked.json["contact"]["numbers"] == json!([]))
                    .then(|| taken(&asked.json["nohp"], "vcard"))
            },
        ),
        asked(
            "no duplicate rule for cards",
            ALL,
            &["contact.repeat"],
            |asked| {
                (asked.repeated && asked.endpoint() == "sendcontact")
                    .then(|| taken(&asked.json["nohp"], "vcard"))
            },
        ),
        asked(
            "a card for who is not on WhatsApp is taken",
            ALL,
            &["contact.not-on-whatsapp"],
            |asked| {
                (asked.json["nohp"] == super::NOBODY).then(|| taken(&asked.json["nohp"], "vcard"))
            },
        ),
    ]
}

fn groups() -> Vec<Defect> {
    const ALL: Names = &["group"];
    vec![
        answered(
            "a text to a group is text",
            ALL,
            &["group.text", "group.address", "group.both", "group.repeat"],
            |asked, answer| {
                if asked.endpoint() == "sendwatogroup" && answer.status == 200 {
                    answer.body["message"]["type"] = json!("text");
                }
            },
        ),
        asked(
            "a group's address is no id",
            ALL,
            &["group.address"],
            |asked| {
                refuse_if(
                    asked.json["groupid"]
                        .as_str()
                        .is_some_and(|id| id.ends_with("@g.us")),
                )
            },
        ),
        asked("no files to groups", ALL, &["group.media"], |asked| {
            refuse_if(asked.endpoint() == "sendmediatogroup")
        }),
        asked(
            "no cap for groups",
            ALL,
            &["group.media-too-large"],
            |asked| (file(asked) == "besar.pdf").then(|| taken(&asked.json["groupid"], "document")),
        ),
        asked("no places to groups", ALL, &["group.location"], |asked| {
            refuse_if(asked.endpoint() == "sendlocationtogroup")
        }),
        asked(
            "no path for cards to groups",
            ALL,
            &["group.contact"],
            |asked| refuse_if(asked.endpoint() == "sendcontacttogroup"),
        ),
        asked(
            "sendcontact is for persons",
            ALL,
            &["group.contact-on-sendcontact"],
            |asked| {
                refuse_if(asked.endpoint() == "sendcontact" && asked.json["groupid"].is_string())
            },
        ),
        asked("groupid always wins", ALL, &["group.both"], |asked| {
            if asked.json["groupid"].is_string() && asked.json["nohp"].is_string() {
                asked.json.as_object_mut().unwrap().remove("nohp");
            }
            None
        }),
        asked(
            "a place without a longitude to a group",
            ALL,
            &["group.requires"],
            |asked| {
                (asked.endpoint() == "sendlocationtogroup" && asked.json["longitude"].is_null())
                    .then(|| taken(&asked.json["groupid"], "chat"))
            },
        ),
        asked("every group is taken", ALL, &["group.invalid"], |asked| {
            (asked.json["groupid"] == "120363999999999999")
                .then(|| taken(&asked.json["groupid"], "chat"))
        }),
        asked(
            "no duplicate rule for groups",
            ALL,
            &["group.repeat"],
            |asked| {
                (asked.repeated && asked.endpoint() == "sendwatogroup")
                    .then(|| taken(&asked.json["groupid"], "chat"))
            },
        ),
        answered(
            "a group's id with its host",
            ALL,
            &["groups.list"],
            |asked, answer| {
                if asked.endpoint() == "groups" {
                    answer.body["message"][0]["groupid"] = json!("120363000000000001@g.us");
                }
            },
        ),
        answered(
            "when somebody wrote as a date",
            ALL,
            &["groups.list"],
            |asked, answer| {
                if asked.endpoint() == "groups" {
                    answer.body["message"][0]["grouplastchat"] = json!("2023-03-15");
                }
            },
        ),
        answered(
            "no group where nobody wrote",
            ALL,
            &["groups.list"],
            |asked, answer| {
                if asked.endpoint() == "groups" {
                    answer.body["message"] = json!([]);
                }
            },
        ),
    ]
}

fn bots() -> Vec<Defect> {
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
                    *answer = Answered::refusal();
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
                    *answer = Answered::success(json!(false));
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
                    *answer = Answered::success(json!(false));
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
                    *answer = Answered::success(json!([]));
                }
            },
        ),
    ]
}

fn callbacks() -> Vec<Defect> {
    const PERSON: Names = &["callback.text", "callback.media", "callback.contact"];
    const ONE: Names = &["callback.text"];
    vec![
        told("lost", &["callback.text"], ONE, |_| Vec::new()),
        told("a form", PERSON, PERSON, |told| {
            vec![Told {
                content_type: "application/x-www-form-urlencoded",
                body: format!("msgid={}&ack={}", told["msgid"], told["ack"]),
                ..Told::as_it_is(told)
            }]
        }),
        told("a GET", ONE, ONE, |told| {
            vec![Told {
                method: Method::GET,
                ..Told::as_it_is(told)
            }]
        }),
        told("in pieces", ONE, ONE, |told| {
            vec![Told {
                chunked: true,
                ..Told::as_it_is(told)
            }]
        }),
        told("called text", ONE, ONE, |told| {
            vec![Told {
                content_type: "text/plain",
                ..Told::as_it_is(told)
            }]
        }),
        told("a third field", ONE, ONE, |told| {
            let mut more = told.clone();
            more["from"] = json!("6281200000001");
            vec![Told::as_it_is(&more)]
        }),
        told("ack as text", ONE, ONE, |told| {
            let mut text = told.clone();
            text["ack"] = json!(told["ack"].to_string());
            vec![Told::as_it_is(&text)]
        }),
        told("another id", ONE, ONE, |told| {
            let mut other = told.clone();
            other["msgid"] = json!("3EB000000000000000AB");
            vec![Told::as_it_is(&other)]
        }),
        told(
            "back from read to sent",
            &["callback.order"],
            &["callback.order"],
            |told| {
                let mut read = told.clone();
                read["ack"] = json!(3);
                vec![Told::as_it_is(&read), Told::as_it_is(told)]
            },
        ),
        told("an ack that there is not", ONE, ONE, |told| {
            let mut played = told.clone();
            played["ack"] = json!(4);
            vec![Told::as_it_is(&played)]
        }),
        told(
            "a group's members are told of",
            &["callback.group"],
            &["callback.group"],
            |told| {
                let mut delivered = told.clone();
                delivered["ack"] = json!(2);
                vec![Told::as_it_is(told), Told::as_it_is(&delivered)]
            },
        ),
        defect(
            "told once, whatever it answers",
            &["callback.again"],
            &["callback.again"],
            Spoils::Lost(|told| vec![Told::as_it_is(told)]),
        ),
    ]
}
