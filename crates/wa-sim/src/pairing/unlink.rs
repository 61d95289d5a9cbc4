//! Unlinks a companion, and announces linked and unlinked devices.

use std::sync::Arc;

use wacore_binary::builder::NodeBuilder;

use crate::iq::usync;
use crate::world::World;
use crate::world::account::Account;
use crate::world::companion::Companion;
use crate::world::event::SimEvent;
use crate::world::offline::Class;

/// Unlinks a companion: deletes the keys, sends the stream error 401, and closes the connection.
pub(crate) fn unlink(world: &World, companion: &Arc<Companion>) {
    let Some(account) = world.account_by_number(&companion.number) else {
        return;
    };
    if !account.remove_companion(companion.device) {
        return;
    }
    account.signal.lock().forget_session(&companion.address());
    announce_device(world, &account, companion, "remove");
    let link = companion.mailbox.lock().link().cloned();
    if let Some(link) = link {
        link.send(
            &NodeBuilder::new("stream:error")
                .attr("code", "401")
                .children([NodeBuilder::new("conflict")
                    .attr("type", "device_removed")
                    .build()])
                .build(),
        );
        link.close();
    }
    world.emit(|| SimEvent::LoggedOut {
        device: companion.name.clone(),
    });
}

/// Notifies the account's other companions, and each watcher of the account's devices, about an
/// added or removed device.
pub(super) fn announce_device(
    world: &World,
    account: &Account,
    changed: &Companion,
    change: &'static str,
) {
    let watchers: Vec<_> = account
        .watchers
        .lock()
        .iter()
        .filter_map(|name| world.companion(name))
        .collect();
    let own = account
        .companions()
        .into_iter()
        .filter(|companion| companion.device != changed.device);
    let now = world.now();
    let id = world.next_id();
    for companion in watchers.into_iter().chain(own) {
        let lid = world
            .account_by_number(&companion.number)
            .is_some_and(|reader| reader.lid_migrated);
        let mut device = NodeBuilder::new("device")
            .attr("jid", changed.jid(lid))
            .attr("key-index", changed.fixed.key_index);
        if lid {
            device = device.attr("lid", changed.jid(true));
        }
        let change = NodeBuilder::new(change)
            .children([device.build(), usync::key_index_list(now, account)])
            .build();
        let mut notification = NodeBuilder::new("notification")
            .attr("from", account.jid(lid))
            .attr("id", id.as_str())
            .attr("type", "devices")
            .attr("t", now);
        if lid {
            notification = notification.attr("lid", account.jid(true));
        }
        companion.deliver(
            Class::Notification,
            &id,
            "",
            &notification.children([change]).build(),
        );
    }
}
