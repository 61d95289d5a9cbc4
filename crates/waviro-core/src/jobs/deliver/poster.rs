//! A single delivery: the request, the decision afterwards, and the commit of the outcome.

use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use url::Url;
use waviro_store::clock::{Clock, Millis, millis};
use waviro_store::{Attempt, Due, Store, StoreError, Work};

use super::capacity::Claimable;
use super::health::Change;
use super::{AFTER_A_PANIC, CLAIMED_TOGETHER, PENDING_FOR, Permit};
use crate::bots::{Bot, Profile, Profiles};
use crate::jobs::Living;
use crate::net::redirect::{self, Followed};
use crate::net::{self, Answer, Call, Net, NetError, sign};
use crate::outbox::Outbox;

/// The wait before the retry of a failed commit. The endpoint has answered, so the request must not
/// be repeated instead.
const COMMIT_AGAIN: Duration = Duration::from_secs(1);

/// How often the poster checks whether a starting bot is up.
const BOT_COMES_UP: Duration = Duration::from_millis(100);

/// An endpoint had an outage if the endpoint failed for at least this long. After an outage all
/// waiting deliveries become due as soon as the endpoint works again. After a shorter failure each
/// delivery keeps its own retry time.
const OUTAGE: Duration = Duration::from_mins(1);

/// The gateway is stopping; the next start resumes the delivery.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stopping;

/// The shared handles for deliveries.
pub(in crate::jobs) struct Poster {
    pub(in crate::jobs) store: Store,
    pub(in crate::jobs) net: Net,
    pub(in crate::jobs) outbox: Outbox,
    pub(in crate::jobs) profiles: Profiles,
    pub(in crate::jobs) bots: Living,
    pub(in crate::jobs) clock: Clock,
    pub(in crate::jobs) stop: CancellationToken,
}

/// A request and the outcome.
pub(super) struct Posted {
    at: Millis,
    url: Url,
    tried: net::Attempt,
    /// The URL of the answer and the redirects so far, if the endpoint redirected to the answer.
    pub(super) answer_at: Option<(Url, usize)>,
}

impl Poster {
    /// Performs a delivery. Returns the delivery to start at once: the next stage of the message,
    /// or the next event of the same line.
    pub(super) async fn deliver(&self, due: Due, permit: &mut Permit) -> Option<Due> {
        match &due.work {
            Work::Callback(callback) => {
                let callback = callback.clone();
                self.callback(due, callback, permit).await
            }
            Work::Webhook { chat } => {
                let chat = chat.clone();
                self.webhook(due, chat, permit).await
            }
            Work::Event => self.event(due, permit).await,
        }
    }

    /// Posts a signed request. `id` is the same for every attempt, so that an endpoint can discard
    /// duplicates.
    pub(super) async fn post(
        &self,
        due: &Due,
        id: &str,
        body: String,
        within: Option<Duration>,
    ) -> Posted {
        // The endpoint compares the signature's timestamp with its own clock, so the timestamp is
        // wall time.
        let (at, signed_at) = (self.clock.now(), self.clock.wall());
        let profile = self.profile(due.bot_id).await;
        let headers = match &profile {
            Some(profile) => profile.headers(id, signed_at, &body),
            None => sign::headers(&[], id, signed_at, body.as_bytes()).unwrap_or_default(),
        };
        let call = Call {
            url: &due.url,
            body: Bytes::from(body),
            headers: &headers,
            within,
            allow: profile.as_ref().map_or(&[], |profile| profile.allow()),
        };
        waviro_fault::step("post begun");
        let followed = match due.work {
            Work::Webhook { .. } => self.net.post_on(call).await,
            // After a redirect to a GET nothing at the target reads a callback or an event, so
            // redirects are not followed.
            Work::Callback(_) | Work::Event => Followed {
                attempt: self.net.post(call).await,
                url: due.url.clone(),
                redirects: redirect::MAX_REDIRECTS,
            },
        };
        waviro_fault::step("post answered");
        count(due, &followed.attempt);
        Posted::new(at, followed)
    }

