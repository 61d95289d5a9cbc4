//! The dashboard over HTTP: what its pages show and to whom, and what their forms do.

mod bots;
mod deliveries;
mod entry;
mod guard;
mod language;
mod live;
mod me;
mod messages;
mod once;
mod roles;
mod rules;
mod send;
mod settings;
mod users;
mod viewer;
