//! Finds the phone number of a person.
//!
//! WhatsApp names more and more people by LIDs, and a LID is not a phone number. A stanza may
//! contain the number too, and the device remembers known pairs of LID and number.

use std::time::Duration;

use whatsapp_rust::{Client, Jid};

use crate::{Number, Sender};

/// The time that a receipt waits for a lookup in the device's file.
pub(super) const LOOKUP_WITHIN: Duration = Duration::from_secs(2);

/// Returns the person behind an address. `alternative` is the person's other name, if WhatsApp sent
/// it.
pub(super) async fn sender(client: &Client, jid: &Jid, alternative: Option<&Jid>) -> Sender {
    match number(client, jid, alternative).await {
        Some(number) => Sender::Number(number),
        None => Sender::Hidden(jid.user.to_string()),
    }
}

/// Returns both names of a person: first the phone number if known, else the LID; then the other
/// name.
pub(super) async fn names(
    client: &Client,
    jid: &Jid,
    alternative: Option<&Jid>,
) -> (Sender, Option<Sender>) {
    let lid = [Some(jid), alternative]
        .into_iter()
        .flatten()
        .find(|jid| jid.is_lid());
    let mut lid = lid.map(|jid| jid.user.to_string());
    let mut number = given_number(jid, alternative);
    if lid.is_none() || number.is_none() {
        let known = client.get_lid_pn_entry(&jid.to_non_ad()).await;
        if let Ok(Some(known)) = known {
            number = number.or_else(|| known.phone_number.parse().ok());
            lid.get_or_insert_with(|| known.lid.to_string());
        }
    }
    match (number, lid) {
        (Some(number), lid) => (Sender::Number(number), lid.map(Sender::Hidden)),
        (None, lid) => (
            Sender::Hidden(lid.unwrap_or_else(|| jid.user.to_string())),
            None,
        ),
    }
}

/// Returns the phone number of an address: the address itself, the alternative sent by WhatsApp, or
/// the number remembered by the device.
pub(super) async fn number(
    client: &Client,
    jid: &Jid,
    alternative: Option<&Jid>,
) -> Option<Number> {
    if let Some(given) = given_number(jid, alternative) {
        return Some(given);
    }
    let known = client.get_lid_pn_entry(&jid.to_non_ad()).await.ok()??;
    known.phone_number.parse().ok()
}

/// Returns false if the device knows the number under another LID. A lookup that fails or takes too
/// long proves nothing.
pub(super) async fn may_be(client: &Client, lid: &str, number: &Number) -> bool {
    let by_number = Jid::pn(number.as_str());
    match tokio::time::timeout(LOOKUP_WITHIN, client.get_lid_pn_entry(&by_number)).await {
        Ok(Ok(Some(known))) => &*known.lid == lid,
        Ok(Ok(None) | Err(_)) | Err(_) => true,
    }
}

/// Returns the phone number if the stanza contains it.
fn given_number(jid: &Jid, alternative: Option<&Jid>) -> Option<Number> {
    let given = [Some(jid), alternative]
        .into_iter()
        .flatten()
        .find(|jid| jid.is_pn())?;
    given.user.parse().ok()
}

/// Returns true if the sender is the bot's own account. The owner's phone gets a copy of each
/// message of its companion devices and sends a receipt; such a receipt says nothing about the
/// recipient.
pub(super) fn is_own(client: &Client, sender: &Jid) -> bool {
    let same = |own: Option<Jid>| own.is_some_and(|own| own.user == sender.user);
    same(client.pn()) || same(client.lid())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_given_number_is_preferred_and_a_lid_is_no_number() {
        let (number, lid) = (Jid::pn("6281300000001"), Jid::lid("123456789012345"));
        let known = Some("6281300000001".parse().unwrap());
        assert_eq!(given_number(&number, Some(&lid)), known);
        assert_eq!(given_number(&lid, Some(&number)), known);
        assert_eq!(given_number(&lid, None), None);
        assert_eq!(given_number(&Jid::group("120363000000000001"), None), None);
    }
}
