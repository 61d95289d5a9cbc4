//! `waviro media …`: works on the database, so the gateway may be running or not.

use std::process::ExitCode;

use clap::Subcommand;
use waviro_core::config::Config;
use waviro_core::files;

use super::output::print_line;
use super::settings::on_store;

const NO_LINK: &str = "No links yet: there is no database.";

#[derive(Debug, Subcommand)]
pub(super) enum Media {
    /// Revoke every existing link to a file; the files stay, and later links work
    Rotate,
}

impl Media {
    pub(super) async fn run(self, config: &Config) -> anyhow::Result<ExitCode> {
        on_store(config, Some(NO_LINK), async |store| match self {
            Self::Rotate => {
                files::revoke_links(store).await?;
                print_line(
                    "All links to files created until now are revoked, including the links in waiting events. \
                     The files stay: fetch them with a token, /v1/bots/BOT/media/ID.",
                );
                Ok(())
            }
        })
        .await
    }
}
