//! A WhatsApp *server* with virtual phones, good enough that an unmodified client pairs with it by QR code, logs in,
//! sends, receives and gets receipts. It speaks the real wire protocol: WebSocket, Noise, binary nodes, protobuf,
//! Signal. It contacts no one.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use wa_sim::{PhoneSpec, Sim};
//!
//! let sim = Sim::start().await?;
//! let ani = sim.add_phone(PhoneSpec::new("6281234567890", "Ani")).await;
//! // Point a client at sim.ws_url(), let it pin sim.server_key(), and scan the code it shows:
//! let device = ani.scan("2@…").await?;
//! # drop(device); Ok(()) }
//! ```
//!
//! # Map
//! - [`Sim`] (`sim`), [`Phone`] (`phone`), [`Group`] (`group`), [`Faults`] (`fault`), [`SimEvent`] (`event`): the API
//! - `control`: the same over HTTP; `page`: the same in a browser
//! - `server` accepts, with `tls` or without; `handshake` does Noise; `conn` moves frames; `login` decides who comes in; `pairing` links
//! - `stanza`, `iq`: what companions say, a file for each kind; `offline`: what waits for them; `companion`: one of them
//! - `media`: the media host, where encrypted files wait for whoever knows their direct path
//! - `wire`: the log of what went over it
//! - `world`: accounts and groups; `snapshot`: the state on disk; `seed`: chance as an argument

mod companion;
mod conn;
mod control;
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
