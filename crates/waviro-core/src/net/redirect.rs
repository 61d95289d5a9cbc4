//! Follows redirects of a post as browsers do
//! (<https://fetch.spec.whatwg.org/#http-redirect-fetch>). After 301, 302 and 303 the response is
//! read by GET; after 307 and 308 the post is repeated. The guard checks each step.
//!
//! Google Apps Script answers every post with a 302 to the response.

use std::time::Duration;

use url::Url;

use super::{Answer, Attempt, Call, Net};
use crate::config::AllowedNetwork;

/// The most redirects followed for a post. Google needs one; a redirect loop has no end.
pub const MAX_REDIRECTS: usize = 3;

/// The meaning of a redirect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Onward {
    /// The endpoint has accepted the post; the response is at this URL.
    Get(Url),
    /// The endpoint has moved; the post goes to this URL.
    Post(Url),
}

/// The last attempt of a post after its redirects.
#[derive(Debug, Clone)]
pub struct Followed {
    /// The result; its duration covers all steps.
    pub attempt: Attempt,
    /// The URL of the last step.
    pub url: Url,
    /// The number of redirects followed.
    pub redirects: usize,
}

impl Answer {
    /// Returns the redirect of the response; `None` if the response is no redirect or has no valid
    /// target.
    #[must_use]
    pub fn onward(&self) -> Option<Onward> {
        let url = self.location.clone()?;
        match self.status {
            301..=303 => Some(Onward::Get(url)),
            307 | 308 => Some(Onward::Post(url)),
            _ => None,
        }
    }
}

impl Followed {
    /// Returns the URL of the response, if the endpoint has accepted the post and redirects to the
    /// response.
    #[must_use]
    pub fn answer_at(&self) -> Option<Url> {
        let answer = self.attempt.outcome.as_ref().ok()?;
        match answer.onward()? {
            Onward::Get(url) if self.redirects < MAX_REDIRECTS => Some(url),
            Onward::Get(_) | Onward::Post(_) => None,
        }
    }
}

impl Net {
    /// Posts, and posts again if the endpoint has moved. A redirect to the response is not
    /// followed; see [`Followed::answer_at`].
    pub async fn post_on(&self, call: Call<'_>) -> Followed {
        let mut url = call.url.clone();
        let (mut redirects, mut took) = (0, Duration::ZERO);
        loop {
            let step = Call {
                url: &url,
                within: Some(self.left(call.within, took)),
                ..call.clone()
            };
            let mut attempt = self.post(step).await;
            took += attempt.took;
            attempt.took = took;
            let answer = attempt.outcome.as_ref().ok();
            match answer.and_then(Answer::onward) {
                Some(Onward::Post(next)) if redirects < MAX_REDIRECTS => url = next,
                _ => {
                    return Followed {
                        attempt,
                        url,
                        redirects,
                    };
                }
            }
            redirects += 1;
        }
    }

    /// Returns the rest of a deadline shared by all steps of a call.
    fn left(&self, within: Option<Duration>, took: Duration) -> Duration {
        within.unwrap_or(self.deadline).saturating_sub(took)
    }

    /// Reads the response of a post by GET. `redirects` counts the redirects followed before.
    pub async fn get_on(
        &self,
        mut url: Url,
        mut redirects: usize,
        within: Option<Duration>,
        allow: &[AllowedNetwork],
    ) -> Followed {
        let mut took = Duration::ZERO;
        loop {
            let left = Some(self.left(within, took));
            let mut attempt = self.get_answer(&url, left, allow).await;
            took += attempt.took;
            attempt.took = took;
            let answer = attempt.outcome.as_ref().ok();
            match answer.and_then(Answer::onward) {
                Some(Onward::Get(next) | Onward::Post(next)) if redirects < MAX_REDIRECTS => {
                    url = next;
                }
                _ => {
                    return Followed {
                        attempt,
                        url,
                        redirects,
                    };
                }
            }
            redirects += 1;
        }
    }
}
