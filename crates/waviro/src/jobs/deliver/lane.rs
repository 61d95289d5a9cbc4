//! The deliveries of one endpoint in memory: one queue for each bot, served round robin under the endpoint's cap.
//!
//! Several bots may post to one host. A bot whose path on that host is slow must not delay the callbacks of the
//! others: the last place of the endpoint is kept for a bot that has no request under way there, and a bot
//! whose last request failed there gets few places ([`UNDER_WAY_FAILING`]).

use std::collections::{HashMap, HashSet, VecDeque};

use waviro_fault::Bug;
use waviro_link::Chat;

use crate::store::Due;

/// Requests under way to one endpoint at most. PHP hosts of the audience run some ten workers.
pub(super) const UNDER_WAY: usize = 8;

/// The same for all bots whose last request to the endpoint failed, together: enough to find out when it is back.
pub(super) const UNDER_WAY_FAILING: usize = 2;

/// Answers of one endpoint whose commit is under way at most. Commits do not count as requests: they share a sync
/// of the disk with everything else, and a busy endpoint would wait for the disk as much as the disk for it.
const COMMITTING: usize = 64;

/// The same for one bot. The files that a webhook's answer names are fetched in this time.
const COMMITTING_A_BOT: usize = 32;

/// How far into a bot's queue one looks for a chat that has nothing under way: what is behind waits for the next turn.
const LOOKED_THROUGH: usize = 64;

/// The deliveries of one endpoint.
#[derive(Default)]
pub(super) struct Lane {
    bots: HashMap<i32, Queue>,
    /// The bots with something in their queue; the one that was served longest ago is first.
    turns: VecDeque<i32>,
    under_way: usize,
    /// Of the requests under way, those of bots whose last request failed.
    failing_under_way: usize,
    committing: usize,
}

/// The deliveries of one bot to one endpoint.
#[derive(Default)]
struct Queue {
    waiting: VecDeque<Due>,
    under_way: usize,
    committing: usize,
    /// Chats with a webhook under way: the next waits, so that answers come in the order of the questions.
    busy: HashSet<Chat>,
}

/// A delivery that goes out now.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) due: Due,
    /// The bot's last request to this endpoint failed.
    pub(super) failing: bool,
}

impl Lane {
    /// How many deliveries of the bot wait.
    pub(super) fn waiting(&self, bot: i32) -> usize {
        self.bots.get(&bot).map_or(0, |queue| queue.waiting.len())
    }

    /// Each bot with something in its queue, and how much.
    pub(super) fn queues(&self) -> impl Iterator<Item = (i32, usize)> {
        let bots = self.bots.iter();
        bots.map(|(bot, queue)| (*bot, queue.waiting.len()))
    }

    pub(super) fn push_back(&mut self, due: Due) {
        self.queue_of(due.slot).waiting.push_back(due);
    }

    pub(super) fn push_front(&mut self, due: Due) {
        self.queue_of(due.slot).waiting.push_front(due);
    }

    /// The queue of a bot that gets something to wait.
    fn queue_of(&mut self, bot: i32) -> &mut Queue {
        if !self.turns.contains(&bot) {
            self.turns.push_back(bot);
        }
        self.bots.entry(bot).or_default()
    }

    /// Everything that waits, taken out.
    pub(super) fn drain(&mut self) -> Vec<Due> {
        self.turns.clear();
        let queues = self.bots.values_mut();
        queues.flat_map(|queue| queue.waiting.drain(..)).collect()
    }

