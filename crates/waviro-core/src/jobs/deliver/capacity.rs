//! The limits shared by all endpoints: deliveries in memory and concurrent requests, each with a
//! share for every bot.

use std::collections::HashMap;

/// The most deliveries of a bot to an endpoint in memory; further deliveries wait in the database.
const MAX_PER_QUEUE: usize = 1_000;

/// The same limit if the bot's last request there failed. Such a queue moves slowly, and other
/// queues need the memory.
const MAX_PER_FAILING_QUEUE: usize = 20;

/// The most deliveries in memory over all endpoints: about 400 bytes each, 8 MB.
const MAX_IN_MEMORY: usize = 20_000;

/// The most deliveries of a bot in memory.
const MAX_IN_MEMORY_A_BOT: usize = 5_000;

/// A bot always has room for this many deliveries in memory, even if other bots use the rest.
const ALWAYS_IN_MEMORY: usize = 20;

/// The most concurrent requests to all endpoints: far below the limit of 1,024 open files per
/// process on many systems.
const MAX_REQUESTS: usize = 400;

/// The most concurrent requests of bots whose last request to the endpoint failed. However many
/// endpoints are dead, the other endpoints keep the rest.
const MAX_FAILING_REQUESTS: usize = 200;

/// Slots of both limits, reserved for bots with few requests in progress.
const RESERVED: usize = 40;

/// A bot with fewer requests in progress than this may use the reserved slots.
const FEW_REQUESTS: usize = 4;

/// Counts deliveries in memory and requests in progress. Cheap to clone: a few words per bot.
#[derive(Debug, Clone, Default)]
pub(super) struct Capacity {
    bots: HashMap<i32, Share>,
    in_memory: usize,
    requests: usize,
    failing_requests: usize,
}

/// The counts of a bot.
#[derive(Debug, Clone, Copy, Default)]
struct Share {
    in_memory: usize,
    requests: usize,
    failing_requests: usize,
}

/// Returns how many deliveries of a bot to an endpoint may be in memory.
pub(super) fn queue_limit(failing: bool) -> usize {
    if failing {
        MAX_PER_FAILING_QUEUE
    } else {
        MAX_PER_QUEUE
    }
}

impl Capacity {
    fn share(&self, bot: i32) -> Share {
        self.bots.get(&bot).copied().unwrap_or_default()
    }

    pub(super) fn in_memory(&self) -> usize {
        self.in_memory
    }

    /// Returns how many more deliveries of the bot fit in memory.
    pub(super) fn left(&self, bot: i32) -> usize {
        let own = self.share(bot).in_memory;
        let always = ALWAYS_IN_MEMORY.saturating_sub(own);
        let shared = MAX_IN_MEMORY.saturating_sub(self.in_memory);
        shared
            .min(MAX_IN_MEMORY_A_BOT.saturating_sub(own))
            .max(always)
    }

    /// Returns true if another delivery of the bot fits in memory.
    pub(super) fn has_memory(&self, bot: i32) -> bool {
        self.left(bot) > 0
    }

    /// Returns true if the bot may start another request.
    pub(super) fn may_request(&self, bot: i32, failing: bool) -> bool {
        let own = self.share(bot);
        let free = |requests: usize, own: usize, most: usize| {
            requests < most - RESERVED || (own < FEW_REQUESTS && requests < most)
        };
        free(self.requests, own.requests, MAX_REQUESTS)
            && (!failing
                || free(
                    self.failing_requests,
                    own.failing_requests,
                    MAX_FAILING_REQUESTS,
                ))
    }

    /// Returns true if no further request may start.
    pub(super) fn is_full(&self) -> bool {
        self.requests >= MAX_REQUESTS
    }

    /// A delivery of the bot was added to memory.
    pub(super) fn taken(&mut self, bot: i32) {
        self.in_memory += 1;
        self.bots.entry(bot).or_default().in_memory += 1;
    }

    /// A request of the bot started.
    pub(super) fn started(&mut self, bot: i32, failing: bool) {
        self.requests += 1;
        self.failing_requests += usize::from(failing);
        let share = self.bots.entry(bot).or_default();
        share.requests += 1;
        share.failing_requests += usize::from(failing);
    }

    /// A request of the bot ended.
    pub(super) fn answered(&mut self, bot: i32, failing: bool) {
        self.requests -= 1;
        self.failing_requests -= usize::from(failing);
        if let Some(share) = self.bots.get_mut(&bot) {
            share.requests -= 1;
            share.failing_requests -= usize::from(failing);
        }
    }

    /// A delivery of the bot was removed from memory.
    pub(super) fn over(&mut self, bot: i32) {
        self.in_memory -= 1;
        let Some(share) = self.bots.get_mut(&bot) else {
            return;
        };
        share.in_memory -= 1;
        if share.in_memory == 0 {
            self.bots.remove(&bot);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bot_with_a_backlog_leaves_memory_to_the_others() {
        let mut capacity = Capacity::default();
        (0..MAX_IN_MEMORY_A_BOT).for_each(|_| capacity.taken(1));
        assert!(!capacity.has_memory(1) && capacity.has_memory(2));
        for bot in 2..=4 {
            (0..MAX_IN_MEMORY_A_BOT).for_each(|_| capacity.taken(bot));
        }
        assert_eq!(capacity.in_memory(), MAX_IN_MEMORY);
        (0..ALWAYS_IN_MEMORY).for_each(|_| {
            assert!(capacity.has_memory(5));
            capacity.taken(5);
        });
        assert!(!capacity.has_memory(5));
        (0..MAX_IN_MEMORY_A_BOT).for_each(|_| capacity.over(1));
        assert!(capacity.has_memory(5));
    }

    #[test]
    fn a_bot_with_many_slow_endpoints_leaves_requests_to_the_others() {
        let mut capacity = Capacity::default();
        while capacity.may_request(1, false) {
            capacity.taken(1);
            capacity.started(1, false);
        }
        assert_eq!(capacity.requests, MAX_REQUESTS - RESERVED);
        for bot in 2..12 {
            for _ in 0..FEW_REQUESTS {
                assert!(capacity.may_request(bot, false));
                capacity.taken(bot);
                capacity.started(bot, false);
            }
            assert!(!capacity.may_request(bot, false));
        }
        assert!(capacity.is_full());
    }

    #[test]
    fn a_bot_with_many_dead_endpoints_leaves_tries_to_the_others() {
        let mut capacity = Capacity::default();
        while capacity.may_request(1, true) {
            capacity.taken(1);
            capacity.started(1, true);
        }
        assert!(capacity.may_request(2, true) && capacity.may_request(1, false));
        capacity.answered(1, true);
        assert_eq!(
            capacity.failing_requests,
            MAX_FAILING_REQUESTS - RESERVED - 1
        );
    }
}
