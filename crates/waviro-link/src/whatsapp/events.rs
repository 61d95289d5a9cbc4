//! Translates the events of a device for the gateway's [`Listener`].
//!
//! Events arrive in two ways. Messages arrive through the library's durability hook: the library
//! acknowledges a message to WhatsApp after the gateway's commit ([`super::inbound`] translates
//! messages). All other events arrive through the library's event bus. The handler of a receipt
//! blocks until the commit, because the library acknowledges the receipt when the handler returns.
//! Both the bus and the hook run on the library's own tasks.

use std::sync::{Arc, Weak};

use async_trait::async_trait;
use futures::FutureExt as _;
use whatsapp_rust::anyhow::{self, anyhow};
use whatsapp_rust::prelude::{Event, EventHandler, EventInterest, EventKind};
use whatsapp_rust::types::durability_hook::{InboundDurabilityHook, InboundMessage};
use whatsapp_rust::types::events;
use whatsapp_rust::types::presence::ReceiptType;
use whatsapp_rust::wacore_binary::JidExt as _;
use whatsapp_rust::{Client, Jid};

use super::calls_and_groups::{self, QueuedEvent};
use super::identity::{LOOKUP_WITHIN, is_own, names};
use super::inbound::inbound;
use super::shared::Shared;
use super::task::now;
use super::{bans, connect, task};
use crate::{
    MessageId, Nack, QrCode, Receipt, ReceiptLevel, Sender, ServerAck, Status, UnlinkedCause,
    Verdict,
};

/// Handles the events of one device.
pub(super) struct DeviceEventHandler {
    pub(super) shared: Arc<Shared>,
    pub(super) dialer: Weak<connect::Dialer>,
}

impl EventHandler for DeviceEventHandler {
    fn interest(&self) -> EventInterest {
        EventInterest::of(&[
            EventKind::Connected,
            EventKind::PairingQrCode,
            EventKind::PairingQrCodesExhausted,
            EventKind::PairSuccess,
            EventKind::PairError,
            EventKind::PairPasskeyRequest,
            EventKind::LoggedOut,
            EventKind::StreamReplaced,
            EventKind::TemporaryBan,
            EventKind::ConnectFailure,
            EventKind::ClientOutdated,
            EventKind::SelfPushNameUpdated,
            EventKind::GroupUpdate,
            EventKind::IncomingCall,
            EventKind::MissedCall,
            EventKind::ServerAck,
            EventKind::Receipt,
            EventKind::RawNode,
            EventKind::UndecryptableMessage,
            EventKind::OfflineSyncCompleted,
        ])
    }

    fn handle_event(&self, event: Arc<Event>) {
        match &*event {
            Event::ServerAck(ack) => self.server_ack(ack),
            Event::Receipt(receipt) => self.receipt(receipt),
            Event::Connected(_) => {
                if let Some(dialer) = self.dialer.upgrade() {
                    dialer.succeeded();
                }
                self.shared.refresh_identity();
                self.shared.flush();
                self.shared.set(&Status::Online);
            }
            Event::SelfPushNameUpdated(_) => self.shared.refresh_identity(),
            Event::GroupUpdate(update) => self.group_changed(update),
            Event::IncomingCall(call) => {
                self.enqueue(calls_and_groups::offered(call).map(QueuedEvent::Call));
            }
            Event::MissedCall(call) => {
                self.enqueue(calls_and_groups::missed(call).map(QueuedEvent::Call));
            }
            Event::RawNode(stanza) => self.shared.redelivered.record(stanza),
            Event::UndecryptableMessage(message) => self.undecryptable(&message.info.id),
            Event::OfflineSyncCompleted(_) => self.look_for_lost(),
            other => {
                if let Some(status) = new_status(other) {
                    self.shared.set(&status);
                }
            }
        }
    }
}

