//! Whether a number is on WhatsApp: from memory, else from the database, else from the wire, which costs a round trip
//! and counts against the account.

use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use tracing::warn;
use waviro_link::{LinkError, Number, Status};

use super::{Refusal, Settings};
use crate::bots::Bot;
use crate::clock::{Clock, Millis, millis};
use crate::store::Store;

/// Numbers kept in memory: about 100 bytes each, so 10 MB at most.
const IN_MEMORY: u64 = 100_000;

pub(super) struct Lookup {
    store: Store,
    clock: Clock,
    within: Duration,
    registered_for: Millis,
    unregistered_for: Millis,
    known: Cache<Number, Known>,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    registered: bool,
    at: Millis,
}

impl Lookup {
    pub(super) fn new(store: Store, clock: Clock, settings: &Settings) -> Self {
        Self {
            store,
            clock,
            within: settings.lookup_within,
            registered_for: millis(settings.registered_for),
            unregistered_for: millis(settings.unregistered_for),
            known: Cache::new(IN_MEMORY),
        }
    }

    pub(super) async fn is_registered(
        &self,
        bot: &Arc<Bot>,
        number: &Number,
    ) -> Result<bool, Refusal> {
        let known = match self.known.get(number).await {
            Some(known) => Some(known),
            None => self
                .store
                .number(number)
                .await?
                .map(|(registered, at)| Known { registered, at }),
        };
        if let Some(known) = known {
            let age = self.clock.now() - known.at;
            let for_ = if known.registered {
                self.registered_for
            } else {
                self.unregistered_for
            };
            // While the link is down an old "yes" is worth more than a refusal.
            let usable = age <= for_ || (known.registered && bot.status() != Status::Online);
            if usable {
                self.known.insert(number.clone(), known).await;
                return Ok(known.registered);
            }
        }
        self.ask(bot, number).await
    }

    pub(super) async fn forget(&self, number: &Number) {
        self.known.invalidate(number).await;
        if let Err(reason) = self.store.forget_number(number).await {
            warn!(%reason, "what was known of a number was not forgotten");
        }
    }

    async fn ask(&self, bot: &Arc<Bot>, number: &Number) -> Result<bool, Refusal> {
        let registered = tokio::select! {
            answer = on_the_wire(bot, number) => answer?,
            () = self.clock.sleep(self.within) => {
                return Err(match bot.status() {
                    Status::Online => Refusal::LookupFailed(LinkError::TimedOut),
                    down => Refusal::NotConnected(down),
                });
            }
        };
        let at = self.clock.now();
        self.known
            .insert(number.clone(), Known { registered, at })
            .await;
        if let Err(reason) = self.store.remember_number(number, registered, at).await {
            // The answer stands; only the next start asks again.
            warn!(%reason, "a lookup was not kept");
        }
        Ok(registered)
    }
}

/// One lookup as soon as the link is up.
async fn on_the_wire(bot: &Arc<Bot>, number: &Number) -> Result<bool, Refusal> {
    let gone = || Refusal::NotConnected(bot.status());
    let link = bot.opened().await.ok_or_else(gone)?;
    let mut status = link.status();
    loop {
        let now = status
            .wait_for(|status| !matches!(status, Status::Reconnecting { .. }))
            .await
            .map_err(|_| gone())?
            .clone();
        if now != Status::Online {
            return Err(Refusal::NotConnected(now));
        }
        match link.is_registered(number).await {
            Ok(registered) => return Ok(registered),
            Err(LinkError::Offline) => {
                // The connection went while we asked: wait for the state to say so, then for the next connection.
                status.changed().await.map_err(|_| gone())?;
            }
            Err(error) => return Err(Refusal::LookupFailed(error)),
        }
    }
}
