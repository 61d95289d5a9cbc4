//! Finds out whether a number is on WhatsApp: from memory, else from the database, else by a lookup
//! at WhatsApp. A lookup at WhatsApp costs a round trip and counts against the account.

use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use tokio::sync::Mutex;
use tracing::warn;
use waviro_link::{LinkError, Number, Status};
use waviro_store::Store;
use waviro_store::clock::{Clock, Millis, millis};

use super::refusal::Refusal;
use super::settings::Settings;
use crate::bots::Bot;

/// The most numbers in memory, at about 100 bytes each: 10 MB.
const IN_MEMORY: u64 = 100_000;

/// The most numbers with a lookup in progress and a lock of their own.
const ASKING: u64 = 10_000;

pub(super) struct Lookup {
    store: Store,
    clock: Clock,
    within: Duration,
    registered_for: Millis,
    unregistered_for: Millis,
    known: Cache<Number, CachedLookup>,
    /// A lock for each number with a lookup in progress. Concurrent requests for a number share one
    /// lookup.
    asking: Cache<Number, Arc<Mutex<()>>>,
}

#[derive(Debug, Clone, Copy)]
struct CachedLookup {
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
            asking: Cache::new(ASKING),
        }
    }

    pub(super) async fn is_registered(
        &self,
        bot: &Arc<Bot>,
        number: &Number,
    ) -> Result<bool, Refusal> {
        if let Some(registered) = self.recall(bot, number).await? {
            return Ok(registered);
        }
        let turn = self
            .asking
            .get_with_by_ref(number, async { Arc::default() })
            .await;
        let _turn = turn.lock().await;
        // The previous holder of the lock may have stored the result.
        match self.recall(bot, number).await? {
            Some(registered) => Ok(registered),
            None => self.ask(bot, number).await,
        }
    }

    /// Returns the stored result for a number, if the result is still valid.
    async fn recall(&self, bot: &Bot, number: &Number) -> Result<Option<bool>, Refusal> {
        let known = match self.known.get(number).await {
            Some(known) => Some(known),
            None => self
                .store
                .number(number)
                .await?
                .map(|(registered, at)| CachedLookup { registered, at }),
        };
        let Some(known) = known else {
            return Ok(None);
        };
        let believed = if known.registered {
            self.registered_for
        } else {
            self.unregistered_for
        };
        // While the link is down, an expired "registered" is better than a refusal.
        let kept = known.registered && bot.status() != Status::Online;
        if self.clock.now() - known.at > believed && !kept {
            return Ok(None);
        }
        self.known.insert(number.clone(), known).await;
        Ok(Some(known.registered))
    }

    pub(super) async fn forget(&self, number: &Number) {
        self.known.invalidate(number).await;
        if let Err(reason) = self.store.forget_number(number).await {
            warn!(%reason, "stored lookup of a number could not be removed");
        }
    }

    async fn ask(&self, bot: &Arc<Bot>, number: &Number) -> Result<bool, Refusal> {
        let registered = self
            .patiently(bot, || async {
                match bot.link() {
                    Some(link) => link.is_registered(number).await,
                    None => Err(LinkError::Offline),
                }
            })
            .await?;
        let at = self.clock.now();
        self.known
            .insert(number.clone(), CachedLookup { registered, at })
            .await;
        if let Err(reason) = self.store.remember_number(number, registered, at).await {
            // The result stays in memory; only after the next start the number is looked up again.
            warn!(%reason, "lookup result could not be stored");
        }
        Ok(registered)
    }

    /// Sends a query to WhatsApp, and waits for the link first if the link is down.
    pub(super) async fn patiently<T, F>(
        &self,
        bot: &Arc<Bot>,
        ask: impl Fn() -> F,
    ) -> Result<T, Refusal>
    where
        F: Future<Output = Result<T, LinkError>>,
    {
        tokio::select! {
            answer = once_up(bot, ask) => answer,
            () = self.clock.sleep(self.within) => Err(match bot.status() {
                Status::Online => Refusal::LookupFailed(LinkError::TimedOut),
                down => Refusal::NotConnected(down),
            }),
        }
    }
}

async fn once_up<T, F>(bot: &Arc<Bot>, ask: impl Fn() -> F) -> Result<T, Refusal>
where
    F: Future<Output = Result<T, LinkError>>,
{
    let gone = || Refusal::NotConnected(bot.status());
    let mut status = bot.opened().await.ok_or_else(gone)?.status();
    loop {
        status.borrow_and_update();
        match ask().await {
            Ok(answer) => return Ok(answer),
            Err(LinkError::Offline) => {}
            Err(error) => return Err(Refusal::LookupFailed(error)),
        }
        // The link was not up, or was lost during the query. The next state decides.
        let now = status.borrow().clone();
        if !matches!(now, Status::Online | Status::Reconnecting { .. }) {
            return Err(Refusal::NotConnected(now));
        }
        status.changed().await.map_err(|_| gone())?;
    }
}
