//! `/livez`, `/readyz` and `/metrics`: endpoints for monitoring, outside `/api`.
//!
//! `/metrics` has a separate listener: the metrics show the use of each endpoint and host, and not
//! every client of the API may see them.

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use waviro_store::Store;
use waviro_store::panics;

use crate::telemetry;

/// The timeout for `SELECT 1`. A slower database is not usable.
const PING_WITHIN: Duration = Duration::from_secs(2);

/// The answer to a request for `/metrics` at the wrong address.
const ELSEWHERE: &str = "the metrics are not served at this address: set server.metrics_listen in the configuration, \
     for example to \"127.0.0.1:9090\", and use that address\n";

/// Serves `/livez` and `/readyz`. The router exists only after the bots are loaded, so `/readyz`
/// checks only the database and panics.
pub fn router(store: Store) -> Router {
    Router::new()
        .route("/livez", get(async || "alive\n"))
        .route("/readyz", get(ready))
        .with_state(store)
}

/// Serves `/metrics` on the configured listener.
pub fn metrics(metrics: Option<PrometheusHandle>) -> Router {
    Router::new()
        .route("/metrics", get(scrape))
        .with_state(metrics)
}

/// Serves a 404 with an explanation if `/metrics` is not served at this address.
pub fn no_metrics() -> Router {
    Router::new().route("/metrics", get(async || (StatusCode::NOT_FOUND, ELSEWHERE)))
}

/// A panic that the gateway survived is reported but does not change readiness; the log names the
/// place.
async fn ready(State(store): State<Store>) -> (StatusCode, String) {
    let ended = panics::ended();
    if !ended.is_empty() {
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            format!(
                "not ready: these tasks panicked: {}; restart the gateway\n",
                ended.join(", ")
            ),
        );
    }
    match tokio::time::timeout(PING_WITHIN, store.ping()).await {
        Ok(Ok(())) => (StatusCode::OK, format!("ready\n{}", panicked())),
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

fn panicked() -> String {
    match panics::count() {
        0 => String::new(),
        count => format!("{count} panics since the start; the log has the place of each panic\n"),
    }
}

async fn scrape(State(metrics): State<Option<PrometheusHandle>>) -> String {
    metrics
        .as_ref()
        .map(telemetry::render_metrics)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use tokio_util::task::TaskTracker;
    use tower::ServiceExt;

    use super::*;

    #[expect(clippy::panic, reason = "the test checks that the panic is counted")]
    fn broken() {
        panic!("the \"secret\" reason");
    }

    /// A single test, because the count covers the whole process.
    #[tokio::test]
    async fn a_panic_of_a_task_is_visible_in_readyz_and_in_the_metrics() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/test.db", folder.path().display());
        let metrics = telemetry::start_metrics().unwrap();
        let store = Store::open(&url).await.unwrap();
        let router = router(store).merge(super::metrics(Some(metrics)));
        let get = async |path: &str| {
            let request = Request::get(path).body(Body::empty()).unwrap();
            let answer = router.clone().oneshot(request).await.unwrap();
            let status = answer.status().as_u16();
            let body = axum::body::to_bytes(answer.into_body(), 1 << 20).await;
            (status, String::from_utf8(body.unwrap().into()).unwrap())
        };
        let standard = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            panics::report(panic);
            standard(panic);
        }));
        let (status, body) = get("/readyz").await;
        assert_eq!((status, body.as_str()), (200, "ready\n"));
        assert!(
            get("/metrics")
                .await
                .1
                .contains("\nwaviro_panics_total 0\n")
        );

        let tasks = TaskTracker::new();
        assert_eq!(
            panics::expected(|| [0; 4].iter().position(|it| *it > 0).unwrap()),
            None
        );
        assert_eq!(panics::count(), 0, "a panic on foreign data is not counted");
        tasks.spawn(async { broken() }).await.unwrap_err();
        let (status, body) = get("/readyz").await;
        assert_eq!(status, 200, "the panic is not counted");
        assert!(body.starts_with("ready\n1 panics"), "{body}");
        assert!(
            get("/metrics")
                .await
                .1
                .contains("\nwaviro_panics_total 1\n")
        );

        tasks
            .spawn(panics::vital("writer", async { broken() }))
            .await
            .unwrap();
        let (status, body) = get("/readyz").await;
        assert_eq!(status, 503);
        assert!(
            body.contains("writer") && !body.contains("secret"),
            "{body}"
        );
        assert!(
            get("/metrics")
                .await
                .1
                .contains("\nwaviro_panics_total 2\n")
        );
    }
}
