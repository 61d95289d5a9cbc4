//! A [`Listener`] that runs the gateway's listener on the gateway's own runtime.
//!
//! Receipts block the links' threads until the commit ([`super::runtime`]), possibly all threads at
//! once. The commit of a receipt waits for resources of other gateway tasks, such as a database
//! connection. If those tasks ran on the links' threads too, there would be a deadlock: the tasks
//! could not run until the receipts release the threads, and the receipts could not finish until
//! the tasks run.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::runtime::Handle;
use tracing::Instrument;

use crate::{
    Call, GroupChange, Inbound, Listener, MessageId, NotCommitted, Receipt, ServerAck, Status,
};

/// A listener and the runtime for its methods.
pub(super) struct GatewayRuntime {
    listener: Arc<dyn Listener>,
    runtime: Handle,
}

impl GatewayRuntime {
    /// Wraps the listener. Its methods run on the runtime of the caller of `wrap`.
    pub(super) fn wrap(listener: Arc<dyn Listener>) -> Arc<dyn Listener> {
        Arc::new(Self {
            listener,
            runtime: Handle::current(),
        })
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, NotCommitted> {
        let done = self.runtime.spawn(work.in_current_span()).await;
        done.map_err(|error| NotCommitted(error.to_string()))
    }
}

#[async_trait]
impl Listener for GatewayRuntime {
    fn status(&self, status: &Status) {
        self.listener.status(status);
    }

    async fn server_ack(&self, ack: ServerAck) {
        let listener = Arc::clone(&self.listener);
        log_lost(
            self.run(async move { listener.server_ack(ack).await })
                .await,
        );
    }

    fn knows(&self, receipt: &Receipt) -> bool {
        self.listener.knows(receipt)
    }

    async fn receipt(&self, receipt: Receipt) -> Result<(), NotCommitted> {
        let listener = Arc::clone(&self.listener);
        let work = async move { listener.receipt(receipt).await };
        self.run(work).await?
    }

    fn groups_changed(&self) {
        self.listener.groups_changed();
    }

    async fn group_changed(&self, change: GroupChange) {
        let listener = Arc::clone(&self.listener);
        log_lost(
            self.run(async move { listener.group_changed(change).await })
                .await,
        );
    }

    async fn call(&self, call: Call) {
        let listener = Arc::clone(&self.listener);
        log_lost(self.run(async move { listener.call(call).await }).await);
    }

    async fn inbound(&self, batch: Vec<Inbound>) -> Result<(), NotCommitted> {
        let listener = Arc::clone(&self.listener);
        let work = async move { listener.inbound(batch).await };
        self.run(work).await?
    }

    async fn unknown(&self, ids: Vec<MessageId>) -> Result<Vec<MessageId>, NotCommitted> {
        let listener = Arc::clone(&self.listener);
        let work = async move { listener.unknown(ids).await };
        self.run(work).await?
    }
}

/// Logs a lost event. An event without a waiting caller is lost if the gateway's runtime ends or
/// panics.
fn log_lost(done: Result<(), NotCommitted>) {
    if let Err(error) = done {
        tracing::error!(%error, "event not passed to the gateway");
    }
}
