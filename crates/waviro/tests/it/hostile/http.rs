//! Request smuggling and other malformed HTTP over a real socket.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::json;

use crate::test_app::TestApp;
use crate::wire::{listening, post, raw};

const LONG: Duration = Duration::from_secs(30);

/// The request to smuggle behind another request.
fn smuggled(key: &str) -> String {
    let body = json!({"nohp": "6282386000001", "pesan": "selundupan"}).to_string();
    post("/api/sendwa", key, &body)
}

/// Returns the status of each answer in the text, except 100 Continue.
fn answers(text: &str) -> Vec<u16> {
    let heads = text.split("HTTP/1.").skip(1);
    let statuses = heads.map(|head| head.split(' ').nth(1).unwrap().parse().unwrap());
    statuses.filter(|status| *status != 100).collect()
}

/// Sends a request with another request behind; returns the answers until the connection closes.
async fn with_another_behind(address: SocketAddr, key: &str, request: &str) -> String {
    raw(address, format!("{request}{}", smuggled(key))).await
}

#[tokio::test]
async fn a_request_whose_end_is_in_doubt_is_400_and_nothing_behind_it_is_read() {
    let app = TestApp::online().await;
    let (address, _tasks) = listening(&app, LONG).await;
    let key = &app.key;
    let head = format!("POST /api/getqr HTTP/1.1\r\nHost: x\r\nSecretKey: {key}\r\n");
    for (doubt, version) in [
        ("Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", "1.1"),
        ("Content-Length: 2, 2\r\n\r\n{}", "1.1"),
        ("Content-Length: +2\r\n\r\n{}", "1.1"),
        ("Content-Length: -2\r\n\r\n{}", "1.1"),
        ("Content-Length: 0x2\r\n\r\n{}", "1.1"),
        ("Content-Length: 2 2\r\n\r\n{}", "1.1"),
        ("Content-Length: \r\n\r\n", "1.1"),
        ("Content-Length: 18446744073709551616\r\n\r\n{}", "1.1"),
        ("Content-Length : 2\r\n\r\n{}", "1.1"),
        ("Content-Length\r\n\r\n{}", "1.1"),
        (" Content-Length: 2\r\n\r\n{}", "1.1"),
        ("X: a\r\n Content-Length: 2\r\n\r\n{}", "1.1"),
        ("X: a\r\n\tb\r\nContent-Length: 2\r\n\r\n{}", "1.1"),
        ("X: a\rContent-Length: 2\r\n\r\n{}", "1.1"),
        ("X: a\0b\r\n\r\n", "1.1"),
        (": x\r\n\r\n", "1.1"),
        ("Transfer-Encoding: identity\r\n\r\n", "1.1"),
        ("Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", "1.1"),
        (
            "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
            "1.1",
        ),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
            "1.1",
        ),
        ("Transfer-Encoding: \u{b}chunked\r\n\r\n0\r\n\r\n", "1.1"),
        ("Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "1.0"),
    ] {
        let request = format!(
            "{}{doubt}",
            head.replace("HTTP/1.1", &format!("HTTP/{version}"))
        );
        let text = with_another_behind(address, key, &request).await;
        assert_eq!(answers(&text), [400], "{doubt:?}: {text}");
    }
    assert_eq!(app.link().sent(), []);
}

