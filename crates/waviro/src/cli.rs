//! The command line: parses the arguments and runs the command.

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
use waviro_core::config::{Config, Flag};
use waviro_core::private;
use waviro_store::{Schema, Store};

use crate::telemetry;

/// A self-hosted WhatsApp gateway that serves the WAVIRO API.
#[derive(Debug, Parser)]
#[command(name = "waviro", version, about, after_help = FIRST_STEPS)]
pub struct Cli {
    #[command(flatten)]
    settings: Settings,
    #[command(subcommand)]
    command: Command,
}

/// The longest wait for a reader of stdout or stderr.
const SAID_WITHIN: Duration = Duration::from_secs(1);

const FIRST_STEPS: &str = "\
First steps:
  waviro sandbox         try everything with virtual phones, without WhatsApp
  waviro bot add toko    create a bot and its SecretKey
  waviro serve           run the gateway; POST /api/getqr shows the code to scan
  waviro doctor          check the setup and show what is wrong";

/// Sources of the settings. All other settings are in config.default.toml.
#[derive(Debug, Args)]
struct Settings {
    /// The configuration file [default: waviro.toml, if it exists]
    #[arg(long, value_name = "FILE", global = true, env = "WAVIRO_CONFIG")]
    config: Option<PathBuf>,
    /// Folder of the database and the link keys (key `data_dir`)
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
    /// Create, list and revoke tokens of the administration API, also while the gateway runs
    #[command(subcommand)]
    Token(token::Token),
    /// Create, list and remove dashboard users and set passwords, also while the gateway runs
    #[command(subcommand)]
    User(user::User),
    /// Revoke the links to received files, also while the gateway runs
    #[command(subcommand)]
    Media(media::Media),
    /// Update the database schema; serve does the same at its start
    Migrate,
    /// Check port, data folder, database, clock and network, and suggest remedies
    Doctor,
    /// Check that a host implements this API as documented; sends real messages
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
        .context("the async runtime could not be started")
        .and_then(|runtime| {
            let ran = runtime.block_on(cli.run());
            // A thread may still be blocked, for example on stdin. The stop has had its deadlines,
            // so the process does not wait for the thread.
            runtime.shutdown_background();
            ran
        });
    telemetry::finish_log();
    ran.unwrap_or_else(|error| {
        complain(&error);
        ExitCode::FAILURE
    })
}

/// Returns the help texts of all commands as a single text, for the documentation and a test.
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

/// Creates the data folder, accessible to the owner only.
fn make_data_dir(path: &Path) -> anyhow::Result<()> {
    private::make_folder(path).with_context(|| {
        format!(
            "the data folder {} could not be created; set data_dir to a folder that you can write to",
            path.display()
        )
    })
}

/// Returns true if there is a database to read; otherwise prints `nothing`. Creates and changes
/// nothing.
async fn can_be_read(config: &Config, nothing: &str) -> anyhow::Result<bool> {
    match Store::schema_at(config.database_at()).await? {
        Schema::Current => Ok(true),
        Schema::None => {
            let folder = std::path::absolute(&config.data_dir)?;
            print_line(format_args!("{nothing} (looked in {})", folder.display()));
            Ok(false)
        }
        Schema::Older => bail!("the database is from an older version; run waviro migrate"),
        Schema::Newer => {
            bail!("the database is from a newer version; install the newer version again")
        }
    }
}

/// Runs `work` on the database and creates the database if missing. For read-only work the caller
/// passes `nothing`, the text to print if there is no database yet.
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

/// Prints a line on stderr. The process ends afterwards, so a pipe without a reader must not block
/// the process.
fn complain(error: &anyhow::Error) {
    let line = format!("waviro: {error:#}\n");
    let (done, finished) = std::sync::mpsc::sync_channel(1);
    let writing = std::thread::Builder::new().spawn(move || {
        // If stderr is closed, the error cannot be shown.
        let _ = std::io::stderr().write_all(line.as_bytes());
        let _ = done.send(());
    });
    if writing.is_ok() {
        let _ = finished.recv_timeout(SAID_WITHIN);
    }
}

/// Prints a line on stdout. A closed pipe is no error.
fn print_line(line: impl std::fmt::Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Prints like [`print_line`], for a process that continues: if a full pipe has no reader, only the
/// text is lost.
async fn announce(text: String) {
    let printing = tokio::task::spawn_blocking(move || print_line(text));
    let _ = tokio::time::timeout(SAID_WITHIN, printing).await;
}
