//! Sends receipts as the settings of the phone require.

use std::sync::Arc;

use super::receipt;
use crate::world::World;
use crate::world::account::Account;
use crate::world::delivery::Origin;
use crate::world::habits::Receipts;
use crate::world::inbox::Unread;

/// Sends the receipts required by the phone's settings. A message already in the inbox (`is_new` is
/// false) gets its receipts again, because the first receipts can be lost, but does not become
/// unread again.
pub(crate) fn acknowledge(
    world: &Arc<World>,
    account: &Arc<Account>,
    chat: &str,
    origin: &Origin,
    id: &str,
    is_new: bool,
) {
    let habits = *account.habits.lock();
    if is_new && habits.receipts != Receipts::Read {
        account.inbox.lock().add_unread(
            chat,
            Unread {
                id: id.to_owned(),
                origin: origin.clone(),
            },
        );
    }
    let kinds: &'static [&'static str] = match habits.receipts {
        Receipts::Read => &["", "read"],
        Receipts::Delivered => &[""],
        Receipts::None => return,
    };
    if habits.receipt_delay.is_zero() {
        for kind in kinds {
            receipt::from_phone(world, account, origin, id, kind);
        }
        return;
    }
    let (world, account, origin, id) = (
        Arc::clone(world),
        Arc::clone(account),
        origin.clone(),
        id.to_owned(),
    );
    let later = Arc::clone(&world);
    later.spawn(async move {
        world.pause(habits.receipt_delay).await;
        for kind in kinds {
            receipt::from_phone(&world, &account, &origin, &id, kind);
        }
    });
}

/// Sends a read receipt for each unread message of a chat. Returns the number of messages.
pub(crate) fn read_chat(world: &Arc<World>, account: &Arc<Account>, chat: &str) -> usize {
    let unread = account.inbox.lock().take_unread(chat);
    for message in &unread {
        receipt::from_phone(world, account, &message.origin, &message.id, "read");
    }
    account.touch();
    unread.len()
}
