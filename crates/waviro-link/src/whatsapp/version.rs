//! Finds the WhatsApp Web version for the devices. WhatsApp refuses clients with an old version.
//!
//! The module fetches the version once for all devices. The library would fetch the version before
//! each dial, so that a web page without an answer would block the login. The module instead uses
//! the last good answer, also after a restart; before the first answer, it uses the version built
//! into the library.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, watch};
use tokio::time::Instant;
use whatsapp_rust::http::HttpClient;
use whatsapp_rust::version::fetch_latest_app_version;
use whatsapp_rust::wacore::store::device::Device;

use super::task::spawn;

/// The three parts of a version such as `2.3000.1023456789`.
pub(super) type Version = (u32, u32, u32);

/// The time after which a successful answer is out of date.
const FRESH: Duration = Duration::from_hours(24);

/// The pause before a new request after a failed request or after a refused version.
pub(super) const AGAIN: Duration = Duration::from_mins(10);

/// The timeout of the request. The page is small.
const PATIENCE: Duration = Duration::from_secs(20);

/// The current version, shared by all devices.
pub(super) struct Versions {
    /// The configured version; if set, WhatsApp is never asked.
    fixed: Option<Version>,
    /// The file with the last good answer.
    file: PathBuf,
    http: Arc<dyn HttpClient>,
    known: watch::Sender<Version>,
    /// The time of the last request, and true if the request succeeded.
    asked: Mutex<Option<(Instant, bool)>>,
}

impl Versions {
    /// `fixed` is the configured version, if any. A simulator accepts any version, so WhatsApp is
    /// not asked.
    pub(super) fn new(
        fixed: Option<Version>,
        simulated: bool,
        folder: &Path,
        http: Arc<dyn HttpClient>,
    ) -> Arc<Self> {
        let file = folder.join("version");
        let kept = std::fs::read_to_string(&file).ok();
        let version = kept.and_then(|text| parse(&text)).unwrap_or_else(built_in);
        Arc::new(Self {
            fixed: fixed.or_else(|| simulated.then(built_in)),
            file,
            http,
            known: watch::Sender::new(version),
            asked: Mutex::new(None),
        })
    }

    /// Returns the current version without waiting. If the version is a day old, a background
    /// request updates it for the next dial.
    pub(super) fn known(self: &Arc<Self>) -> Version {
        if let Some(fixed) = self.fixed {
            return fixed;
        }
        let versions = Arc::clone(self);
        spawn(async move { versions.ask(FRESH).await });
        *self.known.borrow()
    }

    /// Returns the version to use after WhatsApp has refused `refused`: a newer version if there is
    /// one.
    pub(super) async fn after(&self, refused: Version) -> Version {
        if let Some(fixed) = self.fixed {
            return fixed;
        }
        if *self.known.borrow() == refused {
            self.ask(AGAIN).await;
        }
        *self.known.borrow()
    }

    /// Asks WhatsApp, unless the last successful answer is younger than `fresh` or the last request
    /// failed less than [`AGAIN`] ago.
    async fn ask(&self, fresh: Duration) {
        // The lock is held during the request, so that 200 devices starting together send one
        // request.
        let mut asked = self.asked.lock().await;
        let keep = match *asked {
            Some((_, true)) => fresh,
            _ => AGAIN,
        };
        if asked.is_some_and(|(at, _)| at.elapsed() < keep) {
            return;
        }
        let asking = tokio::time::timeout(PATIENCE, fetch_latest_app_version(&self.http));
        let answer = asking.await.map_err(|_| "no answer".to_owned());
        let answer = answer.and_then(|answer| answer.map_err(|error| format!("{error:#}")));
        *asked = Some((Instant::now(), answer.is_ok()));
        match answer {
            Ok(version) => {
                self.known.send_replace(version);
                if let Err(error) = std::fs::write(&self.file, text(version)) {
                    tracing::warn!(%error, "WhatsApp Web version was not saved for the next start");
                }
            }
            Err(reason) => {
                tracing::warn!(
                    reason,
                    "current WhatsApp Web version unknown; using the last known version"
                );
            }
        }
    }
}

impl std::fmt::Debug for Versions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Versions")
            .field("fixed", &self.fixed)
            .finish_non_exhaustive()
    }
}

