//! `waviro user …`: works on the database, so the gateway may be running or not, and also helps
//! when no user can log in any more.

use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Subcommand, ValueEnum};
use waviro_core::bots;
use waviro_core::config::Config;
use waviro_core::users::{UserError, Users};
use waviro_store::clock::Clock;
use waviro_store::{BotRow, Store, UserRole, UserRow};

use super::output::print_line;
use super::secret;
use super::settings::on_store;

const NO_USER: &str = "No user yet. Create a user: waviro user add NAME";

/// The rows read per query.
const PAGE: i64 = 500;

#[derive(Debug, Subcommand)]
pub(super) enum User {
    /// Create a dashboard user; asks for the password, or reads it as one line from stdin
    Add {
        /// The login name, up to 64 characters
        name: String,
        /// The rights of the user [default: admin, or operator if a bot is given]
        #[arg(long, value_name = "ROLE")]
        role: Option<Rank>,
        /// A bot that an operator may see and change; may be given several times
        #[arg(long, value_name = "BOT")]
        bot: Vec<String>,
    },
    /// Show every user and its rights
    List,
    /// Give a user a new password; the user is logged out everywhere
    Password {
        /// The user's name
        name: String,
    },
    /// Remove a user; the user is logged out everywhere
    Remove {
        /// The user's name
        name: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Rank {
    /// See and change everything
    Admin,
    /// See and change some bots
    Operator,
    /// See all bots, and change nothing
    Viewer,
}

impl User {
    pub(super) async fn run(self, config: &Config) -> anyhow::Result<ExitCode> {
        let nothing = matches!(self, Self::List).then_some(NO_USER);
        on_store(config, nothing, async |store| {
            self.change(store, config).await
        })
        .await
    }

    async fn change(self, store: &Store, config: &Config) -> anyhow::Result<()> {
        let users = Users::new(store.clone(), Clock::system(), config.limits.logins_waiting);
        match self {
            Self::Add { name, role, bot } => {
                let role = role_of(store, role, &bot).await?;
                // The name is checked before the user types a password.
                if users.named(&name).await?.is_some() {
                    return Err(UserError::NameTaken.into());
                }
                let password = secret::password().await?;
                let user = users.add(&name, &password, role, false).await?;
                print_line(format_args!(
                    "User {name} created: {}. Log in to a running gateway at\n\n  http://{}{}/dashboard",
                    may(&user, &store.bots().await?),
                    config.server.listen,
                    config.server.base_path
                ));
            }
            Self::List => list(&users, &store.bots().await?).await?,
            Self::Password { name } => {
                let user = named(&users, &name).await?;
                let password = secret::password().await?;
                users.change(user.id, Some(&password), None).await?;
                print_line(format_args!(
                    "The password of {name} is changed, and all sessions of {name} are logged out."
                ));
            }
            Self::Remove { name } => {
                let user = named(&users, &name).await?;
                users.remove(user.id).await?;
                print_line(format_args!("User {name} removed."));
            }
        }
        Ok(())
    }
}

async fn named(users: &Users, name: &str) -> anyhow::Result<UserRow> {
    let user = users.named(name).await?;
    Ok(user.ok_or(UserError::NoSuchUser)?)
}

/// Returns the role from the arguments; contradictory arguments are an error.
async fn role_of(store: &Store, rank: Option<Rank>, bots: &[String]) -> anyhow::Result<UserRole> {
    let mut bot_ids = Vec::new();
    for bot in bots {
        let bot_id = bots::id_of(store, bot).await;
        bot_ids.push(bot_id.with_context(|| format!("--bot {bot}"))?);
    }
    Ok(match (rank, bot_ids.is_empty()) {
        (None | Some(Rank::Admin), true) => UserRole::Admin,
        (Some(Rank::Viewer), true) => UserRole::Viewer,
        (None | Some(Rank::Operator), false) => UserRole::Operator(bot_ids),
        (Some(Rank::Operator), true) => {
            bail!("an operator needs one or more bots: give each with --bot BOT")
        }
        (Some(Rank::Admin | Rank::Viewer), false) => {
            bail!("--bot is for operators; admins and viewers see every bot")
        }
    })
}

async fn list(users: &Users, bots: &[BotRow]) -> anyhow::Result<()> {
    let (mut after, mut shown) = (0, false);
    loop {
        let page = users.list(after, PAGE).await?;
        let Some(last) = page.last() else {
            break;
        };
        after = last.id;
        for user in &page {
            shown = true;
            print_line(format_args!("{}  {}", user.name, may(user, bots)));
        }
    }
    if !shown {
        print_line(NO_USER);
    }
    Ok(())
}

/// Describes the rights of a user.
fn may(user: &UserRow, bots: &[BotRow]) -> String {
    let UserRole::Operator(bot_ids) = &user.role else {
        return user.role.word().to_owned();
    };
    let own = bots.iter().filter(|bot| !bot.removed);
    let own = own.filter(|bot| bot_ids.contains(&bot.bot_id));
    let names: Vec<_> = own.map(|bot| bot.name.as_str()).collect();
    if names.is_empty() {
        "operator of no bot".to_owned()
    } else {
        format!("operator of {}", names.join(", "))
    }
}
