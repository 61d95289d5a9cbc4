//! `/livez`, `/readyz`, `/metrics`: what watches the gateway asks, on the same port and outside `/api`.

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;

use crate::store::Store;

/// A database that takes longer to answer `SELECT 1` serves nobody.
const PING_WITHIN: Duration = Duration::from_secs(2);

#[derive(Clone)]
struct Health {
    store: Store,
    metrics: Option<PrometheusHandle>,
}

/// The three paths. They exist once the bots are loaded, so `/readyz` has only the database left to ask.
pub fn router(store: Store, metrics: Option<PrometheusHandle>) -> Router {
    Router::new()
        .route("/livez", get(async || "alive\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(scrape))
        .with_state(Health { store, metrics })
}

async fn ready(State(health): State<Health>) -> (StatusCode, String) {
    match tokio::time::timeout(PING_WITHIN, health.store.ping()).await {
        Ok(Ok(())) => (StatusCode::OK, "ready\n".to_owned()),
        Ok(Err(error)) => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("not ready: {error}\n"),
        ),
        Err(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "not ready: the database does not answer\n".to_owned(),
        ),
    }
}

async fn scrape(State(health): State<Health>) -> String {
    health
        .metrics
        .map(|metrics| metrics.render())
        .unwrap_or_default()
}
