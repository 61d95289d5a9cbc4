//! Who somebody is: a phone number, where anything tells it.
//!
//! WhatsApp names people by LIDs more and more, which are no numbers. A stanza may tell the number beside, and a device keeps what
//! it has learned.

use whatsapp_rust::{Client, Jid};

use crate::{Number, Sender};

/// The person behind an address; `alternative` is their other name, where WhatsApp sent it along.
pub(super) async fn sender(client: &Client, jid: &Jid, alternative: Option<&Jid>) -> Sender {
    match number(client, jid, alternative).await {
        Some(number) => Sender::Number(number),
        None => Sender::Hidden(jid.user.to_string()),
    }
}

/// Both names of a person: the phone number if it is known, else the LID; and the other one.
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
    let mut number = told_number(jid, alternative);
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

/// The phone number behind an address: itself, the alternative that WhatsApp sent along, or what the device has learned.
pub(super) async fn number(
    client: &Client,
    jid: &Jid,
    alternative: Option<&Jid>,
) -> Option<Number> {
    if let Some(told) = told_number(jid, alternative) {
        return Some(told);
    }
    let known = client.get_lid_pn_entry(&jid.to_non_ad()).await.ok()??;
    known.phone_number.parse().ok()
}

/// The phone number, where the stanza itself tells it.
fn told_number(jid: &Jid, alternative: Option<&Jid>) -> Option<Number> {
    let told = [Some(jid), alternative]
        .into_iter()
        .flatten()
        .find(|jid| jid.is_pn())?;
    told.user.parse().ok()
}

/// The account's own phone gets a copy of all that its companions send, and says so; that is no news of the recipient.
pub(super) fn is_own(client: &Client, sender: &Jid) -> bool {
    let same = |own: Option<Jid>| own.is_some_and(|own| own.user == sender.user);
    same(client.pn()) || same(client.lid())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_told_number_is_preferred_and_a_lid_is_no_number() {
        let (number, lid) = (Jid::pn("6281300000001"), Jid::lid("123456789012345"));
        let known = Some("6281300000001".parse().unwrap());
        assert_eq!(told_number(&number, Some(&lid)), known);
        assert_eq!(told_number(&lid, Some(&number)), known);
        assert_eq!(told_number(&lid, None), None);
        assert_eq!(told_number(&Jid::group("120363000000000001"), None), None);
    }
}
