//! Sends every HTTP request of the gateway. No other module uses reqwest.
//!
//! Each request goes through [`Net`], with these rules:
//!
//! - [`guard`] checks the address.
//! - A body is sent with a Content-Length, because PHP-FPM reads an empty body from a chunked
//!   request.
//! - A total deadline ends the request.
//! - At most [`ANSWER_CAP`] bytes of the response are read, and [`unpack`] decodes encoded bodies.
//! - Redirects are followed only on demand ([`redirect`]).
//! - Proxies from the environment are ignored.

pub mod fetch;
pub mod guard;
pub mod redirect;
pub mod sign;
pub mod unpack;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, LOCATION, RETRY_AFTER};
use url::Url;

pub use fetch::{FetchError, Fetched};
pub use guard::{Guard, Lookup, Refused};

use waviro_store::clock::{Clock, Millis};
use waviro_store::{AttemptCause, AttemptFailure};

use crate::config::{self, AllowedNetwork};
use guard::Pass;
use unpack::{Encoding, UnpackError};

/// The most bytes read of a response. A text of 65,536 characters fits, however JSON escapes the
/// text (12 bytes a character). A longer response is a mistake or malice.
pub const ANSWER_CAP: usize = 1024 * 1024;

/// The most headers read of a response. The library's default is 100, and frameworks with many
/// cookies send more; curl reads 5,000. Each header costs 64 bytes during the parsing of the head.
const HEADERS: usize = 2_048;

/// The content type of a posted body.
pub const JSON: &str = "application/json";

/// The accepted content types of a response to a post.
const ANSWERS: &str = "application/json, */*;q=0.8";

pub const USER_AGENT: &str = concat!("waviro/", env!("CARGO_PKG_VERSION"));

/// The lifetime of an idle connection. Short for two reasons: the callers' servers close idle
/// connections after 5 s (Apache) to 75 s (nginx), and an open connection keeps the old address
/// after the address of the name has changed.
const IDLE: Duration = Duration::from_secs(30);

/// The HTTP client of the gateway.
#[derive(Debug, Clone)]
pub struct Net {
    /// For calls without networks of their own.
    pooled: reqwest::Client,
    /// For calls with networks of their own. A pool reuses a connection for every call with the
    /// same host, without a new check by the guard. One bot's networks would then be open to all
    /// bots.
    single: reqwest::Client,
    guard: Guard,
    deadline: Duration,
    clock: Clock,
}

/// A request with a JSON body to a user's endpoint.
#[derive(Debug, Clone)]
pub struct Call<'a> {
    pub url: &'a Url,
    /// JSON, sent with a Content-Length and never chunked.
    pub body: Bytes,
    /// Headers beside `Content-Type` and `User-Agent`.
    pub headers: &'a [(&'static str, String)],
    /// The total deadline, until the response's last byte. `None` means `outbound.timeout_s`.
    pub within: Option<Duration>,
    /// The bot's own networks, allowed for this call beside the public addresses and
    /// `outbound.allow`.
    pub allow: &'a [AllowedNetwork],
}

/// The result of a [`Call`].
#[derive(Debug, Clone)]
pub struct Attempt {
    /// The response, or the reason of a missing response.
    pub outcome: Result<Answer, NetError>,
    /// The time from the start of the call to the last byte, or to the failure.
    pub took: Duration,
    /// The address that answered, else the first address found and permitted. `None` if the call
    /// was refused, if the host has no address, or if the call failed on a reused connection.
    pub address: Option<IpAddr>,
}

/// The response of an endpoint, with any status. The caller judges the status.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    /// The delay from the `Retry-After` header, if present.
    pub retry_after: Option<Duration>,
    /// The first [`ANSWER_CAP`] bytes of the body.
    pub body: Bytes,
    /// The body was longer than [`ANSWER_CAP`] bytes; the rest was not read.
    pub cut: bool,
    /// The URL from the `Location` header, if present and valid.
    pub location: Option<Url>,
}

