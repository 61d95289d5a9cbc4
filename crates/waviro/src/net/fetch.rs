//! Fetching a file that somebody wants sent: guarded like every call, counted while it streams, never held in memory.

use std::time::Duration;

use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_DISPOSITION, CONTENT_TYPE, HeaderMap, HeaderName, LOCATION,
};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use url::Url;

use super::guard::Pass;
use super::{Net, NetError, judge};
use crate::config::AllowedNetwork;

/// File hosts send on to their storage, rarely more than once.
const REDIRECTS: usize = 3;

/// As much of a file's beginning as its kind is told from.
const HEAD: usize = 8 * 1024;

/// What came, and what was said about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Bytes.
    pub size: u64,
    /// The first of them.
    pub head: Vec<u8>,
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
    /// Sent on more often than [`REDIRECTS`], or nowhere.
    #[error("sent on too often, or to nowhere")]
    Lost,
    /// It could not be written down.
    #[error("not written: {0}")]
    Disk(String),
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
        // Some hosts compress what they are not asked to; then the hash of what comes is not that of the file.
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
        head: Vec::new(),
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
        let missing = HEAD.saturating_sub(fetched.head.len()).min(chunk.len());
        fetched.head.extend_from_slice(&chunk[..missing]);
        sink.write_all(&chunk)
            .await
            .map_err(|error| FetchError::Disk(error.to_string()))?;
    }
    if fetched.size == 0 {
        return Err(FetchError::Empty);
    }
    Ok(fetched)
}

/// A header's text; file names come in UTF-8 too, which is more than headers officially hold.
fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let value = headers.get(name)?;
    Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
}
