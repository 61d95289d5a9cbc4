//! `waviro migrate`

use std::process::ExitCode;

use super::{make_data_dir, say};
use crate::config::Config;
use crate::store::Store;

/// Opening is what migrates; a command of its own lets a deployment do it before the switch.
pub(super) async fn run(config: &Config) -> anyhow::Result<ExitCode> {
    make_data_dir(&config.data_dir)?;
    let store = Store::open(config.database_at()).await?;
    store.close().await;
    say("The database's schema is up to date.");
    Ok(ExitCode::SUCCESS)
}
