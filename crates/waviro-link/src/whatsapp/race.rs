//! Tries several addresses in parallel, following RFC 8305 (Happy Eyeballs): an address without an
//! answer delays a dial by a quarter of a second instead of keeping the link offline.
//!
//! Unlike the RFC, an attempt counts as complete only after *all* steps of the dial. On an IPv6
//! path that drops large packets, the TCP connection opens but no certificate arrives; after two
//! seconds the next address is tried in parallel.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;

use super::task::pause;
use crate::{DialFailure, DialStep};

/// The pause before the next address while TCP does not answer (RFC 8305, section 5: 250 ms).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// The pause before the next address after TCP has answered. TLS and the upgrade take three round
/// trips, half a second to a far server.
const SILENCE: Duration = Duration::from_secs(2);

/// The maximum number of addresses in one dial. WhatsApp has one address of each family.
const MAX_ADDRESSES: usize = 8;

/// The current step of one attempt.
#[derive(Debug)]
pub(super) struct Progress(AtomicU8);

impl Progress {
    fn new() -> Self {
        Self(AtomicU8::new(DialStep::Tcp as u8))
    }

    /// Records the start of a step.
    pub(super) fn begin(&self, step: DialStep) {
        self.0.store(step as u8, Ordering::Relaxed);
    }

    fn step(&self) -> DialStep {
        let step = self.0.load(Ordering::Relaxed);
        let mut steps = DialStep::ALL.into_iter();
        steps
            .find(|known| *known as u8 == step)
            .unwrap_or(DialStep::Tcp)
    }
}

/// Returns the addresses in the order of the attempts: the families alternate, starting with the
/// resolver's first address (RFC 8305, section 4).
pub(super) fn interleaved(addresses: impl IntoIterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let mut seen = Vec::new();
    for address in addresses {
        if !seen.contains(&address) {
            seen.push(address);
        }
    }
    let first_is_v6 = seen.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) = seen
        .into_iter()
        .partition(|address| address.is_ipv6() == first_is_v6);
    let longer = first.len().max(second.len());
    let turns = (0..longer).flat_map(|turn| [first.get(turn), second.get(turn)]);
    turns.flatten().copied().take(MAX_ADDRESSES).collect()
}

/// Returns the result of the first successful attempt and cancels the others. If no attempt
/// succeeds `within` the time, returns the failure of the latest step: a wrong certificate of one
/// address is more informative than a missing route to another address.
pub(super) async fn race<T, F>(
    addresses: &[SocketAddr],
    within: Duration,
    attempt: impl Fn(SocketAddr, Arc<Progress>) -> F,
) -> Result<T, DialFailure>
where
    F: Future<Output = Result<T, DialFailure>>,
{
    let mut waiting = addresses.iter();
    let mut running = FuturesUnordered::new();
    let mut begun = Vec::new();
    let mut furthest = None;
    let mut end = std::pin::pin!(pause(within));
    loop {
        let newest = waiting.next().map(|address| {
            let progress = Arc::new(Progress::new());
            running.push(attempt(*address, Arc::clone(&progress)));
            begun.push(Arc::clone(&progress));
            progress
        });
        let mut next = std::pin::pin!(due(newest.filter(|_| waiting.len() > 0)));
        loop {
            if running.is_empty() {
                return Err(furthest.unwrap_or(DialFailure::NoRoute));
            }
            tokio::select! {
                Some(done) = running.next() => match done {
                    Ok(opened) => return Ok(opened),
                    Err(failure) => {
                        furthest = Some(further(furthest, failure));
                        if waiting.len() > 0 {
                            break;
                        }
                    }
                },
                () = &mut next => break,
                () = &mut end => {
                    let steps = begun.iter().map(|progress| progress.step());
                    let silent = DialFailure::Silent(steps.max().unwrap_or(DialStep::Tcp));
                    return Err(further(furthest, silent));
                }
            }
        }
    }
}

/// Waits until the next address may start beside the newest attempt; for ever without a further
/// address.
async fn due(newest: Option<Arc<Progress>>) {
    let Some(newest) = newest else {
        return std::future::pending().await;
    };
    pause(ATTEMPT_DELAY).await;
    if newest.step() > DialStep::Tcp {
        pause(SILENCE.saturating_sub(ATTEMPT_DELAY)).await;
    }
}

