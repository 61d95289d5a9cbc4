//! A separate tokio runtime for the client library's tasks.
//!
//! A receipt blocks its thread until the gateway has committed the receipt (see [`super::events`]).
//! After a phone was offline, one login can bring hundreds of receipts, and each blocks a thread of
//! its runtime's blocking pool. On the gateway's own runtime, the receipts could take all threads,
//! and the writer that must commit them could no longer run. On the separate runtime the receipts
//! may fill the pool, because the commit runs on the gateway's runtime
//! ([`super::listener_runtime`]).
//!
//! The threads also have a lower priority. Encryption takes most of the processor time, and no HTTP
//! client waits for it. HTTP requests to the gateway must not wait behind encryption.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::runtime::{Builder, Handle};
use tokio_util::task::AbortOnDropHandle;
use tracing::{Instrument, Span};
use whatsapp_rust::Runtime;
use whatsapp_rust::wacore::runtime::AbortHandle;

use super::backlog::Backlog;
use crate::LinkError;

/// The number of blocked receipts after which the library's other blocking work must wait for a
/// commit.
const HELD: usize = 512;

/// An idle thread ends after this time. The pool rotates its threads, so with tokio's default of
/// ten seconds all threads of a burst would stay alive as long as an occasional receipt arrives.
/// Each thread holds a stack and allocator memory.
const IDLE: Duration = Duration::from_millis(200);

/// The niceness of the threads: about a tenth of the share of a gateway thread on the same core.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

/// The threads of all links of the process. Must be dropped after the links are closed.
#[derive(Debug)]
pub(super) struct Threads(Option<tokio::runtime::Runtime>);

/// Runs the library's tasks for one device.
#[derive(Debug, Clone)]
pub(super) struct OnThreads {
    threads: Handle,
    backlog: Arc<Backlog>,
    /// Adds the bot to each log line of the library.
    span: Span,
}

impl Threads {
    pub(super) fn start() -> Result<Self, LinkError> {
        Builder::new_multi_thread()
            .thread_name("link")
            .max_blocking_threads(HELD)
            .thread_keep_alive(IDLE)
            .on_thread_start(step_back)
            .enable_all()
            .build()
            .map(|runtime| Self(Some(runtime)))
            .map_err(|error| LinkError::Failed(format!("threads: {error}")))
    }

    /// Runs `work` on the links' runtime, and aborts the work if the caller stops waiting.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, LinkError> {
        let runtime = self.0.as_ref().ok_or(LinkError::Offline)?;
        AbortOnDropHandle::new(runtime.spawn(work.in_current_span()))
            .await
            .map_err(|error| LinkError::Failed(error.to_string()))
    }

    /// Returns the runtime handle for a device with this backlog and span.
    pub(super) fn place(&self, backlog: &Arc<Backlog>, span: Span) -> Option<OnThreads> {
        self.0.as_ref().map(|runtime| OnThreads {
            threads: runtime.handle().clone(),
            backlog: Arc::clone(backlog),
            span,
        })
    }
}

/// Raises the niceness of the current thread on Linux. Linux has a niceness per thread, set through
/// the POSIX call for processes. On other systems the priority stays unchanged.
fn step_back() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICE) {
        tracing::debug!(%error, "priority of the links' threads could not be lowered");
    }
}

impl Drop for Threads {
    /// Does not wait, because a runtime must not be waited for inside another runtime.
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

type Task = Pin<Box<dyn Future<Output = ()> + Send + 'static>>;

#[async_trait]
impl Runtime for OnThreads {
    fn spawn(&self, future: Task) -> AbortHandle {
        let task = self.threads.spawn(future.instrument(self.span.clone()));
        AbortHandle::new(move || task.abort())
    }

    fn spawn_detached(&self, future: Task) {
        // The library spawns a detached task for each stanza.
        let waiting = self.backlog.add();
        let task = async move {
            drop(waiting);
            future.await;
        };
        drop(self.threads.spawn(task.instrument(self.span.clone())));
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(super::task::pause(duration))
    }

    fn spawn_blocking(
        &self,
        work: Box<dyn FnOnce() + Send + 'static>,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let span = self.span.clone();
        let work = self.threads.spawn_blocking(move || span.in_scope(work));
        Box::pin(async move {
            let _ = work.await;
        })
    }

    fn yield_now(&self) -> Option<Pin<Box<dyn Future<Output = ()> + Send>>> {
        None
    }
}
