//! Lookups at WhatsApp. Each lookup is one round trip, so callers cache.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use whatsapp_rust::{Client, ContactError, GroupError, Jid};

use super::send::iq_error;
use crate::{Group, LinkError, Number};

/// The timeout of a lookup. WhatsApp answers in tens of milliseconds, and the HTTP client of the
/// caller waits.
const DEADLINE: Duration = Duration::from_secs(10);

pub(super) async fn is_registered(
    client: &Arc<Client>,
    number: &Number,
) -> Result<bool, LinkError> {
    let jid = [Jid::pn(number.as_str())];
    let contacts = client.contacts();
    let asking = contacts.is_on_whatsapp(&jid);
    match tokio::time::timeout(DEADLINE, asking).await {
        Ok(Ok(answers)) => Ok(answers.iter().any(|answer| answer.is_registered)),
        Ok(Err(ContactError::Iq(error))) => Err(iq_error(error)),
        Ok(Err(error)) => Err(LinkError::Refused(error.to_string())),
        Err(_) => Err(LinkError::TimedOut),
    }
}

pub(super) async fn groups(client: &Arc<Client>) -> Result<Vec<Group>, LinkError> {
    let groups = client.groups();
    let asking = groups.get_participating();
    let answer = match tokio::time::timeout(DEADLINE, asking).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(GroupError::Iq(error))) => return Err(iq_error(error)),
        Ok(Err(error)) => return Err(LinkError::Failed(format!("{error:#}"))),
        Err(_) => return Err(LinkError::TimedOut),
    };
    let known = answer.into_values().filter_map(|group| {
        Some(Group {
            id: group.id.user.parse().ok()?,
            name: group.subject,
            created: group
                .creation_time
                .map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds)),
        })
    });
    Ok(known.collect())
}
