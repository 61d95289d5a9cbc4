//! `GET /control/wire`: the stanzas on the wire as server-sent events: first the newest stanzas of
//! the log, then each new stanza.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::{Stream, StreamExt as _, stream};
use serde_json::json;
use tokio::sync::broadcast::error::RecvError;

use crate::sim::Sim;

/// Streams stanzas until the subscriber disconnects. A subscriber too far behind gets the number of
/// missed stanzas.
pub(super) async fn follow(
    State(sim): State<Sim>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let (kept, live) = sim.world.wire.follow();
    let live = stream::unfold(live, |mut live| async move {
        let shown = match live.recv().await {
            Ok(kept) => json!(kept.read()),
            Err(RecvError::Lagged(missed)) => json!({ "missed": missed }),
            Err(RecvError::Closed) => return None,
        };
        Some((shown, live))
    });
    let all = stream::iter(kept)
        .map(|kept| json!(kept.read()))
        .chain(live)
        .map(|shown| Ok(Event::default().json_data(shown).unwrap_or_default()));
    let world = Arc::clone(&sim.world);
    Sse::new(all.take_until(async move { world.stop.cancelled().await }))
        .keep_alive(KeepAlive::default())
}
