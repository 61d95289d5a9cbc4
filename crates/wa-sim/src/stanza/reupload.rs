//! Handles `<receipt type="server-error">`. A companion found no file at the path of a message, and
//! asks the account's own phone to upload the file again. The answer is a notification of type
//! `mediaretry`.
//!
//! The format of both stanzas follows WhatsApp Web's client, see `media_retry` in wacore. Wacore
//! implements the other side.

use rand::RngExt as _;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Node, NodeRef};
use wacore_libsignal::crypto::aes_256_gcm_encrypt;
use waproto::buffa::Message as _;
use waproto::whatsapp as wa;
use waproto::whatsapp::media_retry_notification::ResultType;

use super::linked::Linked;
use crate::world::offline::Class;

/// The info string of the HKDF that derives the key of the answer.
const PURPOSE: &[u8] = b"WhatsApp Media Retry Notification";

/// The error code for a file that the phone does not have.
const NOT_FOUND: u8 = 2;

/// Uploads the file to the media host again, then answers. A phone that is switched off does not
/// answer.
pub(super) fn asked(session: &Linked, node: &NodeRef<'_>, id: &str) {
    if !session.account.is_online() {
        return;
    }
    let download = {
        let inbox = session.account.inbox.lock();
        inbox
            .with_file(id)
            .and_then(|message| message.download.clone())
    };
    let renewed = download.and_then(|download| {
        let path = session.world.media.renew(download.direct_path())?;
        answer(session, id, download.media_key(), &path)
    });
    let renewed =
        renewed.unwrap_or_else(|| NodeBuilder::new("error").attr("code", NOT_FOUND).build());
    let chat: Vec<_> = node
        .get_optional_child("rmr")
        .map(NodeRef::to_owned)
        .into_iter()
        .collect();
    let notification = NodeBuilder::new("notification")
        .attr("from", session.account.jid(false))
        .attr("id", id)
        .attr("type", "mediaretry")
        .attr("t", session.world.now())
        .children([renewed].into_iter().chain(chat).collect::<Vec<_>>())
        .build();
    session
        .companion
        .deliver(Class::Notification, id, "", &notification);
    session.account.touch();
}

/// Returns the answer with the new path of the file, encrypted with a key derived from the media
/// key of the file.
fn answer(session: &Linked, id: &str, media_key: &[u8], path: &str) -> Option<Node> {
    let mut key = [0; 32];
    wacore::crypto::hkdf_sha256_into(media_key, None, PURPOSE, &mut key).ok()?;
    let iv: [u8; 12] = session.account.signal.lock().rng().random();
    let notification = wa::MediaRetryNotification {
        stanza_id: Some(id.to_owned()),
        direct_path: Some(path.to_owned()),
        result: Some(ResultType::Success),
        ..Default::default()
    };
    let mut sealed = Vec::new();
    aes_256_gcm_encrypt(
        &key,
        &iv,
        id.as_bytes(),
        &notification.encode_to_vec(),
        &mut sealed,
    )
    .ok()?;
    let parts = [
        NodeBuilder::new("enc_p").bytes(sealed).build(),
        NodeBuilder::new("enc_iv").bytes(iv.to_vec()).build(),
    ];
    Some(NodeBuilder::new("encrypt").children(parts).build())
}
