//! The event stream: complete, without duplicates, and only for authorized readers.

use std::pin::Pin;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{Request, StatusCode};
use futures::{Stream, StreamExt};
use serde_json::{Value, json};
use tower::ServiceExt;
use waviro_link::{OfflineCause, Status};
use waviro_store::TokenRole;
use waviro_testing::engine::until;
use waviro_testing::samples::inbound;

use super::ApiTest;
use crate::test_app::Answer;

const BUDI: &str = "6281300000001";

/// A reader of a stream.
struct Reader {
    parts: Pin<Box<dyn Stream<Item = Result<Bytes, axum::Error>> + Send>>,
    text: String,
}

/// A received event: number, kind, payload.
type Event = (i64, String, Value);

impl Reader {
    /// Opens a stream and waits for its start.
    async fn open(api: &ApiTest, token: &str, path: &str, last: Option<i64>) -> Self {
        let mut request = Request::get(path).header("Authorization", format!("Bearer {token}"));
        if let Some(last) = last {
            request = request.header("Last-Event-ID", last);
        }
        let request = request.body(Body::empty()).unwrap();
        let response = api.app.inner.router().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-store");
        let mut reader = Self {
            parts: Box::pin(response.into_body().into_data_stream()),
            text: String::new(),
        };
        assert_eq!(reader.block().await.as_deref(), Some(": waviro"));
        reader
    }

    /// Returns the next block of lines; `None` at the end.
    async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                return Some(block);
            }
            let next = tokio::time::timeout(Duration::from_mins(1), self.parts.next());
            let part = next.await.expect("something on the stream")?.unwrap();
            self.text.push_str(std::str::from_utf8(&part).unwrap());
        }
    }

    /// Returns the next event and skips comments.
    async fn event(&mut self) -> Event {
        loop {
            let block = self.block().await.expect("an event");
            let mut lines = block.lines();
            let Some(id) = lines.next().unwrap().strip_prefix("id: ") else {
                continue;
            };
            let kind = lines.next().unwrap().strip_prefix("event: ").unwrap();
            let data = lines.next().unwrap().strip_prefix("data: ").unwrap();
            assert_eq!(lines.next(), None);
            return (
                id.parse().unwrap(),
                kind.to_owned(),
                serde_json::from_str(data).unwrap(),
            );
        }
    }

    /// Returns the ids of the next messages, skipping other events, and the number of the last
    /// event.
    async fn messages(&mut self, count: usize) -> (Vec<String>, i64) {
        let (mut ids, mut last) = (Vec::new(), 0);
        while ids.len() < count {
            let (number, kind, event) = self.event().await;
            assert!(number > last);
            assert_eq!(event["type"], kind);
            last = number;
            if kind == "message.received" {
                ids.push(event["data"]["id"].as_str().unwrap().to_owned());
            }
        }
        (ids, last)
    }
}

async fn write(api: &ApiTest, ids: std::ops::Range<usize>) {
    for n in ids {
        let text = inbound(&format!("A{n}"), BUDI, "halo");
        api.app.link().inbound(vec![text]).await.unwrap();
    }
}

fn named(ids: std::ops::Range<usize>) -> Vec<String> {
    ids.map(|n| format!("A{n}")).collect()
}

