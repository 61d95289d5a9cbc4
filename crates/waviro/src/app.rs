//! Builds the gateway from its parts in the right order, and stops the parts again. All wiring is
//! here.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use metrics_exporter_prometheus::PrometheusHandle;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};
use waviro_core::bots::{Bots, Profiles};
use waviro_core::config::Config;
use waviro_core::disk::Floor;
use waviro_core::events;
use waviro_core::files::{Files, FilesError, RetentionLimits};
use waviro_core::idempotency::Idempotency;
use waviro_core::jobs::{Jobs, retention};
use waviro_core::net::{Net, NetError};
use waviro_core::outbox::{Outbox, Settings};
use waviro_core::permits::Permits;
use waviro_core::tokens::Tokens;
use waviro_core::users::Users;
use waviro_link::{Connector, LinkError};
use waviro_store::clock::Clock;
use waviro_store::panics;
use waviro_store::{Store, StoreError};
use waviro_web::api;
use waviro_web::dashboard::Dashboard;
use waviro_web::http::{Proxies, WrongKeys, behind_proxies};
use waviro_web::services::Services;
use waviro_web::{dashboard, docs, v1};

use crate::{health, memory, telemetry};

/// The timeout for work in progress at a stop. The sum with [`LINKS_WITHIN`] and [`STORE_WITHIN`]
/// stays below the promised 5 s.
const WORK_WITHIN: Duration = Duration::from_secs(2);

/// The timeout for the links to write their state and close.
const LINKS_WITHIN: Duration = Duration::from_secs(1);

/// The timeout for the database to commit waiting changes.
const STORE_WITHIN: Duration = Duration::from_secs(1);

/// A running gateway without a listener.
pub struct App {
    services: Arc<Services>,
    dashboard: Arc<Dashboard>,
    router: Router,
    metrics: Option<PrometheusHandle>,
    stop: CancellationToken,
}