/// Returns the version built into the library.
fn built_in() -> Version {
    let device = Device::new();
    (
        device.app_version_primary,
        device.app_version_secondary,
        device.app_version_tertiary,
    )
}

fn parse(text: &str) -> Option<Version> {
    let mut parts = text.trim().split('.').map(str::parse);
    let mut next = || parts.next()?.ok();
    Some((next()?, next()?, next()?))
}

fn text((first, second, third): Version) -> String {
    format!("{first}.{second}.{third}")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use async_trait::async_trait;
    use whatsapp_rust::anyhow::{self, bail};
    use whatsapp_rust::http::{HttpRequest, HttpResponse};

    use super::*;

    /// Answers with the given revision; fails while the revision is 0.
    #[derive(Default)]
    struct Page {
        revision: AtomicU32,
        asked: AtomicU32,
    }

    #[async_trait]
    impl HttpClient for Page {
        async fn execute(&self, _request: HttpRequest) -> anyhow::Result<HttpResponse> {
            self.asked.fetch_add(1, Ordering::SeqCst);
            match self.revision.load(Ordering::SeqCst) {
                0 => bail!("no route to host"),
                revision => Ok(HttpResponse {
                    status_code: 200,
                    body: format!(r#""client_revision":{revision},"#).into_bytes(),
                }),
            }
        }
    }

    fn versions(page: &Arc<Page>, folder: &Path) -> Arc<Versions> {
        Versions::new(None, false, folder, Arc::clone(page) as Arc<dyn HttpClient>)
    }

    /// Returns the known version after the background request of [`Versions::known`] has finished.
    async fn settled(versions: &Arc<Versions>) -> Version {
        versions.known();
        versions.ask(FRESH).await;
        versions.known()
    }

    #[tokio::test]
    async fn all_devices_share_one_question_and_a_restart_keeps_the_answer() {
        let (page, folder) = (Arc::new(Page::default()), tempfile::tempdir().unwrap());
        page.revision.store(77, Ordering::SeqCst);
        let first = versions(&page, folder.path());
        assert_eq!(
            first.known(),
            built_in(),
            "no caller waits for the version page"
        );
        for _ in 0..3 {
            assert_eq!(settled(&first).await, (2, 3000, 77));
        }
        assert_eq!(page.asked.load(Ordering::SeqCst), 1);
        page.revision.store(0, Ordering::SeqCst);
        let next = versions(&page, folder.path());
        assert_eq!(next.known(), (2, 3000, 77));
        assert_eq!(settled(&next).await, (2, 3000, 77));
    }

    #[tokio::test]
    async fn without_an_answer_the_built_in_version_is_used_without_a_new_request() {
        let (page, folder) = (Arc::new(Page::default()), tempfile::tempdir().unwrap());
        let versions = versions(&page, folder.path());
        assert_eq!(settled(&versions).await, built_in());
        assert_eq!(versions.after(built_in()).await, built_in());
        assert_eq!(page.asked.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_refused_version_is_looked_up_again_within_a_day() {
        let (page, folder) = (Arc::new(Page::default()), tempfile::tempdir().unwrap());
        page.revision.store(77, Ordering::SeqCst);
        let versions = versions(&page, folder.path());
        settled(&versions).await;
        let long_ago = Instant::now().checked_sub(AGAIN).unwrap();
        *versions.asked.lock().await = Some((long_ago, true));
        page.revision.store(78, Ordering::SeqCst);
        // Another device was refused an older version: the known version is already newer.
        assert_eq!(versions.after((2, 3000, 5)).await, (2, 3000, 77));
        assert_eq!(versions.after((2, 3000, 77)).await, (2, 3000, 78));
    }

    #[tokio::test]
    async fn a_configured_version_or_a_simulator_causes_no_lookup() {
        let (page, folder) = (Arc::new(Page::default()), tempfile::tempdir().unwrap());
        for (fixed, simulated, expected) in [
            (Some((2, 3000, 1)), false, (2, 3000, 1)),
            (None, true, built_in()),
        ] {
            let http = Arc::clone(&page) as Arc<dyn HttpClient>;
            let versions = Versions::new(fixed, simulated, folder.path(), http);
            assert_eq!(versions.known(), expected);
            assert_eq!(versions.after(expected).await, expected);
        }
        assert_eq!(page.asked.load(Ordering::SeqCst), 0);
    }
}