/// Returns the new state after an event of linking or a refusal.
fn new_status(event: &Event) -> Option<Status> {
    let status = match event {
        Event::PairingQrCode(code) => Status::Linking {
            qr: Some(qr_code(code)),
        },
        Event::PairSuccess(_) => Status::Linking { qr: None },
        Event::PairingQrCodesExhausted(_) => Status::Unlinked(UnlinkedCause::CodesUsedUp),
        Event::PairError(failed) => {
            Status::Unlinked(UnlinkedCause::PairingFailed(failed.error.clone()))
        }
        Event::PairPasskeyRequest(_) => Status::PasskeyAsked,
        Event::LoggedOut(out) => {
            Status::Unlinked(UnlinkedCause::LoggedOut(format!("{:?}", out.reason)))
        }
        Event::StreamReplaced(_) => Status::Replaced,
        Event::TemporaryBan(ban) => bans::banned(ban),
        Event::ClientOutdated(_) => Status::ClientOutdated,
        Event::ConnectFailure(failure) => bans::refused(failure),
        _ => return None,
    };
    Some(status)
}

/// Removes the link in front of the code. Newer versions of WhatsApp put a link before the code for
/// the phone's camera app; the API document shows the code without a link.
fn qr_code(code: &events::PairingQrCode) -> QrCode {
    let text = code
        .code
        .rsplit_once('#')
        .map_or(&*code.code, |(_, own)| own);
    QrCode {
        text: text.to_owned(),
        expires: now() + code.timeout,
    }
}

impl DeviceEventHandler {
    /// Reports each ack in a separate task: the gateway commits many acks at once, and acks of
    /// different messages need no order.
    fn server_ack(&self, ack: &events::ServerAck) {
        if ack.class.as_deref() != Some("message") {
            return;
        }
        let Ok(id) = ack.id.parse() else { return };
        let verdict = match &ack.error {
            None => Verdict::Accepted,
            Some(code) => Verdict::Refused(Nack::parse(code)),
        };
        let listener = Arc::clone(&self.shared.listener);
        task::spawn(async move { listener.server_ack(ServerAck { id, verdict }).await });
    }

    /// Records an undecryptable message. The library itself asks the sender to resend such a
    /// message.
    fn undecryptable(&self, msgid: &str) {
        metrics::counter!("waviro_link_undecryptable_total").increment(1);
        tracing::debug!(
            msgid,
            "message could not be decrypted; the library requests a resend"
        );
        self.shared.redelivered.reported(msgid);
    }

    /// Enqueues a call or a group change without waiting for the gateway, see [`calls_and_groups`].
    fn enqueue(&self, item: Option<QueuedEvent>) {
        if let (Some(item), Some(client)) = (item, self.shared.client()) {
            // The queue ends only with the device.
            let _ = self.shared.calls_and_groups.send((client, item));
        }
    }

    fn look_for_lost(&self) {
        let Some(client) = self.shared.client() else {
            return;
        };
        let shared = Arc::clone(&self.shared);
        let connection = shared.redelivered.connection();
        task::spawn(async move {
            let listener = &*shared.listener;
            let lost =
                shared
                    .redelivered
                    .request_lost(connection, shared.bot_id, &client, listener);
            lost.await;
        });
    }

    fn group_changed(&self, update: &events::GroupUpdate) {
        self.shared.admins.forget(&update.group_jid);
        if calls_and_groups::concerns_us(self.shared.client().as_deref(), &update.action) {
            self.shared.listener.groups_changed();
        }
        self.enqueue(Some(QueuedEvent::Group(Box::new(update.clone()))));
    }

