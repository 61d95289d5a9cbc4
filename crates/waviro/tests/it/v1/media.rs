//! Received files, by signed link and with a token.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};
use tower::ServiceExt;
use waviro_core::files::revoke_links;
use waviro_link::{LinkError, OfflineCause, Status};
use waviro_store::Store;
use waviro_testing::engine::until;
use waviro_testing::samples::picture;

use super::ApiTest;
use crate::test_app::Answer;

/// Delivers a file to the first bot and returns the signed link.
async fn sent(api: &ApiTest, bytes: &[u8]) -> String {
    let body = json!({"url": "https://toko.example/e", "kinds": ["message.received"]});
    api.post("/v1/bots/1/subscriptions", body).await.done();
    came(api, "A1", bytes).await
}

async fn came(api: &ApiTest, id: &str, bytes: &[u8]) -> String {
    let message = picture(id);
    let waviro_link::InboundKind::Media(about) = &message.kind else {
        unreachable!();
    };
    if !bytes.is_empty() {
        api.app.link().put_file(&about.handle, bytes);
    }
    api.app.link().inbound(vec![message]).await.unwrap();
    let row = one(api, "SELECT body FROM events ORDER BY id DESC LIMIT 1").await;
    let event: Value = serde_json::from_str(&row.unwrap()).unwrap();
    let media = &event["data"]["media"];
    assert_eq!(media["expires_at"], "2023-04-14T03:02:10Z");
    assert!(!event.to_string().contains("handle of"));
    media["url"].as_str().unwrap().to_owned()
}

async fn one(api: &ApiTest, text: &'static str) -> Option<String> {
    use sqlx::{Connection, Row};
    let path = api.app.data_dir().join("waviro.db");
    let url = format!("sqlite:{}", path.display());
    let mut connection = sqlx::AnyConnection::connect(&url).await.unwrap();
    let row = sqlx::query(text).fetch_optional(&mut connection).await;
    row.unwrap().map(|row| row.get(0))
}

async fn open(api: &ApiTest, link: &str) -> Answer {
    let request = Request::get(link).body(Body::empty()).unwrap();
    api.app.send(request).await
}

#[tokio::test]
async fn a_link_serves_its_file_without_a_token_as_an_attachment() {
    let api = ApiTest::online().await;
    let link = sent(&api, b"bytes").await;
    assert!(link.starts_with("/v1/media/"), "{link}");
    assert_eq!(api.app.link().downloads(), 0);
    for _ in 0..2 {
        let answer = open(&api, &link).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.body),
            (200, &json!("bytes"))
        );
        let header = |name: &str| answer.headers[name].to_str().unwrap();
        assert_eq!(header("content-type"), "image/jpeg");
        assert_eq!(header("content-length"), "5");
        assert!(header("content-disposition").starts_with("attachment; filename="));
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(
            header("content-security-policy"),
            "default-src 'none'; sandbox"
        );
    }
    assert_eq!(api.app.link().downloads(), 1);
    let id = &link["/v1/media/".len()..][..24];
    let path = format!("/v1/bots/toko/media/{id}");
    let request = Request::get(&path).header("Authorization", format!("Bearer {}", api.admin));
    let answer = api.app.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.body, "bytes");
    // Another bot must not have access to the file.
    api.post("/v1/bots", json!({"name": "kedua"})).await.done();
    let other = api.get(&format!("/v1/bots/2/media/{id}")).await;
    assert_eq!(other.problem(), (404, "no_such_thing"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let folder = api.app.data_dir().join("media");
        for (path, mode) in [(folder.clone(), 0o700), (folder.join(id), 0o600)] {
            let is = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(is & 0o777, mode, "{}", path.display());
        }
    }
}

#[tokio::test]
async fn a_removed_folder_of_files_is_made_again() {
    let api = ApiTest::online().await;
    let link = sent(&api, b"bytes").await;
    std::fs::remove_dir_all(api.app.data_dir().join("media")).unwrap();
    let answer = open(&api, &link).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.body),
        (200, &json!("bytes"))
    );
}

