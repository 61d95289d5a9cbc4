//! Wrong keys and wrong tokens, counted by address.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;

use governor::clock::Clock as GovernorClock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};

use crate::clock::Clock;

/// Addresses remembered at a time, about 100 bytes each. Beyond it newcomers share one budget.
const REMEMBERED: usize = 10_000;

/// Counts wrong keys by address. A right key is never refused for the wrong ones of others: behind a proxy everybody
/// has the proxy's address, and 256 random bits are not guessed at any pace.
pub struct WrongKeys {
    limiter: RateLimiter<IpAddr, DashMapStateStore<IpAddr>, Steady, NoOpMiddleware<Nanos>>,
}

impl WrongKeys {
    /// `per_minute` wrong keys an address, at least one.
    #[must_use]
    pub fn new(per_minute: u64, clock: Clock) -> Self {
        let per_minute = u32::try_from(per_minute).unwrap_or(u32::MAX);
        let quota = Quota::per_minute(NonZeroU32::new(per_minute).unwrap_or(NonZeroU32::MIN));
        Self {
            limiter: RateLimiter::new(quota, DashMapStateStore::default(), Steady(clock)),
        }
    }

    /// Counts one; `false` where the address had none left.
    #[must_use]
    pub fn count(&self, address: IpAddr) -> bool {
        if self.limiter.len() >= REMEMBERED {
            self.limiter.retain_recent();
        }
        let address = if self.limiter.len() >= REMEMBERED {
            IpAddr::V6(Ipv6Addr::UNSPECIFIED)
        } else {
            subscriber(address)
        };
        self.limiter.check_key(&address).is_ok()
    }
}

/// An IPv6 subscriber has a whole /64 to choose addresses from.
fn subscriber(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => address.to_ipv4_mapped().map_or_else(
            || IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
            IpAddr::V4,
        ),
    }
}

/// The gateway's clock, for the limiter.
#[derive(Debug, Clone)]
struct Steady(Clock);

impl GovernorClock for Steady {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::new(
            u64::try_from(self.0.steady())
                .unwrap_or(0)
                .saturating_mul(1_000_000),
        )
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
    fn the_memory_for_wrong_keys_is_bounded() {
        let wrong = WrongKeys::new(10, Clock::manual(1_700_000_000_000));
        let counted = (0..30_000_u32)
            .filter(|address| wrong.count(IpAddr::V4((*address).into())))
            .count();
        assert!(wrong.limiter.len() <= REMEMBERED + 1);
        assert!(counted >= REMEMBERED);
    }
}
