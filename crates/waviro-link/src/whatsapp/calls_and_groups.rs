//! Reports calls and group changes. WhatsApp sends each of them once and does not wait for the
//! gateway.
//!
//! The sender may need a lookup, and an event handler cannot wait for a lookup. Therefore each
//! device has a queue. The queue keeps the order of the library's events. The order on the wire can
//! differ slightly, because the library processes notifications in parallel.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::mpsc;
use whatsapp_rust::types::events::GroupUpdate;
use whatsapp_rust::wacore::stanza::groups::{
    GroupNotificationAction as Action, GroupParticipantInfo,
};
use whatsapp_rust::wacore::types::call::{CallAction, IncomingCall, MissedCall, MissedReason};
use whatsapp_rust::wacore_binary::JidExt as _;
use whatsapp_rust::{Client, Jid};

use super::identity::{is_own, sender};
use super::task;
use crate::{Call, GroupChange, GroupEvent, Listener, Sender};

/// The number of remembered calls. Each call is reported once, although WhatsApp may repeat an
/// offer, and offers a group call in two forms.
const CALLS: usize = 64;

/// The sending end of the queue.
pub(super) type EventQueue = mpsc::UnboundedSender<(Arc<Client>, QueuedEvent)>;

/// An event in the queue.
pub(super) enum QueuedEvent {
    Call(Ring),
    Group(Box<GroupUpdate>),
}

/// The common data of a ringing call and a missed call.
pub(super) struct Ring {
    id: String,
    caller: Jid,
    caller_number: Option<Jid>,
    at: SystemTime,
    video: bool,
    group: Option<Jid>,
}

/// Creates the queue and its task. The task ends with the device.
pub(super) fn start(listener: Arc<dyn Listener>) -> EventQueue {
    let (queue, mut waiting) = mpsc::unbounded_channel::<(Arc<Client>, QueuedEvent)>();
    task::spawn(async move {
        let mut calls = VecDeque::with_capacity(CALLS);
        while let Some((client, item)) = waiting.recv().await {
            match item {
                QueuedEvent::Call(ring) => {
                    if is_own(&client, &ring.caller) || !first(&mut calls, &ring.id) {
                        continue;
                    }
                    listener.call(call(&client, ring).await).await;
                }
                QueuedEvent::Group(update) => {
                    if let Some(change) = change(&client, &update).await {
                        listener.group_changed(change).await;
                    }
                }
            }
        }
    });
    queue
}

/// Returns true if the call has not been reported yet.
fn first(calls: &mut VecDeque<String>, id: &str) -> bool {
    if calls.iter().any(|known| known == id) {
        return false;
    }
    if calls.len() == CALLS {
        calls.pop_front();
    }
    calls.push_back(id.to_owned());
    true
}

/// Returns the call for an offer; `None` for later events of a call.
pub(super) fn offered(incoming: &IncomingCall) -> Option<Ring> {
    let (caller_number, video, group) = match &incoming.action {
        CallAction::Offer {
            caller_pn,
            is_video,
            group_jid,
            ..
        } => (caller_pn.clone(), *is_video, group_jid.clone()),
        CallAction::OfferNotice { is_video, .. } => (None, *is_video, None),
        _ => return None,
    };
    let from_group = || incoming.from.is_group().then(|| incoming.from.clone());
    Some(Ring {
        id: incoming.action.call_id().to_owned(),
        caller: incoming.action.call_creator().clone(),
        caller_number,
        at: SystemTime::from(incoming.timestamp),
        video,
        group: group.or_else(from_group),
    })
}

/// Returns the call if it rang while the device was offline. Other missed calls were reported while
/// they rang.
pub(super) fn missed(missed: &MissedCall) -> Option<Ring> {
    matches!(missed.reason, MissedReason::Offline).then(|| Ring {
        id: missed.call_id.clone(),
        caller: missed.from.clone(),
        caller_number: None,
        at: SystemTime::from(missed.timestamp),
        video: false,
        group: None,
    })
}

