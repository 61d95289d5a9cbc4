//! Sample data for every kind of event, and access to the stored events.

use std::time::{Duration, UNIX_EPOCH};

use serde_json::Value;
use sqlx::{Connection, Row};
use url::Url;
use waviro::store::{EventKind, Kinds, NewSubscription, SubscriptionRow};
use waviro_link::{
    Call, Card, Chat, GroupChange, GroupEvent, Inbound, InboundKind, InboundMedia,
    InboundMediaKind, Location, Sender,
};

use super::{BUDI, GROUP};
use crate::engine::{OWN, TestEngine, number};
use crate::webhooks::fixtures::{in_group, inbound};

/// Subscribes to everything except the link's states, because the first state comes with the start
/// of the bot. Returns the id.
pub async fn subscribe(gateway: &TestEngine, url: &Url) -> i64 {
    let kinds = EventKind::ALL.map(EventKind::word);
    let kinds: Vec<_> = kinds
        .into_iter()
        .filter(|kind| *kind != "bot.state")
        .collect();
    subscribe_to(gateway, url, &kinds).await
}

/// Subscribes to these kinds and returns the id.
pub async fn subscribe_to(gateway: &TestEngine, url: &Url, kinds: &[&str]) -> i64 {
    let new = NewSubscription {
        url: url.clone(),
        kinds: Kinds::of(kinds.iter().copied()).unwrap(),
        enabled: true,
        timeout_s: None,
    };
    let store = &gateway.engine.store;
    let added = store.add_subscription(gateway.bot.id(), new, gateway.clock.now());
    added.await.unwrap().unwrap().id
}

pub async fn subscription(gateway: &TestEngine, id: i64) -> SubscriptionRow {
    let row = gateway
        .engine
        .store
        .subscription(gateway.bot.id(), id)
        .await;
    row.unwrap().unwrap()
}

/// Returns the stored events whose type begins with `kind`, in order and without signatures.
pub async fn told(gateway: &TestEngine, kind: &str) -> Vec<Value> {
    let rows = gateway
        .engine
        .store
        .events_after(0, None, 1000)
        .await
        .unwrap();
    let rows = rows.into_iter().filter(|row| row.kind.starts_with(kind));
    rows.map(|row| {
        let mut event = serde_json::from_str(&row.body).unwrap();
        without_signature(&mut event);
        event
    })
    .collect()
}

/// Replaces the signature of the link, because each installation has another secret.
pub fn without_signature(event: &mut Value) {
    if let Some(Value::String(url)) = event.pointer_mut("/data/media/url") {
        let (kept, signature) = url.split_once("&signature=").unwrap();
        assert_eq!(signature.len(), 64);
        *url = format!("{kept}&signature=…");
    }
}

/// Returns the outcome of every delivery, oldest first; empty for an unfinished delivery.
pub async fn every_delivery(gateway: &TestEngine) -> Vec<String> {
    let mut connection = sqlx::AnyConnection::connect(&gateway.url()).await.unwrap();
    let rows = sqlx::query("SELECT COALESCE(fate, '') FROM deliveries ORDER BY id")
        .fetch_all(&mut connection)
        .await
        .unwrap();
    rows.iter().map(|row| row.get(0)).collect()
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
