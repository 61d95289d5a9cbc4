//! `GET /control/wire`: what went over the wire, as server-sent events: the newest stanzas first, then each as it goes.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::{Stream, StreamExt as _, stream};
use serde_json::json;
use tokio::sync::broadcast::error::RecvError;

use crate::sim::Sim;

/// Streams until the reader leaves. One that falls too far behind is told how many stanzas it missed.
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
