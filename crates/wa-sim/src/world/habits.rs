//! The settings of a phone: the receipts, their delay, and the wait between retry receipts.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The receipts that a phone sends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Receipts {
    /// Delivered and read at once, as if the chat were open.
    #[default]
    Read,
    /// Delivered at once; read when the chat is opened.
    Delivered,
    /// No receipt at once; read when the chat is opened.
    None,
}

/// The settings of a phone.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Habits {
    pub(crate) receipts: Receipts,
    pub(crate) receipt_delay: Duration,
    /// The wait between retry receipts. With zero, the phone sends no further retry receipt.
    pub(crate) ask_again: Duration,
}

impl Default for Habits {
    fn default() -> Self {
        Self {
            receipts: Receipts::default(),
            receipt_delay: Duration::ZERO,
            ask_again: Duration::from_secs(3),
        }
    }
}
