//! Seeded randomness: every key, id and code of a simulator is derived from one number.

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use wacore_libsignal::crypto::CryptographicHash;

/// The seed of one simulator. Generators with different labels are independent of each other, and
/// independent of the order of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Seed(pub(crate) u64);

impl Seed {
    /// Returns a random generator for one purpose.
    pub(crate) fn rng(self, label: &str) -> StdRng {
        StdRng::from_seed(self.bytes(label))
    }

    /// Returns 32 bytes for one purpose.
    pub(crate) fn bytes(self, label: &str) -> [u8; 32] {
        let mut out = [0; 32];
        // The only error is an unknown algorithm name.
        if let Ok(mut hash) = CryptographicHash::new("SHA-256") {
            hash.update(b"wa-sim\0");
            hash.update(&self.0.to_be_bytes());
            hash.update(label.as_bytes());
            out.copy_from_slice(&hash.finalize());
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::Seed;

    #[test]
    fn labels_and_seeds_give_different_bytes() {
        assert_eq!(Seed(1).bytes("a"), Seed(1).bytes("a"));
        assert_ne!(Seed(1).bytes("a"), Seed(1).bytes("b"));
        assert_ne!(Seed(1).bytes("a"), Seed(2).bytes("a"));
    }
}
