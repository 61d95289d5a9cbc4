//! `GET /control/events`: the events as server-sent events, each with a JSON object.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::{Stream, StreamExt as _, stream};
use serde_json::json;
use tokio::sync::broadcast::error::RecvError;

use crate::sim::Sim;

/// Streams events until the subscriber disconnects. A subscriber too far behind gets the number of
/// missed events.
pub(super) async fn stream(
    State(sim): State<Sim>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let events = stream::unfold(sim.events(), |mut events| async move {
        let event = match events.recv().await {
            Ok(event) => json!(event),
            Err(RecvError::Lagged(missed)) => json!({ "type": "missed", "count": missed }),
            Err(RecvError::Closed) => return None,
        };
        let event = Event::default().json_data(event).unwrap_or_default();
        Some((Ok(event), events))
    });
    let world = Arc::clone(&sim.world);
    Sse::new(events.take_until(async move { world.stop.cancelled().await }))
        .keep_alive(KeepAlive::default())
}
