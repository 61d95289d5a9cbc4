//! `waviro bot …`: works on the database, so that it works whether the gateway runs or not.

use std::process::ExitCode;

use anyhow::bail;
use clap::Subcommand;

use super::{make_data_dir, say};
use crate::bots;
use crate::clock::Clock;
use crate::config::Config;
use crate::store::{Schema, Store};

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
    },
    /// Remove a bot: its key stops working, its device is logged out
    Remove {
        /// The bot's name
        name: String,
    },
}

impl Bot {
    pub(super) async fn run(self, config: &Config) -> anyhow::Result<ExitCode> {
        if matches!(self, Self::List) {
            // Looking changes nothing.
            match Store::schema_at(&config.database_url()).await? {
                Schema::Current => {}
                Schema::None => {
                    let folder = std::path::absolute(&config.data_dir)?;
                    say(format_args!("{NO_BOT} (looked in {})", folder.display()));
                    return Ok(ExitCode::SUCCESS);
                }
                Schema::Older => bail!("the database is of an older version: run waviro migrate"),
                Schema::Newer => {
                    bail!("the database is of a newer version: install that one again")
                }
            }
        }
        make_data_dir(&config.data_dir)?;
        let store = Store::open(&config.database_url()).await?;
        let done = self.change(&store, config).await;
        store.close().await;
        done.map(|()| ExitCode::SUCCESS)
    }

    async fn change(self, store: &Store, config: &Config) -> anyhow::Result<()> {
        let now = Clock::system().now();
        match self {
            Self::Add { name } => {
                let (_, key) = bots::add(store, &name, now).await?;
                say(format_args!(
                    "Bot {name} added in {}. Its SecretKey, shown only now:\n",
                    std::path::absolute(&config.data_dir)?.display()
                ));
                say(format_args!("  {}\n", key.reveal()));
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
            Self::Key { name } => {
                let key = bots::rotate_key(store, &name).await?;
                say(format_args!(
                    "The new SecretKey of {name}, shown only now; the old one stops working:\n"
                ));
                say(format_args!("  {}", key.reveal()));
            }
            Self::Remove { name } => {
                bots::remove(store, &name, now).await?;
                say(format_args!(
                    "Bot {name} removed; a running gateway logs its device out, else the next one does."
                ));
            }
        }
        Ok(())
    }
}
