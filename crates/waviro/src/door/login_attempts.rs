//! Attempts to log in, right and wrong, counted by address and name, and by address alone.
//!
//! The first counter makes guessing a password pointless. The second bounds what one address costs: each attempt is 19 MiB and
//! tens of milliseconds of a core, whatever the name. Neither takes anything from another address.

use std::net::IpAddr;

use sha2::{Digest, Sha256};

use super::budget::Budget;
use super::wrong_keys::subscriber;
use crate::clock::Clock;
use crate::config::Limits;

/// Of a hash of a name: enough to tell names apart, and as long for each.
const NAME_BYTES: usize = 16;

/// Counts attempts to log in.
pub struct LoginAttempts {
    by_name: Budget<(IpAddr, [u8; NAME_BYTES])>,
    by_address: Budget<IpAddr>,
}

impl LoginAttempts {
    /// `limits.login_tries_per_minute` for a name from an address, `limits.login_tries_per_address` for all names.
    #[must_use]
    pub fn new(limits: &Limits, clock: Clock) -> Self {
        Self {
            by_name: Budget::new(limits.login_tries_per_minute, clock.clone()),
            by_address: Budget::new(limits.login_tries_per_address, clock),
        }
    }

    /// Counts one; `false` where the address has none left, for this name or at all. A refused attempt costs nothing, so that
    /// whoever goes on trying one name takes no attempts at other names from those who share the address.
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

    use super::*;
    use crate::config::Config;

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
    fn going_on_with_a_spent_name_takes_nothing_from_other_names() {
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
    fn an_address_that_was_never_seen_may_try_whatever_the_others_did() {
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
