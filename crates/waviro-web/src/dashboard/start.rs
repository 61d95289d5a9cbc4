//! The first steps of a new installation. The state of the steps is derived from the stored data,
//! not recorded.

use super::session::Me;
use crate::v1::bots::BotView;
use crate::v1::deliveries;
use crate::v1::page::Paging;
use crate::v1::query::Query;

/// The maximum number of bots to check for a delivered callback. A new installation usually has a
/// single bot.
const ASKED: usize = 3;

/// The steps from a password to a callback.
pub(super) struct Steps {
    /// The bot for the next steps, if there is a bot.
    pub(super) bot: Option<i32>,
    /// A bot is linked.
    pub(super) linked: bool,
    /// WhatsApp acknowledged a message.
    pub(super) sent: bool,
    /// An endpoint accepted a callback.
    pub(super) called_back: bool,
}

impl Steps {
    /// Returns the steps, or `None` if all steps are done or the user may do none of them.
    pub(super) async fn of(me: &Me, bots: &[BotView]) -> Option<Self> {
        if !me.context.is_admin() {
            return None;
        }
        let linked = bots.iter().find(|bot| !bot.wants_link());
        let sent = bots.iter().any(|bot| bot.health.last_server_ack.is_some());
        let mut steps = Self {
            bot: linked.or(bots.first()).map(|bot| bot.id),
            linked: linked.is_some() || sent,
            sent,
            called_back: false,
        };
        if sent {
            for bot in bots.iter().take(ASKED) {
                let delivered = me.ask(async {
                    let filter = [("kind", "callback"), ("state", "delivered")];
                    let filter = deliveries::filter(&Query::of(&filter))?;
                    let at = me.sees(bot.id)?;
                    deliveries::list(&me.services, &at, filter, Paging::first()).await
                });
                let delivered = delivered.await;
                steps.called_back |= delivered.is_ok_and(|page| !page.data.is_empty());
            }
        }
        (!steps.called_back).then_some(steps)
    }

    /// Returns the number of finished steps out of five. The first step, a password, is always
    /// done.
    pub(super) fn done(&self) -> usize {
        let rest = [self.bot.is_some(), self.linked, self.sent, self.called_back];
        1 + rest.into_iter().filter(|done| *done).count()
    }

    /// Returns the path of the next step.
    pub(super) fn next(&self, home: &str) -> String {
        match self.bot {
            None => format!("{home}#add"),
            Some(bot) if !self.linked => format!("{home}/bots/{bot}/link"),
            Some(bot) => format!("{home}/bots/{bot}/send"),
        }
    }
}
