//! The receipts that a phone sends: delivered, read and retry.

use std::sync::Arc;

use wacore_binary::builder::NodeBuilder;

use crate::stanza::keys;
use crate::world::World;
use crate::world::account::Account;
use crate::world::delivery::{Origin, RetryState};
use crate::world::event::SimEvent;
use crate::world::offline::Class;

/// The retry count from which a phone includes new keys. At a lower count, the sender tries the
/// existing session once more. WhatsApp Web uses the same limit, see `MIN_RETRY_COUNT_FOR_KEYS`
/// in wacore.
const KEYS_FROM: u8 = 2;

/// Returns the type and participant of a receipt. Together they distinguish the receipts of one
/// message id.
pub(crate) fn detail(kind: &str, participant: &str) -> String {
    format!("{kind} {participant}")
}

/// Sends a phone's receipt to the device that sent the message. `kind` is empty for "delivered".
pub(crate) fn from_phone(
    world: &Arc<World>,
    account: &Arc<Account>,
    origin: &Origin,
    id: &str,
    kind: &'static str,
) {
    let receipt = NodeBuilder::new("receipt")
        .attr("id", id)
        .attr("t", world.now());
    let receipt = if kind.is_empty() {
        receipt
    } else {
        receipt.attr("type", kind)
    };
    give(world, account, origin, id, kind, receipt);
}

/// Sends a retry receipt from a phone: a request to resend a message.
pub(crate) fn retry_from_phone(
    world: &Arc<World>,
    account: &Arc<Account>,
    id: &str,
    asked: &RetryState,
) {
    let bundle = account.signal.lock().bundle();
    let mut children = vec![
        NodeBuilder::new("retry")
            .attr("v", "1")
            .attr("count", asked.count)
            .attr("id", id)
            .attr("t", asked.timestamp)
            .build(),
        NodeBuilder::new("registration")
            .bytes(bundle.registration_id.to_be_bytes().to_vec())
            .build(),
    ];
    if asked.count >= KEYS_FROM {
        children.push(
            NodeBuilder::new("keys")
                .children(keys::bundle_keys(&bundle))
                .build(),
        );
    }
    let receipt = NodeBuilder::new("receipt")
        .attr("id", id)
        .attr("t", world.now())
        .attr("type", "retry")
        .children(children);
    give(world, account, &asked.origin, id, "retry", receipt);
}

fn give(
    world: &Arc<World>,
    account: &Arc<Account>,
    origin: &Origin,
    id: &str,
    kind: &str,
    receipt: NodeBuilder,
) {
    let sender = world.account_by_number(&origin.number);
    let companion = sender
        .as_ref()
        .and_then(|sender| sender.companion(origin.device));
    world.emit(|| SimEvent::Receipt {
        id: id.to_owned(),
        from: account.number.clone(),
        to: format!("{}:{}", origin.number, origin.device),
        kind: if kind.is_empty() {
            "delivered".to_owned()
        } else {
            kind.to_owned()
        },
    });
    if let Some(sender) = &sender
        && sender.number != account.number
    {
        sender.ticks.lock().note(id, &account.number, kind);
    }
    let (Some(sender), Some(companion)) = (sender, companion) else {
        return;
    };
    let (receipt, participant) = match origin.group.as_deref().map(|group| world.group(group)) {
        Some(Some(group)) => {
            let participant = account.jid(group.by_lid());
            let mark = participant.to_string();
            let receipt = receipt
                .attr("from", group.jid())
                .attr("participant", participant);
            let receipt = if group.by_lid() {
                receipt.attr("participant_pn", account.jid(false))
            } else {
                receipt
            };
            (receipt, mark)
        }
        Some(None) => return,
        None => (
            receipt.attr("from", account.jid(origin.by_lid)),
            String::new(),
        ),
    };
    companion.deliver(
        Class::Receipt,
        id,
        &detail(kind, &participant),
        &receipt.build(),
    );
    sender.touch();
}
