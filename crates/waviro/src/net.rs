//! Every HTTP request that leaves the gateway. The only room that names reqwest.
//!
//! Whoever calls outward calls [`Net`]: it guards the address ([`guard`]), sends a Content-Length (PHP-FPM reads an
//! empty body where a request is chunked), ends at one total deadline, reads at most [`ANSWER_CAP`] of the answer,
//! follows no redirect and asks no proxy of the environment.

pub mod fetch;
pub mod guard;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use url::Url;

pub use fetch::{FetchError, Fetched};
pub use guard::{Guard, Refused};

use crate::clock::{Clock, Millis};
use crate::config;

/// The most of an answer that is read, in bytes. A webhook's answer is a few messages; the rest is a mistake or malice.
pub const ANSWER_CAP: usize = 256 * 1024;

/// How long an idle connection is kept. Short, because many servers of the audience close theirs after 5 s (Apache) to
/// 75 s (nginx), and because a kept connection outlives a change of the name's address.
const IDLE: Duration = Duration::from_secs(30);

/// The door out.
#[derive(Debug, Clone)]
pub struct Net {
    client: reqwest::Client,
    guard: Guard,
    deadline: Duration,
    clock: Clock,
}

/// What an endpoint answered. Any status is an answer; the caller judges it.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// How long the endpoint asks to be left alone, if it does.
    pub retry_after: Option<Duration>,
    /// The answer's body, complete.
    pub body: Bytes,
    /// From the start of the call to the last byte.
    pub took: Duration,
    /// Who answered.
    pub address: Option<IpAddr>,
}

/// Why there is no answer. The texts name the host at most, never the whole URL: paths and queries hold secrets.
#[derive(Debug, Clone, thiserror::Error)]
pub enum NetError {
    /// The guard forbids the address. Trying again helps only after a change of configuration or of the name.
    #[error("refused: {0}")]
    Refused(#[from] Refused),
    /// No connection: the name, the port, TLS, or it broke on the way.
    #[error("unreachable: {0}")]
    Unreachable(String),
    /// No complete answer within the deadline. Whether the endpoint acted on the request is unknown.
    #[error("no complete answer within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// The answer is longer than [`ANSWER_CAP`].
    #[error("the answer is longer than {cap} bytes", cap = ANSWER_CAP)]
    TooLarge {
        /// The status that came before the body.
        status: u16,
    },
    /// The client could not be made; the text says why.
    #[error("no HTTP client: {0}")]
    NoClient(String),
}

impl Net {
    /// A client with its own pool of connections: one for the process.
    ///
    /// # Errors
    /// [`NetError::NoClient`] where the operating system's resources do not suffice.
    pub fn new(config: &config::Outbound, clock: Clock) -> Result<Self, NetError> {
        // Fails only where somebody installed one before, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let guard = Guard::new(&config.allow);
        let deadline = Duration::from_secs(config.timeout_s);
        let client = builder(&guard, deadline).build().or_else(|error| {
            tracing::warn!(
                cause = chain(&error),
                "no certificate authorities found: https URLs will fail; install ca-certificates"
            );
            builder(&guard, deadline).tls_certs_only([]).build()
        });
        Ok(Self {
            client: client.map_err(|error| NetError::NoClient(chain(&error)))?,
            guard,
            deadline,
            clock,
        })
    }

    /// Judges a URL as far as that works without a name server; what is called later is judged again.
    pub fn check(&self, url: &Url) -> Result<(), Refused> {
        self.guard.check(url)
    }

    /// Posts a JSON body and reads the answer, whatever its status.
    pub async fn post_json(
        &self,
        url: &Url,
        body: Bytes,
        headers: &[(&'static str, String)],
    ) -> Result<Answer, NetError> {
        self.guard.check(url)?;
        let started = tokio::time::Instant::now();
        let mut request = self
            .client
            .post(url.clone())
            .header(CONTENT_TYPE, "application/json")
            .body(body);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let port = url.port_or_known_default().unwrap_or(0);
        let response = guard::PORT
            .scope(port, request.send())
            .await
            .map_err(|error| self.judge(&error))?;
        let status = response.status().as_u16();
        let retry_after = retry_after(response.headers(), self.clock.now());
        let address = response.remote_addr().map(|peer| peer.ip());
        let body = self.read(response, status).await?;
        Ok(Answer {
            status,
            retry_after,
            body,
            took: started.elapsed(),
            address,
        })
    }

    async fn read(&self, mut response: reqwest::Response, status: u16) -> Result<Bytes, NetError> {
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.judge(&error))? {
            if body.len() + chunk.len() > ANSWER_CAP {
                return Err(NetError::TooLarge { status });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }

    fn judge(&self, error: &reqwest::Error) -> NetError {
        if let Some(refused) = causes(error).find_map(|cause| cause.downcast_ref::<Refused>()) {
            return NetError::Refused(refused.clone());
        }
        if error.is_timeout() {
            return NetError::TimedOut(self.deadline);
        }
        NetError::Unreachable(chain(error))
    }
}

fn builder(guard: &Guard, deadline: Duration) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .user_agent(concat!("waviro/", env!("CARGO_PKG_VERSION")))
        .dns_resolver(Arc::new(guard.clone()))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .timeout(deadline)
        .pool_idle_timeout(IDLE)
        .http1_only()
}

/// Seconds or a date (RFC 9110, 10.2.3); nonsense and the past are no wish.
fn retry_after(headers: &HeaderMap, now: Millis) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?;
    let left = date.timestamp().as_millisecond() - now;
    (left > 0).then(|| Duration::from_millis(left.unsigned_abs()))
}

/// An error's causes in one line, without the URL.
fn chain(error: &reqwest::Error) -> String {
    let texts: Vec<String> = causes(error).skip(1).map(ToString::to_string).collect();
    if texts.is_empty() {
        return "the request failed".to_owned();
    }
    texts.join(": ")
}

fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    let first: &(dyn std::error::Error + 'static) = error;
    std::iter::successors(Some(first), |cause| cause.source())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::millis;

    #[test]
    fn retry_after_is_read_as_seconds_or_as_a_date() {
        let read = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, value.parse().unwrap());
            retry_after(&headers, millis(Duration::from_secs(1_445_412_480 - 30)))
        };
        assert_eq!(read("120"), Some(Duration::from_mins(2)));
        assert_eq!(
            read("Wed, 21 Oct 2015 07:28:00 GMT"),
            Some(Duration::from_secs(30))
        );
        assert_eq!(read("Wed, 21 Oct 2015 07:20:00 GMT"), None);
        assert_eq!(read("soon"), None);
    }
}
