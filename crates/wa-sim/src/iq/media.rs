//! The media hosts and the upload token (namespace `w:m`).

use wacore::iq::mediaconn::{HostType, MediaConnHostExtended, MediaConnResponseExtended};
use wacore::protocol::ProtocolNode as _;

use super::answer::Answer;
use crate::stanza::linked::Linked;

/// The number of seconds until a client requests the hosts again; the real server sends the same
/// value.
const ROUTE_TTL: u64 = 300;

/// Names the simulator's own port as the only media host, under the host name used by the client.
pub(crate) fn connection(session: &Linked) -> Answer {
    let Some(host) = session.link.host() else {
        return Answer::UNKNOWN;
    };
    let auth = session.world.media.auth(&session.companion.name);
    let mut host = MediaConnHostExtended::simple(host.to_owned(), HostType::Primary);
    host.upload = true;
    host.download = true;
    Answer::one(MediaConnResponseExtended::mock(auth, ROUTE_TTL, vec![host]).into_node())
}
