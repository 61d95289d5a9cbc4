//! `/v1/endpoints`: endpoints that fail, and those that were switched off for it. For admin tokens alone: bots share endpoints.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use url::Url;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::V1;
use super::answers::{AdminOnly, Missing};
use super::auth::Admin;
use super::body::{Body, Fields, FromFields, required};
use super::moment::Moment;
use super::page::Page;
use super::problem::Problem;
use crate::store::lane;

/// This file's operations.
pub(super) fn routes() -> OpenApiRouter<Arc<V1>> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(switch_on))
}

/// An endpoint in trouble. One that works is not listed.
#[derive(Serialize, ToSchema)]
#[schema(as = Endpoint)]
pub struct EndpointView {
    /// Scheme, host and port.
    #[schema(example = "https://toko.example:443")]
    endpoint: String,
    /// The first failure since the last success.
    failing_since: Moment,
    /// Of the failure that was written down last.
    #[schema(example = "status 500")]
    last_error: String,
    /// When it was switched off, after 120 hours of failures alone; null where it is still called.
    #[schema(required)]
    off_at: Option<Moment>,
    /// How many deliveries wait for it.
    #[schema(minimum = 0)]
    waiting: i64,
}

/// Which endpoint to call again.
#[derive(ToSchema)]
pub struct SwitchOn {
    /// Scheme, host and port; more of a URL is ignored.
    #[schema(
        value_type = String,
        max_length = 2048,
        format = "uri",
        example = "https://toko.example:443"
    )]
    endpoint: Url,
}

/// What is called again.
#[derive(Serialize, ToSchema)]
pub struct SwitchedOn {
    /// How many deliveries that waited for it are due now.
    #[schema(minimum = 0)]
    due: u64,
}

impl FromFields for SwitchOn {
    fn from_fields(fields: &Fields) -> Result<Self, Problem> {
        let endpoint = required("endpoint", fields.url("endpoint")?)?;
        Ok(Self { endpoint })
    }
}

/// List endpoints in trouble
///
/// Those that fail, and those that were switched off; the longest in trouble first, 1000 at most, on one page.
#[utoipa::path(
    get, path = "/v1/endpoints", tag = "endpoints",
    responses((status = 200, description = "The endpoints.", body = Page<EndpointView>), AdminOnly)
)]
async fn list(State(v1): State<Arc<V1>>, _: Admin) -> Result<Json<Page<EndpointView>>, Problem> {
    let troubles = v1.store.waiting_for().await?;
    let shown = troubles.into_iter().map(|(trouble, waiting)| EndpointView {
        endpoint: trouble.lane,
        failing_since: Moment(trouble.failing_since),
        last_error: trouble.last_error,
        off_at: trouble.off_at.map(Moment),
        waiting,
    });
    Ok(Json(Page::from_parts(shown.collect(), None)))
}

/// Call an endpoint again
///
/// Switches it on and forgets its failures: what waits for it is due now, except where it asked for the wait itself.
#[utoipa::path(
    post, path = "/v1/endpoints/on", tag = "endpoints", request_body = SwitchOn,
    responses(
        (status = 200, description = "What waited for it is due.", body = SwitchedOn),
        AdminOnly, Missing,
    )
)]
async fn switch_on(
    State(v1): State<Arc<V1>>,
    _: Admin,
    Body(asked): Body<SwitchOn>,
) -> Result<Json<SwitchedOn>, Problem> {
    let endpoint = lane(&asked.endpoint);
    let troubles = v1.store.troubles().await?;
    if !troubles.iter().any(|trouble| trouble.lane == endpoint) {
        return Err(Problem::NoSuch("endpoint in trouble"));
    }
    let due = v1
        .store
        .endpoint_works(&endpoint, true, v1.clock.now())
        .await?;
    Ok(Json(SwitchedOn { due }))
}
