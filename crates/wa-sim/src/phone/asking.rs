//! Sends retry receipts for messages that a phone cannot decrypt.
//!
//! The phone sends a retry receipt at once after a failed decryption, and again if no copy has
//! arrived after a while: the receipt can be lost, or the client can disconnect before the resend.
//! Each receipt has a higher count. After the highest count the phone gives up, like a real phone.

use std::sync::Arc;

use super::receipt;
use crate::world::World;
use crate::world::account::Account;
use crate::world::delivery::{Delivery, RetryState};
use crate::world::event::SimEvent;

/// The highest number of retry receipts for a message. Clients refuse a fifth.
const MOST: u8 = 4;

/// After this number of retry receipts, the fault no longer applies to the message, so the fault
/// alone never loses a message.
const SPARED: u8 = 2;

/// Returns whether the fault can still apply to this message.
pub(crate) fn may_fail(account: &Account, id: &str) -> bool {
    let held = account.held.lock();
    held.asked.get(id).is_none_or(|asked| asked.count < SPARED)
}

/// Sends a retry receipt at once after a failed decryption.
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
        .or_insert_with(|| RetryState {
            origin: delivery.origin.clone(),
            timestamp: delivery.timestamp,
            count: 0,
        });
    once_more(world, account, &delivery.id);
}

/// Ends the retries, after a copy was decrypted or shown.
pub(crate) fn answered(account: &Account, id: &str) {
    let mut held = account.held.lock();
    if !held.asked.is_empty() {
        held.asked.remove(id);
    }
}

/// Continues the retries after a restart.
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
        tracing::debug!(
            phone = account.number,
            message = id,
            "no more resend requests for this message"
        );
        return;
    }
    receipt::retry_from_phone(world, account, id, &asked);
    wait(world, account, id.to_owned(), asked.count);
}

/// Sends the next retry receipt after the configured wait, unless a copy has arrived before.
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
            // A phone that is off sends no receipt, and the copy can already be in the phone's
            // queue.
            if !held.offline {
                break;
            }
        }
        once_more(&world, &account, &id);
    });
}
