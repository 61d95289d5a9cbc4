//! A handle to send stanzas to a connected client, and the socket under the connection.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use wacore_binary::{Node, marshal};

use super::wire::UNPAIRED;

/// The socket under a connection, as far as others must reach it.
#[derive(Debug, Default)]
pub(crate) struct Wire {
    /// True if the socket ends with a reset (RST) instead of a normal end (FIN).
    pub(crate) reset: AtomicBool,
    /// `number:device`, set at the login.
    pub(crate) device: OnceLock<String>,
    /// The name of the connection in the wire log. A refused login sets the name too.
    pub(crate) called: OnceLock<Arc<str>>,
    /// The client's `Host` header, including the port. The media host has the same name.
    pub(crate) host: OnceLock<String>,
}

impl Wire {
    pub(crate) fn called(&self) -> Arc<str> {
        let name = self.called.get().map(Arc::clone);
        name.unwrap_or_else(|| Arc::from(UNPAIRED))
    }
}

/// A handle to send stanzas to a client. A clone is cheap.
#[derive(Clone)]
pub(crate) struct Link {
    out: mpsc::UnboundedSender<Outgoing>,
    wire: Arc<Wire>,
    hang_up: CancellationToken,
}

/// An order to the task that writes the connection.
pub(crate) enum Outgoing {
    Stanza(Bytes),
    Close,
}

impl Link {
    pub(crate) fn new(
        out: mpsc::UnboundedSender<Outgoing>,
        wire: Arc<Wire>,
        hang_up: CancellationToken,
    ) -> Self {
        Self { out, wire, hang_up }
    }

    /// Sends a stanza. If the connection has ended, the stanza is dropped, so a stanza that must
    /// not be lost needs a place in the companion's queue.
    pub(crate) fn send(&self, node: &Node) {
        match marshal(node) {
            Ok(wire) => self.send_wire(wire.into()),
            Err(error) => tracing::warn!(%error, tag = %node.tag, "stanza cannot be encoded"),
        }
    }

    /// Sends a marshalled stanza.
    pub(crate) fn send_wire(&self, wire: Bytes) {
        let _ = self.out.send(Outgoing::Stanza(wire));
    }

    /// Closes the connection after the stanzas sent before.
    pub(crate) fn close(&self) {
        let _ = self.out.send(Outgoing::Close);
    }

    /// Resets the connection at once.
    pub(crate) fn reset(&self) {
        self.wire.reset.store(true, Ordering::Release);
        self.hang_up.cancel();
    }

    /// Returns the host name and port used by the client to reach this server, if the client sent a
    /// `Host` header.
    pub(crate) fn host(&self) -> Option<&str> {
        self.wire.host.get().map(String::as_str)
    }

    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.wire, &other.wire)
    }
}
