//! The limits on a message that `/api`, `/v1` and webhook replies share.

/// The maximum number of characters of a text. WhatsApp's own clients have the same limit.
pub const TEXT_CAP: usize = 65_536;

/// The maximum number of bytes of a URL. Browsers, proxies and web servers all accept at least 2048
/// bytes.
pub const URL_CAP: usize = 2048;

/// The maximum number of phone numbers of a contact card. A card from a phone has a few.
pub const NUMBERS_CAP: usize = 50;
