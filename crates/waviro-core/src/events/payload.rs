//! Builds the events of a bot from the reports of WhatsApp.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use waviro_link::{
    Call, Card, Chat, GroupChange, GroupEvent, Inbound, InboundKind, Location, Sender, Status,
};
use waviro_store::clock::{Millis, millis, rfc3339};
use waviro_store::{
    Audience, Detail, EventKind, FileDetail, NewEvent, address, event_id, media_id,
};

use crate::files::{Files, SignedLink};

/// The first fields of every message event.
#[derive(Serialize)]
struct Head<'a> {
    id: &'a str,
    chat: ChatView,
    sender: Person<'a>,
    from_me: bool,
    sent_at: String,
}

#[derive(Serialize)]
struct ChatView {
    id: String,
    group: bool,
}

/// A person, by the known names.
#[derive(Serialize)]
struct Person<'a> {
    number: Option<&'a str>,
    contact: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
}

#[derive(Serialize)]
struct Received<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    quoted: Option<&'a str>,
    kind: &'a str,
    text: Option<&'a str>,
    media: Option<File>,
    location: Option<Location>,
    contacts: Option<Vec<Card>>,
}

#[derive(Serialize)]
struct File {
    #[serde(flatten)]
    about: FileDetail,
    url: String,
    expires_at: String,
}

/// An event about an earlier message: edited, deleted, or reacted to.
#[derive(Serialize)]
struct Later<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    of: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    emoji: Option<String>,
}

#[derive(Serialize)]
struct State<'a> {
    state: &'a str,
    cause: Option<&'a str>,
}

#[derive(Serialize)]
struct Changed<'a> {
    group: String,
    change: &'a str,
    by: Option<Person<'a>>,
    at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    people: Option<Vec<Person<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    word: Option<&'a str>,
}

#[derive(Serialize)]
struct Called<'a> {
    id: &'a str,
    from: Person<'a>,
    at: String,
    video: bool,
    group: Option<String>,
}

/// Returns whether the event of a message contains a link to a file.
pub(super) fn has_link(inbound: &Inbound) -> bool {
    matches!(inbound.kind, InboundKind::Media(_))
}

/// Returns the event for a message; `None` if no subscriber wants the event.
pub(super) fn of_message(
    audience: &Arc<Audience>,
    inbound: &Inbound,
    files: &Files,
    now: Millis,
) -> Option<NewEvent> {
    let kind = match inbound.kind {
        InboundKind::Edited { .. } => EventKind::MessageEdited,
        InboundKind::Deleted { .. } => EventKind::MessageDeleted,
        InboundKind::Reaction { .. } => EventKind::MessageReaction,
        InboundKind::Text(_)
        | InboundKind::Media(_)
        | InboundKind::Location(_)
        | InboundKind::Contacts(_)
        | InboundKind::Structured { .. }
        | InboundKind::Other(_) => EventKind::MessageReceived,
    };
    if !audience.wants(kind) {
        return None;
    }
    let (chat, sender, id) = (
        inbound.chat.address(),
        address(&inbound.sender),
        inbound.id.as_str(),
    );
    let head = Head {
        id,
        chat: ChatView {
            id: chat.clone(),
            group: inbound.chat.is_group(),
        },
        sender: Person {
            name: Some(&inbound.push_name),
            ..Person::of(&inbound.sender)
        },
        from_me: inbound.from_me,
        sent_at: moment(inbound.at),
    };
    let bot_id = audience.bot_id();
    let detail = Detail::of(&inbound.kind);
    let event_id = event_id(&[kind.word(), &bot_id.to_string(), &chat, &sender, id]);
    let (subject, data) = if let Some(of) = detail.of {
        let later = Later {
            head,
            of: of.clone(),
            text: detail.text,
            emoji: detail.emoji,
        };
        (of, json(&later))
    } else {
        let file = |about| {
            let SignedLink { url, expires_at } =
                files.link(&media_id(bot_id, &chat, &sender, id), now);
            File {
                about,
                url,
                expires_at: rfc3339(expires_at),
            }
        };
        let received = Received {
            head,
            quoted: inbound.quoted.as_ref().map(waviro_link::MessageId::as_str),
            kind: inbound.kind.word(),
            text: inbound.kind.text(),
            media: detail.media.map(file),
            location: detail.location,
            contacts: detail.contacts,
        };
        (id.to_owned(), json(&received))
    };
    Some(NewEvent {
        audience: Arc::clone(audience),
        kind,
        // Senders choose message ids, so the chat is part of the line: a sender must not affect
        // another chat's line.
        line: format!("{chat}:{subject}"),
        subject,
        id: event_id,
        data,
    })
}

