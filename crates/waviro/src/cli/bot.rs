//! `waviro bot …`: works on the database, so that it works whether the gateway runs or not.

use std::process::ExitCode;
use std::time::Duration;

use clap::Subcommand;

use super::{on_store, say};
use crate::bots::{self, LONGEST_OVERLAP, Profiles};
use crate::clock::{Clock, millis};
use crate::config::Config;
use crate::store::Store;

const NO_BOT: &str = "No bot yet. Make one: waviro bot add NAME";

#[derive(Debug, Subcommand)]
pub(super) enum Bot {
    /// Make a bot and show its SecretKey, this once
    Add {
        /// What you call it, up to 64 characters
        name: String,
    },
    /// Show every bot and the number it is linked as
    List,
    /// Give a bot a new SecretKey and show it, this once; the old one stops working
    Key {
        /// The bot's name
        name: String,
        /// The old key goes on working for so long, 7 days (604800) at most
        #[arg(long, value_name = "SECONDS", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=LONGEST_OVERLAP.as_secs()))]
        overlap: u64,
    },
    /// Remove a bot: its key stops working, its device is logged out
    Remove {
        /// The bot's name
        name: String,
    },
}

impl Bot {
    pub(super) async fn run(self, config: &Config) -> anyhow::Result<ExitCode> {
        let nothing = matches!(self, Self::List).then_some(NO_BOT);
        on_store(config, nothing, async |store| {
            self.change(store, config).await
        })
        .await
    }

    async fn change(self, store: &Store, config: &Config) -> anyhow::Result<()> {
        let now = Clock::system().now();
        match self {
            Self::Add { name } => {
                let (slot, key) = bots::add(store, &name, now).await?;
                let profiles = Profiles::new(store.clone(), Clock::system());
                let profile = profiles.of(slot).await?;
                say(format_args!(
                    "Bot {name} added in {}. Its SecretKey, shown only now:\n",
                    std::path::absolute(&config.data_dir)?.display()
                ));
                say(format_args!("  {}\n", key.reveal()));
                say("The webhookkey that its keyword webhooks carry, for your PHP:\n");
                say(format_args!("  {}\n", profile.webhook_key()));
                say(
                    "Link it: with the gateway running, get the code and scan it with WhatsApp (Linked devices):\n",
                );
                say(format_args!(
                    "  curl -X POST http://{}/api/getqr -H 'SecretKey: {}'",
                    config.server.listen,
                    key.reveal()
                ));
            }
            Self::List => {
                let rows: Vec<_> = store
                    .bots()
                    .await?
                    .into_iter()
                    .filter(|bot| !bot.removed)
                    .collect();
                if rows.is_empty() {
                    say(NO_BOT);
                }
                for bot in rows {
                    let linked = bot.linked.map_or_else(
                        || "not linked".to_owned(),
                        |identity| format!("{}  {}", identity.number, identity.name),
                    );
                    say(format_args!("{}  {linked}", bot.name));
                }
            }
            Self::Key { name, overlap } => {
                let slot = bots::slot_of(store, &name).await?;
                let lasts = millis(Duration::from_secs(overlap));
                let key = bots::rotate_key(store, slot, now, lasts).await?;
                let old = if overlap == 0 {
                    "stops working".to_owned()
                } else {
                    format!("stops working in {overlap} s")
                };
                say(format_args!(
                    "The new SecretKey of {name}, shown only now; the old one {old}:\n"
                ));
                say(format_args!("  {}", key.reveal()));
            }
            Self::Remove { name } => {
                let slot = bots::slot_of(store, &name).await?;
                bots::remove(store, slot, now).await?;
                say(format_args!(
                    "Bot {name} removed; a running gateway logs its device out, else the next one does."
                ));
            }
        }
        Ok(())
    }
}
