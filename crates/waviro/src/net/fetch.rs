//! Fetching a file that somebody wants sent: guarded like every call, counted while it streams, never held in memory.
//!
//! The bytes come as the host sent them; [`Fetched::encodings`] says how they are encoded ([`super::unpack`]).

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

/// File hosts send on to their storage, rarely more than once.
const REDIRECTS: usize = 3;

/// What came, and what was said about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Bytes, as they came.
    pub size: u64,
    /// What they are encoded with, in the order in which that was done.
    pub encodings: Vec<Encoding>,
    /// `Content-Type`, as it came.
    pub content_type: Option<String>,
    /// `Content-Disposition`, as it came.
    pub disposition: Option<String>,
    /// Where it was in the end.
    pub url: Url,
}

/// Why there is no file.
#[derive(Debug, Clone, thiserror::Error)]
pub enum FetchError {
    /// No answer, or a refused address.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The host answered with something else than the file.
    #[error("the host answered with status {0}")]
    Status(u16),
    /// More bytes than the cap.
    #[error("the file is larger than {0} bytes")]
    TooLarge(u64),
    /// No bytes at all.
    #[error("the file is empty")]
    Empty,
    /// A web page came, where the URL or whoever gave it means a file. Holds the link to the file itself, if it is known.
    #[error("a web page came instead of the file{}", hint(.0.as_deref()))]
    Page(Option<String>),
    /// The bytes do not fit their `Content-Encoding`.
    #[error("the file's Content-Encoding cannot be decoded")]
    Encoding,
    /// Sent on more often than [`REDIRECTS`], or nowhere.
    #[error("sent on too often, or to nowhere")]
    Lost,
    /// It could not be written down.
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
    /// Fetches `url` into `sink`, all of it `within` that time and at most `cap` bytes, whatever its `Content-Length` says.
    /// Follows three redirects, each through the guard. `allow` are the bot's own networks, for each of them.
    ///
    /// # Errors
    /// [`FetchError`]; what was written until then is of no use.
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
        // A file that comes as it is can be counted against the cap while it streams.
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

/// A header's text; file names come in UTF-8 too, which is more than headers officially hold, and else in Latin-1.
fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let bytes = headers.get(name)?.as_bytes();
    let latin = || bytes.iter().map(|byte| char::from(*byte)).collect();
    Some(std::str::from_utf8(bytes).map_or_else(|_| latin(), ToOwned::to_owned))
}
