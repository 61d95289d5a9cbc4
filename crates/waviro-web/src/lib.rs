//! The HTTP side of the gateway: the WAVIRO API, the administration API, the documentation pages
//! and the dashboard.
//!
//! The crate turns requests into calls of `waviro-core` and the results into answers. It owns the
//! wire formats, the texts for people, sessions and the limits on clients.

pub mod api;
pub mod asset;
pub mod dashboard;
pub mod docs;
pub mod http;
pub mod services;
pub mod texts;
pub mod unreachable;
pub mod v1;
