//! A runtime of the links' own.
//!
//! A receipt holds its thread until the gateway has committed it (see [`super::events`]). Hundreds may come in one login,
//! from a phone that was away, and each holds a thread of the pool that serves its runtime. Were that the gateway's own,
//! the writer that they all wait for could no longer run. Here they may fill the pool: the commit comes from outside
//! ([`super::home`]).
//!
//! The threads are also told to step back where the processor is short. Encrypting is most of what the process does, and
//! nobody has a request open for it; those who do, at the gateway's door, should not wait behind it.

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

/// Receipts held at once before the library's other work has to wait for a commit.
const HELD: usize = 512;

/// A thread that nothing was put on for so long ends. The pool takes its threads in turn, so with tokio's ten seconds a burst's
/// threads stay for as long as a receipt comes every now and then, each with a stack and what the allocator keeps for it.
const IDLE: Duration = Duration::from_millis(200);

/// How far the threads step back: against a thread of the gateway's own that wants the same core, a tenth of it.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

/// The threads of all links of the process. Must be dropped after the links are closed.
#[derive(Debug)]
pub(super) struct Threads(Option<tokio::runtime::Runtime>);

/// Where the library's tasks for one device run.
#[derive(Debug, Clone)]
pub(super) struct OnThreads {
    threads: Handle,
    backlog: Arc<Backlog>,
    /// Names the bot in each line that the library logs.
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

    /// Runs `work` here, and ends it where its caller no longer waits.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, LinkError> {
        let runtime = self.0.as_ref().ok_or(LinkError::Offline)?;
        AbortOnDropHandle::new(runtime.spawn(work.in_current_span()))
            .await
            .map_err(|error| LinkError::Failed(error.to_string()))
    }

    /// Where tasks of the device with this backlog and this span are put.
    pub(super) fn place(&self, backlog: &Arc<Backlog>, span: Span) -> Option<OnThreads> {
        self.0.as_ref().map(|runtime| OnThreads {
            threads: runtime.handle().clone(),
            backlog: Arc::clone(backlog),
            span,
        })
    }
}

/// Linux gives every thread a niceness of its own and calls it by the name that POSIX has for a process's. Elsewhere the
/// threads stay as they are.
fn step_back() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICE) {
        tracing::debug!(%error, "the links' threads keep the gateway's priority");
    }
}

impl Drop for Threads {
    /// Without waiting: a runtime may not be waited for inside another.
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
        // The library puts each stanza that it has read in a task of this kind.
        let waiting = self.backlog.add();
        let task = async move {
            drop(waiting);
            future.await;
        };
        drop(self.threads.spawn(task.instrument(self.span.clone())));
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(super::device::pause(duration))
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