#[tokio::test]
async fn a_link_that_was_changed_or_signed_elsewhere_is_refused() {
    let api = ApiTest::online().await;
    let link = sent(&api, b"bytes").await;
    let (path, query) = link.split_once('?').unwrap();
    let other = path.replace("/v1/media/", "/v1/media/0");
    let signature = query.split_once("signature=").unwrap().1;
    let flipped = if signature.starts_with('0') { "1" } else { "0" };
    for changed in [
        format!("{path}?{}", query.replace("expires=1", "expires=2")),
        format!("{path}?{}", query.replace("expires=", "expires=+")),
        format!("{path}?expires=9999999999&signature={signature}"),
        format!("{path}?expires=x&signature={signature}"),
        format!(
            "{path}?{}",
            query.replace("signature=", &format!("signature={flipped}"))
        ),
        format!("{path}?{query}00"),
        format!("{path}?{}", query.replace(signature, "")),
        format!("{path}?{}", query.replace(signature, "zz")),
        format!("{}?{query}", &other[..other.len() - 1]),
        format!("/v1/media/..%2F..%2Fwaviro.db?{query}"),
        format!("/v1/media/x?{query}"),
    ] {
        let answer = open(&api, &changed).await;
        assert_eq!(answer.problem(), (403, "bad_signature"), "{changed}");
    }
    assert_eq!(open(&api, path).await.problem(), (422, "missing_field"));
    assert_eq!(api.app.link().downloads(), 0);
    // Each installation has its own secret.
    let elsewhere = ApiTest::online().await;
    assert_eq!(open(&elsewhere, &link).await.problem().0, 403);
}

#[tokio::test]
async fn a_link_is_refused_after_its_expiry() {
    let api = ApiTest::with(&[("retention.media_days", "30")]).await;
    let link = sent(&api, b"bytes").await;
    let almost = Duration::from_hours(30 * 24) - Duration::from_secs(1);
    api.app.clock.advance(almost);
    assert_eq!(open(&api, &link).await.status, 200);
    api.app.clock.advance(Duration::from_secs(1));
    assert_eq!(open(&api, &link).await.problem(), (410, "link_expired"));
}

#[tokio::test]
async fn revoked_links_are_refused_while_the_gateway_runs_and_later_ones_work() {
    let api = ApiTest::online().await;
    let link = sent(&api, b"bytes").await;
    assert_eq!(open(&api, &link).await.status, 200);
    // Revokes the links over another connection, as the command line does.
    let database = api.app.data_dir().join("waviro.db");
    let beside = Store::open(&format!("sqlite:{}", database.display()))
        .await
        .unwrap();
    revoke_links(&beside).await.unwrap();
    assert_eq!(open(&api, &link).await.problem(), (403, "bad_signature"));
    let id = &link["/v1/media/".len()..][..24];
    let request = Request::get(format!("/v1/bots/toko/media/{id}"));
    let request = request.header("Authorization", format!("Bearer {}", api.admin));
    let file = api.app.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(file.body, "bytes", "the file stays");
    let later = came(&api, "A2", b"more").await;
    assert_eq!(open(&api, &later).await.status, 200);
    assert_eq!(open(&api, &link).await.problem(), (403, "bad_signature"));
    revoke_links(&beside).await.unwrap();
    assert_eq!(open(&api, &later).await.problem(), (403, "bad_signature"));
    beside.close().await;
}

#[tokio::test]
async fn ten_readers_cost_one_download() {
    let api = ApiTest::online().await;
    let link = sent(&api, &vec![7; 300_000]).await;
    let reads = (0..10).map(|_| async {
        let request = Request::get(&link).body(Body::empty()).unwrap();
        let response = api.app.inner.router().oneshot(request).await.unwrap();
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await;
        body.unwrap().len()
    });
    let read = futures::future::join_all(reads).await;
    assert_eq!(read, [300_000; 10]);
    assert_eq!(api.app.link().downloads(), 1);
}