async fn call(client: &Client, ring: Ring) -> Call {
    Call {
        from: sender(client, &ring.caller, ring.caller_number.as_ref()).await,
        id: ring.id,
        at: ring.at,
        video: ring.video,
        group: ring.group.and_then(|group| group.user.parse().ok()),
    }
}

/// Returns true if the change affects the bot's own list of groups. In busy groups other members
/// come and go all day.
pub(super) fn concerns_us(client: Option<&Client>, action: &Action) -> bool {
    let about_us = |people: &[GroupParticipantInfo]| {
        people.iter().any(|person| {
            let names = [Some(&person.jid), person.phone_number.as_ref()];
            let mut names = names.into_iter().flatten();
            client.is_none_or(|client| names.any(|name| is_own(client, name)))
        })
    };
    match action {
        Action::Add { participants, .. } | Action::Remove { participants, .. } => {
            about_us(participants)
        }
        Action::Promote { .. }
        | Action::Demote { .. }
        | Action::Modify { .. }
        | Action::Description { .. }
        | Action::Locked { .. }
        | Action::Unlocked
        | Action::Announce
        | Action::NotAnnounce
        | Action::Ephemeral { .. } => false,
        _ => true,
    }
}

async fn change(client: &Client, update: &GroupUpdate) -> Option<GroupChange> {
    let by = match &update.participant {
        Some(by) => Some(sender(client, by, update.participant_pn.as_ref()).await),
        None => None,
    };
    Some(GroupChange {
        group: update.group_jid.user.parse().ok()?,
        at: SystemTime::from(update.timestamp),
        what: what(client, &update.action, by.as_ref()).await,
        by,
    })
}

async fn what(client: &Client, action: &Action, by: Option<&Sender>) -> GroupEvent {
    match action {
        Action::Add { participants, .. } => GroupEvent::Joined {
            people: people(client, participants).await,
        },
        Action::Remove { participants, .. } => GroupEvent::Left {
            people: people(client, participants).await,
        },
        Action::Promote { participants } => GroupEvent::Promoted {
            people: people(client, participants).await,
        },
        Action::Demote { participants } => GroupEvent::Demoted {
            people: people(client, participants).await,
        },
        // A person that joins by a link is also the author of the change.
        Action::Invite { .. } => GroupEvent::Joined {
            people: by.cloned().into_iter().collect(),
        },
        // If the bot is added to a group, WhatsApp sends the description of the whole group without
        // the new members.
        Action::Create { .. } => GroupEvent::Joined {
            people: match client.pn() {
                Some(own) => vec![sender(client, &own, None).await],
                None => Vec::new(),
            },
        },
        Action::Subject { subject, .. } => GroupEvent::Subject(subject.clone()),
        Action::Description { .. } => GroupEvent::Description,
        // The action has two tags, see `GroupNotificationAction::Ephemeral`.
        Action::Ephemeral { expiration: 0, .. } => GroupEvent::Settings("not_ephemeral".to_owned()),
        Action::Locked { .. }
        | Action::Unlocked
        | Action::Announce
        | Action::NotAnnounce
        | Action::Ephemeral { .. }
        | Action::MembershipApprovalMode { .. }
        | Action::MemberAddMode { .. }
        | Action::NoFrequentlyForwarded
        | Action::FrequentlyForwardedOk
        | Action::LimitSharingEnabled { .. } => GroupEvent::Settings(action.wire_tag().to_owned()),
        other => GroupEvent::Other(other.wire_tag().to_owned()),
    }
}

async fn people(client: &Client, participants: &[GroupParticipantInfo]) -> Vec<Sender> {
    let mut people = Vec::with_capacity(participants.len());
    for person in participants {
        people.push(sender(client, &person.jid, person.phone_number.as_ref()).await);
    }
    people
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_call_is_reported_once() {
        let mut calls = VecDeque::new();
        assert!(first(&mut calls, "A"));
        assert!(!first(&mut calls, "A"));
        for n in 0..CALLS {
            assert!(first(&mut calls, &n.to_string()));
        }
        assert_eq!(calls.len(), CALLS);
        assert!(first(&mut calls, "A"), "the oldest call is removed");
    }
}
