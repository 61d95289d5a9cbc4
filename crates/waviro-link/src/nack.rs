//! WhatsApp's error codes for refused messages.

use std::fmt;

/// The error code of a server ack that refuses a message ("nack").
///
/// WhatsApp documents no codes. The meanings come from clients that work with the real network:
/// `SERVER_ERROR_CODES` of Baileys (`Utils/decode-wa-message.ts`), `NackReason` of wacore, and the
/// issue threads of whatsmeow and whatsapp-rust.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Nack {
    /// 400: the addresses of the message mix numbers and LIDs.
    MixedAddresses,
    /// 403: the account may not write to this chat.
    Forbidden,
    /// 404: the account of the recipient does not exist.
    NoSuchAccount,
    /// 406: the recipient or the group does not accept the message.
    NotAcceptable,
    /// 421: the group has moved between numbers and LIDs since the device last read its members.
    StaleGroup,
    /// 463: the recipient never wrote to the account, and WhatsApp restricts first messages.
    FirstMessage,
    /// 475: the account has reached its limit of new chats.
    NewChatsCapped,
    /// 479: the stanza failed the server's validation. The usual reason is an outdated list of the
    /// recipient's devices.
    StaleDevices,
    /// 500: the server failed.
    ServerFailed,
    /// 503: the server is overloaded.
    ServerBusy,
    /// Another code; 0 for a code that is not a number up to 65,535.
    Other(u16),
}

impl Nack {
    /// The codes with a known meaning.
    pub const KNOWN: [Self; 10] = [
        Self::MixedAddresses,
        Self::Forbidden,
        Self::NoSuchAccount,
        Self::NotAcceptable,
        Self::StaleGroup,
        Self::FirstMessage,
        Self::NewChatsCapped,
        Self::StaleDevices,
        Self::ServerFailed,
        Self::ServerBusy,
    ];

    /// Returns the nack with this code.
    #[must_use]
    pub fn from_code(code: u16) -> Self {
        let known = Self::KNOWN.into_iter().find(|nack| nack.code() == code);
        known.unwrap_or(Self::Other(code))
    }

    /// Parses the error attribute of a server ack.
    #[must_use]
    pub fn parse(error: &str) -> Self {
        Self::from_code(error.parse().unwrap_or(0))
    }

    /// Returns WhatsApp's code.
    #[must_use]
    pub fn code(self) -> u16 {
        match self {
            Self::MixedAddresses => 400,
            Self::Forbidden => 403,
            Self::NoSuchAccount => 404,
            Self::NotAcceptable => 406,
            Self::StaleGroup => 421,
            Self::FirstMessage => 463,
            Self::NewChatsCapped => 475,
            Self::StaleDevices => 479,
            Self::ServerFailed => 500,
            Self::ServerBusy => 503,
            Self::Other(code) => code,
        }
    }
}

impl fmt::Display for Nack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.code().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_code_is_read_as_its_own_meaning() {
        for nack in Nack::KNOWN {
            assert_eq!(Nack::parse(&nack.code().to_string()), nack);
        }
        assert_eq!(Nack::parse("499"), Nack::Other(499));
        assert_eq!(Nack::parse("a word"), Nack::Other(0));
    }
}
