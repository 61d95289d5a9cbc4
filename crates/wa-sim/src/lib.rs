//! A simulated WhatsApp server with virtual phones, for tests of clients.
//!
//! The simulator speaks the real protocol of the wire: WebSocket, Noise, binary nodes, protobuf
//! and Signal. An unmodified client can pair with a phone by QR code, log in, send and receive
//! messages, and get receipts. The simulator opens no connection to any other server.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use wa_sim::{PhoneSpec, Sim};
//!
//! let sim = Sim::start().await?;
//! let ani = sim.add_phone(PhoneSpec::new("6281234567890", "Ani")).await;
//! // Connect a client to sim.ws_url(), pin sim.server_key(), and scan the client's QR code:
//! let device = ani.scan("2@…").await?;
//! # drop(device); Ok(()) }
//! ```
//!
//! # Map
//! - [`Sim`] (`sim`), [`Phone`] (`phone`), [`Group`] (`group`), [`Faults`] (`fault`), [`SimEvent`]
//!   (`event`): the API
//! - `control`: the same API over HTTP; `page`: the web page on top of `control`
//! - `server` accepts TCP connections, with TLS (`tls`) or without
//! - `handshake` performs the Noise handshake; `conn` reads and writes frames; `login` accepts or
//!   refuses a device; `pairing` links a device
//! - `dictionary`: transcodes the stanzas of clients that use token dictionary 2
//! - `stanza`, `iq`: the handlers of stanzas from companions, a file for each kind
//! - `companion`: a linked device; `offline`: the queue of stanzas for a companion
//! - `media`: the media host; anyone with the direct path can fetch an encrypted file
//! - `wire`: the log of stanzas on the wire
//! - `world`: accounts and groups; `snapshot`: the state on disk; `seed`: the seeded random
//!   generators
#![warn(missing_docs)]

mod companion;
mod conn;
mod control;
mod dictionary;
mod event;
mod fault;
mod group;
mod handshake;
mod iq;
mod login;
mod media;
mod offline;
mod page;
mod pairing;
mod phone;
mod seed;
mod server;
mod sim;
mod snapshot;
mod stanza;
mod tls;
mod wire;
mod world;

pub use companion::DeviceInfo;
pub use event::SimEvent;
pub use fault::{Ban, FaultState, Faults};
pub use group::{Addressing, Group, GroupError, GroupInfo, GroupSetting, GroupSpec};
pub use handshake::Pattern;
pub use pairing::{ScanError, WaitingClient};
pub use phone::{
    AnswerTo, ContactCard, InboxMessage, MediaKind, Outgoing, OutgoingMedia, Phone, PhoneSpec,
    Receipts, SendError, WaitError,
};
pub use sim::{Drop, Sim, SimBuilder, SimError};
pub use tls::Certificate;
pub use wire::{Sender, WireStanza};
