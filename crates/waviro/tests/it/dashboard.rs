//! The dashboard over HTTP: the content of its pages for each role, and the effects of its forms.

mod bots;
mod deliveries;
mod guard;
mod idempotency;
mod language;
mod live;
mod login;
mod me;
mod messages;
mod roles;
mod rules;
mod send;
mod settings;
mod users;
mod viewer;
