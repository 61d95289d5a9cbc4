//! `waviro bot …`: works on the database, so the gateway may be running or not.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{anyhow, bail};
use clap::Subcommand;
use waviro_core::bots::{self, LONGEST_OVERLAP, OwnKeys, Profiles, SecretKey, WebhookKey};
use waviro_core::config::Config;
use waviro_store::Store;
use waviro_store::clock::{Clock, Millis, millis};
use waviro_store::invisible::skeleton;

use super::output::print_line;
use super::secret;
use super::settings::on_store;

const NO_BOT: &str = "No bot yet. Add a bot: waviro bot add NAME";

#[derive(Debug, Subcommand)]
pub(super) enum Bot {
    /// Create a bot and show its SecretKey, only this once
    Add {
        /// Your name for the bot, up to 64 characters
        name: String,
        /// Take over the SecretKey that your programs already use: `-` reads it from stdin
        #[arg(long, value_name = "-")]
        secret_key: Option<String>,
        /// Take over the webhookkey that your scripts already check: `-` reads it from stdin, after
        /// the SecretKey
        #[arg(long, value_name = "-")]
        webhook_key: Option<String>,
    },
    /// Show every bot and its linked number
    List,
    /// Give a bot a new SecretKey and show it, only this once; the old key stops working
    Key {
        /// The bot's name
        name: String,
        /// Take over the SecretKey that your programs already use: `-` reads it from stdin
        #[arg(long, value_name = "-")]
        set: Option<String>,
        /// Take over the webhookkey that your scripts already check: `-` reads it from stdin, after
        /// the SecretKey. The SecretKey stays the same unless --set is given too
        #[arg(long, value_name = "-")]
        webhook_key: Option<String>,
        /// How long the old key keeps working, at most 7 days (604800)
        #[arg(long, value_name = "SECONDS", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=LONGEST_OVERLAP.as_secs()))]
        overlap: u64,
    },
    /// Remove a bot: its key stops working, its device is logged out; asks for the name again
    Remove {
        /// The bot's name
        name: String,
        /// Do not ask for confirmation, for scripts
        #[arg(long)]
        yes: bool,
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
            Self::Add {
                name,
                secret_key,
                webhook_key,
            } => {
                let keys = (secret_key.as_deref(), webhook_key.as_deref());
                let own = own_keys("--secret-key", keys).await?;
                add(store, config, &name, own, now).await?;
            }
            Self::List => {
                let rows: Vec<_> = store
                    .bots()
                    .await?
                    .into_iter()
                    .filter(|bot| !bot.removed)
                    .collect();
                if rows.is_empty() {
                    print_line(NO_BOT);
                }
                for bot in rows {
                    let linked = bot.linked.map_or_else(
                        || "not linked".to_owned(),
                        |identity| format!("{}  {}", identity.number, identity.name),
                    );
                    print_line(format_args!("{}  {linked}", bot.name));
                }
            }
            Self::Key {
                name,
                set,
                webhook_key,
                overlap,
            } => {
                let bot_id = bots::id_of(store, &name).await?;
                let fresh = set.is_none() && webhook_key.is_none();
                let keys = (set.as_deref(), webhook_key.as_deref());
                let own = own_keys("--set", keys).await?;
                if let Some(webhook) = own.webhook {
                    let profiles = Profiles::new(store.clone(), Clock::system());
                    profiles.set_webhook_key(bot_id, &webhook).await?;
                    print_line(format_args!(
                        "Bot {name} has the given webhookkey; a running gateway uses the key within two seconds."
                    ));
                }
                let old = if overlap == 0 {
                    "stops working".to_owned()
                } else {
                    format!("stops working in {overlap} s")
                };
                let lasts = millis(Duration::from_secs(overlap));
                if let Some(key) = own.secret {
                    bots::set_key(store, bot_id, &key, now, lasts).await?;
                    print_line(format_args!(
                        "Bot {name} has the given SecretKey; the old key {old}."
                    ));
                } else if fresh {
                    let key = SecretKey::random(&mut rand::rng());
                    bots::set_key(store, bot_id, &key, now, lasts).await?;
                    print_line(format_args!(
                        "The new SecretKey of {name}, shown only now; the old key {old}:\n"
                    ));
                    print_line(format_args!("  {}", key.reveal()));
                }
            }
            Self::Remove { name, yes } => {
                let bot_id = bots::id_of(store, &name).await?;
                if !yes {
                    confirm(&name).await?;
                }
                bots::remove(store, bot_id, now).await?;
                print_line(format_args!(
                    "Bot {name} removed; a running gateway logs its device out now, otherwise the next start does."
                ));
            }
        }
        Ok(())
    }
}

/// Reads the given keys from stdin, the SecretKey first.
async fn own_keys(
    option: &str,
    (secret_key, webhook_key): (Option<&str>, Option<&str>),
) -> anyhow::Result<OwnKeys> {
    let mut own = OwnKeys::default();
    if let Some(given) = secret_key {
        secret::must_be_stdin(option, given)?;
    }
    if let Some(given) = webhook_key {
        secret::must_be_stdin("--webhook-key", given)?;
    }
    if secret_key.is_some() {
        let key = SecretKey::taken_over(&secret::key("SecretKey").await?);
        own.secret = Some(key.map_err(|bad| anyhow!("the SecretKey must be {bad}"))?);
    }
    if webhook_key.is_some() {
        let key = WebhookKey::taken_over(&secret::key("webhookkey").await?);
        own.webhook = Some(key.map_err(|bad| anyhow!("the webhookkey must be {bad}"))?);
    }
    Ok(own)
}

async fn add(
    store: &Store,
    config: &Config,
    name: &str,
    own: OwnKeys,
    now: Millis,
) -> anyhow::Result<()> {
    let known = own.secret.is_some();
    let (bot_id, key) = bots::add(store, name, own, now).await?;
    let profiles = Profiles::new(store.clone(), Clock::system());
    let profile = profiles.of(bot_id).await?;
    let folder = std::path::absolute(&config.data_dir)?;
    let folder = folder.display();
    let key = if known {
        print_line(format_args!(
            "Bot {name} added in {folder}, with the given SecretKey.\n"
        ));
        "KEY"
    } else {
        print_line(format_args!(
            "Bot {name} added in {folder}. Its SecretKey, shown only now:\n"
        ));
        print_line(format_args!("  {}\n", key.reveal()));
        key.reveal()
    };
    print_line("The webhookkey in the bot's keyword webhooks, for your PHP script:\n");
    print_line(format_args!("  {}\n", profile.webhook_key()));
    print_line(
        "Link the bot: start the gateway, get the code and scan it with WhatsApp (Linked devices):\n",
    );
    print_line(format_args!(
        "  curl -X POST http://{}/api/getqr -H 'SecretKey: {key}'",
        config.server.listen
    ));
    Ok(())
}

/// Asks for the name again, because a removal cannot be undone.
async fn confirm(name: &str) -> anyhow::Result<()> {
    let prompt = format!(
        "This fails all queued messages of {name} and logs its device out. Type the bot's name to remove it: "
    );
    let typed = secret::confirmation(&prompt).await?;
    if skeleton(&typed) != skeleton(name) {
        bail!("the typed name differs; nothing was removed (scripts use --yes)");
    }
    Ok(())
}
