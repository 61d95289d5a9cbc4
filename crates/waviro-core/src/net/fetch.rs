//! Fetches a file for a message. The fetch is guarded like every call; the file is counted while
//! streaming and never held in memory.
//!
//! The bytes stay as the host sent them; [`Fetched::encodings`] lists their encodings
//! ([`super::unpack`]).

use std::time::Duration;

use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_DISPOSITION, CONTENT_TYPE, HeaderMap, HeaderName, LOCATION,
};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use url::Url;

use super::guard::Pass;
use super::unpack::{self, Encoding};
use super::{Net, NetError, judge};
use crate::config::AllowedNetwork;

/// The most redirects of a fetch. File hosts redirect to their storage, rarely more than once.
const REDIRECTS: usize = 3;

/// The facts about a fetched file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The number of bytes received, before decoding.
    pub size: u64,
    /// The encodings, in the order of their application.
    pub encodings: Vec<Encoding>,
    /// `Content-Type`, as received.
    pub content_type: Option<String>,
    /// `Content-Disposition`, as received.
    pub disposition: Option<String>,
    /// The URL of the file after redirects.
    pub url: Url,
}

/// The reason for a missing file.
#[derive(Debug, Clone, thiserror::Error)]
pub enum FetchError {
    /// No response, or a refused address.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The host answered with an error status.
    #[error("the host answered with status {0}")]
    Status(u16),
    /// The file has more bytes than the cap.
    #[error("the file is larger than {0} bytes")]
    TooLarge(u64),
    /// The file has no bytes.
    #[error("the file is empty")]
    Empty,
    /// A web page came, although the URL or the caller means a file. Contains the direct link to
    /// the file, if known.
    #[error("a web page came instead of the file{}", hint(.0.as_deref()))]
    Page(Option<String>),
    /// The bytes do not match their `Content-Encoding`.
    #[error("the file's Content-Encoding cannot be decoded")]
    Encoding,
    /// More redirects than [`REDIRECTS`], or a redirect without a valid target.
    #[error("sent on too often, or to nowhere")]
    Lost,
    /// The file could not be written.
    #[error("not written: {0}")]
    Disk(String),
}

impl From<std::io::Error> for FetchError {
    fn from(error: std::io::Error) -> Self {
        Self::Disk(error.to_string())
    }
}

fn hint(direct: Option<&str>) -> String {
    match direct {
        Some(direct) => format!("; the direct link is {direct}"),
        None => "; use a link that downloads it without a login".to_owned(),
    }
}

impl Net {
    /// Fetches `url` into `sink`. The whole fetch ends `within` the given time and reads at most
    /// `cap` bytes, whatever the `Content-Length` says. Follows three redirects. The guard checks
    /// each URL, with `allow` as the bot's own networks.
    ///
    /// # Errors
    /// [`FetchError`]; then the bytes in the sink are incomplete.
    pub async fn fetch(
        &self,
        url: &Url,
        allow: &[AllowedNetwork],
        within: Duration,
        cap: u64,
        sink: &mut (impl AsyncWrite + Unpin),
    ) -> Result<Fetched, FetchError> {
        let fetching = self.follow(url, allow, within, cap, sink);
        tokio::time::timeout(within, fetching)
            .await
            .unwrap_or(Err(FetchError::Net(NetError::TimedOut(within))))
    }

    async fn follow(
        &self,
        url: &Url,
        allow: &[AllowedNetwork],
        within: Duration,
        cap: u64,
        sink: &mut (impl AsyncWrite + Unpin),
    ) -> Result<Fetched, FetchError> {
        let mut url = url.clone();
        for _ in 0..=REDIRECTS {
            let response = self.get(&url, allow, within).await?;
            let status = response.status();
            if status.is_redirection() {
                let target = text(response.headers(), &LOCATION).ok_or(FetchError::Lost)?;
                url = url.join(&target).map_err(|_| FetchError::Lost)?;
                continue;
            }
            if !status.is_success() {
                return Err(FetchError::Status(status.as_u16()));
            }
            return pour(response, url, within, cap, sink).await;
        }
        Err(FetchError::Lost)
    }

    async fn get(
        &self,
        url: &Url,
        allow: &[AllowedNetwork],
        within: Duration,
    ) -> Result<reqwest::Response, NetError> {
        self.guard.check(url, allow)?;
        // The size of an unencoded file can be checked against the cap while streaming.
        let request = self
            .client(allow)
            .get(url.clone())
            .header(ACCEPT_ENCODING, "identity")
            .timeout(within)
            .send();
        Pass::new(url, allow)
            .scope(request)
            .await
            .map_err(|error| judge(&error, within))
    }
}

async fn pour(
    mut response: reqwest::Response,
    url: Url,
    within: Duration,
    cap: u64,
    sink: &mut (impl AsyncWrite + Unpin),
) -> Result<Fetched, FetchError> {
    if response.content_length().is_some_and(|length| length > cap) {
        return Err(FetchError::TooLarge(cap));
    }
    let mut fetched = Fetched {
        size: 0,
        encodings: unpack::encodings(response.headers()),
        content_type: text(response.headers(), &CONTENT_TYPE),
        disposition: text(response.headers(), &CONTENT_DISPOSITION),
        url,
    };
    let broken = |error: reqwest::Error| judge(&error, within);
    while let Some(chunk) = response.chunk().await.map_err(broken)? {
        fetched.size += chunk.len() as u64;
        if fetched.size > cap {
            return Err(FetchError::TooLarge(cap));
        }
        sink.write_all(&chunk)
            .await
            .map_err(|error| FetchError::Disk(error.to_string()))?;
    }
    if fetched.size == 0 {
        return Err(FetchError::Empty);
    }
    Ok(fetched)
}

/// Returns a header as text. Hosts send file names in UTF-8, outside the HTTP standard, or in
/// Latin-1.
fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let bytes = headers.get(name)?.as_bytes();
    let latin = || bytes.iter().map(|byte| char::from(*byte)).collect();
    Some(std::str::from_utf8(bytes).map_or_else(|_| latin(), ToOwned::to_owned))
}
