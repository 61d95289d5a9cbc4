//! `waviro sandbox`: the normal gateway and a simulated WhatsApp, in the same process.
//!
//! The client library checks the simulator as strictly as WhatsApp: the simulator's key is pinned
//! by configuration, and certificate checks stay on. Only the sandbox allows requests to loopback
//! addresses.

mod guide;
mod keys;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;
use wa_sim::{Phone, PhoneSpec, Sim, SimError};
use waviro_core::bots::{Bot, LinkCode};
use waviro_core::config::{Config, Flag};
use waviro_link::Status;
use waviro_store::clock::Clock;

use super::output::announce;
use super::serve::{self, Running};
use super::settings::{Settings, make_data_dir};
use crate::{lifecycle, telemetry};

use guide::Guide;

/// The name of the only bot.
const BOT: &str = "toko";

/// The phone linked to the bot.
const OWNER: (&str, &str) = ("6281200000001", "Toko");

/// The phones of the bot's customers.
const CUSTOMERS: [(&str, &str); 2] = [("6281200000002", "Ani"), ("6281200000003", "Budi")];

/// A group of all three phones.
const GROUP: &str = "Pelanggan Toko";

/// Linking usually takes a tenth of a second here, and some seconds on an overloaded machine.
const LINKED_WITHIN: Duration = Duration::from_secs(30);

#[derive(Debug, Args)]
pub(super) struct Sandbox {
    /// Address and port of the API
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Address and port of the gateway's /metrics [default: not served]
    #[arg(long, value_name = "ADDR:PORT")]
    metrics_listen: Option<SocketAddr>,
    /// Address and port of the simulator and its control API
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8090")]
    sim: SocketAddr,
    /// Keep all data, keys included, in this folder [default: a temporary folder]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Leave the bot unlinked, to try the linking
    #[arg(long)]
    empty: bool,
    /// Print only one line of JSON when ready
    #[arg(long)]
    json: bool,
}

impl Sandbox {
    pub(super) async fn run(self, settings: &Settings) -> anyhow::Result<ExitCode> {
        if settings.config.is_some() || settings.data_dir.is_some() {
            bail!(
                "the sandbox uses no configuration file and no data of a gateway; omit --config and --data-dir, use --data DIR to keep a sandbox"
            );
        }
        // Kept until the end, because dropping the value removes the folder.
        let temporary = tempfile::TempDir::with_prefix("waviro-sandbox-")
            .context("a temporary folder could not be created; use --data DIR")?;
        let folder = self
            .data
            .clone()
            .unwrap_or_else(|| temporary.path().to_owned());
        make_data_dir(&folder)?;
        let (stop, signals) = (CancellationToken::new(), TaskTracker::new());
        lifecycle::stop_at_signals(stop.clone(), &signals)?;
        let sim = Sim::builder()
            .listen(self.sim)
            .data_dir(folder.join("sim"))
            .start()
            .await;
        let sim = sim.map_err(|error| match error {
            SimError::Bind { addr, source } => anyhow::anyhow!(
                "cannot listen on {addr}: {source}; stop the program that uses the port, or choose another port with --sim"
            ),
            other => other.into(),
        })?;
        let config = self.config(&sim, &folder, settings)?;
        telemetry::start_log(&config.log)?;
        if !self.sim.ip().is_loopback() {
            warn!(address = %self.sim, "anyone who can reach the simulator can read and write as every phone; keep the simulator on this machine");
        }
        let running = serve::start(&config, stop.clone(), "--listen").await?;
        let ready = tokio::select! {
            ready = self.furnish(&running, &sim, &folder) => ready.map(Some),
            () = stop.cancelled() => Ok(None),
        };
        let outcome = match ready {
            Ok(guide) => {
                if let Some(guide) = guide {
                    let text = if self.json {
                        guide.json()
                    } else {
                        guide.text()
                    };
                    announce(text).await;
                    stop.cancelled().await;
                }
                Ok(ExitCode::SUCCESS)
            }
            Err(error) => Err(error),
        };
        running.stop().await;
        sim.stop().await;
        outcome
    }

