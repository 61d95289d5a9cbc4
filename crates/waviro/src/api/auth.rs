//! From the SecretKey to its bot. The key alone says which bot is meant.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use governor::clock::Clock as GovernorClock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};
use sha2::{Digest, Sha256};

use super::error::ApiError;
use super::{Api, peer};
use crate::bots::Bot;
use crate::clock::Clock;

static SECRET_KEY: HeaderName = HeaderName::from_static("secretkey");

/// Addresses remembered at a time, about 100 bytes each. Beyond it newcomers share one budget.
const REMEMBERED: usize = 10_000;

/// The bot whose key the request carries.
pub struct Caller(pub Arc<Bot>);

impl FromRequestParts<Arc<Api>> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, ApiError> {
        let wrong = |error| api.wrong_keys.count(peer(&parts.extensions), error);
        let key = only_key(&parts.headers).map_err(|error| match error {
            // Nothing is guessed without a key, so it does not count as a wrong one.
            ApiError::NoSecretKey => error,
            _ => wrong(error),
        })?;
        // A lookup by hash: what the time of it tells is about the hash, not about the key.
        let hash: [u8; 32] = Sha256::digest(key.as_bytes()).into();
        let bot = api.bots.by_key(&hash).await;
        let bot = bot.ok_or_else(|| wrong(ApiError::InvalidSecretKey))?;
        tracing::Span::current().record("bot", bot.name());
        Ok(Self(bot))
    }
}

/// The key of the request. Several headers with the same one are fine; where they differ nobody can say which bot is
/// meant, and taking one of them would let whoever adds a header choose.
fn only_key(headers: &HeaderMap) -> Result<&str, ApiError> {
    let mut values = headers.get_all(&SECRET_KEY).iter();
    let key = values.next().and_then(|value| value.to_str().ok());
    let key = key.map(bare).filter(|key| !key.is_empty());
    let key = key.ok_or(ApiError::NoSecretKey)?;
    if values.all(|other| other.to_str().is_ok_and(|other| bare(other) == key)) {
        Ok(key)
    } else {
        Err(ApiError::InvalidSecretKey)
    }
}

/// The document's own samples send `secretkey: KEY;` and `secretkey: KEY `.
fn bare(value: &str) -> &str {
    let value = value.trim();
    value.strip_suffix(';').unwrap_or(value).trim_end()
}

/// Counts wrong keys by address. A right key is never refused for the wrong ones of others: behind a proxy everybody
/// has the proxy's address, and 256 random bits are not guessed at any pace.
pub struct WrongKeys {
    limiter: RateLimiter<IpAddr, DashMapStateStore<IpAddr>, Wall, NoOpMiddleware<Nanos>>,
}

impl WrongKeys {
    pub(super) fn new(per_minute: u64, clock: Clock) -> Self {
        let per_minute = u32::try_from(per_minute).unwrap_or(u32::MAX);
        let quota = Quota::per_minute(NonZeroU32::new(per_minute).unwrap_or(NonZeroU32::MIN));
        Self {
            limiter: RateLimiter::new(quota, DashMapStateStore::default(), Wall(clock)),
        }
    }

    /// `first` while the address has wrong keys left, then the 429.
    fn count(&self, address: IpAddr, first: ApiError) -> ApiError {
        if self.limiter.len() >= REMEMBERED {
            self.limiter.retain_recent();
        }
        let address = if self.limiter.len() >= REMEMBERED {
            IpAddr::V6(Ipv6Addr::UNSPECIFIED)
        } else {
            subscriber(address)
        };
        match self.limiter.check_key(&address) {
            Ok(()) => first,
            Err(_) => ApiError::TooManyWrongKeys,
        }
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
struct Wall(Clock);

impl GovernorClock for Wall {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::new(
            u64::try_from(self.0.now())
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
    fn blanks_and_one_semicolon_around_a_key_are_dropped() {
        for value in ["KEY", " KEY ", "KEY;", "KEY; ", "KEY ;"] {
            assert_eq!(bare(value), "KEY", "{value:?}");
        }
        assert_eq!(bare("KEY;;"), "KEY;");
        assert_eq!(bare(";"), "");
    }

    #[test]
    fn wrong_keys_of_one_address_leave_the_others_alone_and_are_forgiven() {
        let clock = Clock::manual(1_700_000_000_000);
        let wrong = WrongKeys::new(10, clock.clone());
        let (one, other) = ("2001:db8::1".parse().unwrap(), "10.0.0.1".parse().unwrap());
        for _ in 0..10 {
            assert!(matches!(
                wrong.count(one, ApiError::InvalidSecretKey),
                ApiError::InvalidSecretKey
            ));
        }
        let neighbour = "2001:db8::2".parse().unwrap();
        assert!(matches!(
            wrong.count(neighbour, ApiError::InvalidSecretKey),
            ApiError::TooManyWrongKeys
        ));
        assert!(matches!(
            wrong.count(other, ApiError::InvalidSecretKey),
            ApiError::InvalidSecretKey
        ));
        clock.advance(Duration::from_mins(1));
        assert!(matches!(
            wrong.count(one, ApiError::InvalidSecretKey),
            ApiError::InvalidSecretKey
        ));
    }

    #[test]
    fn the_memory_for_wrong_keys_is_bounded() {
        let wrong = WrongKeys::new(10, Clock::manual(1_700_000_000_000));
        for address in 0..30_000_u32 {
            wrong.count(IpAddr::V4(address.into()), ApiError::InvalidSecretKey);
        }
        assert!(wrong.limiter.len() <= REMEMBERED + 1);
    }
}
