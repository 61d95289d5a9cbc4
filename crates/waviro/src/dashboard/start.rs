//! The first steps, as far as they are taken: nothing is remembered, what there is says it.

use serde::Deserialize;

use super::Shared;
use super::bots::BotRow;
use super::session::Me;

/// Bots that are asked whether a callback reached anybody: a newcomer has one.
const ASKED: usize = 3;

/// From a password to a callback.
pub(super) struct Steps {
    /// There is a bot: the one that the next steps are about.
    pub(super) bot: Option<i32>,
    /// It is linked.
    pub(super) linked: bool,
    /// WhatsApp took a message of it.
    pub(super) sent: bool,
    /// An endpoint was told of one.
    pub(super) told: bool,
}

#[derive(Deserialize)]
struct Page {
    data: Vec<serde_json::Value>,
}

impl Steps {
    /// Where this installation stands; `None` where all is done, or this user may do none of it.
    pub(super) async fn of(shared: &Shared, me: &Me, bots: &[BotRow]) -> Option<Self> {
        if !me.frame.is_admin() {
            return None;
        }
        let linked = bots.iter().find(|bot| !bot.wants_link());
        let sent = bots.iter().any(|bot| bot.health.last_server_ack.is_some());
        let mut steps = Self {
            bot: linked.or(bots.first()).map(|bot| bot.id),
            linked: linked.is_some() || sent,
            sent,
            told: false,
        };
        if sent {
            for bot in bots.iter().take(ASKED) {
                let path = format!(
                    "/v1/bots/{}/deliveries?kind=callback&state=delivered&limit=1",
                    bot.id
                );
                let told = shared.inside.get::<Page>(&me.caller, &path).await;
                steps.told |= told.is_ok_and(|page| !page.data.is_empty());
            }
        }
        (!steps.told).then_some(steps)
    }

    /// How many of the five are done; the first, a password, is.
    pub(super) fn done(&self) -> usize {
        let rest = [self.bot.is_some(), self.linked, self.sent, self.told];
        1 + rest.into_iter().filter(|done| *done).count()
    }

    /// The path of what comes next.
    pub(super) fn next(&self, home: &str) -> String {
        match self.bot {
            None => format!("{home}#add"),
            Some(bot) if !self.linked => format!("{home}/bots/{bot}/link"),
            Some(bot) => format!("{home}/bots/{bot}/send"),
        }
    }
}
