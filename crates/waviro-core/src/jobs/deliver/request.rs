//! The signed requests to endpoints.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tracing::error;
use url::Url;
use waviro_store::clock::{Clock, Millis};
use waviro_store::{Attempt, AttemptFailure, Due, Work};

use crate::bots::{Profile, Profiles};
use crate::net::redirect::{self, Followed};
use crate::net::{self, Answer, Call, Net, NetError, sign};

/// Posts deliveries to endpoints, and reads the answers of webhooks behind redirects.
pub(in crate::jobs) struct EndpointClient {
    net: Net,
    profiles: Profiles,
    clock: Clock,
}

/// A request and its outcome.
pub(super) struct Exchange {
    at: Millis,
    url: Url,
    tried: net::Attempt,
    /// The URL of the answer and the redirects so far, if the endpoint redirected to the answer.
    pub(super) answer_at: Option<(Url, usize)>,
}

impl EndpointClient {
    pub(in crate::jobs) fn new(net: Net, profiles: Profiles, clock: Clock) -> Self {
        Self {
            net,
            profiles,
            clock,
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
    ) -> Exchange {
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
        Exchange::new(due, at, followed)
    }

    /// Reads the answer of a webhook from the target of a redirect.
    pub(super) async fn read_answer(
        &self,
        due: &Due,
        url: Url,
        redirects: usize,
        within: Option<Duration>,
    ) -> Exchange {
        let at = self.clock.now();
        let profile = self.profile(due.bot_id).await;
        let allow = profile.as_ref().map_or(&[][..], |profile| profile.allow());
        let followed = self.net.get_on(url, redirects, within, allow).await;
        Exchange::new(due, at, followed)
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
}

impl Exchange {
    /// Counts the request by its outcome.
    fn new(due: &Due, at: Millis, followed: Followed) -> Self {
        let outcome = match &followed.attempt.outcome {
            Ok(answer) if (200..300).contains(&answer.status) => "ok",
            Ok(_) => "status",
            Err(_) => "error",
        };
        metrics::counter!("waviro_deliveries_total", "kind" => due.work.kind(), "outcome" => outcome)
            .increment(1);
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

    /// Returns the journal entry of this attempt; `failure` is set if the attempt failed.
    pub(super) fn attempt(&self, failure: Option<AttemptFailure>) -> Attempt {
        let answer = self.tried.outcome.as_ref().ok();
        Attempt {
            at: self.at,
            url: self.url.to_string(),
            status: answer.map(|answer| answer.status),
            took_ms: i64::try_from(self.tried.took.as_millis()).unwrap_or(i64::MAX),
            address: self.tried.address.map(|address| address.to_string()),
            answer: self.body(),
            failure,
        }
    }
}