async fn refused(api: &ApiTest, token: &str, path: &str) -> Answer {
    let request = Request::get(path).header("Authorization", format!("Bearer {token}"));
    api.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn a_stream_begins_now_and_resumes_after_the_last_event_seen() {
    let api = ApiTest::online().await;
    // No reader is connected, so these events are not stored.
    write(&api, 0..2).await;
    let mut reader = Reader::open(&api, &api.admin, "/v1/events", None).await;
    write(&api, 2..4).await;
    let (ids, last) = reader.messages(2).await;
    assert_eq!(ids, named(2..4));
    drop(reader);
    // After the first connection, a reader can fetch missed events.
    api.app.clock.advance(Duration::from_hours(6 * 24));
    write(&api, 4..6).await;
    let mut reader = Reader::open(&api, &api.admin, "/v1/events", Some(last)).await;
    write(&api, 6..8).await;
    assert_eq!(reader.messages(4).await.0, named(4..8));
    let after = format!("/v1/events?after={last}");
    let mut again = Reader::open(&api, &api.admin, &after, None).await;
    assert_eq!(again.messages(4).await.0, named(4..8));
    let mut all = Reader::open(&api, &api.admin, "/v1/events?after=0", None).await;
    assert_eq!(all.messages(6).await.0, named(2..8));
    // A number from another gateway must not hide new events.
    let mut foreign = Reader::open(&api, &api.admin, "/v1/events", Some(1 << 40)).await;
    write(&api, 8..9).await;
    assert_eq!(foreign.messages(1).await.0, named(8..9));
}

#[tokio::test]
async fn after_a_week_without_a_listener_nothing_more_is_written() {
    let api = ApiTest::online().await;
    let reader = Reader::open(&api, &api.admin, "/v1/events", None).await;
    drop(reader);
    write(&api, 0..1).await;
    // The gateway may see the end of the stream a moment after the reader has gone.
    api.app.clock.advance(Duration::from_hours(8 * 24));
    let mut n = 1;
    until(
        || {
            n += 1;
            let api = &api;
            async move {
                api.app.clock.advance(Duration::from_secs(3));
                let before = latest(api).await;
                write(api, n..n + 1).await;
                latest(api).await - before
            }
        },
        |written| *written == 0,
    )
    .await;
}

async fn latest(api: &ApiTest) -> i64 {
    use sqlx::{Connection, Row};
    let path = api.app.data_dir().join("waviro.db");
    let url = format!("sqlite:{}", path.display());
    let mut connection = sqlx::AnyConnection::connect(&url).await.unwrap();
    let row = sqlx::query("SELECT COALESCE(MAX(id), 0) FROM events").fetch_one(&mut connection);
    row.await.unwrap().get(0)
}

#[tokio::test]
async fn under_load_no_event_is_missed_and_none_comes_twice() {
    const COUNT: usize = 600;
    let api = ApiTest::online().await;
    let mut reader = Reader::open(&api, &api.admin, "/v1/events", None).await;
    let writing = async {
        let write = |n: usize| {
            let link = api.app.link();
            async move {
                let text = inbound(&format!("A{n}"), BUDI, "halo");
                link.inbound(vec![text]).await.unwrap();
            }
        };
        futures::stream::iter((0..COUNT).map(write))
            .buffer_unordered(32)
            .collect::<Vec<_>>()
            .await;
    };
    let reading = async {
        let (mut seen, mut last) = (Vec::new(), 0);
        while seen.len() < COUNT {
            let some = (COUNT - seen.len()).min(47);
            let (ids, number) = reader.messages(some).await;
            assert!(number > last);
            seen.extend(ids);
            last = number;
            // The reader disconnects and reconnects repeatedly.
            reader = Reader::open(&api, &api.admin, "/v1/events", Some(last)).await;
        }
        seen
    };
    let ((), mut seen) = tokio::join!(writing, reading);
    seen.sort();
    let mut wanted = named(0..COUNT);
    wanted.sort();
    assert_eq!(seen, wanted);
}

#[tokio::test]
async fn a_token_receives_only_the_events_that_it_may_see() {
    let api = ApiTest::online().await;
    api.post("/v1/bots", json!({"name": "kedua"})).await.done();
    let second = api.token_of(2).await;
    let mut own = Reader::open(&api, &second, "/v1/events", None).await;
    let mut first = Reader::open(&api, &api.admin, "/v1/events?bot=toko", None).await;
    let mut all = Reader::open(&api, &api.admin, "/v1/events", None).await;
    write(&api, 0..1).await;
    let link = api.app.connector.link(2).unwrap();
    let text = inbound("Z1", BUDI, "halo");
    link.inbound(vec![text]).await.unwrap();
    assert_eq!(own.messages(1).await.0, ["Z1"]);
    assert_eq!(first.messages(1).await.0, ["A0"]);
    assert_eq!(all.messages(2).await.0, ["A0", "Z1"]);
    for path in [
        "/v1/events?bot=1",
        "/v1/events?bot=toko",
        "/v1/events?bot=9",
    ] {
        let answer = refused(&api, &second, path).await;
        assert_eq!(
            answer.problem_and_field(),
            (422, "invalid_field", "bot"),
            "{path}"
        );
    }
    for path in [
        "/v1/events?after=x",
        "/v1/events?after=-1",
        "/v1/events?after=",
    ] {
        let answer = refused(&api, &api.admin, path).await;
        assert_eq!(answer.body["field"], "after", "{path}");
    }
}

#[tokio::test]
async fn a_stream_sends_a_keepalive_every_fifteen_seconds_and_ends_with_its_token() {
    let api = ApiTest::online().await;
    let token = api.token_of(1).await;
    let mut reader = Reader::open(&api, &token, "/v1/events", None).await;
    let asked = reader.block();
    assert_eq!(api.app.pass_until(asked).await.as_deref(), Some(":"));
    assert_eq!(api.delete("/v1/tokens/2").await.status, 204);
    // The stream was still open, but later events must not appear.
    write(&api, 0..1).await;
    let ended = async {
        while let Some(block) = reader.block().await {
            assert_eq!(block, ":");
        }
    };
    api.app.pass_until(ended).await;
}

#[tokio::test]
async fn a_token_has_a_limit_of_streams_the_last_are_for_admins_and_a_closed_stream_is_free_again()
{
    let api = ApiTest::with(&[
        ("limits.streams", "4"),
        ("limits.streams_per_token", "2"),
        ("limits.streams_for_admins", "1"),
    ])
    .await;
    let own = api.token_of(1).await;
    let other = api.token("lain", TokenRole::Bot(1)).await;
    let mut readers = Vec::new();
    for token in [&own, &own, &other] {
        readers.push(Reader::open(&api, token, "/v1/events", None).await);
    }
    let full = refused(&api, &own, "/v1/events").await;
    assert_eq!(full.problem(), (429, "too_many_streams"));
    assert!(full.headers.contains_key("retry-after"));
    assert!(
        full.body["detail"]
            .as_str()
            .unwrap()
            .contains("with this token")
    );
    let full = refused(&api, &other, "/v1/events").await;
    assert_eq!(full.problem(), (429, "too_many_streams"));
    assert!(
        full.body["detail"]
            .as_str()
            .unwrap()
            .contains("3 streams are open")
    );
    readers.push(Reader::open(&api, &api.admin, "/v1/events", None).await);
    let full = refused(&api, &api.admin, "/v1/events").await;
    assert_eq!(full.problem(), (429, "too_many_streams"));
    readers.pop();
    let status = || async {
        let request =
            Request::get("/v1/events").header("Authorization", format!("Bearer {}", api.admin));
        let request = request.body(Body::empty()).unwrap();
        let response = api.app.inner.router().oneshot(request).await.unwrap();
        response.status().as_u16()
    };
    until(status, |status| *status == 200).await;
}

#[tokio::test]
async fn a_stop_ends_every_stream() {
    let api = ApiTest::online().await;
    let mut reader = Reader::open(&api, &api.admin, "/v1/events", None).await;
    api.app.stopping.cancel();
    while reader.block().await.is_some() {}
}

#[tokio::test]
async fn a_subscriber_that_reads_nothing_is_disconnected_and_resumes() {
    let api = ApiTest::online().await;
    let mut reader = Reader::open(&api, &api.admin, "/v1/events", None).await;
    // More events than fit into the buffers on the way to a reader.
    write(&api, 0..4).await;
    let cause = "x".repeat(100);
    api.app.link().set_status(Status::Reconnecting {
        cause: OfflineCause::Ended(cause),
    });
    let cut = async {
        for n in 4..400 {
            write(&api, n..n + 1).await;
        }
    };
    cut.await;
    // The reader takes nothing for two minutes.
    for _ in 0..120 {
        api.app.clock.advance(Duration::from_secs(1));
        tokio::task::yield_now().await;
    }
    let (mut seen, mut last) = (Vec::new(), 0);
    while let Some(block) = reader.block().await {
        let Some(id) = block.strip_prefix("id: ") else {
            continue;
        };
        last = id.lines().next().unwrap().parse().unwrap();
        let data = block.split_once("data: ").unwrap().1;
        let event: Value = serde_json::from_str(data).unwrap();
        if event["type"] == "message.received" {
            seen.push(event["data"]["id"].as_str().unwrap().to_owned());
        }
        if seen.len() == 400 {
            break;
        }
    }
    if seen.len() < 400 {
        let mut reader = Reader::open(&api, &api.admin, "/v1/events", Some(last)).await;
        seen.extend(reader.messages(400 - seen.len()).await.0);
    }
    assert_eq!(seen, named(0..400));
}
