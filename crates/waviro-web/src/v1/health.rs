//! The health of a bot: facts about its link and its traffic, and a verdict in words.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use waviro_core::bots::Bot;
use waviro_store::clock::Millis;

use super::problem::Problem;
use super::timestamp::Timestamp;
use crate::services::Services;
use crate::texts::Language;
use crate::unreachable::why_unreachable;
use waviro_link::{OfflineCause, Status, UnlinkedCause};

/// The time without a server ack after which a waiting message counts as stuck. WhatsApp
/// acknowledges a message within seconds, and a connection silent for a minute is restored; twice
/// that time excludes a short disturbance.
const STUCK_AFTER: Millis = 120_000;

/// The health of a bot, with the evidence.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// True if the bot can send messages now.
    pub(crate) healthy: bool,
    /// The reason for the verdict, in English.
    #[schema(example = "The bot is online and no message waits.")]
    pub(crate) reason: String,
    /// True if the link is connected.
    pub(crate) connected: bool,
    /// When the connection was established, if the link is connected.
    #[schema(required)]
    pub(crate) since: Option<Timestamp>,
    /// When the link was last connected: now, if the link is connected; null if it has not been
    /// connected since the gateway started.
    #[schema(required)]
    pub(crate) last_online: Option<Timestamp>,
    /// The time of WhatsApp's last server ack.
    #[schema(required)]
    pub(crate) last_server_ack: Option<Timestamp>,
    /// The time of the last inbound message, including messages from the owner's phone.
    #[schema(required)]
    pub(crate) last_inbound: Option<Timestamp>,
    /// The number of accepted messages without a server ack.
    #[schema(minimum = 0)]
    pub(crate) pending: i64,
    /// The waiting time of the oldest such message, in seconds.
    #[schema(required, minimum = 0)]
    pub(crate) oldest_pending_s: Option<i64>,
}

impl Health {
    /// Reads the state of the link and the evidence in the database.
    pub(super) async fn of(bot: &Bot, services: &Services) -> Result<Self, Problem> {
        let evidence = services.store.evidence(bot.id()).await?;
        let (status, history, now) = (
            bot.status(),
            bot.history().borrow().clone(),
            services.clock.now(),
        );
        let known = history.connection > 0;
        let waits = evidence.oldest_pending.map(|at| (now - at).max(0));
        let quiet = evidence
            .last_server_ack
            .is_none_or(|at| now - at > STUCK_AFTER);
        let (healthy, reason) = if status != Status::Online {
            (false, words(&status))
        } else if let Some(waits) = waits.filter(|waits| quiet && *waits > STUCK_AFTER) {
            let reason = format!(
                "The link is up, but WhatsApp has accepted no message for {} s while a message waits.",
                waits / 1000
            );
            (false, reason)
        } else if evidence.pending > 0 {
            (
                true,
                "The bot is online and sends the waiting messages.".to_owned(),
            )
        } else {
            (true, "The bot is online and no message waits.".to_owned())
        };
        Ok(Self {
            healthy,
            reason,
            connected: history.up,
            since: history.up.then_some(Timestamp(history.up_since)),
            last_online: known.then(|| Timestamp(bot.last_online(&services.clock))),
            last_server_ack: evidence.last_server_ack.map(Timestamp),
            last_inbound: evidence.last_inbound.map(Timestamp),
            pending: evidence.pending,
            oldest_pending_s: waits.map(|waits| waits / 1000),
        })
    }
}

/// Returns the state as a sentence with advice.
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
            "No code was scanned in time; relink shows new codes.".to_owned()
        }
        Status::Unlinked(UnlinkedCause::PairingFailed(_)) => {
            "A phone scanned the code, but pairing failed; relink and scan again.".to_owned()
        }
        Status::Linking { .. } => "A code waits to be scanned.".to_owned(),
        Status::Unreachable(failure) => {
            format!(
                "There is no code to scan because WhatsApp cannot be reached: {}.",
                why_unreachable(failure, Language::English)
            )
        }
        Status::Reconnecting {
            cause: OfflineCause::Unreachable(failure),
        } => format!(
            "WhatsApp cannot be reached: {}. The link reconnects automatically; accepted messages wait.",
            why_unreachable(failure, Language::English)
        ),
        Status::Reconnecting { .. } => {
            "The link is down and reconnects automatically; accepted messages wait.".to_owned()
        }
        Status::Replaced => {
            "Another program uses the same device; relink takes the device back.".to_owned()
        }
        Status::Banned { .. } => "WhatsApp banned the account temporarily.".to_owned(),
        Status::PasskeyAsked => {
            "Linking stopped at a request for a passkey; only the phone can confirm the passkey."
                .to_owned()
        }
        Status::ClientOutdated => {
            "WhatsApp refuses this client version; set whatsapp.version to a newer version."
                .to_owned()
        }
    }
}