/// RFC 9112, section 6.3: with both headers the chunks decide, and the server closes the connection
/// after the answer.
#[tokio::test]
async fn of_a_length_and_chunks_the_chunks_count_and_the_connection_ends() {
    let app = TestApp::online().await;
    let (address, _tasks) = listening(&app, LONG).await;
    let key = &app.key;
    let body = r#"{"nohp":"6282386000001"}"#;
    let chunks = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    for lines in [
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 400\r\n",
    ] {
        let head = format!("POST /api/checknumber HTTP/1.1\r\nHost: x\r\nSecretKey: {key}\r\n");
        let request = format!("{head}{lines}\r\n{chunks}");
        let text = with_another_behind(address, key, &request).await;
        assert_eq!(answers(&text), [200], "{lines:?}: {text}");
        assert!(
            text.ends_with(r#"{"success":true,"message":true}"#),
            "{text}"
        );
    }
    assert_eq!(app.link().sent(), []);
}

#[tokio::test]
async fn invalid_chunks_are_400_and_nothing_behind_them_is_read() {
    let app = TestApp::online().await;
    let (address, _tasks) = listening(&app, LONG).await;
    let key = &app.key;
    let head = format!(
        "POST /api/checknumber HTTP/1.1\r\nHost: x\r\nSecretKey: {key}\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    for chunks in [
        "x\r\n{}\r\n0\r\n\r\n",
        "-2\r\n{}\r\n0\r\n\r\n",
        "0x2\r\n{}\r\n0\r\n\r\n",
        "fffffffffffffffff\r\n{}\r\n0\r\n\r\n",
        "2;a\nb\r\n{}\r\n0\r\n\r\n",
        "2\r\n{}x\r\n0\r\n\r\n",
        "\r\n{}\r\n0\r\n\r\n",
    ] {
        let text = with_another_behind(address, key, &format!("{head}{chunks}")).await;
        assert_eq!(answers(&text), [400], "{chunks:?}: {text}");
        assert!(text.contains("body_incomplete"), "{chunks:?}: {text}");
    }
    assert_eq!(app.link().sent(), []);
}

#[tokio::test]
async fn requests_in_one_go_are_answered_one_by_one_in_their_order() {
    let app = TestApp::online().await;
    let (address, _tasks) = listening(&app, LONG).await;
    let open = |request: String| request.replace("Connection: close\r\n", "");
    let known = open(post(
        "/api/checknumber",
        &app.key,
        r#"{"nohp":"6282386000001"}"#,
    ));
    let wrong = open(post("/api/checknumber", &app.key, "{"));
    let nothing = open(post("/nothing", &app.key, ""));
    let last = post("/api/getqr/", &app.key, "");
    let text = raw(address, format!("{known}{wrong}{nothing}{known}{last}")).await;
    assert_eq!(answers(&text), [200, 400, 404, 200, 200], "{text}");
}

#[tokio::test]
async fn a_path_is_never_normalized() {
    let app = TestApp::online().await;
    let (address, _tasks) = listening(&app, LONG).await;
    for path in [
        "/api//sendwa",
        "//api/sendwa",
        "/api/sendwa//",
        "/api/./sendwa",
        "/api/sendwa/../getqr",
        "/api/x/../sendwa",
        "/../api/sendwa",
        "/api/sendwa/..;/getqr",
        "/api/sendwa;x=1",
        "/api/%73endwa",
        "/api%2fsendwa",
        "/api/sendwa%00",
        "/api/sendwa%20",
        "/api/%2e%2e/livez",
        "/api/sendwa.json",
        "/api/SENDWA",
        "*",
    ] {
        let text = raw(address, post(path, &app.key, "{}")).await;
        assert_eq!(answers(&text), [404], "{path}: {text}");
        assert!(text.contains("not_found"), "{path}: {text}");
    }
    for path in ["/api/get qr", "/api/\u{1}", "api/getqr", ""] {
        let text = raw(address, post(path, &app.key, "{}")).await;
        assert_eq!(answers(&text), [400], "{path}: {text}");
    }
    // The question mark ends the path.
    let text = raw(address, post("/api/getqr?a=1&a=%00#x", &app.key, "")).await;
    assert_eq!(answers(&text), [200], "{text}");
}

/// RFC 9112, section 3.2.2: a server must accept the absolute form, with any host.
#[tokio::test]
async fn a_whole_url_in_place_of_the_path_and_http_1_0_without_a_host_are_served() {
    let app = TestApp::online().await;
    let (address, _tasks) = listening(&app, LONG).await;
    let whole = post("http://somewhere.example/api/getqr", &app.key, "");
    assert_eq!(answers(&raw(address, whole).await), [200]);
    let old = format!("POST /api/getqr HTTP/1.0\r\nSecretKey: {}\r\n\r\n", app.key);
    let text = with_another_behind(address, &app.key, &old).await;
    assert_eq!(answers(&text), [200], "{text}");
    assert_eq!(app.link().sent(), []);
    for version in ["HTTP/0.9", "HTTP/2.0", "HTTP/1.2", "HTTP/9", "x"] {
        let other = post("/api/getqr", &app.key, "").replace("HTTP/1.1", version);
        let text = raw(address, other).await;
        assert_eq!(answers(&text), [400], "{version}: {text}");
    }
}

#[tokio::test]
async fn an_unknown_method_is_405_and_an_invalid_method_is_400() {
    let app = TestApp::online().await;
    let (address, _tasks) = listening(&app, LONG).await;
    for method in ["TRACE", "PROPFIND", "post", "POSTPOST", "X-1"] {
        let request = post("/api/sendwa", &app.key, "{}").replace("POST", method);
        let text = raw(address, request).await;
        assert_eq!(answers(&text), [405], "{method}: {text}");
        assert!(text.contains("method_not_allowed"), "{method}: {text}");
    }
    let head = post("/api/sendwa", &app.key, "").replace("POST", "HEAD");
    let text = raw(address, head).await;
    assert!(
        answers(&text) == [405] && text.ends_with("\r\n\r\n"),
        "{text}"
    );
    let connect = Request::builder()
        .method(Method::CONNECT)
        .uri("host.example:443");
    let answer = app.send(connect.body(Body::empty()).unwrap()).await;
    assert!([404, 405].contains(&answer.refusal().0), "{answer:?}");
    for method in ["P OST", "P(ST", "\u{e9}"] {
        let request = post("/api/sendwa", &app.key, "{}").replace("POST", method);
        let text = raw(address, request).await;
        assert_eq!(answers(&text), [400], "{method}: {text}");
    }
}

#[tokio::test]
async fn a_client_that_expects_100_continue_gets_it_or_the_refusal() {
    let app = TestApp::online().await;
    let (address, _tasks) = listening(&app, LONG).await;
    let ask = "Connection: close\r\nExpect: 100-continue\r\n";
    let request = post("/api/checknumber", &app.key, r#"{"nohp":"6282386000001"}"#);
    let text = raw(address, request.replace("Connection: close\r\n", ask)).await;
    assert!(
        text.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK"),
        "{text}"
    );
    let large = post("/api/checknumber", &app.key, "")
        .replace("Connection: close\r\n", ask)
        .replace("Content-Length: 0", "Content-Length: 3000000");
    let text = raw(address, large).await;
    assert!(
        text.starts_with("HTTP/1.1 413") && text.contains("body_too_large"),
        "{text}"
    );
    let stranger = post("/api/checknumber", "wrong", "")
        .replace("Connection: close\r\n", ask)
        .replace("Content-Length: 0", "Content-Length: 3000000");
    let text = raw(address, stranger).await;
    assert!(
        text.starts_with("HTTP/1.1 400") && text.contains("invalid_secret_key"),
        "{text}"
    );
}

#[tokio::test]
async fn a_hundred_headers_pass_and_more_are_431() {
    let app = TestApp::online().await;
    let (address, _tasks) = listening(&app, LONG).await;
    let with = |more: usize| {
        let lines = "X: x\r\n".repeat(more);
        // The request has four headers of its own.
        post("/api/getqr", &app.key, "").replace("Host:", &format!("{lines}Host:"))
    };
    assert_eq!(answers(&raw(address, with(96)).await), [200]);
    assert_eq!(answers(&raw(address, with(97)).await), [431]);
    let long = post(&format!("/api/{}", "a".repeat(17 * 1024)), &app.key, "");
    assert_eq!(answers(&raw(address, long).await), [431]);
}

#[tokio::test]
async fn a_key_that_is_not_text_is_a_wrong_key() {
    let app = TestApp::online().await;
    let (address, _tasks) = listening(&app, LONG).await;
    for wrong in [&b"\xff\xfe"[..], b"K\xc3\xa9Y", b"\xe2\x80\xae", b"a\tb"] {
        let mut request = post("/api/getqr", "KEY", "").into_bytes();
        let at = request
            .windows(3)
            .position(|bytes| bytes == b"KEY")
            .unwrap();
        request.splice(at..at + 3, wrong.iter().copied());
        let text = raw(address, request).await;
        assert_eq!(answers(&text), [400], "{wrong:?}: {text}");
        assert!(text.contains("invalid_secret_key"), "{wrong:?}: {text}");
    }
}

/// A malformed Accept-Language header must not change the status or break the answer.
#[tokio::test]
async fn an_invalid_language_changes_nothing() {
    let app = TestApp::online().await;
    let commas = ",".repeat(8 * 1024);
    for language in [
        ";;;q=",
        "en;q=1e999999",
        "en;q=nan",
        "en;q=-1,id;q=-2",
        "*;q=*",
        "\u{ff}\u{fe}",
        "en-\u{202e}",
        "x".repeat(8 * 1024).as_str(),
        commas.as_str(),
    ] {
        let request = Request::post("/api/checknumber")
            .header("SecretKey", &app.key)
            .header("Accept-Language", language);
        let answer = app.send(request.body(Body::from("{}")).unwrap()).await;
        assert_eq!(answer.refusal(), (400, "missing_field"), "{language}");
        assert!(["id", "en"].contains(&answer.headers["content-language"].to_str().unwrap()));
    }
}
