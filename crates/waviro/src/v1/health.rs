//! How a bot is: what is known of its link and of its traffic, and a verdict in words.

use serde::Serialize;
use utoipa::ToSchema;

use super::V1;
use super::moment::Moment;
use super::problem::Problem;
use crate::bots::{Bot, why_unreachable};
use crate::clock::Millis;
use waviro_link::{OfflineCause, Status, UnlinkedCause};

/// WhatsApp takes a message within seconds; one that is silent for a minute is dialled anew. Twice that is no hiccup.
const STUCK_AFTER: Millis = 120_000;

/// How a bot is, with the evidence.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// Whether what is sent now goes out now.
    healthy: bool,
    /// Why, in English.
    #[schema(example = "The bot is online and nothing waits.")]
    reason: String,
    /// Whether the link is up.
    connected: bool,
    /// Since when, where it is.
    #[schema(required)]
    since: Option<Moment>,
    /// When it was last up: now, if it is; null where it was not since the gateway started.
    #[schema(required)]
    last_online: Option<Moment>,
    /// When WhatsApp last took a message.
    #[schema(required)]
    last_server_ack: Option<Moment>,
    /// When something was last written to the bot, or by its own phone.
    #[schema(required)]
    last_inbound: Option<Moment>,
    /// Messages that were accepted and that WhatsApp has not taken yet.
    #[schema(minimum = 0)]
    pending: i64,
    /// How long the first of them waits, in seconds.
    #[schema(required, minimum = 0)]
    oldest_pending_s: Option<i64>,
}

impl Health {
    /// Looks at the link and asks the database.
    pub(super) async fn of(bot: &Bot, v1: &V1) -> Result<Self, Problem> {
        let evidence = v1.store.evidence(bot.slot()).await?;
        let (status, marks, now) = (bot.status(), bot.marks().borrow().clone(), v1.clock.now());
        let known = marks.connection > 0;
        let waits = evidence.oldest_pending.map(|at| (now - at).max(0));
        let quiet = evidence
            .last_server_ack
            .is_none_or(|at| now - at > STUCK_AFTER);
        let (healthy, reason) = if status != Status::Online {
            (false, words(&status))
        } else if let Some(waits) = waits.filter(|waits| quiet && *waits > STUCK_AFTER) {
            let reason = format!(
                "The link is up, but WhatsApp has taken nothing while a message waits for {} s.",
                waits / 1000
            );
            (false, reason)
        } else if evidence.pending > 0 {
            (true, "The bot is online and sends what waits.".to_owned())
        } else {
            (true, "The bot is online and nothing waits.".to_owned())
        };
        Ok(Self {
            healthy,
            reason,
            connected: marks.up,
            since: marks.up.then_some(Moment(marks.up_since)),
            last_online: known.then(|| Moment(bot.last_online(&v1.clock))),
            last_server_ack: evidence.last_server_ack.map(Moment),
            last_inbound: evidence.last_inbound.map(Moment),
            pending: evidence.pending,
            oldest_pending_s: waits.map(|waits| waits / 1000),
        })
    }
}

/// The state as a sentence that says what to do.
fn words(status: &Status) -> String {
    match status {
        Status::Online => "The bot is online.".to_owned(),
        Status::Unlinked(UnlinkedCause::Never) => {
            "The bot was never linked; relink shows a code to scan.".to_owned()
        }
        Status::Unlinked(UnlinkedCause::LoggedOut(_)) => {
            "The device was logged out; relink shows a code to scan.".to_owned()
        }
        Status::Unlinked(UnlinkedCause::CodesUsedUp) => {
            "Nobody scanned a code in time; relink shows fresh ones.".to_owned()
        }
        Status::Unlinked(UnlinkedCause::PairingFailed(_)) => {
            "A phone scanned the code, but pairing failed; relink and scan again.".to_owned()
        }
        Status::Linking { .. } => "A code waits to be scanned.".to_owned(),
        Status::Unreachable(failure) => {
            format!(
                "There is no code to scan because WhatsApp cannot be reached: {}.",
                why_unreachable(failure).1
            )
        }
        Status::Reconnecting {
            cause: OfflineCause::Unreachable(failure),
        } => format!(
            "WhatsApp cannot be reached: {}. The link dials again by itself; what is accepted waits.",
            why_unreachable(failure).1
        ),
        Status::Reconnecting { .. } => {
            "The link is down and dials again by itself; what is accepted waits.".to_owned()
        }
        Status::Replaced => {
            "Another program opened the same device; relink takes it back.".to_owned()
        }
        Status::Banned { .. } => "WhatsApp closed the account for a while.".to_owned(),
        Status::PasskeyAsked => {
            "Linking stopped at a passkey, which only the phone can answer.".to_owned()
        }
        Status::ClientOutdated => {
            "WhatsApp refuses this client version; set whatsapp.version to a newer one.".to_owned()
        }
    }
}
