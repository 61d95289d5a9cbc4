//! Redirects of a post, as browsers follow them (<https://fetch.spec.whatwg.org/#http-redirect-fetch>): after 301, 302 and 303 the
//! answer is read by GET, after 307 and 308 the post is repeated. Each step passes the guard.
//!
//! Google Apps Script answers every post by a 302 to the place of its answer.

use std::time::Duration;

use url::Url;

use super::{Answer, Attempt, Call, Net};
use crate::config::AllowedNetwork;

/// Redirects that are followed of one post. Google needs one; a loop has no end.
pub const MOST: usize = 3;

/// Where a redirect leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Onward {
    /// The endpoint has taken the post; the answer is at this URL.
    Get(Url),
    /// The endpoint has moved; the post goes to this URL.
    Post(Url),
}

/// The last attempt of a post whose redirects were followed.
#[derive(Debug, Clone)]
pub struct Followed {
    /// What came of it; its duration is that of all steps.
    pub attempt: Attempt,
    /// Where the last step went.
    pub url: Url,
    /// How many redirects were followed.
    pub redirects: usize,
}

impl Answer {
    /// Where the answer leads; `None` if it is no redirect, or one to nowhere.
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
    /// Where the answer is, if the endpoint has taken the post and the answer stands elsewhere.
    #[must_use]
    pub fn answer_at(&self) -> Option<Url> {
        let answer = self.attempt.outcome.as_ref().ok()?;
        match answer.onward()? {
            Onward::Get(url) if self.redirects < MOST => Some(url),
            Onward::Get(_) | Onward::Post(_) => None,
        }
    }
}

impl Net {
    /// Posts, and posts again where the endpoint has moved. A redirect to the answer is not followed: see
    /// [`Followed::answer_at`].
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
                Some(Onward::Post(next)) if redirects < MOST => url = next,
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

    /// What is left of a deadline that all steps of a call share.
    fn left(&self, within: Option<Duration>, took: Duration) -> Duration {
        within.unwrap_or(self.deadline).saturating_sub(took)
    }

    /// Reads the answer of a post by GET, after so many redirects.
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
                Some(Onward::Get(next) | Onward::Post(next)) if redirects < MOST => url = next,
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