/// The reason for a missing response. The texts name at most the host, because paths and queries
/// contain secrets.
#[derive(Debug, Clone, thiserror::Error)]
pub enum NetError {
    /// The guard forbids the address. A retry helps only after a change of the configuration or of
    /// the name.
    #[error("refused: {0}")]
    Refused(#[from] Refused),
    /// The connection failed (name, port or TLS) or was lost.
    #[error("unreachable: {0}")]
    Unreachable(String),
    /// No complete response within the deadline. The endpoint may have processed the request.
    #[error("no complete answer within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// The client could not be created; the text gives the reason.
    #[error("no HTTP client: {0}")]
    NoClient(String),
}

impl NetError {
    /// Returns the failure of an attempt, for the journal.
    #[must_use]
    pub fn failure(&self) -> AttemptFailure {
        let cause = match self {
            Self::Refused(_) => AttemptCause::Refused,
            Self::Unreachable(_) => AttemptCause::Unreachable,
            Self::TimedOut(_) => AttemptCause::TimedOut,
            Self::NoClient(_) => AttemptCause::NoClient,
        };
        AttemptFailure::new(cause, self.to_string())
    }
}

impl Net {
    /// Creates a client with its own connection pool; a process needs one client. Names are
    /// resolved by the operating system.
    ///
    /// # Errors
    /// [`NetError::NoClient`] if the operating system has too few resources.
    pub fn new(config: &config::Outbound, clock: Clock) -> Result<Self, NetError> {
        Self::with_lookup(config, clock, Arc::new(guard::System))
    }

    /// Creates a client that resolves names with `lookup`.
    ///
    /// # Errors
    /// The same as [`Net::new`].
    pub fn with_lookup(
        config: &config::Outbound,
        clock: Clock,
        lookup: Arc<dyn Lookup>,
    ) -> Result<Self, NetError> {
        // Fails only if a provider is installed already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let guard = Guard::new(&config.allow, lookup);
        let deadline = Duration::from_secs(config.timeout_s);
        let pooled = client(|| builder(&guard, deadline).pool_idle_timeout(IDLE))?;
        // No pool at all: even a small pool shares connections, because a pool also hands out a
        // connection that is still being opened.
        let single = client(|| builder(&guard, deadline).pool_max_idle_per_host(0))?;
        Ok(Self {
            pooled,
            single,
            guard,
            deadline,
            clock,
        })
    }

    /// Checks a URL as far as possible without a name server; each call repeats the check. `allow`
    /// are the bot's own networks.
    pub fn check(&self, url: &Url, allow: &[AllowedNetwork]) -> Result<(), Refused> {
        self.guard.check(url, allow)
    }

    /// Posts a JSON body and reads the response, whatever its status.
    pub async fn post(&self, call: Call<'_>) -> Attempt {
        let mut request = self
            .client(call.allow)
            .post(call.url.clone())
            .header(CONTENT_TYPE, JSON)
            .body(call.body);
        for (name, value) in call.headers {
            request = request.header(*name, value);
        }
        self.attempt(call.url, call.allow, call.within, request)
            .await
    }

    /// Reads the response to a post by GET from the target of a redirect.
    async fn get_answer(
        &self,
        url: &Url,
        within: Option<Duration>,
        allow: &[AllowedNetwork],
    ) -> Attempt {
        let request = self.client(allow).get(url.clone()).header(ACCEPT, ANSWERS);
        self.attempt(url, allow, within, request).await
    }

    async fn attempt(
        &self,
        url: &Url,
        allow: &[AllowedNetwork],
        within: Option<Duration>,
        request: reqwest::RequestBuilder,
    ) -> Attempt {
        let started = tokio::time::Instant::now();
        let (outcome, address) = match self.guard.check(url, allow) {
            Ok(()) => {
                let pass = Pass::new(url, allow);
                let within = within.unwrap_or(self.deadline);
                let outcome = self.exchange(request, url, within, &pass).await;
                (outcome, pass.address())
            }
            Err(refused) => (Err(refused.into()), None),
        };
        Attempt {
            outcome,
            took: started.elapsed(),
            address,
        }
    }

