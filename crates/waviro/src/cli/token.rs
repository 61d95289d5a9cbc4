//! `waviro token …`: works on the database, so the gateway may be running or not.

mod expiry;

use std::process::ExitCode;

use anyhow::bail;
use clap::Subcommand;
use waviro_core::bots;
use waviro_core::config::Config;
use waviro_core::tokens::Tokens;
use waviro_store::clock::{Clock, Millis};
use waviro_store::{Store, TokenRole, TokenRow};

use expiry::Expiry;

use super::output::print_line;
use super::settings::on_store;

const NO_TOKEN: &str = "No token yet. Create a token: waviro token add NAME";

/// The rows read per query.
const PAGE: i64 = 500;

#[derive(Debug, Subcommand)]
pub(super) enum Token {
    /// Create a token and show it, only this once; without --bot the token may do everything
    Add {
        /// Your name for the token, up to 64 characters
        name: String,
        /// The token may only see and change this bot
        #[arg(long, value_name = "BOT")]
        bot: Option<String>,
        /// When the token expires, in ten years at the latest: after a duration (30m, 12h, 90d, 4w)
        /// or at a date or time (2027-01-31, in UTC, or 2027-01-31T10:00:00+07:00) [default: valid
        /// until revoked]
        #[arg(long, value_name = "WHEN", value_parser = expiry::read)]
        expires: Option<Expiry>,
    },
    /// Show every active token with its rights and last use
    List,
    /// Revoke a token; a running gateway refuses it from now on
    Revoke {
        /// The token's name
        name: String,
    },
}

impl Token {
    pub(super) async fn run(self, config: &Config) -> anyhow::Result<ExitCode> {
        let nothing = matches!(self, Self::List).then_some(NO_TOKEN);
        on_store(config, nothing, async |store| {
            self.change(store, config).await
        })
        .await
    }

    async fn change(self, store: &Store, config: &Config) -> anyhow::Result<()> {
        let clock = Clock::system();
        let tokens = Tokens::new(store.clone(), clock.clone());
        match self {
            Self::Add { name, bot, expires } => {
                let role = match &bot {
                    Some(bot) => TokenRole::Bot(bots::id_of(store, bot).await?),
                    None => TokenRole::Admin,
                };
                let lives = expires.map(|expires| expires.lives(clock.now()));
                let (row, token) = tokens.add(&name, role, lives.transpose()?).await?;
                let may = bot.map_or_else(
                    || "may do everything".to_owned(),
                    |bot| format!("may see and change only the bot {bot}"),
                );
                let until = expires_at(&row).map_or_else(String::new, |at| format!(" until {at}"));
                print_line(format_args!(
                    "Token {name} created; it {may}{until}. Shown only now:\n\n  {}\n\nTry the token with a running gateway:\n",
                    token.reveal()
                ));
                print_line(format_args!(
                    "  curl http://{}/v1/bots -H 'Authorization: Bearer {}'",
                    config.server.listen,
                    token.reveal()
                ));
            }
            Self::List => list(store, &tokens, clock.now()).await?,
            Self::Revoke { name } => {
                if !tokens.revoke_named(&name).await? {
                    bail!(
                        "there is no valid token with this name; `waviro token list` shows all tokens"
                    );
                }
                print_line(format_args!("Token {name} revoked."));
            }
        }
        Ok(())
    }
}

async fn list(store: &Store, tokens: &Tokens, now: Millis) -> anyhow::Result<()> {
    let bots = store.bots().await?;
    let (mut after, mut shown) = (0, false);
    loop {
        let page = tokens.list(after, PAGE).await?;
        let Some(last) = page.last() else {
            break;
        };
        after = last.id;
        for token in page.iter().filter(|token| token.revoked_at.is_none()) {
            shown = true;
            let role = match token.role {
                TokenRole::Admin => "admin".to_owned(),
                TokenRole::Bot(bot_id) => {
                    let bot = bots.iter().find(|bot| bot.bot_id == bot_id);
                    format!("bot {}", bot.map_or("?", |bot| bot.name.as_str()))
                }
            };
            let until = expires_at(token).map_or_else(String::new, |at| format!("  expires {at}"));
            print_line(format_args!(
                "{}  {role}  {}{until}",
                token.name,
                used(token, now)
            ));
        }
    }
    if !shown {
        print_line(NO_TOKEN);
    }
    Ok(())
}

/// Returns the last use, or `expired`.
fn used(token: &TokenRow, now: Millis) -> String {
    if token.expires_at.is_some_and(|at| at <= now) {
        return "expired".to_owned();
    }
    let at = token.last_used_at.and_then(minute);
    at.map_or_else(|| "never used".to_owned(), |at| format!("last used {at}"))
}

/// Returns the expiry, if the token has one.
fn expires_at(token: &TokenRow) -> Option<String> {
    minute(token.expires_at?)
}

fn minute(at: Millis) -> Option<String> {
    let at = jiff::Timestamp::from_millisecond(at).ok()?;
    Some(at.strftime("%Y-%m-%d %H:%M UTC").to_string())
}
