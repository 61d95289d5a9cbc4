//! Promises of the simulator, kept with the unmodified client.

mod client;
mod control;
mod faults;
mod groups;
mod handshake;
mod messages;
mod pairing;
mod restart;
