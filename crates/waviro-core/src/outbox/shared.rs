//! The handle of the outbox, with the parts that accepting and webhook replies share.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rand::Rng;
use waviro_link::{MessageId, Status};
use waviro_store::Store;
use waviro_store::clock::{Clock, millis};

use super::lookup::Lookup;
use super::media::{NotTaken, Spool};
use super::refusal::{NoRoom, Refusal};
use super::settings::Settings;
use crate::bots::Bot;
use crate::net::Net;
use crate::permits::Permits;

/// Accepts messages for all bots. Cheap to clone.
#[derive(Clone)]
pub struct Outbox(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) store: Store,
    pub(super) clock: Clock,
    pub(super) settings: Settings,
    pub(super) lookup: Lookup,
    pub(super) net: Net,
    pub(super) spool: Spool,
    /// Permits for fetching files, by bot.
    pub(super) fetches: Permits<i32>,
    pub(super) random: Mutex<Box<dyn Rng + Send>>,
}

impl Inner {
    /// Converts the reason of a missing file to the refusal of its message.
    pub(super) fn refusal(&self, none: NotTaken) -> Refusal {
        match none {
            NotTaken::Fetch(error) => Refusal::NoFile(error),
            NotTaken::TooMany => Refusal::NoRoom(NoRoom::Waiting {
                files: self.settings.waiting_files,
                mib: self.settings.waiting_files_mib,
            }),
            NotTaken::Disk => Refusal::NoRoom(NoRoom::Disk),
        }
    }
}

impl Outbox {
    /// Makes the folder `spool` for files that wait to be sent. `random` creates the message ids: a
    /// seeded generator in tests, else the system's generator.
    ///
    /// # Errors
    /// Any error of creating the folder.
    pub fn new(
        store: Store,
        net: Net,
        clock: Clock,
        settings: Settings,
        spool: PathBuf,
        random: impl Rng + Send + 'static,
    ) -> std::io::Result<Self> {
        let lookup = Lookup::new(store.clone(), clock.clone(), &settings);
        Ok(Self(Arc::new(Inner {
            store,
            clock,
            fetches: Permits::new(settings.fetches, settings.fetches_per_bot),
            spool: Spool::prepare(spool, &settings)?,
            settings,
            lookup,
            net,
            random: Mutex::new(Box::new(random)),
        })))
    }

    /// Checks that the link can be expected to send a message soon.
    pub(super) fn connected(&self, bot: &Bot) -> Result<(), Refusal> {
        let status = bot.status();
        let silent = bot.silent_for(&self.0.clock);
        let grace = millis(bot.settings().grace(self.0.settings.grace));
        match status {
            Status::Online => Ok(()),
            Status::Reconnecting { .. } if silent <= grace => Ok(()),
            status => Err(Refusal::NotConnected(status)),
        }
    }

    pub(super) fn fresh_id(&self) -> MessageId {
        let mut bytes = [0; 8];
        let mut random = self.0.random.lock().unwrap_or_else(PoisonError::into_inner);
        random.fill_bytes(&mut bytes);
        MessageId::from_random(bytes)
    }
}
