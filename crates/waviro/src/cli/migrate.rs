//! `waviro migrate`

use std::process::ExitCode;

use waviro_core::config::Config;
use waviro_store::Store;

use super::output::print_line;
use super::settings::make_data_dir;

/// Opens the database; opening also migrates the schema. With this command a deployment can migrate
/// before switching versions.
pub(super) async fn run(config: &Config) -> anyhow::Result<ExitCode> {
    make_data_dir(&config.data_dir)?;
    let store = Store::open(config.database_at()).await?;
    store.close().await;
    print_line("The database's schema is up to date.");
    Ok(ExitCode::SUCCESS)
}