/// Returns the event for the current state of a link.
pub(super) fn of_state(audience: &Arc<Audience>, status: &Status, now: Millis) -> NewEvent {
    let kind = EventKind::BotState;
    let cause = status.cause();
    let state = State {
        state: status.word(),
        cause: cause.as_deref(),
    };
    let bot_id = audience.bot_id().to_string();
    NewEvent {
        audience: Arc::clone(audience),
        kind,
        subject: kind.word().to_owned(),
        line: kind.word().to_owned(),
        id: event_id(&[kind.word(), &bot_id, status.word(), &now.to_string()]),
        data: json(&state),
    }
}

/// Returns the event for a change of a group.
pub(super) fn of_group(audience: &Arc<Audience>, change: &GroupChange) -> NewEvent {
    let kind = EventKind::GroupChanged;
    let group = Chat::Group(change.group.clone()).address();
    let (people, subject, word) = match &change.what {
        GroupEvent::Joined { people }
        | GroupEvent::Left { people }
        | GroupEvent::Promoted { people }
        | GroupEvent::Demoted { people } => (Some(people), None, None),
        GroupEvent::Subject(subject) => (None, Some(subject), None),
        GroupEvent::Settings(word) | GroupEvent::Other(word) => (None, None, Some(word)),
        GroupEvent::Description => (None, None, None),
    };
    let changed = Changed {
        group: group.clone(),
        change: match change.what {
            GroupEvent::Joined { .. } => "joined",
            GroupEvent::Left { .. } => "left",
            GroupEvent::Promoted { .. } => "promoted",
            GroupEvent::Demoted { .. } => "demoted",
            GroupEvent::Subject(_) => "subject",
            GroupEvent::Description => "description",
            GroupEvent::Settings(_) => "settings",
            GroupEvent::Other(_) => "other",
        },
        by: change.by.as_ref().map(Person::of),
        at: moment(change.at),
        people: people.map(|people| people.iter().map(Person::of).collect()),
        subject: subject.map(String::as_str),
        word: word.map(String::as_str),
    };
    let data = json(&changed);
    let bot_id = audience.bot_id().to_string();
    NewEvent {
        audience: Arc::clone(audience),
        kind,
        line: group.clone(),
        id: event_id(&[kind.word(), &bot_id, &data]),
        subject: group,
        data,
    }
}

/// Returns the event for an incoming call.
pub(super) fn of_call(audience: &Arc<Audience>, call: &Call) -> NewEvent {
    let kind = EventKind::CallReceived;
    let called = Called {
        id: &call.id,
        from: Person::of(&call.from),
        at: moment(call.at),
        video: call.video,
        group: call
            .group
            .as_ref()
            .map(|group| Chat::Group(group.clone()).address()),
    };
    let bot_id = audience.bot_id().to_string();
    NewEvent {
        audience: Arc::clone(audience),
        kind,
        subject: call.id.clone(),
        line: call.id.clone(),
        id: event_id(&[kind.word(), &bot_id, &address(&call.from), &call.id]),
        data: json(&called),
    }
}

impl<'a> Person<'a> {
    fn of(sender: &'a Sender) -> Self {
        Self {
            number: match sender {
                Sender::Number(number) => Some(number.as_str()),
                Sender::Hidden(_) => None,
            },
            contact: address(sender),
            name: None,
        }
    }
}

fn moment(at: SystemTime) -> String {
    rfc3339(at.duration_since(UNIX_EPOCH).map_or(0, millis))
}

/// Serializing texts and numbers cannot fail.
fn json(data: &impl Serialize) -> String {
    serde_json::to_string(data).unwrap_or_default()
}
