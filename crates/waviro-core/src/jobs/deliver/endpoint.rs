//! The deliveries of an endpoint in memory: a queue for each bot, served round robin under the
//! endpoint's cap.
//!
//! Several bots may post to the same host. A bot with a slow URL on the host must not delay the
//! callbacks of the other bots. Therefore the last request slot of the endpoint is reserved for a
//! bot without a request in progress there, and a bot whose last request failed gets few slots
//! ([`MAX_FAILING_REQUESTS`]).

use std::collections::{HashMap, HashSet, VecDeque};

use waviro_fault::Bug;
use waviro_link::Chat;
use waviro_store::Due;

/// The most concurrent requests to an endpoint. The PHP hosts of typical users run about ten
/// workers.
pub(super) const MAX_REQUESTS: usize = 8;

/// The most concurrent requests to an endpoint for all bots together whose last request there
/// failed. Two are enough to notice when the endpoint works again.
pub(super) const MAX_FAILING_REQUESTS: usize = 2;

/// The most answers of an endpoint whose commit is in progress. A commit does not count as a
/// request: commits share a disk sync with other work, and a busy endpoint would otherwise wait for
/// the disk as long as for the network.
const MAX_COMMITTING: usize = 64;

/// The most answers of a bot at an endpoint whose commit is in progress. The files named in a
/// webhook reply are downloaded in this phase.
const MAX_COMMITTING_A_BOT: usize = 32;

/// How many entries of a bot's queue are searched for a chat without a webhook in progress. Later
/// entries wait for the bot's next turn.
const SEARCHED_ENTRIES: usize = 64;

/// The deliveries of an endpoint.
#[derive(Default)]
pub(super) struct Endpoint {
    bots: HashMap<i32, EndpointQueue>,
    /// The bots with waiting deliveries; the bot served longest ago is first.
    turns: VecDeque<i32>,
    requests: usize,
    /// The requests in progress of bots whose last request failed.
    failing_requests: usize,
    committing: usize,
}

/// The deliveries of a bot to an endpoint.
#[derive(Default)]
struct EndpointQueue {
    waiting: VecDeque<Due>,
    requests: usize,
    committing: usize,
    /// Chats with a webhook in progress. The next webhook of the chat waits, so that replies keep
    /// the order of the inbound messages.
    busy: HashSet<Chat>,
}

/// A delivery to start now.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) due: Due,
    /// The bot's last request to this endpoint failed.
    pub(super) failing: bool,
}

impl Endpoint {
    /// Returns the number of waiting deliveries of the bot.
    pub(super) fn waiting(&self, bot: i32) -> usize {
        self.bots.get(&bot).map_or(0, |queue| queue.waiting.len())
    }

    /// Returns each bot of this endpoint and the number of waiting deliveries.
    pub(super) fn queues(&self) -> impl Iterator<Item = (i32, usize)> {
        let bots = self.bots.iter();
        bots.map(|(bot, queue)| (*bot, queue.waiting.len()))
    }

    pub(super) fn push_back(&mut self, due: Due) {
        self.queue_of(due.bot_id).waiting.push_back(due);
    }

    pub(super) fn push_front(&mut self, due: Due) {
        self.queue_of(due.bot_id).waiting.push_front(due);
    }

    /// Returns the queue of a bot and gives the bot a turn, because the caller adds a delivery.
    fn queue_of(&mut self, bot: i32) -> &mut EndpointQueue {
        if !self.turns.contains(&bot) {
            self.turns.push_back(bot);
        }
        self.bots.entry(bot).or_default()
    }

    /// Removes and returns all waiting deliveries.
    pub(super) fn drain(&mut self) -> Vec<Due> {
        self.turns.clear();
        let queues = self.bots.values_mut();
        queues.flat_map(|queue| queue.waiting.drain(..)).collect()
    }