    /// Reads the answer of a webhook from the target of a redirect.
    pub(super) async fn read_answer(
        &self,
        due: &Due,
        url: Url,
        redirects: usize,
        within: Option<Duration>,
    ) -> Posted {
        let at = self.clock.now();
        let profile = self.profile(due.bot_id).await;
        let allow = profile.as_ref().map_or(&[][..], |profile| profile.allow());
        let followed = self.net.get_on(url, redirects, within, allow).await;
        count(due, &followed.attempt);
        Posted::new(at, followed)
    }

    /// Returns the bot's signing secret and allowed networks. If the profile cannot be read, the
    /// delivery goes unsigned and to public addresses only. The endpoint's signature check then
    /// rejects the request, and a retry follows.
    async fn profile(&self, bot_id: i32) -> Option<Arc<Profile>> {
        let profile = self.profiles.of(bot_id).await;
        profile
            .inspect_err(
                |reason| error!(bot_id, %reason, "signing secret of a bot could not be read"),
            )
            .ok()
    }

    /// Repeats a commit until the commit succeeds. Returns `None` at the stop: the row stays leased
    /// and the next start releases the lease.
    pub(super) async fn commit<T, F>(&self, change: impl Fn() -> F) -> Option<T>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        loop {
            match change().await {
                Ok(done) => return Some(done),
                Err(reason) => {
                    error!(%reason, "outcome of a delivery could not be stored; retry scheduled");
                }
            }
            tokio::select! {
                () = self.stop.cancelled() => return None,
                () = self.clock.sleep(COMMIT_AGAIN) => {}
            }
        }
    }

    /// Returns the bot with this id, or `Ok(None)` if the bot was removed. Right after the start a
    /// delivery of the last run may be ready before its bot is up, so the function waits.
    ///
    /// # Errors
    /// [`Stopping`]: the gateway stops before the answer is known.
    pub(super) async fn living(&self, bot_id: i32) -> Result<Option<Arc<Bot>>, Stopping> {
        loop {
            if let Some(bot) = self.bots.find(bot_id) {
                return Ok(Some(bot));
            }
            let row = self.commit(|| self.store.bot(bot_id)).await;
            if row.ok_or(Stopping)?.is_none() {
                return Ok(None);
            }
            tokio::select! {
                () = self.stop.cancelled() => return Err(Stopping),
                () = self.clock.sleep(BOT_COMES_UP) => {}
            }
        }
    }

    /// Writes a change of an endpoint's health. Returns false if the write failed; the next change
    /// of the endpoint is then written instead.
    pub(super) async fn endpoint_changed(&self, change: Change) -> bool {
        let written = match change {
            Change::Fails(failure) => {
                let (endpoint, cause) = (&failure.endpoint, &failure.last_error);
                if failure.off_at.is_some() {
                    error!(
                        endpoint,
                        cause,
                        "endpoint failed for 120 h and is switched off; its deliveries wait until an operator \
                         switches it on"
                    );
                } else {
                    warn!(endpoint, cause, "endpoint failed");
                }
                self.store.endpoint_fails(failure).await.map(drop)
            }
            Change::Works { endpoint, after } => {
                let now = self.clock.now();
                let wake = after >= millis(OUTAGE);
                let woken = self.store.endpoint_works(&endpoint, wake, now).await;
                woken.map(|waiting| {
                    let failed_s = after / 1000;
                    info!(endpoint, failed_s, waiting, "endpoint works again");
                })
            }
        };
        if let Err(reason) = &written {
            error!(%reason, "state of an endpoint could not be stored");
        }
        written.is_ok()
    }

    /// Sets the metrics for the length of the queues.
    pub(super) fn measure(&self) {
        let deep = |count: i64| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        metrics::gauge!("waviro_messages_pending").set(deep(self.store.pending_count()));
        metrics::gauge!("waviro_deliveries_owed").set(deep(self.store.open_delivery_count()));
    }

    /// Leases due deliveries with room in memory and sends the deliveries to `feed`. Returns true
    /// if a queue has more due deliveries than were leased, and the endpoints that are switched
    /// off.
    pub(super) async fn find(
        &self,
        unscheduled: Vec<i64>,
        panicked: Vec<i64>,
        mut claimable: Claimable,
        feed: &mpsc::UnboundedSender<Due>,
    ) -> Result<(bool, HashSet<String>), StoreError> {
        let now = self.clock.now();
        if !unscheduled.is_empty() {
            self.store.release(unscheduled, now).await?;
        }
        if !panicked.is_empty() {
            error!(deliveries = ?panicked, "deliveries panicked; retry in a minute");
            self.store
                .release(panicked, now + millis(AFTER_A_PANIC))
                .await?;
        }
        let together = i64::try_from(CLAIMED_TOGETHER).unwrap_or(i64::MAX);
        let pending = self
            .store
            .remind(now - millis(PENDING_FOR), together, now)
            .await?;
        for due in pending {
            let _ = feed.send(due);
        }
        let endpoint_failures = self.store.endpoint_failures().await?.into_iter();
        let off = endpoint_failures.filter(|failure| failure.off_at.is_some());
        let off: HashSet<String> = off.map(|failure| failure.endpoint).collect();
        let mut more = false;
        for (endpoint, bot) in self.store.due_queues(now).await? {
            if off.contains(&endpoint) {
                continue;
            }
            let limit = claimable.of(&endpoint, bot).min(CLAIMED_TOGETHER);
            if limit == 0 {
                continue;
            }
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let claimed = self.store.claim(&endpoint, bot, limit, now).await?;
            more |= claimed.len() == CLAIMED_TOGETHER;
            claimable.claimed(bot, claimed.len());
            for due in claimed {
                let _ = feed.send(due);
            }
        }
        Ok((more, off))
    }
}

