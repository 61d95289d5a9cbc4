//! Detects if the Noise handshake on a socket succeeded.
//!
//! The library writes the reason of a failed handshake only to its log. Therefore the module counts
//! frames. If the server's hello is the last frame and the client closes the socket, the server did
//! not prove its identity.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::{DialFailure, DialStep};

/// A frame starts with its length in three bytes (wacore's `FRAME_LENGTH_SIZE`).
const LENGTH: usize = 3;

/// Counts the data of one socket.
#[derive(Debug, Default)]
pub(super) struct Handshake(Mutex<Traffic>);

#[derive(Debug, Default)]
struct Traffic {
    written: usize,
    read: usize,
    /// The length bytes of the server's first frame.
    first: Vec<u8>,
    over: bool,
}

impl Handshake {
    pub(super) fn wrote(&self) {
        let mut traffic = self.lock();
        traffic.written = traffic.written.saturating_add(1);
    }

    pub(super) fn read(&self, bytes: &[u8]) {
        let mut traffic = self.lock();
        let missing = LENGTH.saturating_sub(traffic.first.len());
        traffic.first.extend(bytes.iter().take(missing));
        traffic.read = traffic.read.saturating_add(bytes.len());
    }

    /// Records that the socket ended. Returns the failure if the server closed the socket instead
    /// of answering.
    pub(super) fn socket_ended(&self) -> Option<DialFailure> {
        let mut traffic = self.lock();
        if traffic.over {
            return traffic.failure();
        }
        traffic.over = true;
        (traffic.read == 0).then_some(DialFailure::Closed(DialStep::Handshake))
    }

    /// Records that the client closes the socket. Returns the failure if the handshake is the
    /// reason.
    pub(super) fn client_closes(&self) -> Option<DialFailure> {
        let mut traffic = self.lock();
        if traffic.over {
            return None;
        }
        traffic.over = true;
        traffic.failure()
    }

    fn lock(&self) -> MutexGuard<'_, Traffic> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Traffic {
    /// Returns the handshake's failure after the client closed the socket. After a successful
    /// check, the client sends a second message (Noise XX) or the server sends a second frame
    /// (Noise IK).
    fn failure(&self) -> Option<DialFailure> {
        if self.written != 1 {
            return None;
        }
        let [a, b, c] = self.first[..] else {
            return Some(DialFailure::Silent(DialStep::Handshake));
        };
        let hello = LENGTH + u32::from_be_bytes([0, a, b, c]) as usize;
        match self.read.cmp(&hello) {
            std::cmp::Ordering::Less => Some(DialFailure::Silent(DialStep::Handshake)),
            std::cmp::Ordering::Equal => Some(DialFailure::ServerKey),
            std::cmp::Ordering::Greater => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELLO: [u8; 5] = [0, 0, 2, 7, 7];

    fn after(written: usize, read: &[&[u8]]) -> Handshake {
        let handshake = Handshake::default();
        for _ in 0..written {
            handshake.wrote();
        }
        for bytes in read {
            handshake.read(bytes);
        }
        handshake
    }

    #[test]
    fn a_hello_without_a_later_message_does_not_prove_the_server() {
        let refused = Some(DialFailure::ServerKey);
        assert_eq!(after(1, &[&HELLO]).client_closes(), refused);
        assert_eq!(
            after(1, &[&HELLO[..1], &HELLO[1..]]).client_closes(),
            refused
        );
        // The end of the socket follows, and the result stays the same.
        let handshake = after(1, &[&HELLO]);
        handshake.client_closes();
        assert_eq!(handshake.socket_ended(), refused);
    }

    #[test]
    fn silence_and_a_closed_connection_are_different_failures() {
        let silent = Some(DialFailure::Silent(DialStep::Handshake));
        assert_eq!(after(1, &[]).client_closes(), silent);
        assert_eq!(after(1, &[&HELLO[..4]]).client_closes(), silent);
        let closed = Some(DialFailure::Closed(DialStep::Handshake));
        let handshake = after(1, &[]);
        assert_eq!(handshake.socket_ended(), closed);
        assert_eq!(handshake.client_closes(), None);
    }

    #[test]
    fn a_continued_handshake_is_not_a_failure() {
        for handshake in [
            after(2, &[&HELLO]),
            after(1, &[&HELLO, &HELLO]),
            after(9, &[&HELLO, &HELLO]),
        ] {
            assert_eq!(handshake.client_closes(), None);
        }
        assert_eq!(after(1, &[&HELLO]).socket_ended(), None);
    }
}
