//! The state of the router.

use std::sync::Arc;

use axum::extract::FromRef;
use utoipa::openapi::OpenApi;
use waviro_core::permits::Permits;

use crate::services::Services;

/// The shared services, and the parts for `/v1` alone.
#[derive(Clone)]
pub(super) struct V1 {
    pub(super) services: Arc<Services>,
    /// The permits for open event streams, by the hash of the token.
    pub(super) streams: Permits<[u8; 32]>,
    /// The number of streams reserved for admins.
    pub(super) streams_for_admins: u64,
    /// The OpenAPI document.
    pub(super) document: Arc<OpenApi>,
}

impl FromRef<V1> for Arc<Services> {
    fn from_ref(v1: &V1) -> Self {
        Self::clone(&v1.services)
    }
}
