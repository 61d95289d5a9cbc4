//! Webhooks with an answer behind a redirect, as in Google Apps Script, and webhooks with a moved
//! URL.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, StatusCode, header::LOCATION};
use axum::response::{IntoResponse, Response};
use tokio_util::task::TaskTracker;
use url::Url;
use waviro_link::fake::FakeConnector;
use waviro_testing::engine::{TestEngine, until};
use waviro_testing::hooks::{deliveries, rule, texts, waiting};
use waviro_testing::samples::inbound;
use waviro_testing::samples::{OWN, number};

const BUDI: &str = "6281300000001";
const REPLY: &str = r#"{"success":true,"message":[{"type":"message","content":"balas"}]}"#;

/// Answers in the order of the script; after the script with 404.
#[derive(Clone)]
struct Script {
    calls: Arc<Mutex<Vec<(String, String)>>>,
    answers: Arc<Mutex<VecDeque<(u16, String)>>>,
    at: SocketAddr,
}

impl Script {
    /// Each entry is a status with the target of a redirect or a body.
    async fn start(answers: &[(u16, &str)]) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let answers = answers
            .iter()
            .map(|(status, text)| (*status, (*text).to_owned()));
        let script = Self {
            calls: Arc::default(),
            answers: Arc::new(Mutex::new(answers.collect())),
            at: listener.local_addr().unwrap(),
        };
        let app = Router::new()
            .fallback(Self::take)
            .with_state(script.clone());
        TaskTracker::new().spawn(async move { axum::serve(listener, app).await });
        script
    }

    async fn take(State(script): State<Self>, request: Request<Body>) -> Response {
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, 65_536).await.unwrap();
        let called = format!("{} {}", parts.method, parts.uri);
        let signed = parts.headers.contains_key("webhook-signature");
        let request = format!("{signed} {}", String::from_utf8_lossy(&body));
        script.calls.lock().unwrap().push((called, request));
        let answer = script.answers.lock().unwrap().pop_front();
        let (status, text) = answer.unwrap_or((404, String::new()));
        let status = StatusCode::from_u16(status).unwrap();
        if status.is_redirection() && !text.is_empty() {
            return (status, [(LOCATION, text)]).into_response();
        }
        (status, text).into_response()
    }

    fn url(&self) -> Url {
        format!("http://{}/exec", self.at).parse().unwrap()
    }

    /// Returns methods and paths in order.
    fn calls(&self) -> Vec<String> {
        let calls = self.calls.lock().unwrap();
        calls.iter().map(|(called, _)| called.clone()).collect()
    }
}

async fn asked(gateway: &TestEngine, script: &Script) {
    rule(gateway, "halo", &script.url()).await;
    let question = vec![inbound("A1", BUDI, "halo")];
    gateway.link().inbound(question).await.unwrap();
}

async fn answered(gateway: &TestEngine) {
    let passing = || async {
        gateway.pass(Duration::from_secs(2));
        texts(gateway)
    };
    until(passing, |texts| texts == &["balas"]).await;
}

#[tokio::test]
async fn the_json_behind_a_redirect_is_the_answer_and_the_script_is_called_once() {
    for status in [301, 302, 303] {
        let gateway = TestEngine::online().await;
        let script = Script::start(&[(status, "/echo?key=a%20b"), (200, REPLY)]).await;
        asked(&gateway, &script).await;
        answered(&gateway).await;
        assert_eq!(script.calls(), ["POST /exec", "GET /echo?key=a%20b"]);
        // The request for the answer carries neither the body nor the signature.
        assert_eq!(script.calls.lock().unwrap()[1].1, "false ");
        let (outcome, note) = &deliveries(&gateway).await[0];
        assert_eq!(
            (outcome.as_str(), note.as_str()),
            ("delivered", "sent 1 messages")
        );
    }
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_yet_is_read_again_and_the_script_is_not_called_again() {
    let gateway = TestEngine::online().await;
    let answers = [
        (302, "/echo"),
        (500, ""),
        (410, ""),
        (404, ""),
        (200, REPLY),
    ];
    let script = Script::start(&answers).await;
    asked(&gateway, &script).await;
    answered(&gateway).await;
    let calls = script.calls();
    assert_eq!(calls[0], "POST /exec");
    assert_eq!(calls[1..], ["GET /echo"; 4]);
    // A 410 from the address of the answer must not switch the rule off.
    let rules = gateway.engine.store.rules(gateway.bot.id()).await.unwrap();
    assert!(rules[0].enabled);
}

#[tokio::test]
async fn a_crash_after_the_redirect_does_not_call_the_script_again() {
    let mut gateway = TestEngine::online().await;
    let script = Script::start(&[(302, "/echo"), (500, ""), (200, REPLY)]).await;
    asked(&gateway, &script).await;
    until(|| waiting(&gateway), |waiting| *waiting == 1).await;
    assert_eq!(script.calls(), ["POST /exec", "GET /echo"]);
    gateway
        .crash_and_restart(FakeConnector::online(number(OWN)))
        .await;
    answered(&gateway).await;
    assert_eq!(script.calls(), ["POST /exec", "GET /echo", "GET /echo"]);
}

#[tokio::test]
async fn a_webhook_that_has_moved_gets_the_whole_post_at_its_new_place() {
    for status in [307, 308] {
        let gateway = TestEngine::online().await;
        let script = Script::start(&[
            (status, "/baru"),
            (302, "/echo"),
            (303, "echo2"),
            (200, REPLY),
        ])
        .await;
        asked(&gateway, &script).await;
        answered(&gateway).await;
        assert_eq!(
            script.calls(),
            ["POST /exec", "POST /baru", "GET /echo", "GET /echo2"]
        );
        let calls = script.calls.lock().unwrap().clone();
        assert_eq!(calls[0].1, calls[1].1);
        assert!(
            calls[1].1.starts_with("true {\"keyword\":\"halo\""),
            "{calls:?}"
        );
    }
}

#[tokio::test]
async fn a_loop_of_redirects_ends_after_three_and_the_script_was_called_once() {
    let gateway = TestEngine::online().await;
    let script = Script::start(&[
        (302, "/b"),
        (302, "/c"),
        (307, "/d"),
        (301, "/e"),
        (200, REPLY),
    ])
    .await;
    asked(&gateway, &script).await;
    until(|| waiting(&gateway), |waiting| *waiting == 1).await;
    assert_eq!(script.calls(), ["POST /exec", "GET /b", "GET /c", "GET /d"]);
    assert!(texts(&gateway).is_empty());
}

#[tokio::test]
async fn a_redirect_to_nowhere_or_into_a_private_network_is_a_failure() {
    for (place, calls) in [
        ("http://10.0.0.1/echo", 1),
        ("http://[::1]:1/echo", 1),
        ("file:///etc/passwd", 1),
        ("http://a:b@127.0.0.1/", 1),
        ("", 1),
        ("http://", 1),
    ] {
        let gateway = TestEngine::online().await;
        let script = Script::start(&[(302, place)]).await;
        asked(&gateway, &script).await;
        until(|| waiting(&gateway), |waiting| *waiting == 1).await;
        assert_eq!(script.calls().len(), calls, "{place}");
        assert!(texts(&gateway).is_empty());
    }
}