    /// Takes the next delivery allowed by the caps. `fails` returns true if the bot's last request
    /// to this endpoint failed; `may_request` returns true if the bot may start another request
    /// among the requests to all endpoints.
    pub(super) fn start(
        &mut self,
        fails: impl Fn(i32) -> bool,
        may_request: impl Fn(i32, bool) -> bool,
    ) -> Next {
        let mut crowded = false;
        for _ in 0..self.turns.len() {
            let Some(bot) = self.turns.pop_front() else {
                break;
            };
            let failing = fails(bot);
            let started = if !self.has_free_slot(bot, failing) {
                None
            } else if may_request(bot, failing) {
                self.bots.get_mut(&bot).and_then(EndpointQueue::pop)
            } else {
                crowded = true;
                None
            };
            if self.waiting(bot) > 0 {
                self.turns.push_back(bot);
            }
            if let Some(due) = started {
                self.begin(&due, failing);
                return Next::Start(Started { due, failing });
            }
        }
        if crowded {
            Next::Crowded
        } else {
            Next::Nothing
        }
    }

    fn has_free_slot(&self, bot: i32, failing: bool) -> bool {
        if waviro_fault::planted(Bug::NoCap) {
            return true;
        }
        let (own, committing) = self
            .bots
            .get(&bot)
            .map_or((0, 0), |queue| (queue.requests, queue.committing));
        let reserved = usize::from(own > 0);
        self.requests + reserved < MAX_REQUESTS
            && (!failing || self.failing_requests < MAX_FAILING_REQUESTS)
            && self.committing < MAX_COMMITTING
            && committing < MAX_COMMITTING_A_BOT
    }

    fn begin(&mut self, due: &Due, failing: bool) {
        self.requests += 1;
        self.failing_requests += usize::from(failing);
        let queue = self.bots.entry(due.bot_id).or_default();
        queue.requests += 1;
        if let Some((_, chat)) = due.alone_in() {
            queue.busy.insert(chat.clone());
        }
    }

    /// A request of the bot got an answer or failed.
    pub(super) fn answered(&mut self, bot: i32, failing: bool) {
        self.requests -= 1;
        self.failing_requests -= usize::from(failing);
        self.committing += 1;
        if let Some(queue) = self.bots.get_mut(&bot) {
            queue.requests -= 1;
            queue.committing += 1;
        }
    }

    /// The outcome of a delivery of the bot is durable.
    pub(super) fn over(&mut self, bot: i32, alone: Option<&Chat>) {
        self.committing -= 1;
        if let Some(queue) = self.bots.get_mut(&bot) {
            queue.committing -= 1;
            if let Some(chat) = alone {
                queue.busy.remove(chat);
            }
        }
    }

    /// Removes the bot's queue if the queue is idle.
    pub(super) fn forget_idle(&mut self, bot: i32) {
        if self.bots.get(&bot).is_some_and(EndpointQueue::is_idle) {
            self.bots.remove(&bot);
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.bots.values().all(EndpointQueue::is_idle)
    }
}

/// The result of [`Endpoint::start`].
#[derive(Debug)]
pub(super) enum Next {
    /// Start this delivery.
    Start(Started),
    /// A bot waits for a slot among the requests to all endpoints.
    Crowded,
    /// No delivery may start now.
    Nothing,
}

impl EndpointQueue {
    /// Takes the next delivery, but none of a chat with a webhook in progress.
    fn pop(&mut self) -> Option<Due> {
        let free = |due: &Due| {
            due.alone_in()
                .is_none_or(|(_, chat)| !self.busy.contains(chat))
        };
        let mut searched = self.waiting.iter().take(SEARCHED_ENTRIES);
        let at = searched.position(free)?;
        self.waiting.remove(at)
    }

    fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.requests == 0 && self.committing == 0
    }
}

#[cfg(test)]
mod tests {
    use waviro_store::Work;

    use super::*;

    fn due(bot: i32, id: i64) -> Due {
        Due {
            id,
            bot_id: bot,
            url: "http://toko.example/x".parse().unwrap(),
            attempts: 0,
            work: Work::Event,
        }
    }

