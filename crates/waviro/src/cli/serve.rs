//! `waviro serve`

use std::fs::{File, TryLockError};
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};
use waviro_core::config::{Config, Flag};
use waviro_core::private;
use waviro_link::whatsapp::{WhatsApp, WhatsAppConfig};
use waviro_store::clock::Clock;
use waviro_store::panics;

use super::output::announce;
use super::settings::{Settings, make_data_dir};
use crate::app::{App, StartError};
use crate::listener::Patience;
use crate::telemetry;

use crate::{lifecycle, listener};

/// The time for requests in progress at a stop. With [`App::stop`] a stop takes at most 5 s.
const REQUESTS_WITHIN: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
pub(super) struct Serve {
    /// Address and port of the API (key `server.listen`)
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<String>,
    /// Address and port of /metrics (key `server.metrics_listen`) [default: not served]
    #[arg(long, value_name = "ADDR:PORT")]
    metrics_listen: Option<String>,
}

/// A gateway with a listener.
pub(super) struct Running {
    pub(super) address: SocketAddr,
    /// The address of `/metrics`, if served.
    pub(super) metrics: Option<SocketAddr>,
    pub(super) app: App,
    stop: CancellationToken,
    requests: TaskTracker,
    /// The lock on the data folder, held while the gateway runs.
    _alone: File,
}

impl Serve {
    pub(super) async fn run(self, settings: &Settings) -> anyhow::Result<ExitCode> {
        let listen = self.listen.map(|value| Flag {
            flag: "--listen",
            key: "server.listen",
            value,
        });
        let metrics_listen = self.metrics_listen.map(|value| Flag {
            flag: "--metrics-listen",
            key: "server.metrics_listen",
            value,
        });
        let config = settings.load(listen.into_iter().chain(metrics_listen).collect())?;
        telemetry::start_log(&config.log)?;
        let (stop, signals) = (CancellationToken::new(), TaskTracker::new());
        lifecycle::stop_at_signals(stop.clone(), &signals)?;
        let running = start(&config, stop.clone(), "--listen or server.listen").await?;
        info!(address = %running.address, "listening");
        if let Some(address) = running.metrics {
            info!(%address, "serving /metrics");
        }
        if let Some(link) = running.app.first_link().await? {
            let base = &config.server.base_path;
            announce(format!(
                "The dashboard has no user yet. Create the first user at this address:\n\n  http://{}{base}{link}\n",
                running.address
            ))
            .await;
        }
        stop.cancelled().await;
        running.stop().await;
        Ok(ExitCode::SUCCESS)
    }
}

/// Returns the configuration of the links.
pub(super) fn whatsapp_config(config: &Config) -> WhatsAppConfig {
    WhatsAppConfig {
        store_folder: config.link_folder(),
        url: config.whatsapp.url.clone(),
        server_key: config.whatsapp.server_key,
        http_proxy: config.whatsapp.http_proxy.clone(),
        ca_file: config.whatsapp.ca_file.clone(),
        version: config.whatsapp.version,
        device_name: config.whatsapp.device_name.clone(),
    }
}

/// Binds the listeners, starts the gateway and serves requests. `flag` is named in the error if the
/// port is taken.
pub(super) async fn start(
    config: &Config,
    stop: CancellationToken,
    flag: &str,
) -> anyhow::Result<Running> {
    raise_open_files();
    let clock = Clock::system();
    let metrics = telemetry::start_metrics().context("metrics")?;
    let listener = bind(config.server.listen, flag)?;
    let address = listener.local_addr()?;
    if !address.ip().is_loopback() {
        warn!(%address, "listening on the network without TLS; put a TLS proxy in front");
    }
    make_data_dir(&config.data_dir)?;
    let alone = alone(&config.data_dir)?;
    private::narrow(config);
    let beside_api = config.server.metrics_beside_api();
    let metrics_listener = match config.server.metrics_listen.filter(|_| !beside_api) {
        Some(address) => Some(bind(address, "--metrics-listen or server.metrics_listen")?),
        None => None,
    };
    let connector = WhatsApp::new(whatsapp_config(config));
    let connector = Arc::new(connector.map_err(StartError::Link)?);
    let app = App::start(
        config,
        connector,
        clock.clone(),
        Some(metrics),
        stop.clone(),
    )
    .await?;
    let requests = TaskTracker::new();
    let patience = Patience {
        header: Duration::from_secs(config.limits.read_timeout_s),
        write: Duration::from_secs(config.limits.write_timeout_s),
    };
    let mut metrics_address = beside_api.then_some(address);
    if let Some(listener) = metrics_listener {
        metrics_address = Some(listener.local_addr()?);
        let (router, clock) = (app.metrics_router(), clock.clone());
        let serving = listener::serve(listener, router, patience, clock, stop.clone());
        requests.spawn(panics::vital("metrics listener", serving));
    }
    let router = app.router();
    let serving = listener::serve(listener, router, patience, clock, stop.clone());
    requests.spawn(panics::vital("API listener", serving));
    requests.close();
    Ok(Running {
        address,
        metrics: metrics_address,
        app,
        stop,
        requests,
        _alone: alone,
    })
}

/// Locks the data folder. A second gateway on the folder would connect the same devices, disconnect
/// the first gateway, and send the queued messages again. The system releases the lock when the
/// process ends, in every case.
fn alone(data_dir: &Path) -> anyhow::Result<File> {
    let path = data_dir.join("lock");
    let mut options = File::options();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options
        .open(&path)
        .with_context(|| path.display().to_string())?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => bail!(
            "another gateway uses {}; stop the other gateway, or set another data_dir",
            data_dir.display()
        ),
        Err(TryLockError::Error(error)) => Err(error).context(path.display().to_string()),
    }
}

fn bind(address: SocketAddr, flag: &str) -> anyhow::Result<TcpListener> {
    listener::bind(address).with_context(|| {
        format!("cannot listen on {address}; stop the program that uses the port, or choose another port with {flag}")
    })
}

impl Running {
    /// Stops the gateway within 5 s.
    pub(super) async fn stop(self) {
        self.stop.cancel();
        if tokio::time::timeout(REQUESTS_WITHIN, self.requests.wait())
            .await
            .is_err()
        {
            warn!("requests did not end in time");
        }
        self.app.stop().await;
    }
}

/// Raises the limit of open files to the system's maximum for this process. Each bot needs about
/// five, each inbound or outbound request one. Many systems start a process with a limit of 1,024
/// for compatibility with old programs.
fn raise_open_files() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, getrlimit, setrlimit};
        let mut limit = getrlimit(Resource::Nofile);
        limit.current = limit.maximum;
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            warn!(%error, "limit of open files could not be raised");
        }
    }
}
