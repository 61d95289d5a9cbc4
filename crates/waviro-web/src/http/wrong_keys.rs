//! Limits wrong keys and wrong tokens per address.

use std::net::{IpAddr, Ipv6Addr};

use waviro_store::clock::Clock;

use super::budget::Budget;

/// Counts wrong keys per address. A right key is never refused because of the wrong keys of other
/// callers: behind a proxy all callers share the proxy's address, and no rate of guesses finds 256
/// random bits.
pub struct WrongKeys {
    budget: Budget<IpAddr>,
}

impl WrongKeys {
    /// Allows `per_minute` wrong keys per address, at least 1.
    #[must_use]
    pub fn new(per_minute: u64, clock: Clock) -> Self {
        Self {
            budget: Budget::new(per_minute, clock),
        }
    }

    /// Counts a wrong key. Returns `false` if the address had none left.
    #[must_use]
    pub fn count(&self, address: IpAddr) -> bool {
        self.budget.count(subscriber(address))
    }
}

/// Reduces an IPv6 address to its /64, because an IPv6 subscriber can choose any address in a /64.
pub(super) fn subscriber(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn wrong_keys_of_one_address_leave_the_others_alone_and_are_forgiven() {
        let clock = Clock::manual(1_700_000_000_000);
        let wrong = WrongKeys::new(10, clock.clone());
        let (one, other) = ("2001:db8::1".parse().unwrap(), "10.0.0.1".parse().unwrap());
        for _ in 0..10 {
            assert!(wrong.count(one));
        }
        let neighbour = "2001:db8::2".parse().unwrap();
        assert!(!wrong.count(neighbour));
        assert!(wrong.count(other));
        clock.advance(Duration::from_mins(1));
        assert!(wrong.count(one));
    }

    #[test]
    fn the_memory_for_wrong_keys_is_bounded_and_a_new_address_has_its_own_budget() {
        let wrong = WrongKeys::new(10, Clock::manual(1_700_000_000_000));
        let counted = (0..30_000_u32)
            .filter(|address| wrong.count(IpAddr::V4((*address).into())))
            .count();
        assert_eq!(counted, 30_000);
        assert!(wrong.budget.remembered() <= super::super::budget::REMEMBERED);
    }
}
