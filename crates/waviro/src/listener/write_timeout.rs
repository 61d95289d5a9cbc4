//! A connection whose writes fail if the client reads nothing for too long.
//!
//! A client that sends a request and never reads would otherwise keep the connection, the answer
//! and a connection slot for ever. Event streams have no timeout: a busy reader continues later,
//! and the streams have their own limits.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use waviro_store::clock::Clock;

/// Set while the current answer is an event stream.
pub(super) type Streaming = Arc<AtomicBool>;

pub(super) struct WriteTimeout {
    stream: TcpStream,
    within: Duration,
    clock: Clock,
    streaming: Streaming,
    /// The timer of a write that waits for the client.
    waiting: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl WriteTimeout {
    pub(super) fn new(
        stream: TcpStream,
        within: Duration,
        clock: Clock,
        streaming: Streaming,
    ) -> Self {
        Self {
            stream,
            within,
            clock,
            streaming,
            waiting: None,
        }
    }

    /// Returns the result of a write, or a failure if the write has waited too long.
    fn watched<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() || self.streaming.load(Ordering::Relaxed) {
            self.waiting = None;
            return written;
        }
        let waiting = self.waiting.get_or_insert_with(|| {
            let (clock, within) = (self.clock.clone(), self.within);
            Box::pin(async move { clock.sleep(within).await })
        });
        if waiting.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        // Without the option the kernel would keep the unread data and retry the client for a
        // quarter of an hour.
        let _ = self.stream.set_zero_linger();
        metrics::counter!("waviro_write_timeouts_total").increment(1);
        Poll::Ready(Err(ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for WriteTimeout {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for WriteTimeout {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watched(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.watched(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.watched(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ended = Pin::new(&mut self.stream).poll_shutdown(context);
        self.watched(context, ended)
    }
}
