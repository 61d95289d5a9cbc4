//! A phone asks for a message that it could not read, until it can.
//!
//! It asks at once when a copy fails, and again when none has come for a while: an ask may be lost on its way, or with the client
//! that had it. The count in its asks rises, and after the last one it gives up, as real phones do.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::receive::Delivery;
use super::{Account, Origin};
use crate::event::SimEvent;
use crate::stanza::receipt;
use crate::world::World;

/// After this many requests for one message a phone gives up; clients refuse a fifth.
const MOST: u8 = 4;

/// A message asked for so often is not made to fail any more: the knob alone must never cost a message.
const SPARED: u8 = 2;

/// A message that the phone could not read and waits for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Asked {
    pub(crate) origin: Origin,
    /// The message's, seconds since 1970.
    pub(crate) timestamp: u64,
    pub(crate) count: u8,
}

/// Those messages, by their ids.
pub(crate) type Open = HashMap<String, Asked>;

/// Whether the knob may fail this message.
pub(crate) fn may_fail(account: &Account, id: &str) -> bool {
    let held = account.held.lock();
    held.asked.get(id).is_none_or(|asked| asked.count < SPARED)
}

/// A copy could not be read: asks for another, at once.
pub(crate) fn ask(world: &Arc<World>, account: &Arc<Account>, delivery: &Delivery) {
    world.emit(|| SimEvent::Undecryptable {
        phone: account.number.clone(),
        id: delivery.id.clone(),
    });
    account
        .held
        .lock()
        .asked
        .entry(delivery.id.clone())
        .or_insert_with(|| Asked {
            origin: delivery.origin.clone(),
            timestamp: delivery.timestamp,
            count: 0,
        });
    once_more(world, account, &delivery.id);
}

/// It could be read, or is shown by another copy.
pub(crate) fn answered(account: &Account, id: &str) {
    let mut held = account.held.lock();
    if !held.asked.is_empty() {
        held.asked.remove(id);
    }
}

/// After a restart: waits on for what was asked for.
pub(crate) fn resume(world: &Arc<World>, account: &Arc<Account>) {
    let open = account.held.lock().asked.clone();
    for (id, asked) in open {
        wait(world, account, id, asked.count);
    }
}

fn once_more(world: &Arc<World>, account: &Arc<Account>, id: &str) {
    let asked = {
        let mut held = account.held.lock();
        let Some(asked) = held.asked.get_mut(id) else {
            return;
        };
        asked.count += 1;
        let asked = asked.clone();
        if asked.count > MOST {
            held.asked.remove(id);
        }
        asked
    };
    account.touch();
    if asked.count > MOST {
        tracing::debug!(phone = account.number, message = id, "gives up");
        return;
    }
    receipt::retry_from_phone(world, account, id, &asked);
    wait(world, account, id.to_owned(), asked.count);
}

/// Asks once more unless an answer, or a copy that failed, comes before.
fn wait(world: &Arc<World>, account: &Arc<Account>, id: String, count: u8) {
    let (world, account) = (Arc::clone(world), Arc::clone(account));
    let later = Arc::clone(&world);
    later.spawn(async move {
        loop {
            let pause = account.habits.lock().ask_again;
            if pause.is_zero() {
                return;
            }
            world.pause(pause).await;
            let held = account.held.lock();
            if held.asked.get(&id).is_none_or(|asked| asked.count != count) {
                return;
            }
            // One that is off asks nobody; what it waits for may lie in its queue.
            if !held.offline {
                break;
            }
        }
        once_more(&world, &account, &id);
    });
}
