//! The bytes of a request's body, within bounds of size and time.

use std::time::Duration;

use axum::body::BodyDataStream;
use axum::extract::Request;
use axum::http::header::{CONTENT_LENGTH, EXPECT};
use futures::StreamExt;

use super::header;
use crate::config::Limits;

/// The most of a body above its cap that is read for courtesy, bytes: a file of 16 MiB that somebody put into the JSON in
/// base64, and what stands around it.
const DRAINED: usize = 32 * 1024 * 1024;

/// A slower client has seen nothing of an answer anyway, and holds a connection.
const DRAIN_WITHIN: Duration = Duration::from_secs(5);

/// Whoever sends nothing for so long is not writing.
const DRAIN_IDLE: Duration = Duration::from_secs(1);

/// How much of a body is read, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Bytes.
    pub cap: usize,
    /// For all of it.
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

/// Why a body was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyFault {
    /// Above the cap.
    TooLarge,
    /// It broke off, or came too slowly.
    Incomplete,
}

/// Reads a whole body. One that is too large is read to its end too, within bounds, and thrown away: whoever writes to the
/// end before reading would take a closed connection for broken, and never see the answer.
///
/// # Errors
/// [`BodyFault`].
pub async fn read(request: Request, bounds: Bounds) -> Result<Vec<u8>, BodyFault> {
    let announced = header(request.headers(), &CONTENT_LENGTH).and_then(|text| text.parse().ok());
    let asks_first = request.headers().contains_key(EXPECT);
    let mut stream = request.into_body().into_data_stream();
    if announced.is_some_and(|length: usize| length > bounds.cap) {
        // Who asks first sends nothing after a no, and reading would say yes.
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

/// Reads on and keeps nothing.
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
