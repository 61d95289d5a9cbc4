//! A runtime of the links' own.
//!
//! A receipt holds its thread until the gateway has committed it (see [`super::events`]). Hundreds may come in one login,
//! from a phone that was away, and each holds a thread of the pool that serves its runtime. Were that the gateway's own,
//! the writer that they all wait for could no longer run. Here they may fill the pool: the commit comes from outside.

use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;
use tokio::runtime::{Builder, Handle};
use whatsapp_rust::Runtime;
use whatsapp_rust::wacore::runtime::AbortHandle;

use crate::LinkError;

/// Receipts held at once before the library's other work has to wait for a commit.
const HELD: usize = 512;

/// The threads of all links of the process. Must be dropped after the links are closed.
#[derive(Debug)]
pub(super) struct Threads(Option<tokio::runtime::Runtime>);

/// Where the library's tasks run.
#[derive(Debug, Clone)]
pub(super) struct OnThreads(Handle);

impl Threads {
    pub(super) fn start() -> Result<Self, LinkError> {
        Builder::new_multi_thread()
            .thread_name("link")
            .max_blocking_threads(HELD)
            .enable_all()
            .build()
            .map(|runtime| Self(Some(runtime)))
            .map_err(|error| LinkError::Failed(format!("threads: {error}")))
    }

    /// Where tasks are put.
    pub(super) fn place(&self) -> Option<OnThreads> {
        self.0
            .as_ref()
            .map(|runtime| OnThreads(runtime.handle().clone()))
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
        let task = self.0.spawn(future);
        AbortHandle::new(move || task.abort())
    }

    fn spawn_detached(&self, future: Task) {
        drop(self.0.spawn(future));
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(super::device::pause(duration))
    }

    fn spawn_blocking(
        &self,
        work: Box<dyn FnOnce() + Send + 'static>,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let work = self.0.spawn_blocking(work);
        Box::pin(async move {
            let _ = work.await;
        })
    }

    fn yield_now(&self) -> Option<Pin<Box<dyn Future<Output = ()> + Send>>> {
        None
    }
}
