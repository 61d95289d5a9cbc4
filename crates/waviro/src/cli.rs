//! The command line: what a person types, and where it goes.

mod bot;
mod conform;
mod doctor;
mod media;
mod migrate;
#[cfg(feature = "sandbox")]
mod sandbox;
mod secret;
mod serve;
mod token;
mod user;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::config::{Config, Flag};
use crate::store::{Schema, Store};
use crate::{private, telemetry};

/// A self-hosted WhatsApp gateway that serves the WAVIRO API.
#[derive(Debug, Parser)]
#[command(name = "waviro", version, about, after_help = FIRST_STEPS)]
pub struct Cli {
    #[command(flatten)]
    settings: Settings,
    #[command(subcommand)]
    command: Command,
}

/// What a process says gets so long to be taken by whoever reads it.
const SAID_WITHIN: Duration = Duration::from_secs(1);

const FIRST_STEPS: &str = "\
First steps:
  waviro sandbox         try everything with virtual phones, without WhatsApp
  waviro bot add toko    make a bot and its SecretKey
  waviro serve           run the gateway; POST /api/getqr shows the code to scan
  waviro doctor          say what is wrong";

/// Where the settings come from; what else can be set is in config.default.toml.
#[derive(Debug, Args)]
struct Settings {
    /// The configuration file [default: waviro.toml, if it is there]
    #[arg(long, value_name = "FILE", global = true, env = "WAVIRO_CONFIG")]
    config: Option<PathBuf>,
    /// Where the database and the link keys live (key `data_dir`)
    #[arg(long, value_name = "DIR", global = true)]
    data_dir: Option<PathBuf>,
    /// error, warn, info, debug, trace, or a filter (key `log.level`)
    #[arg(long, value_name = "LEVEL", global = true)]
    log_level: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway
    Serve(serve::Serve),
    /// Try the gateway with a simulator and virtual phones, all in this process
    #[cfg(feature = "sandbox")]
    Sandbox(sandbox::Sandbox),
    /// Add, list, re-key and remove bots, also while the gateway runs
    #[command(subcommand)]
    Bot(bot::Bot),
    /// Make, list and revoke tokens of the administration API, also while the gateway runs
    #[command(subcommand)]
    Token(token::Token),
    /// Make, list and remove users of the dashboard, and give them passwords, also while the gateway runs
    #[command(subcommand)]
    User(user::User),
    /// Revoke the links to files that came in, also while the gateway runs
    #[command(subcommand)]
    Media(media::Media),
    /// Bring the database's schema up to date; serve does it too
    Migrate,
    /// Look at port, data folder, database, clock and network, and say what to do
    Doctor,
    /// Hold a host that claims this API to its document; sends real messages
    Conform(Box<conform::Conform>),
}

/// Parses the arguments and runs the command.
#[must_use]
pub fn run() -> ExitCode {
    waviro_heap::share_arenas();
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let ran = runtime
        .context("the runtime could not be started")
        .and_then(|runtime| {
            let ran = runtime.block_on(cli.run());
            // What still blocks a thread would hold the process: the stop has had its deadlines.
            runtime.shutdown_background();
            ran
        });
    telemetry::finish_log();
    ran.unwrap_or_else(|error| {
        complain(&error);
        ExitCode::FAILURE
    })
}

/// The help texts of all commands, as one, for the documentation and its test.
#[must_use]
pub fn help() -> String {
    let mut root = Cli::command().term_width(100);
    root.build();
    let mut texts = vec![root.render_long_help().to_string()];
    let mut commands: Vec<_> = root.get_subcommands().cloned().collect();
    while let Some(mut command) = (!commands.is_empty()).then(|| commands.remove(0)) {
        if command.get_name() != "help" {
            texts.push(command.render_long_help().to_string());
            commands.splice(0..0, command.get_subcommands().cloned());
        }
    }
    texts.join("\n----\n\n")
}