/// Counts a request by outcome.
fn count(due: &Due, tried: &net::Attempt) {
    let outcome = match &tried.outcome {
        Ok(answer) if (200..300).contains(&answer.status) => "ok",
        Ok(_) => "status",
        Err(_) => "error",
    };
    let kind = match due.work {
        Work::Callback(_) => "callback",
        Work::Webhook { .. } => "webhook",
        Work::Event => "event",
    };
    metrics::counter!("waviro_deliveries_total", "kind" => kind, "outcome" => outcome).increment(1);
}

impl Posted {
    fn new(at: Millis, followed: Followed) -> Self {
        let answer_at = followed.answer_at();
        Self {
            at,
            answer_at: answer_at.map(|url| (url, followed.redirects + 1)),
            url: followed.url,
            tried: followed.attempt,
        }
    }

    /// Returns the endpoint's answer or the error.
    pub(super) fn outcome(&self) -> &Result<Answer, NetError> {
        &self.tried.outcome
    }

    /// Returns the body of the endpoint's answer as text.
    pub(super) fn body(&self) -> String {
        let body = self.tried.outcome.as_ref().map(|answer| &answer.body[..]);
        String::from_utf8_lossy(body.unwrap_or_default()).into_owned()
    }

    /// Returns the journal entry of this attempt; `cause` is set if the attempt failed.
    pub(super) fn attempt(&self, cause: Option<String>) -> Attempt {
        let answer = self.tried.outcome.as_ref().ok();
        Attempt {
            at: self.at,
            url: self.url.to_string(),
            status: answer.map(|answer| answer.status),
            took_ms: i64::try_from(self.tried.took.as_millis()).unwrap_or(i64::MAX),
            address: self.tried.address.map(|address| address.to_string()),
            answer: self.body(),
            cause,
        }
    }
}