    async fn exchange(
        &self,
        request: reqwest::RequestBuilder,
        url: &Url,
        within: Duration,
        pass: &Arc<Pass>,
    ) -> Result<Answer, NetError> {
        let failed = |error: reqwest::Error| judge(&error, within);
        let request = request.timeout(within).send();
        let response = pass.scope(request).await.map_err(failed)?;
        if let Some(peer) = response.remote_addr() {
            pass.answered(peer.ip());
        }
        let status = response.status().as_u16();
        let retry_after = retry_after(response.headers(), self.clock.wall());
        let location = response.headers().get(LOCATION);
        let location = location.and_then(|to| std::str::from_utf8(to.as_bytes()).ok());
        let location = location.and_then(|to| url.join(to).ok());
        let encodings = unpack::encodings(response.headers());
        let (body, cut) = read(response).await.map_err(failed)?;
        let (body, cut) = plain(body, cut, &encodings);
        Ok(Answer {
            status,
            retry_after,
            body,
            cut,
            location,
        })
    }

    /// Returns the client for a call with these networks of its own.
    fn client(&self, allow: &[AllowedNetwork]) -> &reqwest::Client {
        if allow.is_empty() {
            &self.pooled
        } else {
            &self.single
        }
    }
}

/// Reads the body up to the cap. Returns the bytes, and whether there were more.
async fn read(mut response: reqwest::Response) -> Result<(Bytes, bool), reqwest::Error> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await? {
        let room = ANSWER_CAP - body.len();
        if chunk.len() > room {
            body.extend_from_slice(&chunk[..room]);
            return Ok((body.freeze(), true));
        }
        body.extend_from_slice(&chunk);
    }
    Ok((body.freeze(), false))
}

/// Decodes the body. An undecodable body is returned unchanged, so that its reader can report the
/// fault.
fn plain(body: Bytes, cut: bool, encodings: &[Encoding]) -> (Bytes, bool) {
    if encodings.is_empty() {
        return (body, cut);
    }
    let mut decoded = Vec::new();
    match unpack::unpack(&*body, encodings, ANSWER_CAP as u64, &mut decoded) {
        Ok(_) => (decoded.into(), cut),
        Err(UnpackError::TooLarge(_)) => (decoded.into(), true),
        Err(UnpackError::Broken(_)) if cut => (decoded.into(), true),
        Err(UnpackError::Broken(_)) => (body, cut),
    }
}

fn judge(error: &reqwest::Error, within: Duration) -> NetError {
    if let Some(refused) = causes(error).find_map(|cause| cause.downcast_ref::<Refused>()) {
        return NetError::Refused(refused.clone());
    }
    if error.is_timeout() {
        return NetError::TimedOut(within);
    }
    NetError::Unreachable(chain(error))
}

fn client(builder: impl Fn() -> reqwest::ClientBuilder) -> Result<reqwest::Client, NetError> {
    let client = builder().build().or_else(|error| {
        tracing::warn!(
            cause = chain(&error),
            "no certificate authorities found; https URLs will fail; install ca-certificates"
        );
        builder().tls_certs_only([]).build()
    });
    client.map_err(|error| NetError::NoClient(chain(&error)))
}

fn builder(guard: &Guard, deadline: Duration) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .dns_resolver(Arc::new(guard.clone()))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .timeout(deadline)
        .http1_only()
        .http1_max_headers(HEADERS)
}

/// Reads `Retry-After`: seconds or a date (RFC 9110, 10.2.3). Invalid values and past dates are
/// ignored.
fn retry_after(headers: &HeaderMap, now: Millis) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?;
    let left = date.timestamp().as_millisecond() - now;
    (left > 0).then(|| Duration::from_millis(left.unsigned_abs()))
}

/// Returns an error's causes in one line, without the URL.
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
    use waviro_store::clock::millis;

    use super::*;

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