    /// Blocks the thread until the commit, because the library acknowledges the receipt when the
    /// handler returns. The library runs each receipt in a separate task, and `block_in_place`
    /// moves other tasks to other threads, so only this receipt waits. The gateway does not need
    /// these threads ([`super::runtime`]).
    fn receipt(&self, receipt: &events::Receipt) {
        let Some(level) = level(&receipt.r#type) else {
            return;
        };
        let Some(client) = self.shared.client() else {
            return;
        };
        if is_own(&client, &receipt.source.sender) {
            return;
        }
        let source = &receipt.source;
        let translate = |who: Option<(Sender, Option<Sender>)>| {
            let ids = receipt.message_ids.iter();
            let (from, alias) = match who.filter(|_| is_person(&source.sender)) {
                Some((from, alias)) => (Some(from), alias),
                None => (None, None),
            };
            let in_group = source.chat.is_group();
            let group = in_group.then(|| source.chat.user.parse().ok());
            Receipt {
                ids: ids.map(|id| MessageId::from_wire(id)).collect(),
                level,
                from,
                alias,
                in_group,
                group: group.flatten(),
            }
        };
        let lookup = || names(&client, &source.sender, source.sender_alt.as_ref());
        // Almost all names are in memory.
        let who = lookup().now_or_never();
        if let Some(who) = &who
            && self.shared.listener.knows(&translate(Some(who.clone())))
        {
            return;
        }
        let _waiting = self.shared.backlog.add();
        // Only the commit may take long here. Other waiting would need the library, and the library
        // would need threads that other receipts may block.
        let commit = async {
            let who = match who {
                Some(who) => Some(who),
                None => tokio::time::timeout(LOOKUP_WITHIN, lookup()).await.ok(),
            };
            self.shared.listener.receipt(translate(who)).await
        };
        let committed =
            tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(commit));
        if let Err(error) = committed {
            // The library cannot be told to leave out an ack. But the library sends no acks on a
            // connection that is being closed, and WhatsApp redelivers the receipt on the next
            // connection.
            tracing::warn!(bot_id = self.shared.bot_id, %error, "receipt not committed; reconnecting for its redelivery");
            connect::expect_reconnect(&client);
            task::spawn(async move { client.reconnect_immediately().await });
        }
    }
}

#[async_trait]
impl InboundDurabilityHook for DeviceEventHandler {
    async fn on_messages(
        &self,
        client: Arc<Client>,
        batch: &[InboundMessage],
    ) -> anyhow::Result<()> {
        let mut messages = Vec::with_capacity(batch.len());
        for message in batch {
            self.shared.redelivered.reported(&message.info.id);
            if let Some(inbound) = inbound(&client, &self.shared.admins, message).await {
                messages.push(inbound);
            }
        }
        if messages.is_empty() {
            return Ok(());
        }
        self.shared
            .listener
            .inbound(messages)
            .await
            .map_err(|error| anyhow!(error))
    }
}

fn is_person(jid: &Jid) -> bool {
    jid.is_pn() || jid.is_lid()
}

/// Returns the progress reported by a receipt, or `None` for other receipts. Other receipts come
/// from the account's own devices, or are requests that the library answers.
fn level(receipt: &ReceiptType) -> Option<ReceiptLevel> {
    match receipt {
        // "inactive": delivered to a device that does not show ticks.
        ReceiptType::Delivered | ReceiptType::Inactive => Some(ReceiptLevel::Delivered),
        ReceiptType::Read | ReceiptType::Played => Some(ReceiptLevel::Read),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_qr_code_is_shown_as_the_document_shows_it() {
        let code = events::PairingQrCode::builder()
            .code("https://wa.me/settings/linked_devices#2@abc,def,ghi,jkl,1".to_owned())
            .timeout(Duration::from_secs(20))
            .build();
        assert_eq!(qr_code(&code).text, "2@abc,def,ghi,jkl,1");
    }

    #[test]
    fn receipts_of_the_accounts_own_devices_are_no_acks() {
        for own in [
            ReceiptType::Sender,
            ReceiptType::ReadSelf,
            ReceiptType::PlayedSelf,
            ReceiptType::Retry,
            ReceiptType::PeerMsg,
            ReceiptType::HistorySync,
            ReceiptType::Sent,
            ReceiptType::ServerError,
        ] {
            assert_eq!(level(&own), None, "{own:?}");
        }
        assert_eq!(level(&ReceiptType::Inactive), Some(ReceiptLevel::Delivered));
        assert_eq!(level(&ReceiptType::Played), Some(ReceiptLevel::Read));
    }
}