    fn endpoint(bots: &[(i32, i64)]) -> Endpoint {
        let mut endpoint = Endpoint::default();
        for (bot, count) in bots {
            (0..*count).for_each(|n| endpoint.push_back(due(*bot, n)));
        }
        endpoint
    }

    /// Returns the bots whose deliveries start, in order, until no more may start.
    fn starts(endpoint: &mut Endpoint, failing: &[i32]) -> Vec<i32> {
        let mut bots = Vec::new();
        while let Next::Start(started) = endpoint.start(|bot| failing.contains(&bot), |_, _| true) {
            bots.push(started.due.bot_id);
        }
        bots
    }

    fn end(endpoint: &mut Endpoint, bot: i32, failing: bool) {
        endpoint.answered(bot, failing);
        endpoint.over(bot, None);
    }

    #[test]
    fn a_single_bot_leaves_the_last_slot_to_other_bots() {
        let mut endpoint = endpoint(&[(1, 50)]);
        assert_eq!(starts(&mut endpoint, &[]), [1; MAX_REQUESTS - 1]);
        endpoint.push_back(due(2, 1));
        endpoint.push_back(due(2, 2));
        assert_eq!(starts(&mut endpoint, &[]), [2]);
        end(&mut endpoint, 2, false);
        assert_eq!(starts(&mut endpoint, &[]), [2]);
    }

    #[test]
    fn waiting_bots_are_served_in_turns_regardless_of_queue_length() {
        let mut endpoint = endpoint(&[(1, 50), (2, 3), (3, 3)]);
        let first = starts(&mut endpoint, &[]);
        assert_eq!(first[..6], [1, 2, 3, 1, 2, 3]);
        assert!(first.len() <= MAX_REQUESTS);
    }

    #[test]
    fn failing_bots_share_few_slots_and_take_none_from_others() {
        let mut endpoint = endpoint(&[(1, 50), (2, 50), (3, 50)]);
        let started = starts(&mut endpoint, &[1, 2]);
        let of = |bot| started.iter().filter(|started| **started == bot).count();
        assert_eq!((of(1), of(2)), (1, 1), "{started:?}");
        assert!(of(3) >= 5, "{started:?}");
        end(&mut endpoint, 1, true);
        assert_eq!(starts(&mut endpoint, &[1, 2])[..1], [1]);
    }

    #[test]
    fn a_bot_with_downloads_delays_no_other_bot() {
        let mut endpoint = endpoint(&[(1, 200)]);
        for _ in 0..MAX_COMMITTING_A_BOT {
            assert!(matches!(
                endpoint.start(|_| false, |_, _| true),
                Next::Start(_)
            ));
            endpoint.answered(1, false);
        }
        assert_eq!(starts(&mut endpoint, &[]), [0; 0]);
        endpoint.push_back(due(2, 1));
        assert_eq!(starts(&mut endpoint, &[]), [2]);
    }

    #[test]
    fn without_a_free_request_slot_the_endpoint_reports_that_it_waits() {
        let mut endpoint = endpoint(&[(1, 1), (2, 1)]);
        assert!(matches!(
            endpoint.start(|_| false, |_, _| false),
            Next::Crowded
        ));
        let only_two = |bot, _| bot == 2;
        let started = endpoint.start(|_| false, only_two);
        assert!(matches!(started, Next::Start(Started { due, .. }) if due.bot_id == 2));
        assert!(matches!(endpoint.start(|_| false, only_two), Next::Crowded));
    }

    #[test]
    fn an_endpoint_is_idle_again_after_its_last_delivery() {
        let mut endpoint = endpoint(&[(1, 1)]);
        assert!(!endpoint.is_idle());
        starts(&mut endpoint, &[]);
        end(&mut endpoint, 1, false);
        assert!(endpoint.is_idle());
        endpoint.forget_idle(1);
        assert_eq!(endpoint.queues().count(), 0);
    }
}
