//! Token dictionaries. A stanza replaces frequent strings by tokens of one or two bytes. The fourth
//! byte of the connection header announces the version of the client's dictionary.
//!
//! The simulator works in version 3, the version of `wacore-binary`. The connection transcodes the
//! stanzas of a client of version 2, in both directions. The wire log keeps version 3.

mod tokens;
mod transcode;

use bytes::BytesMut;
use wacore_binary::BinaryError;
use wacore_binary::token::DICT_VERSION;
use wacore_binary::util::unpack_bytes;

/// Why a stanza could not be transcoded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DictionaryError {
    #[error("the frame could not be unpacked: {0}")]
    Unpack(#[from] BinaryError),
    #[error("the stanza ends in the middle of a value")]
    UnexpectedEnd,
    #[error("the stanza holds a value of the unknown tag {0}")]
    UnknownTag(u8),
    #[error("the stanza holds a node without a tag")]
    EmptyNode,
    #[error("the stanza is nested too deep")]
    TooDeep,
    #[error("the stanza is too large in the other dictionary")]
    TooLarge,
    #[error("{0} bytes follow the stanza")]
    Leftover(usize),
}

/// The token dictionary of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dictionary {
    /// Baileys 6.
    Two,
    /// WhatsApp Web, whatsapp-rust, whatsmeow, Baileys 7.
    Three,
}

impl Dictionary {
    /// Finds the dictionary by the fourth byte of the connection header.
    pub(crate) fn from_version(version: u8) -> Option<Self> {
        match version {
            2 => Some(Self::Two),
            DICT_VERSION => Some(Self::Three),
            _ => None,
        }
    }

    /// Translates a decrypted frame of the client into version 3.
    pub(crate) fn decode(self, frame: BytesMut) -> Result<BytesMut, DictionaryError> {
        match self {
            Self::Two => {
                let mut stanza = vec![UNCOMPRESSED];
                transcode::to_three(&unpack_bytes(frame)?, &mut stanza)?;
                Ok(BytesMut::from(stanza.as_slice()))
            }
            Self::Three => Ok(frame),
        }
    }

    /// Appends a marshalled stanza of the server, in this dictionary, to an empty `out`.
    pub(crate) fn encode(self, stanza: &[u8], out: &mut Vec<u8>) -> Result<(), DictionaryError> {
        match self {
            Self::Two => {
                let node = unpack_bytes(BytesMut::from(stanza))?;
                out.push(UNCOMPRESSED);
                transcode::to_two(&node, out)
            }
            Self::Three => {
                out.extend_from_slice(stanza);
                Ok(())
            }
        }
    }
}

/// The flag byte before a node that is not compressed.
const UNCOMPRESSED: u8 = 0;
