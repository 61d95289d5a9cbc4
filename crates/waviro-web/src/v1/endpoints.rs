//! `/v1/endpoints`: failing endpoints, and endpoints switched off after failures. Needs an admin
//! token, because bots share endpoints.

use axum::Json;
use serde::{Deserialize, Serialize};
use url::Url;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use waviro_store::endpoint_of;

use super::auth::{Admin, ChangesGateway};
use super::body::Body;
use super::causes::AttemptCauseCode;
use super::fields::{Field, Whole};
use super::page::Page;
use super::problem::Problem;
use super::responses::{AdminOnly, JsonResult, Missing};
use super::state::V1;
use super::timestamp::Timestamp;
use crate::services::{Services, SharedServices};

/// The longest timeout of the endpoint of a rule or subscription, in seconds. The sender of a text
/// waits for an answer.
pub(super) const LONGEST: u64 = 60;

/// The form of the timeout of a rule or subscription, in seconds.
pub(super) type Timeout = Whole<1, LONGEST>;

/// Checks that the timeout of a rule or subscription does not exceed the general timeout.
pub(super) fn timeout(
    services: &Services,
    asked: Option<Field<Timeout>>,
) -> Result<Option<i64>, Problem> {
    let asked = asked.map(|asked| asked.0);
    let most = LONGEST.min(services.call_within_s);
    if asked.is_some_and(|asked| asked > most) {
        let form = format!("a whole number from 1 to {most}, as outbound.timeout_s allows");
        return Err(Problem::invalid("timeout_s", form));
    }
    Ok(asked.and_then(|asked| i64::try_from(asked).ok()))
}

pub(super) fn routes() -> OpenApiRouter<V1> {
    OpenApiRouter::new()
        .routes(routes!(http_list))
        .routes(routes!(http_switch_on))
}

/// A failing endpoint. Working endpoints are not listed.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = Endpoint)]
pub struct EndpointView {
    /// Scheme, host and port.
    #[schema(example = "https://toko.example:443")]
    pub(crate) endpoint: String,
    /// The first failure since the last success.
    pub(crate) failing_since: Timestamp,
    /// The error of the last recorded failure.
    #[schema(example = "status 500")]
    pub(crate) last_error: String,
    /// The stable code of `last_error`.
    pub(crate) last_error_code: AttemptCauseCode,
    /// The status of the last recorded failure, if the status is the cause.
    #[schema(required, minimum = 100, maximum = 999)]
    pub(crate) last_status: Option<u16>,
    /// When the endpoint was switched off, after 120 hours without a success; null if the gateway
    /// still calls the endpoint.
    #[schema(required)]
    pub(crate) off_at: Option<Timestamp>,
    /// The number of deliveries waiting for the endpoint.
    #[schema(minimum = 0)]
    pub(crate) waiting: i64,
}

/// An endpoint to switch on.
#[derive(Deserialize, ToSchema)]
pub struct SwitchOn {
    /// The scheme, host and port; the rest of the URL is ignored.
    #[schema(value_type = String, max_length = 2048, format = "uri", example = "https://toko.example:443")]
    endpoint: Field<Url>,
}

/// The result of switching an endpoint on.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct SwitchedOn {
    /// The number of waiting deliveries that are due now.
    #[schema(minimum = 0)]
    pub(crate) due: u64,
}

/// List failing endpoints
///
/// Returns failing and switched-off endpoints on a single page of at most 1000 entries. The
/// endpoint that has failed for the longest time comes first.
#[utoipa::path(
    get, path = "/v1/endpoints", tag = "endpoints",
    responses((status = 200, description = "The endpoints.", body = Page<EndpointView>), AdminOnly)
)]
async fn http_list(services: SharedServices, admin: Admin) -> JsonResult<Page<EndpointView>> {
    list(&services, &admin).await.map(Json)
}

pub(crate) async fn list(services: &Services, _: &Admin) -> Result<Page<EndpointView>, Problem> {
    let endpoint_failures = services.store.waiting_for().await?;
    let shown = endpoint_failures
        .into_iter()
        .map(|(failure, waiting)| EndpointView {
            endpoint: failure.endpoint,
            failing_since: Timestamp(failure.failing_since),
            last_error_code: failure.last_error.cause.into(),
            last_status: failure.last_error.cause.status(),
            last_error: failure.last_error.text,
            off_at: failure.off_at.map(Timestamp),
            waiting,
        });
    Ok(Page::from_parts(shown.collect(), None))
}

/// Switch an endpoint on
///
/// Switches the endpoint on and clears its failures. Waiting deliveries are due at once, except
/// deliveries for which the endpoint itself asked for a delay.
#[utoipa::path(
    post, path = "/v1/endpoints/on", tag = "endpoints", request_body = SwitchOn,
    responses(
        (status = 200, description = "The endpoint's waiting deliveries are due now.", body = SwitchedOn),
        AdminOnly, Missing,
    )
)]
async fn http_switch_on(
    services: SharedServices,
    admin: ChangesGateway,
    Body(asked): Body<SwitchOn>,
) -> JsonResult<SwitchedOn> {
    switch_on(&services, &admin, asked).await.map(Json)
}

pub(crate) async fn switch_on(
    services: &Services,
    _: &ChangesGateway,
    asked: SwitchOn,
) -> Result<SwitchedOn, Problem> {
    let endpoint = endpoint_of(&asked.endpoint.0);
    let endpoint_failures = services.store.endpoint_failures().await?;
    if !endpoint_failures
        .iter()
        .any(|failure| failure.endpoint == endpoint)
    {
        return Err(Problem::NoSuch("endpoint in trouble"));
    }
    let due = services
        .store
        .endpoint_works(&endpoint, true, services.clock.now())
        .await?;
    Ok(SwitchedOn { due })
}
