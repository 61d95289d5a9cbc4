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
pub(super) struct Proof(Mutex<Passed>);

#[derive(Debug, Default)]
struct Passed {
    written: usize,
    read: usize,
    /// The length bytes of the server's first frame.
    first: Vec<u8>,
    over: bool,
}

impl Proof {
    pub(super) fn wrote(&self) {
        let mut passed = self.lock();
        passed.written = passed.written.saturating_add(1);
    }

    pub(super) fn read(&self, bytes: &[u8]) {
        let mut passed = self.lock();
        let missing = LENGTH.saturating_sub(passed.first.len());
        passed.first.extend(bytes.iter().take(missing));
        passed.read = passed.read.saturating_add(bytes.len());
    }

    /// Records that the socket ended. Returns the failure if the server closed the socket instead
    /// of answering.
    pub(super) fn ended(&self) -> Option<DialFailure> {
        let mut passed = self.lock();
        if passed.over {
            return passed.verdict();
        }
        passed.over = true;
        (passed.read == 0).then_some(DialFailure::Closed(DialStep::Handshake))
    }

    /// Records that the client closes the socket. Returns the failure if the handshake is the
    /// reason.
    pub(super) fn given_up(&self) -> Option<DialFailure> {
        let mut passed = self.lock();
        if passed.over {
            return None;
        }
        passed.over = true;
        passed.verdict()
    }

    fn lock(&self) -> MutexGuard<'_, Passed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Passed {
    /// Returns the handshake's failure after the client closed the socket. After a successful
    /// check, the client sends a second message (Noise XX) or the server sends a second frame
    /// (Noise IK).
    fn verdict(&self) -> Option<DialFailure> {
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

    fn passed(written: usize, read: &[&[u8]]) -> Proof {
        let proof = Proof::default();
        for _ in 0..written {
            proof.wrote();
        }
        for bytes in read {
            proof.read(bytes);
        }
        proof
    }

    #[test]
    fn a_hello_without_a_later_message_does_not_prove_the_server() {
        let refused = Some(DialFailure::ServerKey);
        assert_eq!(passed(1, &[&HELLO]).given_up(), refused);
        assert_eq!(passed(1, &[&HELLO[..1], &HELLO[1..]]).given_up(), refused);
        // The end of the socket follows, and the result stays the same.
        let proof = passed(1, &[&HELLO]);
        proof.given_up();
        assert_eq!(proof.ended(), refused);
    }

    #[test]
    fn silence_and_a_closed_connection_are_different_failures() {
        let silent = Some(DialFailure::Silent(DialStep::Handshake));
        assert_eq!(passed(1, &[]).given_up(), silent);
        assert_eq!(passed(1, &[&HELLO[..4]]).given_up(), silent);
        let closed = Some(DialFailure::Closed(DialStep::Handshake));
        let proof = passed(1, &[]);
        assert_eq!(proof.ended(), closed);
        assert_eq!(proof.given_up(), None);
    }

    #[test]
    fn a_continued_handshake_is_not_a_failure() {
        for proof in [
            passed(2, &[&HELLO]),
            passed(1, &[&HELLO, &HELLO]),
            passed(9, &[&HELLO, &HELLO]),
        ] {
            assert_eq!(proof.given_up(), None);
        }
        assert_eq!(passed(1, &[&HELLO]).ended(), None);
    }
}
