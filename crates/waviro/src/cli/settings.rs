//! The settings of every command, and the database of the commands that need one.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use waviro_core::config::{Config, Flag};
use waviro_core::private;
use waviro_store::{Schema, Store};

use super::output::print_line;

/// Sources of the settings. All other settings are in config.default.toml.
#[derive(Debug, Args)]
pub(super) struct Settings {
    /// The configuration file [default: waviro.toml, if it exists]
    #[arg(long, value_name = "FILE", global = true, env = "WAVIRO_CONFIG")]
    pub(super) config: Option<PathBuf>,
    /// Folder of the database and the link keys (key `data_dir`)
    #[arg(long, value_name = "DIR", global = true)]
    pub(super) data_dir: Option<PathBuf>,
    /// error, warn, info, debug, trace, or a filter (key `log.level`)
    #[arg(long, value_name = "LEVEL", global = true)]
    log_level: Option<String>,
}

impl Settings {
    pub(super) fn load(&self, more: Vec<Flag>) -> anyhow::Result<Config> {
        let mut flags = self.flags();
        flags.extend(more);
        Ok(Config::load(self.config.as_deref(), &flags)?)
    }

    pub(super) fn flags(&self) -> Vec<Flag> {
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
pub(super) fn make_data_dir(path: &Path) -> anyhow::Result<()> {
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
pub(super) async fn on_store(
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
