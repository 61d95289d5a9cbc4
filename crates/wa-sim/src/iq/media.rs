//! Where files go (`w:m`): the media hosts and the token for uploading to them.

use wacore::iq::mediaconn::{HostType, MediaConnHostExtended, MediaConnResponseExtended};
use wacore::protocol::ProtocolNode as _;

use super::Answer;
use crate::stanza::Linked;

/// Seconds until a client asks for the hosts again, as the real server has it.
const ROUTE_TTL: u64 = 300;

/// Names the simulator's own port, as the client dialled it, as the one media host.
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