#[tokio::test]
async fn a_failed_download_is_retried_and_an_expired_file_is_reported_as_such() {
    let api = ApiTest::online().await;
    let link = sent(&api, b"bytes").await;
    let cause = "x".to_owned();
    api.app.link().set_status(Status::Reconnecting {
        cause: OfflineCause::Ended(cause),
    });
    let answer = open(&api, &link).await;
    assert_eq!(answer.problem(), (502, "media_unavailable"));
    assert!(
        answer.body["detail"]
            .as_str()
            .unwrap()
            .contains("not connected")
    );
    api.app.link().set_status(Status::Online);
    api.app.link().fail_next_download(LinkError::TimedOut);
    assert_eq!(open(&api, &link).await.problem().0, 502);
    let words = "404 and the phone has it no more".to_owned();
    api.app.link().fail_next_download(LinkError::Refused(words));
    let answer = open(&api, &link).await;
    assert_eq!(answer.problem(), (410, "media_gone"));
    assert!(
        answer.body["detail"]
            .as_str()
            .unwrap()
            .contains("the phone has it no more")
    );
    assert_eq!(open(&api, &link).await.status, 200);
    // A stored file needs no connection to WhatsApp.
    let cause = "x".to_owned();
    api.app.link().set_status(Status::Reconnecting {
        cause: OfflineCause::Ended(cause),
    });
    assert_eq!(open(&api, &link).await.status, 200);
}

#[tokio::test]
async fn retention_removes_files_rows_and_the_remains_of_a_broken_download() {
    let api = ApiTest::with(&[
        ("retention.media_days", "3"),
        ("retention.events_days", "2"),
    ])
    .await;
    let body = json!({"url": "https://toko.example/e", "kinds": ["message.received"]});
    api.post("/v1/bots/1/subscriptions", body).await.done();
    let message = picture("A1");
    let waviro_link::InboundKind::Media(about) = &message.kind else {
        unreachable!();
    };
    api.app.link().put_file(&about.handle, "bytes");
    api.app.link().inbound(vec![message]).await.unwrap();
    let later = waviro_testing::samples::inbound("A2", "6281300000001", "halo");
    api.app.link().inbound(vec![later]).await.unwrap();
    let id = one(&api, "SELECT media FROM inbound WHERE media IS NOT NULL")
        .await
        .unwrap();
    let path = format!("/v1/bots/1/media/{id}");
    let fetched = async || {
        let request = Request::get(&path).header("Authorization", format!("Bearer {}", api.admin));
        let answer = api.app.send(request.body(Body::empty()).unwrap()).await;
        answer.status.as_u16()
    };
    assert_eq!(fetched().await, 200);
    let folder = api.app.data_dir().join("media");
    std::fs::write(folder.join("0123456789abcdef01234567.part"), "half").unwrap();
    let files = || std::fs::read_dir(&folder).unwrap().count();
    let passed = async |days: u64, wanted: &dyn Fn() -> bool| {
        api.app.clock.advance(Duration::from_hours(24 * days));
        until(
            || async {
                api.app.clock.advance(Duration::from_hours(1));
                tokio::task::yield_now().await;
                wanted()
            },
            |done| *done,
        )
        .await;
    };
    // The next sweep removes files without a row and keeps the others.
    passed(0, &|| files() == 1).await;
    assert_eq!(fetched().await, 200);
    passed(3, &|| files() == 0).await;
    assert_eq!(fetched().await, 410);
    let events = || one(&api, "SELECT CAST(COUNT(*) AS TEXT) FROM events");
    // The newest event stays, because otherwise its number would be assigned again.
    until(events, |count| count.as_deref() == Some("1")).await;
}
