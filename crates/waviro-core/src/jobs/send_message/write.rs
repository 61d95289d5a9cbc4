//! The write of a message to WhatsApp, with typing shown before.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::debug;
use waviro_link::{Link, LinkError, Outgoing};
use waviro_store::clock::{Clock, Millis};

use crate::bots::LinkHistory;

/// The timeout for writing a message.
const WRITE_WITHIN: Duration = Duration::from_mins(1);

/// The timeout for writing a message whose file is uploaded first.
const UPLOAD_WITHIN: Duration = Duration::from_mins(5);

/// The write of a message.
pub(super) struct Write {
    pub(super) link: Arc<dyn Link>,
    pub(super) clock: Clock,
    pub(super) stop: CancellationToken,
    pub(super) history: watch::Receiver<LinkHistory>,
    /// The epoch at the start of the write.
    pub(super) epoch: u64,
    pub(super) message: Outgoing,
    /// The message may have been written before.
    pub(super) again: bool,
    /// The bot shows typing until `at`.
    pub(super) typing: bool,
    /// The time of the write.
    pub(super) at: Millis,
}

impl Write {
    pub(super) async fn run(self) -> Result<(), LinkError> {
        if self.typing {
            self.type_until_turn().await?;
            if self.history.borrow().epoch != self.epoch {
                // The device and the queue have ended in the meantime. The next linked device must
                // not send this message.
                return Err(LinkError::Offline);
            }
        }
        let within = match self.message.content.file() {
            Some(_) => UPLOAD_WITHIN,
            None => WRITE_WITHIN,
        };
        waviro_fault::step("send begun");
        let result = tokio::select! {
            biased;
            result = self.link.send(&self.message, self.again) => result,
            () = self.clock.sleep(within) => Err(LinkError::TimedOut),
        };
        if result.is_ok() {
            waviro_fault::step("send done");
        }
        result
    }

    /// Shows typing until the time of the write. At the stop, fails: the next start writes the
    /// message.
    async fn type_until_turn(&self) -> Result<(), LinkError> {
        let typing = async {
            if let Err(cause) = self.link.typing(&self.message.to, true).await {
                debug!(%cause, "typing indicator could not be sent");
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = typing => Ok(()),
            () = self.clock.sleep_until(self.at) => Ok(()),
            () = self.stop.cancelled() => Err(LinkError::Offline),
        }
    }
}
