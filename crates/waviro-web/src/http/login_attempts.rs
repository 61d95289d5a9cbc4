//! Limits on login attempts, right and wrong: per address and name, and per address.
//!
//! The first limit makes guessing a password hopeless. The second limits the cost of an address:
//! each attempt needs 19 MiB and tens of milliseconds of a core, whatever the name. Neither limit
//! affects other addresses.

use std::net::IpAddr;

use sha2::{Digest, Sha256};
use waviro_core::config::Limits;
use waviro_store::clock::Clock;

use super::budget::Budget;
use super::wrong_keys::subscriber;

/// The bytes of a name's hash in the table. 16 bytes are enough to distinguish names, and each name
/// takes the same space.
const NAME_BYTES: usize = 16;

/// The counters of login attempts.
pub struct LoginAttempts {
    by_name: Budget<(IpAddr, [u8; NAME_BYTES])>,
    by_address: Budget<IpAddr>,
}

impl LoginAttempts {
    /// Allows `limits.login_tries_per_minute` for a name from an address, and
    /// `limits.login_tries_per_address` for all names together.
    #[must_use]
    pub fn new(limits: &Limits, clock: Clock) -> Self {
        Self {
            by_name: Budget::new(limits.login_tries_per_minute, clock.clone()),
            by_address: Budget::new(limits.login_tries_per_address, clock),
        }
    }

    /// Counts an attempt. Returns `false` if the address has no attempt left, for the name or in
    /// all. A refused attempt is not counted, so repeated attempts at a name do not use up the
    /// attempts at other names from the same address.
    #[must_use]
    pub fn count(&self, address: IpAddr, name: &str) -> bool {
        let address = subscriber(address);
        let mut hash = [0; NAME_BYTES];
        hash.copy_from_slice(&Sha256::digest(name)[..NAME_BYTES]);
        let owner = (address, hash);
        self.by_name.has_left(&owner) && self.by_address.count(address) && self.by_name.count(owner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use waviro_core::config::Config;

    use super::*;

    fn attempts() -> (Clock, LoginAttempts) {
        let clock = Clock::manual(1_700_000_000_000);
        let limits = Config::embedded(&[]).unwrap().limits;
        (clock.clone(), LoginAttempts::new(&limits, clock))
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_address_has_ten_attempts_a_name_and_sixty_in_all() {
        let (clock, attempts) = attempts();
        let one = address("203.0.113.7");
        let tried = |name: &str| (0..20).filter(|_| attempts.count(one, name)).count();
        for name in 0..6 {
            assert_eq!(tried(&name.to_string()), 10);
        }
        assert_eq!(tried("another"), 0);
        assert!(attempts.count(address("203.0.113.8"), "another"));
        clock.advance(Duration::from_mins(1));
        assert_eq!(tried("another"), 10);
    }

    #[test]
    fn attempts_for_an_exhausted_name_leave_other_names_alone() {
        let (_, attempts) = attempts();
        let one = address("203.0.113.7");
        for _ in 0..1000 {
            let _ = attempts.count(one, "admin");
        }
        assert!(attempts.count(one, "ani"));
    }

    #[test]
    fn the_addresses_of_one_ipv6_subscriber_are_one() {
        let (_, attempts) = attempts();
        let counted = (0..100).filter(|n| {
            let own = address(&format!("2001:db8::{n:x}"));
            attempts.count(own, "admin")
        });
        assert_eq!(counted.count(), 10);
        assert!(attempts.count(address("2001:db8:0:1::1"), "admin"));
        for _ in 0..10 {
            assert!(attempts.count(address("::ffff:10.0.0.1"), "admin"));
        }
        assert!(!attempts.count(address("10.0.0.1"), "admin"));
    }

    #[test]
    fn a_new_address_may_try_regardless_of_other_addresses() {
        let (_, attempts) = attempts();
        for n in 0..30_000_u32 {
            let _ = attempts.count(IpAddr::V4(n.into()), "admin");
            let _ = attempts.count(IpAddr::V4(n.into()), "ani");
        }
        for n in 0..100_u32 {
            let fresh = IpAddr::V4((0xCB00_7100 + n).into());
            assert!(attempts.count(fresh, "admin"));
        }
    }
}
