//! How a phone answers: which receipts, how late, and how soon it asks for what it could not read.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::inbox::Unread;
use super::{Account, Origin};
use crate::stanza::receipt;
use crate::world::World;

/// Which receipts a phone gives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Receipts {
    /// Delivered, and read at once, as with the chat open.
    #[default]
    Read,
    /// Delivered; read when the chat is opened.
    Delivered,
    /// Nothing; read when the chat is opened.
    None,
}

/// A phone's settings.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Habits {
    pub(crate) receipts: Receipts,
    pub(crate) receipt_delay: Duration,
    /// How long it waits for what it could not read before it asks again; zero: it does not.
    pub(crate) ask_again: Duration,
}

impl Default for Habits {
    fn default() -> Self {
        Self {
            receipts: Receipts::default(),
            receipt_delay: Duration::ZERO,
            ask_again: Duration::from_secs(3),
        }
    }
}

/// Gives the receipts that the phone's settings call for. A message that is shown already (`is_new` is false) is receipted
/// again, because the first receipt may be lost, but does not become unread again.
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

/// Receipts everything unread in a chat as read; answers how many messages those were.
pub(crate) fn read_chat(world: &Arc<World>, account: &Arc<Account>, chat: &str) -> usize {
    let unread = account.inbox.lock().take_unread(chat);
    for message in &unread {
        receipt::from_phone(world, account, &message.origin, &message.id, "read");
    }
    account.touch();
    unread.len()
}
