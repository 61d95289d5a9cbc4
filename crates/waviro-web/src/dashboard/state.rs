//! The state that the pages share.

use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::{Arc, OnceLock};

use waviro_core::config::{Config, Retention};
use waviro_core::permits::Permits;

use super::assets::Assets;
use super::setup::Setup;
use crate::http::LoginAttempts;
use crate::services::Services;

/// The state of the pages: the shared services, and what only the dashboard needs.
pub struct Dashboard {
    pub(super) services: Arc<Services>,
    /// Limits login attempts.
    pub(super) tries: LoginAttempts,
    /// The setup link, valid while there is no user.
    pub(super) setup: Setup,
    /// The URL of the simulator's phones, in a sandbox.
    pub(super) phones: OnceLock<String>,
    /// Permits for live page updates, by user. A second login does not give a user more permits.
    pub(super) live: Permits<i64>,
    /// The number of permits reserved for admins.
    pub(super) live_for_admins: u64,
    /// The retention times.
    pub(super) retention: Retention,
    /// The path before `/dashboard`.
    pub(super) base: String,
    pub(super) assets: Assets,
    /// A random hash key per process. Fingerprints of an earlier process never match, even with the
    /// same number of commits.
    process: RandomState,
}

impl Dashboard {
    /// Builds the state from the services and the configuration.
    #[must_use]
    pub fn new(services: Arc<Services>, config: &Config) -> Self {
        let limits = &config.limits;
        Self {
            tries: LoginAttempts::new(limits, services.clock.clone()),
            setup: Setup::default(),
            phones: OnceLock::new(),
            live: Permits::new(limits.live_pages, limits.live_pages_per_user),
            live_for_admins: limits.live_pages_for_admins,
            retention: config.retention.clone(),
            base: config.server.base_path.clone(),
            assets: Assets::new(),
            process: RandomState::new(),
            services,
        }
    }

    /// Creates a new secret for the setup link; earlier links stop working.
    #[must_use]
    pub fn new_setup_secret(&self) -> String {
        self.setup.secret()
    }

    /// Shows the simulator's phones on the pages.
    pub fn show_phones(&self, url: String) {
        // Set only once, by the sandbox.
        let _ = self.phones.set(url);
    }

    /// Returns a number that changes with each commit and with each change of a link, and that
    /// differs between processes.
    pub(super) fn fingerprint(&self) -> u64 {
        let mut hasher = self.process.build_hasher();
        self.services.store.commits().hash(&mut hasher);
        for bot in self.services.bots.list() {
            bot.id().hash(&mut hasher);
            format!("{:?}", bot.status()).hash(&mut hasher);
        }
        hasher.finish()
    }
}
