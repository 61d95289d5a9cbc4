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
//! A module imports modules of its own row and of lower rows. An import cycle has at most two
//! files.
//! - `builder`: starts a simulator; `server`: accepts TCP connections, with TLS (`tls`) or without
//! - `control`: the API over HTTP, with the web page (`page`); `media_host`: files over HTTP;
//!   `conn`: the frames of a client, with the handshake and the login
//! - [`Sim`] (`sim`): the handle of a simulator; `snapshot`: the state on disk
//! - the protocol: `stanza`, `iq`, `pairing`, `login` handle the stanzas of clients, a file for
//!   each kind; [`Phone`] (`phone`) has the actions of a phone: send, receive, receipts, calls
//! - `world`: the state, without knowledge of stanzas: accounts with phones and companions, groups,
//!   files, [`Faults`], [`SimEvent`], the log of stanzas on the wire
//! - `handshake`: the Noise handshake; `dictionary`: transcodes the stanzas of clients that use
//!   token dictionary 2; `seed`: the seeded random generators
#![warn(missing_docs)]

mod base64;
mod builder;
mod conn;
mod control;
mod dictionary;
mod disk;
mod handshake;
mod iq;
mod login;
mod media_host;
mod node;
mod number;
mod page;
mod pairing;
mod phone;
mod seed;
mod server;
mod sim;
mod snapshot;
mod stanza;
mod tls;
mod world;

pub use builder::SimBuilder;
pub use handshake::Pattern;
pub use phone::outgoing::{AnswerTo, ContactCard, MediaKind, Outgoing, OutgoingMedia, SendError};
pub use phone::{Phone, WaitError};
pub use sim::groups::GroupError;
pub use sim::{Drop, Sim, SimError};
pub use tls::Certificate;
pub use world::account::PhoneSpec;
pub use world::companion::DeviceInfo;
pub use world::event::SimEvent;
pub use world::fault::{Ban, FaultState, Faults};
pub use world::group::{Addressing, Group, GroupInfo, GroupSetting, GroupSpec};
pub use world::habits::Receipts;
pub use world::inbox::InboxMessage;
pub use world::pairings::{ScanError, WaitingClient};
pub use world::wire::{Sender, WireStanza};
