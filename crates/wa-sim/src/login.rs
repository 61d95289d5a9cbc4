//! Decides about a login: an unpaired client, a companion with the key of its link, or a refusal.

use std::sync::Arc;

use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;
use waproto::whatsapp as wa;

use crate::handshake::Pattern;
use crate::world::World;
use crate::world::account::Account;
use crate::world::companion::Companion;
use crate::world::event::SimEvent;

/// The permitted action of a client after the handshake.
pub(crate) enum Admission {
    /// The client can be linked.
    Pair,
    /// The client acts as this companion.
    Login(Arc<Account>, Arc<Companion>),
    /// The client is refused with this `<failure>`. The name is the device in the login.
    Refused(String, Node),
}

/// Decides by the payload in the handshake.
///
/// A registration payload has no username. User 0 has the same meaning. Reason: a client that pins
/// the server's key must use the IK handshake, and the library uses IK only for a device with a
/// number. An unlinked device therefore uses the number 0.
pub(crate) fn admit(
    world: &World,
    client_key: &[u8; 32],
    payload: &wa::ClientPayload,
    pattern: Pattern,
) -> Admission {
    let Some(user) = payload.username.filter(|user| *user != 0) else {
        return Admission::Pair;
    };
    let number = user.to_string();
    let device = payload
        .device
        .and_then(|device| u16::try_from(device).ok())
        .unwrap_or_default();
    let refuse = |reason: u16, extra: &[(&'static str, u64)]| {
        world.emit(|| SimEvent::LoginRefused {
            device: format!("{number}:{device}"),
            reason,
        });
        let failure = NodeBuilder::new("failure")
            .attr("reason", reason)
            .attr("location", "sim");
        let failure = extra
            .iter()
            .fold(failure, |node, (key, value)| node.attr(key, *value));
        Admission::Refused(format!("{number}:{device}"), failure.build())
    };
    if world.faults.outdated() {
        return refuse(405, &[]);
    }
    if let Some(ban) = world.faults.ban_of(&number) {
        return refuse(402, &[("code", ban.code.into()), ("expire", ban.expire_s)]);
    }
    let Some(account) = world.account_by_number(&number) else {
        return refuse(401, &[]);
    };
    match account.companion(device) {
        Some(companion) if companion.fixed.noise_key == *client_key => {
            world.emit(|| SimEvent::LoggedIn {
                device: companion.name.clone(),
                handshake: pattern,
            });
            Admission::Login(account, companion)
        }
        _ => refuse(401, &[]),
    }
}