/// Why the gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database failed to open.
    #[error("{0}; check database.url and data_dir, or run `waviro doctor`")]
    Store(#[from] StoreError),
    /// The client for outbound requests failed to start.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The spool folder cannot be created.
    #[error("the folder for files cannot be created: {0}; check data_dir")]
    Spool(std::io::Error),
    /// The folder of received files, or the secret for signed links, is not available.
    #[error("received files cannot be stored: {0}; check data_dir")]
    Files(#[from] FilesError),
    /// The link store failed, or the WhatsApp endpoint is not allowed.
    #[error("{0}")]
    Link(#[from] LinkError),
}

impl App {
    /// Opens the database, loads the bots and starts the background work. `stopping` ends requests
    /// that only wait; [`App::stop`] ends everything else.
    pub async fn start(
        config: &Config,
        connector: Arc<dyn Connector>,
        clock: Clock,
        metrics: Option<PrometheusHandle>,
        stopping: CancellationToken,
    ) -> Result<Self, StartError> {
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let background = (&tasks, &stop);
        let net = Net::new(&config.outbound, clock.clone())?;
        let store = Store::open(config.database_at()).await?;
        let outbox = outbox(config, &store, &net, &clock)?;
        let profiles = Profiles::new(store.clone(), clock.clone());
        let jobs = Jobs::start(
            store.clone(),
            net.clone(),
            outbox.clone(),
            profiles.clone(),
            clock.clone(),
            &tasks,
            stop.clone(),
        )
        .await?;
        let files = files(config, &store, &clock, &tasks, &stop).await?;
        let bots = linked(
            (&store, &outbox, &profiles, &files),
            jobs,
            connector,
            &clock,
            background,
        )
        .await?;
        let (limits, base_path) = (&config.limits, &config.server.base_path);
        let idempotency = Idempotency::new(store.clone(), clock.clone(), limits.kept_answers_mib);
        chores(&outbox, &idempotency, metrics.clone(), &clock, background);
        let services = Arc::new(Services {
            users: Users::new(store.clone(), clock.clone(), limits.logins_waiting),
            tokens: Tokens::new(store.clone(), clock.clone()),
            wrong_keys: WrongKeys::new(limits.wrong_keys_per_minute, clock.clone()),
            at_work: Permits::new(limits.keyed, limits.keyed_per_caller),
            settings: Mutex::default(),
            body: limits.into(),
            qr_within: Duration::from_secs(limits.qr_wait_s),
            call_within_s: config.outbound.timeout_s,
            tasks,
            stop: stopping,
            store,
            bots,
            net,
            outbox,
            profiles,
            files,
            idempotency,
            clock,
        });
        let dashboard = Arc::new(Dashboard::new(Arc::clone(&services), config));
        let proxies = Proxies::new(config.server.trusted_proxies.clone());
        let router = api::router(Arc::clone(&services), base_path)
            .merge(v1::router(&services, limits, base_path))
            .merge(dashboard::router(&dashboard))
            .merge(docs::router(config))
            .merge(health::router(services.store.clone()))
            .merge(if config.server.metrics_beside_api() {
                health::metrics(metrics.clone())
            } else {
                health::no_metrics()
            })
            .layer(from_fn_with_state(proxies, behind_proxies));
        info!(bots = services.bots.list().len(), "gateway started");
        Ok(Self {
            services,
            dashboard,
            router,
            metrics,
            stop,
        })
    }

    /// Returns the router of the main listener.
    pub fn router(&self) -> Router {
        self.router.clone()
    }

    /// Returns the router of the metrics listener.
    pub fn metrics_router(&self) -> Router {
        health::router(self.services.store.clone()).merge(health::metrics(self.metrics.clone()))
    }

    /// Returns the bots, for setup from inside the process.
    #[must_use]
    pub fn bots(&self) -> &Bots {
        &self.services.bots
    }

    /// Returns the tokens, for setup from inside the process.
    #[must_use]
    pub fn tokens(&self) -> &Tokens {
        &self.services.tokens
    }

    /// Returns the profiles of the bots, for setup from inside the process.
    #[must_use]
    pub fn profiles(&self) -> &Profiles {
        &self.services.profiles
    }

    /// Returns the dashboard's users, for setup from inside the process.
    #[must_use]
    pub fn users(&self) -> &Users {
        &self.services.users
    }

    /// Returns the path of the setup link for the dashboard's first user, below `server.base_path`;
    /// `None` if a user exists. Each call creates a new secret, so earlier links stop working.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn first_link(&self) -> Result<Option<String>, StoreError> {
        let any = self.services.users.any().await?;
        Ok((!any).then(|| {
            format!(
                "/dashboard/setup?token={}",
                self.dashboard.new_setup_secret()
            )
        }))
    }

    /// Shows the simulator's phones in the dashboard.
    pub fn show_phones(&self, url: String) {
        self.dashboard.show_phones(url);
    }

    /// Stops background work, links and database, in this order, each with a timeout; takes at most
    /// 4 s. The next start resumes interrupted work.
    pub async fn stop(self) {
        self.stop.cancel();
        let Services {
            tasks, bots, store, ..
        } = &*self.services;
        tasks.close();
        if tokio::time::timeout(WORK_WITHIN, tasks.wait())
            .await
            .is_err()
        {
            warn!(
                tasks = tasks.len(),
                "tasks did not end in time; the next start continues their work"
            );
        }
        bots.close(LINKS_WITHIN).await;
        if tokio::time::timeout(STORE_WITHIN, store.close())
            .await
            .is_err()
        {
            warn!("database did not close in time");
        }
        info!("gateway stopped");
    }
}

/// Starts the periodic tasks that can restart after a panic.
fn chores(
    outbox: &Outbox,
    idempotency: &Idempotency,
    metrics: Option<PrometheusHandle>,
    clock: &Clock,
    (tasks, stop): (&TaskTracker, &CancellationToken),
) {
    let (swept, end) = (outbox.clone(), stop.clone());
    let sweep = move || swept.clone().keep_swept(end.clone());
    tasks.spawn(panics::restarted(
        "sweep of sent files",
        clock.clone(),
        sweep,
    ));
    let (swept, end) = (idempotency.clone(), stop.clone());
    let sweep = move || swept.clone().keep_swept(end.clone());
    tasks.spawn(panics::restarted(
        "sweep of idempotency keys",
        clock.clone(),
        sweep,
    ));
    if let Some(metrics) = metrics {
        let (clock, stop) = (clock.clone(), stop.clone());
        tasks.spawn(telemetry::count_metrics(metrics, clock, stop));
    }
    tasks.spawn(memory::keep_given_back(clock.clone(), stop.clone()));
}

/// Creates the outbox with its spool folder.
fn outbox(config: &Config, store: &Store, net: &Net, clock: &Clock) -> Result<Outbox, StartError> {
    let settings = Settings {
        grace: Duration::from_secs(config.delivery.grace_s),
        ..Settings::default()
    };
    let settings = settings.within(&config.limits);
    Outbox::new(
        store.clone(),
        net.clone(),
        clock.clone(),
        settings,
        config.spool_folder(),
        StdRng::from_rng(&mut rand::rng()),
    )
    .map_err(StartError::Spool)
}

/// Starts the bots and attaches the event listener to their links.
async fn linked(
    (store, outbox, profiles, files): (&Store, &Outbox, &Profiles, &Files),
    jobs: Jobs,
    connector: Arc<dyn Connector>,
    clock: &Clock,
    (tasks, stop): (&TaskTracker, &CancellationToken),
) -> Result<Bots, StoreError> {
    let attach = events::attach(
        store.clone(),
        outbox.clone(),
        jobs,
        profiles.clone(),
        files.clone(),
        clock.clone(),
    );
    Bots::start(
        store.clone(),
        connector,
        clock.clone(),
        tasks,
        stop.clone(),
        attach,
    )
    .await
}

/// Opens the received files and starts the retention sweep.
async fn files(
    config: &Config,
    store: &Store,
    clock: &Clock,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> Result<Files, FilesError> {
    let keeping = RetentionLimits {
        folder: config.media_folder(),
        base: config.link_base().to_owned(),
        keeps: Duration::from_hours(24 * config.retention.media_days),
        permits: Permits::new(config.limits.fetches, config.limits.fetches_per_bot),
        floor: Floor::new(config.data_dir.clone(), config.limits.free_disk_mib),
    };
    let files = Files::open(
        store.clone(),
        clock.clone(),
        keeping,
        tasks.clone(),
        stop.clone(),
    )
    .await?;
    let sweep = {
        let (store, files, stop) = (store.clone(), files.clone(), stop.clone());
        let (retention, clock) = (config.retention.clone(), clock.clone());
        move || {
            let (store, files, stop) = (store.clone(), files.clone(), stop.clone());
            retention::keep_swept(store, files, retention.clone(), clock.clone(), stop)
        }
    };
    tasks.spawn(panics::restarted("retention", clock.clone(), sweep));
    Ok(files)
}