    /// Returns the embedded defaults with the sandbox's changes. The configuration file and
    /// environment of a real gateway are ignored.
    fn config(&self, sim: &Sim, folder: &Path, settings: &Settings) -> anyhow::Result<Config> {
        let set = |flag, key, value| Flag { flag, key, value };
        let mut flags = vec![
            set("--listen", "server.listen", self.listen.to_string()),
            set(
                "--data",
                "data_dir",
                folder.join("gateway").display().to_string(),
            ),
            set("--sim", "whatsapp.url", sim.ws_url()),
            set(
                "--sim",
                "whatsapp.server_key",
                STANDARD.encode(sim.server_key()),
            ),
            set(
                "sandbox",
                "outbound.allow",
                "127.0.0.0/8, ::1/128".to_owned(),
            ),
            // Fewer log lines, so that the guide stays readable.
            set("--log-level", "log.level", "warn".to_owned()),
        ];
        flags.extend(self.metrics_listen.map(|address| {
            set(
                "--metrics-listen",
                "server.metrics_listen",
                address.to_string(),
            )
        }));
        flags.extend(settings.flags());
        Ok(Config::embedded(&flags)?)
    }

    /// Creates phones, bot, link and group, except those of an earlier run.
    async fn furnish(&self, running: &Running, sim: &Sim, folder: &Path) -> anyhow::Result<Guide> {
        let owner = sim.add_phone(PhoneSpec::new(OWNER.0, OWNER.1)).await;
        let mut phones = Vec::new();
        for (number, name) in CUSTOMERS {
            phones.push(sim.add_phone(PhoneSpec::new(number, name)).await);
        }
        let (bot, secret_key) =
            keys::bot(running.app.bots(), BOT, &folder.join("keys.json")).await?;
        let profile = running.app.profiles().of(bot.id()).await?;
        let webhook_key = profile.webhook_key();
        let admin_token = keys::admin(running.app.tokens(), &folder.join("admin-token")).await?;
        if !self.empty {
            link(&bot, &owner).await?;
        }
        if sim.groups().is_empty() {
            sim.create_group(GROUP, OWNER.0, &CUSTOMERS.map(|(number, _)| number))
                .await;
        }
        running.app.show_phones(sim.http_url());
        // Customers first: a user of the first phone needs somebody to write to.
        phones.push(owner);
        let link = running.app.first_link().await?;
        let link = link.unwrap_or_else(|| "/dashboard".to_owned());
        Ok(Guide {
            gateway: format!("http://{}", running.address),
            metrics: running
                .metrics
                .map(|address| format!("http://{address}/metrics")),
            dashboard: format!("http://{}{link}", running.address),
            sim: sim.http_url(),
            bot: bot.name(),
            number: bot.identity().map(|identity| identity.number.to_string()),
            webhook_key: webhook_key.to_owned(),
            secret_key,
            admin_token,
            phones: phones
                .iter()
                .map(|phone| (phone.number().to_owned(), phone.name()))
                .collect(),
            groups: sim
                .groups()
                .iter()
                .map(|group| (group.id().to_owned(), group.name()))
                .collect(),
            now: jiff::Timestamp::from_millisecond(Clock::system().now())?
                .strftime("%H:%M:%S")
                .to_string(),
            kept: self.data.clone(),
        })
    }
}

/// Links the bot by scanning the code with the phone, unless the bot is still linked, and waits
/// until the bot is online.
async fn link(bot: &Arc<Bot>, phone: &Phone) -> anyhow::Result<()> {
    if let LinkCode::Code(code) = bot.link_code(&Clock::system(), LINKED_WITHIN).await? {
        phone
            .scan(&code.text)
            .await
            .context("the virtual phone did not accept the code")?;
    }
    let link = bot.opened().await.context("the link could not be opened")?;
    let mut status = link.status();
    let online = status.wait_for(|status| *status == Status::Online);
    match tokio::time::timeout(LINKED_WITHIN, online).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(_)) | Err(_) => bail!(
            "the bot did not come online; its state is {}",
            bot.status().word()
        ),
    }
}