/// Returns the failure of the later step. Of two failures in the same step, returns the more
/// informative failure, or the first.
fn further(known: Option<DialFailure>, failure: DialFailure) -> DialFailure {
    let weight = |failure: &DialFailure| {
        let says_much = !matches!(failure, DialFailure::NoRoute | DialFailure::Silent(_));
        (failure.step(), says_much)
    };
    match known {
        Some(known) if weight(&known) >= weight(&failure) => known,
        _ => failure,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    /// Longer than any test takes.
    const LONG: Duration = Duration::from_mins(1);

    #[test]
    fn address_families_alternate_starting_with_the_resolvers_first() {
        let v6 = ["[::1]:1", "[::2]:1", "[::3]:1"].map(address);
        let v4 = ["127.0.0.1:1", "127.0.0.2:1"].map(address);
        let both = v6.into_iter().chain(v4).chain(v6);
        assert_eq!(interleaved(both), [v6[0], v4[0], v6[1], v4[1], v6[2]]);
        assert_eq!(interleaved([v4[0], v6[0], v6[1]]), [v4[0], v6[0], v6[1]]);
        assert_eq!(interleaved([]), []);
        let many = (1..100).map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        assert_eq!(interleaved(many).len(), MAX_ADDRESSES);
    }

    #[tokio::test]
    async fn an_address_that_never_answers_delays_the_next_by_a_quarter_of_a_second() {
        let began = tokio::time::Instant::now();
        let addresses = ["[::1]:1", "127.0.0.1:1"].map(address);
        let opened = race(&addresses, LONG, |address: SocketAddr, _| async move {
            if address.is_ipv6() {
                std::future::pending::<()>().await;
            }
            Ok(address)
        });
        assert_eq!(opened.await, Ok(addresses[1]));
        let took = began.elapsed();
        assert!(
            took >= ATTEMPT_DELAY && took < Duration::from_secs(2),
            "{took:?}"
        );
    }

    #[tokio::test]
    async fn an_address_that_answers_tcp_and_then_nothing_delays_the_next_by_two_seconds() {
        let began = tokio::time::Instant::now();
        let addresses = ["[::1]:1", "127.0.0.1:1"].map(address);
        let opened = race(
            &addresses,
            LONG,
            |address: SocketAddr, progress| async move {
                progress.begin(DialStep::Tls);
                if address.is_ipv6() {
                    std::future::pending::<()>().await;
                }
                Ok(address)
            },
        );
        assert_eq!(opened.await, Ok(addresses[1]));
        assert!(began.elapsed() >= SILENCE);
    }

    #[tokio::test]
    async fn a_refused_address_is_followed_by_the_next_at_once_and_a_slow_first_may_still_win() {
        let addresses = ["[::1]:1", "127.0.0.1:1", "127.0.0.2:1"].map(address);
        let all = Mutex::new(Vec::new());
        let tried = &all;
        let began = tokio::time::Instant::now();
        let opened = race(&addresses, LONG, |address: SocketAddr, _| async move {
            tried.lock().unwrap().push(address);
            if address != addresses[2] {
                return Err(DialFailure::Refused);
            }
            Ok(address)
        });
        assert_eq!(opened.await, Ok(addresses[2]));
        assert!(began.elapsed() < ATTEMPT_DELAY);
        assert_eq!(*tried.lock().unwrap(), addresses);

        let opened = race(&addresses, LONG, |address: SocketAddr, _| async move {
            if address.is_ipv6() {
                pause(ATTEMPT_DELAY * 2).await;
                return Ok(address);
            }
            std::future::pending().await
        });
        assert_eq!(opened.await, Ok(addresses[0]));
    }

    #[tokio::test]
    async fn the_failure_at_the_latest_step_is_reported() {
        let addresses = ["[::1]:1", "127.0.0.1:1"].map(address);
        let failed = race(&addresses, LONG, |address, _| async move {
            match address {
                SocketAddr::V6(_) => Err::<(), _>(DialFailure::NoRoute),
                SocketAddr::V4(_) => Err(DialFailure::TlsUnknownCa),
            }
        });
        assert_eq!(failed.await, Err(DialFailure::TlsUnknownCa));

        let within = Duration::from_millis(600);
        let failed = race(
            &addresses,
            within,
            |address: SocketAddr, progress| async move {
                if address.is_ipv4() {
                    progress.begin(DialStep::Upgrade);
                }
                std::future::pending::<Result<(), DialFailure>>().await
            },
        );
        assert_eq!(failed.await, Err(DialFailure::Silent(DialStep::Upgrade)));

        let failed = race(&[], within, |_, _| async { Ok(()) });
        assert_eq!(failed.await, Err(DialFailure::NoRoute));
    }
}