impl Cli {
    async fn run(self) -> anyhow::Result<ExitCode> {
        let settings = self.settings;
        match self.command {
            Command::Serve(serve) => serve.run(&settings).await,
            #[cfg(feature = "sandbox")]
            Command::Sandbox(sandbox) => sandbox.run(&settings).await,
            Command::Bot(bot) => bot.run(&settings.load(Vec::new())?).await,
            Command::Token(token) => token.run(&settings.load(Vec::new())?).await,
            Command::User(user) => user.run(&settings.load(Vec::new())?).await,
            Command::Media(media) => media.run(&settings.load(Vec::new())?).await,
            Command::Migrate => migrate::run(&settings.load(Vec::new())?).await,
            Command::Doctor => doctor::run(&settings.load(Vec::new())?).await,
            Command::Conform(conform) => conform.run().await,
        }
    }
}

impl Settings {
    fn load(&self, more: Vec<Flag>) -> anyhow::Result<Config> {
        let mut flags = self.flags();
        flags.extend(more);
        Ok(Config::load(self.config.as_deref(), &flags)?)
    }

    fn flags(&self) -> Vec<Flag> {
        let data_dir = self.data_dir.as_ref().map(|path| Flag {
            flag: "--data-dir",
            key: "data_dir",
            value: path.display().to_string(),
        });
        let log_level = self.log_level.as_ref().map(|level| Flag {
            flag: "--log-level",
            key: "log.level",
            value: level.clone(),
        });
        data_dir.into_iter().chain(log_level).collect()
    }
}

/// Makes the data folder, for its owner alone.
fn make_data_dir(path: &Path) -> anyhow::Result<()> {
    private::make_folder(path).with_context(|| {
        format!(
            "the data folder {} could not be made; set data_dir to a folder that you may write",
            path.display()
        )
    })
}

/// Whether there is something to list; says `nothing` where there is no database. Looking makes nothing and changes nothing.
async fn can_be_read(config: &Config, nothing: &str) -> anyhow::Result<bool> {
    match Store::schema_at(config.database_at()).await? {
        Schema::Current => Ok(true),
        Schema::None => {
            let folder = std::path::absolute(&config.data_dir)?;
            say(format_args!("{nothing} (looked in {})", folder.display()));
            Ok(false)
        }
        Schema::Older => bail!("the database is of an older version: run waviro migrate"),
        Schema::Newer => bail!("the database is of a newer version: install that one again"),
    }
}

/// Does its work on the database, which is made where it is missing. Work that only looks brings what is said where there is `nothing`
/// to look at yet.
async fn on_store(
    config: &Config,
    nothing: Option<&str>,
    work: impl AsyncFnOnce(&Store) -> anyhow::Result<()>,
) -> anyhow::Result<ExitCode> {
    if let Some(nothing) = nothing
        && !can_be_read(config, nothing).await?
    {
        return Ok(ExitCode::SUCCESS);
    }
    make_data_dir(&config.data_dir)?;
    let store = Store::open(config.database_at()).await?;
    let done = work(&store).await;
    store.close().await;
    done.map(|()| ExitCode::SUCCESS)
}

/// One line on stderr. The process ends after it, also where stderr is a pipe that nobody reads.
fn complain(error: &anyhow::Error) {
    let line = format!("waviro: {error:#}\n");
    let (done, finished) = std::sync::mpsc::sync_channel(1);
    let writing = std::thread::Builder::new().spawn(move || {
        // Nobody is left to tell where stderr is closed.
        let _ = std::io::stderr().write_all(line.as_bytes());
        let _ = done.send(());
    });
    if writing.is_ok() {
        let _ = finished.recv_timeout(SAID_WITHIN);
    }
}

/// One line on stdout; a closed pipe is no error.
fn say(line: impl std::fmt::Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// [`say`] for a process that goes on: a pipe that nobody reads, and that is full, costs the text and nothing else.
async fn announce(text: String) {
    let saying = tokio::task::spawn_blocking(move || say(text));
    let _ = tokio::time::timeout(SAID_WITHIN, saying).await;
}
