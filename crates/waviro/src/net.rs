//! Every HTTP request that leaves the gateway. The only room that names reqwest.
//!
//! Whoever calls outward calls [`Net`]: it guards the address ([`guard`]), sends a Content-Length (PHP-FPM reads an
//! empty body where a request is chunked), ends at one total deadline, reads at most [`ANSWER_CAP`] of the answer, decodes
//! what was encoded ([`unpack`]), follows redirects only where asked ([`redirect`]), and asks no proxy of the environment.

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

use crate::clock::{Clock, Millis};
use crate::config::{self, AllowedNetwork};
use guard::Pass;
use unpack::{Encoding, UnpackError};

/// The most of an answer that is read, in bytes. A text of 65,536 characters fits however JSON escapes it (12 bytes a character); a
/// longer answer is a mistake or malice.
pub const ANSWER_CAP: usize = 1024 * 1024;

/// Headers of an answer that are read. The library reads 100, and frameworks that set cookies send more; curl reads 5,000.
/// Each costs 64 bytes while the head is parsed.
const HEADERS: usize = 2_048;

/// What a call's body is said to be.
pub const JSON: &str = "application/json";

/// What the answer of a post may be.
const ANSWERS: &str = "application/json, */*;q=0.8";

/// How the gateway calls itself.
pub const USER_AGENT: &str = concat!("waviro/", env!("CARGO_PKG_VERSION"));

/// How long an idle connection is kept. Short, because many servers of the audience close theirs after 5 s (Apache) to
/// 75 s (nginx), and because a kept connection outlives a change of the name's address.
const IDLE: Duration = Duration::from_secs(30);

/// The door out.
#[derive(Debug, Clone)]
pub struct Net {
    /// For calls that go only where everybody's may.
    pooled: reqwest::Client,
    /// For calls that may go further. A pool hands a connection to whoever names its host, and asks nobody again: what one bot
    /// may reach would be open to all.
    single: reqwest::Client,
    guard: Guard,
    deadline: Duration,
    clock: Clock,
}

/// One request: a JSON body to a user's endpoint.
#[derive(Debug, Clone)]
pub struct Call<'a> {
    /// Where to.
    pub url: &'a Url,
    /// JSON. Sent with its length, never chunked.
    pub body: Bytes,
    /// What stands beside `Content-Type` and `User-Agent`.
    pub headers: &'a [(&'static str, String)],
    /// The total deadline, until the answer's last byte; `outbound.timeout_s` where `None`.
    pub within: Option<Duration>,
    /// Networks that this call may reach beside the public ones and `outbound.allow`: the bot's own.
    pub allow: &'a [AllowedNetwork],
}

/// What came of a [`Call`].
#[derive(Debug, Clone)]
pub struct Attempt {
    /// The answer, or why there is none.
    pub outcome: Result<Answer, NetError>,
    /// From the start of the call to the last byte, or to the failure.
    pub took: Duration,
    /// Who answered; where nobody did, the first address that was found and permitted. `None` where the call was refused, where
    /// its host has no address, and where a connection of an earlier call was used and broke.
    pub address: Option<IpAddr>,
}

/// What an endpoint answered. Any status is an answer; the caller judges it.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// How long the endpoint asks to be left alone, if it does.
    pub retry_after: Option<Duration>,
    /// The answer's body, at most [`ANSWER_CAP`] bytes of it.
    pub body: Bytes,
    /// The endpoint said more than [`ANSWER_CAP`] bytes; the rest was not read.
    pub cut: bool,
    /// Where it leads, if it has a `Location` that is a URL.
    pub location: Option<Url>,
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
    /// The client could not be made; the text says why.
    #[error("no HTTP client: {0}")]
    NoClient(String),
}

impl Net {
    /// A client with its own pool of connections: one for the process. Names are looked up as the operating system does.
    ///
    /// # Errors
    /// [`NetError::NoClient`] where the operating system's resources do not suffice.
    pub fn new(config: &config::Outbound, clock: Clock) -> Result<Self, NetError> {
        Self::with_lookup(config, clock, Arc::new(guard::System))
    }

    /// Looks names up by `lookup`.
    ///
    /// # Errors
    /// As [`Net::new`].
    pub fn with_lookup(
        config: &config::Outbound,
        clock: Clock,
        lookup: Arc<dyn Lookup>,
    ) -> Result<Self, NetError> {
        // Fails only where somebody installed one before, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let guard = Guard::new(&config.allow, lookup);
        let deadline = Duration::from_secs(config.timeout_s);
        let pooled = client(|| builder(&guard, deadline).pool_idle_timeout(IDLE))?;
        // Without a pool, and not with a small one: a pool also hands out connections that are still being made.
        let single = client(|| builder(&guard, deadline).pool_max_idle_per_host(0))?;
        Ok(Self {
            pooled,
            single,
            guard,
            deadline,
            clock,
        })
    }

    /// Judges a URL as far as that works without a name server; what is called later is judged again. `allow` are the bot's own
    /// networks.
    pub fn check(&self, url: &Url, allow: &[AllowedNetwork]) -> Result<(), Refused> {
        self.guard.check(url, allow)
    }

    /// Posts a JSON body and reads the answer, whatever its status.
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

    /// Reads the answer of a post from where a redirect of it leads.
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

    /// The one that a call with these networks of its own goes through.
    fn client(&self, allow: &[AllowedNetwork]) -> &reqwest::Client {
        if allow.is_empty() {
            &self.pooled
        } else {
            &self.single
        }
    }
}

/// As much of a body as is read, and whether there was more.
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

/// The body without its encodings. A body that cannot be decoded stays as it came: whoever reads it says what is wrong with it.
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
            "no certificate authorities found: https URLs will fail; install ca-certificates"
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
