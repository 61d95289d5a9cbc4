//! The command line: parses the arguments and runs the command.

mod bot;
mod conform;
mod doctor;
mod media;
mod migrate;
mod output;
#[cfg(feature = "sandbox")]
mod sandbox;
mod secret;
mod serve;
mod settings;
mod token;
mod user;

use std::process::ExitCode;

use anyhow::Context;
use clap::{CommandFactory, Parser, Subcommand};

use output::complain;
use settings::Settings;

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

const FIRST_STEPS: &str = "\
First steps:
  waviro sandbox         try everything with virtual phones, without WhatsApp
  waviro bot add toko    create a bot and its SecretKey
  waviro serve           run the gateway; POST /api/getqr shows the code to scan
  waviro doctor          check the setup and show what is wrong";

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