    /// Takes the next delivery that the caps allow. `fails` tells whether the bot's last request to this endpoint failed,
    /// `room` whether the bot has room among the requests to all endpoints.
    pub(super) fn start(
        &mut self,
        fails: impl Fn(i32) -> bool,
        room: impl Fn(i32, bool) -> bool,
    ) -> Next {
        let mut crowded = false;
        for _ in 0..self.turns.len() {
            let Some(bot) = self.turns.pop_front() else {
                break;
            };
            let failing = fails(bot);
            let started = if !self.has_place(bot, failing) {
                None
            } else if room(bot, failing) {
                self.bots.get_mut(&bot).and_then(Queue::pop)
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

    fn has_place(&self, bot: i32, failing: bool) -> bool {
        if waviro_fault::planted(Bug::NoCap) {
            return true;
        }
        let (own, committing) = self
            .bots
            .get(&bot)
            .map_or((0, 0), |queue| (queue.under_way, queue.committing));
        let kept = usize::from(own > 0);
        self.under_way + kept < UNDER_WAY
            && (!failing || self.failing_under_way < UNDER_WAY_FAILING)
            && self.committing < COMMITTING
            && committing < COMMITTING_A_BOT
    }

    fn begin(&mut self, due: &Due, failing: bool) {
        self.under_way += 1;
        self.failing_under_way += usize::from(failing);
        let queue = self.bots.entry(due.slot).or_default();
        queue.under_way += 1;
        if let Some((_, chat)) = due.alone_in() {
            queue.busy.insert(chat.clone());
        }
    }

    /// The endpoint answered a request of the bot, or did not in time.
    pub(super) fn answered(&mut self, bot: i32, failing: bool) {
        self.under_way -= 1;
        self.failing_under_way -= usize::from(failing);
        self.committing += 1;
        if let Some(queue) = self.bots.get_mut(&bot) {
            queue.under_way -= 1;
            queue.committing += 1;
        }
    }

    /// The result of a delivery of the bot is durable.
    pub(super) fn over(&mut self, bot: i32, alone: Option<&Chat>) {
        self.committing -= 1;
        if let Some(queue) = self.bots.get_mut(&bot) {
            queue.committing -= 1;
            if let Some(chat) = alone {
                queue.busy.remove(chat);
            }
        }
    }

    /// Forgets the bot if it has nothing here any more.
    pub(super) fn forget_idle(&mut self, bot: i32) {
        if self.bots.get(&bot).is_some_and(Queue::is_idle) {
            self.bots.remove(&bot);
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.bots.values().all(Queue::is_idle)
    }
}

/// What [`Lane::start`] found.
#[derive(Debug)]
pub(super) enum Next {
    /// This goes out.
    Start(Started),
    /// A bot waits for room among the requests to all endpoints.
    Crowded,
    /// Nothing may go now.
    Nothing,
}

impl Queue {
    /// The next that may go: of a chat with a webhook under way none.
    fn pop(&mut self) -> Option<Due> {
        let free = |due: &Due| {
            due.alone_in()
                .is_none_or(|(_, chat)| !self.busy.contains(chat))
        };
        let mut looked = self.waiting.iter().take(LOOKED_THROUGH);
        let at = looked.position(free)?;
        self.waiting.remove(at)
    }

    fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.under_way == 0 && self.committing == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Work;

    fn due(bot: i32, id: i64) -> Due {
        Due {
            id,
            slot: bot,
            url: "http://toko.example/x".parse().unwrap(),
            attempts: 0,
            work: Work::Event,
        }
    }

    fn lane(bots: &[(i32, i64)]) -> Lane {
        let mut lane = Lane::default();
        for (bot, count) in bots {
            (0..*count).for_each(|n| lane.push_back(due(*bot, n)));
        }
        lane
    }

    /// The bots whose deliveries start, in order, until nothing more may start.
    fn starts(lane: &mut Lane, failing: &[i32]) -> Vec<i32> {
        let mut bots = Vec::new();
        while let Next::Start(started) = lane.start(|bot| failing.contains(&bot), |_, _| true) {
            bots.push(started.due.slot);
        }
        bots
    }

    fn end(lane: &mut Lane, bot: i32, failing: bool) {
        lane.answered(bot, failing);
        lane.over(bot, None);
    }

    #[test]
    fn a_bot_alone_leaves_the_last_place_to_a_bot_that_has_none() {
        let mut lane = lane(&[(1, 50)]);
        assert_eq!(starts(&mut lane, &[]), [1; UNDER_WAY - 1]);
        lane.push_back(due(2, 1));
        lane.push_back(due(2, 2));
        assert_eq!(starts(&mut lane, &[]), [2]);
        end(&mut lane, 2, false);
        assert_eq!(starts(&mut lane, &[]), [2]);
    }

    #[test]
    fn bots_that_wait_are_served_in_turns_whatever_their_queues_hold() {
        let mut lane = lane(&[(1, 50), (2, 3), (3, 3)]);
        let first = starts(&mut lane, &[]);
        assert_eq!(first[..6], [1, 2, 3, 1, 2, 3]);
        assert!(first.len() <= UNDER_WAY);
    }

    #[test]
    fn bots_that_fail_share_few_places_and_take_none_of_the_others() {
        let mut lane = lane(&[(1, 50), (2, 50), (3, 50)]);
        let started = starts(&mut lane, &[1, 2]);
        let of = |bot| started.iter().filter(|started| **started == bot).count();
        assert_eq!((of(1), of(2)), (1, 1), "{started:?}");
        assert!(of(3) >= 5, "{started:?}");
        end(&mut lane, 1, true);
        assert_eq!(starts(&mut lane, &[1, 2])[..1], [1]);
    }

    #[test]
    fn a_bot_with_files_to_fetch_holds_up_no_other() {
        let mut lane = lane(&[(1, 200)]);
        for _ in 0..COMMITTING_A_BOT {
            assert!(matches!(lane.start(|_| false, |_, _| true), Next::Start(_)));
            lane.answered(1, false);
        }
        assert_eq!(starts(&mut lane, &[]), [0; 0]);
        lane.push_back(due(2, 1));
        assert_eq!(starts(&mut lane, &[]), [2]);
    }

    #[test]
    fn without_room_among_all_endpoints_the_lane_says_that_it_waits() {
        let mut lane = lane(&[(1, 1), (2, 1)]);
        assert!(matches!(lane.start(|_| false, |_, _| false), Next::Crowded));
        let only_two = |bot, _| bot == 2;
        let started = lane.start(|_| false, only_two);
        assert!(matches!(started, Next::Start(Started { due, .. }) if due.slot == 2));
        assert!(matches!(lane.start(|_| false, only_two), Next::Crowded));
    }

    #[test]
    fn a_lane_is_idle_again_after_its_last_delivery() {
        let mut lane = lane(&[(1, 1)]);
        assert!(!lane.is_idle());
        starts(&mut lane, &[]);
        end(&mut lane, 1, false);
        assert!(lane.is_idle());
        lane.forget_idle(1);
        assert_eq!(lane.queues().count(), 0);
    }
}
