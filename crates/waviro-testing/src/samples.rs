//! Sample data: numbers, inbound messages of every kind, calls and group changes.

use std::time::{Duration, UNIX_EPOCH};

use waviro_link::{
    Call, Card, Chat, Group, GroupChange, GroupEvent, Inbound, InboundKind, InboundMedia,
    InboundMediaKind, Location, Number, Sender,
};
use waviro_store::clock::Millis;

/// The start time of the manual clock: 2026-01-01.
pub const START: Millis = 1_767_225_600_000;

/// The bot's own number.
pub const OWN: &str = "6281200000001";

/// A customer's number.
pub const BUDI: &str = "6281300000001";

/// The id of a group.
pub const GROUP: &str = "120363000000000001";

/// Parses a phone number.
pub fn number(digits: &str) -> Number {
    digits.parse().unwrap()
}

/// Returns a text from a person.
pub fn inbound(id: &str, from: &str, text: &str) -> Inbound {
    Inbound {
        id: id.parse().unwrap(),
        chat: Chat::Person(number(from)),
        sender: Sender::Number(number(from)),
        alias: None,
        push_name: "Budi".to_owned(),
        at: std::time::UNIX_EPOCH,
        from_me: false,
        quoted: None,
        kind: InboundKind::Text(text.to_owned()),
    }
}

pub fn in_group(group: &str, id: &str, from: &str, text: &str) -> Inbound {
    Inbound {
        chat: Chat::Group(group.parse().unwrap()),
        ..inbound(id, from, text)
    }
}

pub fn picture(id: &str) -> Inbound {
    file(id, InboundMediaKind::Image, "image/jpeg")
}

fn file(id: &str, kind: InboundMediaKind, mime: &str) -> Inbound {
    of(
        id,
        InboundKind::Media(Box::new(InboundMedia {
            kind,
            mime: mime.to_owned(),
            size: 5,
            file_name: None,
            caption: None,
            seconds: None,
            voice: false,
            handle: format!("handle of {id}").parse().unwrap(),
        })),
    )
}

fn of(id: &str, kind: InboundKind) -> Inbound {
    Inbound {
        kind,
        at: UNIX_EPOCH + Duration::from_secs(1_767_225_590),
        ..inbound(id, BUDI, "")
    }
}

/// Returns a message of each kind, and of each kind of chat and sender.
pub fn each_kind() -> Vec<Inbound> {
    let text = |text: &str| InboundKind::Text(text.to_owned());
    let first = || "A1".parse().unwrap();
    let mut quoting = of("A2", text("\"kutipan\" \u{1F600}\n\u{0}"));
    quoting.quoted = Some(first());
    let mut own = of("A3", text("dari ponsel sendiri"));
    own.from_me = true;
    own.sender = Sender::Number(number(OWN));
    let mut hidden = of("A4", text("tersembunyi"));
    hidden.sender = Sender::Hidden("99887766".to_owned());
    hidden.chat = Chat::Hidden("99887766".to_owned());
    let mut captioned = picture("A6");
    let mut voice = file("A7", InboundMediaKind::Audio, "audio/ogg; codecs=opus");
    let mut document = file("A8", InboundMediaKind::Document, "application/pdf");
    for (message, change) in [(&mut captioned, 0), (&mut voice, 1), (&mut document, 2)] {
        let InboundKind::Media(about) = &mut message.kind else {
            unreachable!();
        };
        match change {
            0 => about.caption = Some("lihat".to_owned()),
            1 => (about.seconds, about.voice) = (Some(7), true),
            _ => about.file_name = Some("faktur.pdf".to_owned()),
        }
    }
    let place = InboundKind::Location(Location {
        latitude: -6.2,
        longitude: 106.8,
        name: Some("Monas".to_owned()),
    });
    let cards = InboundKind::Contacts(vec![Card {
        name: "Ani".to_owned(),
        vcard: "BEGIN:VCARD\nEND:VCARD".to_owned(),
    }]);
    vec![
        of("A1", text("halo")),
        quoting,
        own,
        hidden,
        in_group(GROUP, "A5", BUDI, "di grup"),
        captioned,
        voice,
        document,
        of("A9", place),
        of("B1", cards),
        of("B2", InboundKind::Other("poll".to_owned())),
        of(
            "B3",
            InboundKind::Edited {
                of: first(),
                text: "halo!".to_owned(),
            },
        ),
        of(
            "B4",
            InboundKind::Reaction {
                to: first(),
                emoji: "👍".to_owned(),
            },
        ),
        of(
            "B5",
            InboundKind::Reaction {
                to: first(),
                emoji: String::new(),
            },
        ),
        of(
            "B6",
            InboundKind::Deleted {
                of: first(),
                by_admin: false,
            },
        ),
    ]
}

pub fn call(id: &str, group: Option<&str>) -> Call {
    Call {
        id: id.to_owned(),
        from: Sender::Number(number(BUDI)),
        at: UNIX_EPOCH + Duration::from_secs(1_767_225_590),
        video: group.is_some(),
        group: group.map(|group| group.parse().unwrap()),
    }
}

pub fn each_group_change() -> Vec<GroupChange> {
    let people = || {
        vec![
            Sender::Number(number(BUDI)),
            Sender::Hidden("99887766".to_owned()),
        ]
    };
    let events = [
        GroupEvent::Joined { people: people() },
        GroupEvent::Left { people: people() },
        GroupEvent::Promoted { people: people() },
        GroupEvent::Demoted { people: people() },
        GroupEvent::Subject("Pelanggan \"baru\"".to_owned()),
        GroupEvent::Description,
        GroupEvent::Settings("announcement".to_owned()),
        GroupEvent::Other("delete".to_owned()),
    ];
    let changes = events.into_iter().enumerate().map(|(n, what)| GroupChange {
        group: GROUP.parse().unwrap(),
        at: UNIX_EPOCH + Duration::from_secs(1_767_225_590),
        by: (n > 0).then(|| Sender::Number(number(BUDI))),
        what,
    });
    changes.collect()
}

/// Returns a group created before the start of every test's clock.
pub fn group(id: &str, name: &str) -> Group {
    Group {
        id: id.parse().unwrap(),
        name: name.to_owned(),
        created: Some(UNIX_EPOCH + Duration::from_secs(1_678_845_730)),
    }
}
