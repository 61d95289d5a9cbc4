//! The one door in: what WhatsApp tells of a bot, as its [`Listener`].
//!
//! Acks and receipts only raise what is known, in any order, and are durable before WhatsApp gets its own ack. Inbound
//! messages are kept once. Nothing is sent from here.

use std::sync::Arc;

use async_trait::async_trait;
use tracing::{debug, error, info, warn};
use waviro_link::{
    Call, GroupChange, Inbound, Listener, NotCommitted, Receipt, ReceiptLevel, ServerAck, Status,
    Verdict,
};

use crate::bots::{Attach, Bot};
use crate::clock::Clock;
use crate::jobs::Jobs;
use crate::outbox::Outbox;
use crate::store::{Feeds, InboundRow, News, Store};

/// The server's refusal for an account that does not exist: what was known of the number is wrong.
const NO_SUCH_ACCOUNT: &str = "404";

/// How a bot is brought to life: its lane starts, its ear is made. For [`crate::bots::Bots::start`].
#[must_use]
pub fn attach(store: Store, outbox: Outbox, jobs: Jobs, clock: Clock) -> Attach {
    Box::new(move |bot, committed| {
        jobs.start_lane(bot, outbox.clone(), committed);
        Arc::new(Ear {
            bot: Arc::clone(bot),
            feeds: jobs.feeds(bot),
            store: store.clone(),
            outbox: outbox.clone(),
            clock: clock.clone(),
        })
    })
}

/// One bot's ear.
struct Ear {
    bot: Arc<Bot>,
    feeds: Feeds,
    store: Store,
    outbox: Outbox,
    clock: Clock,
}

#[async_trait]
impl Listener for Ear {
    fn status(&self, status: &Status) {
        let cause = match status {
            Status::Reconnecting { cause } => cause.as_str(),
            _ => "",
        };
        info!(
            bot = self.bot.name(),
            status = status.word(),
            cause,
            "link state"
        );
        self.bot
            .heard(status, self.clock.now(), self.store.last_seq());
    }

    async fn server_ack(&self, ack: ServerAck) {
        let news = match ack.verdict {
            Verdict::Accepted => News::Reached(1),
            Verdict::Refused(code) => {
                warn!(
                    bot = self.bot.name(),
                    msgid = ack.id.as_str(),
                    code,
                    "the server refused a message"
                );
                if code == NO_SUCH_ACCOUNT {
                    self.number_gone(&ack.id).await;
                }
                News::Failed(format!("nack: {code}"))
            }
        };
        let id = ack.id.as_str().to_owned();
        let verdict = match news {
            News::Reached(_) => "accepted",
            News::Failed(_) => "refused",
        };
        let raised = self.store.raise(
            self.bot.slot(),
            vec![(ack.id, news)],
            self.clock.now(),
            &self.feeds,
        );
        match raised.await {
            Ok(()) => {
                metrics::counter!("waviro_server_acks_total", "verdict" => verdict).increment(1);
            }
            // The message stays unacked: the lane writes it again and the server acks it again.
            Err(reason) => {
                error!(bot = self.bot.name(), msgid = id, %reason, "a server ack is not durable");
            }
        }
    }

    async fn receipt(&self, receipt: Receipt) -> Result<(), NotCommitted> {
        let level = match receipt.level {
            ReceiptLevel::Delivered => 2,
            ReceiptLevel::Read => 3,
        };
        debug!(
            bot = self.bot.name(),
            messages = receipt.ids.len(),
            level,
            in_group = receipt.in_group,
            "receipt"
        );
        metrics::counter!("waviro_receipts_total").increment(receipt.ids.len() as u64);
        // Who received a message proves that the server took it: the store raises through every stage between. Of a
        // group one member's word is not the message's ack; the store leaves groups at 1.
        let news = receipt
            .ids
            .into_iter()
            .map(|id| (id, News::Reached(level)))
            .collect();
        self.store
            .raise(self.bot.slot(), news, self.clock.now(), &self.feeds)
            .await
            .map_err(|reason| not_committed(&self.bot, "receipt", &reason))
    }

    fn groups_changed(&self) {
        self.bot.groups_changed();
    }

    async fn group_changed(&self, change: GroupChange) {
        debug!(bot = self.bot.name(), group = ?change.group, "a group changed");
    }

    async fn call(&self, call: Call) {
        debug!(bot = self.bot.name(), video = call.video, "a call");
    }

    async fn inbound(&self, batch: Vec<Inbound>) -> Result<(), NotCommitted> {
        let count = batch.len();
        let rows = batch.into_iter().map(InboundRow::from).collect();
        let new = self
            .store
            .keep_inbound(self.bot.slot(), rows, self.clock.now())
            .await
            .map_err(|reason| not_committed(&self.bot, "inbound", &reason))?;
        metrics::counter!("waviro_inbound_total").increment(new as u64);
        debug!(bot = self.bot.name(), messages = count, new, "inbound");
        Ok(())
    }
}

impl Ear {
    async fn number_gone(&self, id: &waviro_link::MessageId) {
        if let Ok(Some(message)) = self.store.message(id).await
            && let Some(number) = message
                .chat
                .strip_suffix("@c.us")
                .and_then(|number| number.parse().ok())
        {
            self.outbox.number_gone(&number).await;
        }
    }
}

/// Logged here: WhatsApp keeps it and delivers it again, and nobody else would say why.
fn not_committed(bot: &Bot, what: &str, reason: &crate::store::StoreError) -> NotCommitted {
    error!(bot = bot.name(), what, %reason, "left with WhatsApp, not committed");
    NotCommitted(reason.to_string())
}
