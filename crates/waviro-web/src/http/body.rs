//! Reads the bytes of a request's body, within limits of size and time.

use std::time::Duration;

use axum::body::BodyDataStream;
use axum::extract::Request;
use axum::http::header::{CONTENT_LENGTH, EXPECT};
use futures::StreamExt;
use waviro_core::config::Limits;

use super::header::header;

/// The maximum number of bytes to read and discard of a body above its cap: a base64 file of 16 MiB
/// inside JSON, plus the rest of the JSON.
const DRAINED: usize = 32 * 1024 * 1024;

/// The maximum time to discard a body. A slower client keeps a connection busy and is unlikely to
/// read the response.
const DRAIN_WITHIN: Duration = Duration::from_secs(5);

/// A client without a byte for so long has stopped writing.
const DRAIN_IDLE: Duration = Duration::from_secs(1);

/// The limits on the reading of a body.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// The maximum number of bytes.
    pub cap: usize,
    /// The maximum time for the whole body.
    pub within: Duration,
}

impl From<&Limits> for Bounds {
    fn from(limits: &Limits) -> Self {
        Self {
            cap: usize::try_from(limits.body_kib.saturating_mul(1024)).unwrap_or(usize::MAX),
            within: Duration::from_secs(limits.read_timeout_s),
        }
    }
}

/// The reasons for which a body could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyFault {
    /// The body is larger than the cap.
    TooLarge,
    /// The body ended early or came too slowly.
    Incomplete,
}

/// Reads a whole body. A body above the cap is also read to its end, within limits, and discarded:
/// a client that writes the whole body before it reads would report a broken connection and miss
/// the response.
///
/// # Errors
/// [`BodyFault`].
pub async fn read(request: Request, bounds: Bounds) -> Result<Vec<u8>, BodyFault> {
    let announced = header(request.headers(), &CONTENT_LENGTH).and_then(|text| text.parse().ok());
    let asks_first = request.headers().contains_key(EXPECT);
    let mut stream = request.into_body().into_data_stream();
    if announced.is_some_and(|length: usize| length > bounds.cap) {
        // A client with `Expect: 100-continue` sends no body after a refusal, and reading the body
        // here would send the 100 response.
        if !asks_first {
            drain(&mut stream).await;
        }
        return Err(BodyFault::TooLarge);
    }
    let read = tokio::time::timeout(bounds.within, collect(&mut stream, bounds.cap)).await;
    let read = read.map_err(|_| BodyFault::Incomplete)?;
    if matches!(read, Err(BodyFault::TooLarge)) {
        drain(&mut stream).await;
    }
    read
}

async fn collect(stream: &mut BodyDataStream, cap: usize) -> Result<Vec<u8>, BodyFault> {
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|_| BodyFault::Incomplete)?;
        if bytes.len() + chunk.len() > cap {
            return Err(BodyFault::TooLarge);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// Reads and discards the rest of a body.
async fn drain(stream: &mut BodyDataStream) {
    let draining = async {
        let mut left = DRAINED;
        while let Ok(Some(Ok(chunk))) = tokio::time::timeout(DRAIN_IDLE, stream.next()).await {
            left = left.saturating_sub(chunk.len());
            if left == 0 {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(DRAIN_WITHIN, draining).await;
}
