//! Outward requests: the addresses that the gateway must never reach, and the treatment of allowed
//! hosts.

mod fetch;
mod inside;
mod own;
mod rebinding;
mod redirects;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio_util::task::TaskTracker;
use url::Url;
use waviro_core::config::{AllowedNetwork, Outbound};
use waviro_core::net::{ANSWER_CAP, Answer, Attempt, Call, Net, NetError};
use waviro_store::clock::Clock;

/// An endpoint that counts its connections, records the received bytes and always answers.
struct Endpoint {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    read: Arc<Mutex<String>>,
}

impl Endpoint {
    /// Answers with these bytes; an empty answer means silence.
    async fn answering(answer: impl Into<Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = Self {
            address: listener.local_addr().unwrap(),
            connections: Arc::default(),
            read: Arc::default(),
        };
        let (connections, read, answer) = (
            endpoint.connections.clone(),
            endpoint.read.clone(),
            answer.into(),
        );
        TaskTracker::new().spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                let mut buffer = vec![0; 65536];
                let mut text = String::new();
                while !text.contains("\r\n\r\n{") {
                    let count = stream.read(&mut buffer).await.unwrap_or(0);
                    if count == 0 {
                        break;
                    }
                    text.push_str(&String::from_utf8_lossy(&buffer[..count]));
                }
                *read.lock().await = text;
                if answer.is_empty() {
                    std::future::pending::<()>().await;
                }
                let _ = stream.write_all(&answer).await;
            }
        });
        endpoint
    }

    async fn ok() -> Self {
        Self::answering("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok").await
    }

    fn port(&self) -> u16 {
        self.address.port()
    }

    fn url(&self, host: &str) -> Url {
        Url::parse(&format!("http://{host}:{}/hook?secret=x", self.port())).unwrap()
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

fn net(allow: &[&str]) -> Net {
    let outbound = Outbound {
        allow: allow.iter().map(|text| text.parse().unwrap()).collect(),
        timeout_s: 1,
    };
    Net::new(&outbound, Clock::system()).unwrap()
}

async fn attempt(net: &Net, url: &Url, allow: &[AllowedNetwork]) -> Attempt {
    let headers = [("webhook-id", "abc".to_owned())];
    net.post(Call {
        url,
        body: Bytes::from_static(br#"{"msgid":"x","ack":1}"#),
        headers: &headers,
        within: None,
        allow,
    })
    .await
}

async fn post(net: &Net, url: &Url) -> Result<Answer, NetError> {
    attempt(net, url, &[]).await.outcome
}

#[tokio::test]
async fn nothing_on_this_machine_is_dialled_however_it_is_written() {
    let endpoint = Endpoint::ok().await;
    let net = net(&[]);
    for host in [
        "127.0.0.1",
        "2130706433",
        "0x7f.1",
        "0x7f000001",
        "017700000001",
        "127.1",
        "127.0.1",
        "0",
        "0.0.0.0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "localhost",
        "localhost.",
        "LocalHost",
        "x.localhost",
        "127\u{3002}0\u{3002}0\u{3002}1",
        "\u{ff11}\u{ff12}\u{ff17}.0.0.1",
    ] {
        let refused = post(&net, &endpoint.url(host)).await;
        assert!(
            matches!(refused, Err(NetError::Refused(_))),
            "{host} {refused:?}"
        );
    }
    assert_eq!(endpoint.connections(), 0);
}

#[tokio::test]
async fn a_name_of_this_machine_in_its_own_hosts_file_is_not_dialled() {
    let endpoint = Endpoint::ok().await;
    let net = net(&[]);
    let hosts = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
    let names = hosts.lines().filter_map(|line| {
        let mut words = line.split('#').next()?.split_whitespace();
        let address: std::net::IpAddr = words.next()?.parse().ok()?;
        address
            .is_loopback()
            .then(|| words.map(ToOwned::to_owned).collect::<Vec<_>>())
    });
    for name in names.flatten() {
        let refused = post(&net, &endpoint.url(&name)).await;
        assert!(
            matches!(refused, Err(NetError::Refused(_))),
            "{name} {refused:?}"
        );
    }
    assert_eq!(endpoint.connections(), 0);
}

#[tokio::test]
async fn what_outbound_allow_names_is_dialled_at_its_port_alone_also_by_name() {
    let (endpoint, other) = (Endpoint::ok().await, Endpoint::ok().await);
    let allow = [
        format!("127.0.0.0/8:{}", endpoint.port()),
        format!("[::1]:{}", endpoint.port()),
    ];
    let net = net(&[&allow[0], &allow[1]]);
    for host in ["127.0.0.1", "localhost"] {
        let answer = post(&net, &endpoint.url(host)).await.unwrap();
        assert_eq!(
            (answer.status, &answer.body[..]),
            (200, &b"ok"[..]),
            "{host}"
        );
        assert!(
            matches!(
                post(&net, &other.url(host)).await,
                Err(NetError::Refused(_))
            ),
            "{host}"
        );
    }
    assert_eq!((endpoint.connections(), other.connections()), (2, 0));
}

#[tokio::test]
async fn a_request_has_a_length_and_is_never_chunked() {
    let endpoint = Endpoint::ok().await;
    post(&net(&["127.0.0.0/8"]), &endpoint.url("127.0.0.1"))
        .await
        .unwrap();
    let request = endpoint.read.lock().await.to_ascii_lowercase();
    assert!(
        request.starts_with("post /hook?secret=x http/1.1\r\n"),
        "{request}"
    );
    for line in [
        "content-length: 21\r\n",
        "content-type: application/json\r\n",
        "webhook-id: abc\r\n",
        "user-agent: waviro/",
    ] {
        assert!(request.contains(line), "{line} in {request}");
    }
    assert!(!request.contains("transfer-encoding"), "{request}");
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_not_followed() {
    let target = Endpoint::ok().await;
    let location = format!(
        "HTTP/1.1 302 Found\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n",
        target.url("127.0.0.1")
    );
    let endpoint = Endpoint::answering(location).await;
    let answer = post(&net(&["127.0.0.0/8"]), &endpoint.url("127.0.0.1"))
        .await
        .unwrap();
    assert_eq!(answer.status, 302);
    assert_eq!(target.connections(), 0);
}

#[tokio::test]
async fn an_answer_is_read_up_to_the_cap_whatever_length_it_claims_and_marked_where_it_is_cut() {
    for (head, length, cut) in [
        ("Content-Length: 9999999\r\n", ANSWER_CAP + 1, true),
        ("Connection: close\r\n", ANSWER_CAP + 1, true),
        ("Connection: close\r\n", ANSWER_CAP, false),
    ] {
        let mut large = format!("HTTP/1.1 500 Oops\r\n{head}\r\n").into_bytes();
        large.extend(vec![b'x'; length]);
        let endpoint = Endpoint::answering(large).await;
        let answer = post(&net(&["127.0.0.0/8"]), &endpoint.url("127.0.0.1")).await;
        let answer = answer.unwrap();
        assert_eq!((answer.status, answer.cut), (500, cut), "{head}");
        assert!(
            answer.body == vec![b'x'; ANSWER_CAP],
            "{}",
            answer.body.len()
        );
    }
}

#[tokio::test]
async fn silence_ends_at_the_deadline_also_in_the_middle_of_an_answer() {
    let silent = Endpoint::answering("").await;
    let stuck = Endpoint::answering("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx").await;
    let net = net(&["127.0.0.0/8"]);
    let (silent, stuck) = (silent.url("127.0.0.1"), stuck.url("127.0.0.1"));
    let failed = tokio::join!(post(&net, &silent), post(&net, &stuck));
    assert!(matches!(failed.0, Err(NetError::TimedOut(_))), "{failed:?}");
    // This endpoint closes the connection after its bytes, so the error may also be a broken
    // connection. Neither counts as an answer.
    assert!(
        matches!(
            failed.1,
            Err(NetError::TimedOut(_) | NetError::Unreachable(_))
        ),
        "{failed:?}"
    );
}

#[tokio::test]
async fn a_failure_names_no_path_and_no_query() {
    let closed = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let url = Url::parse(&format!("http://{closed}/hook?secret=x")).unwrap();
    let failed = post(&net(&["127.0.0.0/8"]), &url).await.unwrap_err();
    assert!(matches!(failed, NetError::Unreachable(_)), "{failed:?}");
    assert!(!failed.to_string().contains("secret"), "{failed}");
}

#[tokio::test]
async fn retry_after_is_handed_on() {
    let busy =
        "HTTP/1.1 429 Slow\r\nRetry-After: 120\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let endpoint = Endpoint::answering(busy).await;
    let answer = post(&net(&["127.0.0.0/8"]), &endpoint.url("127.0.0.1"))
        .await
        .unwrap();
    assert_eq!(
        (answer.status, answer.retry_after),
        (429, Some(Duration::from_mins(2)))
    );
}

#[tokio::test]
async fn an_attempt_says_how_long_it_took_and_whom_it_reached() {
    let endpoint = Endpoint::ok().await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, silent) = (
        closed.local_addr().unwrap().port(),
        Endpoint::answering("").await,
    );
    drop(closed);
    let net = net(&["127.0.0.0/8"]);
    let local: std::net::IpAddr = "127.0.0.1".parse().unwrap();
    let closed = |host: &str| Url::parse(&format!("http://{host}:{port}/")).unwrap();
    for (url, address, answers) in [
        (endpoint.url("127.0.0.1"), Some(local), true),
        (closed("127.0.0.1"), Some(local), false),
        (closed("localhost"), Some(local), false),
        (endpoint.url("10.0.0.1"), None, false),
    ] {
        let attempt = attempt(&net, &url, &[]).await;
        assert_eq!(
            (attempt.address, attempt.outcome.is_ok()),
            (address, answers),
            "{url} {attempt:?}"
        );
    }
    let url = silent.url("127.0.0.1");
    let within = Duration::from_millis(300);
    let call = Call {
        url: &url,
        body: Bytes::from_static(b"{}"),
        headers: &[],
        within: Some(within),
        allow: &[],
    };
    let attempt = net.post(call).await;
    assert!(
        matches!(attempt.outcome, Err(NetError::TimedOut(after)) if after == within),
        "{attempt:?}"
    );
    assert!(
        (within..Duration::from_secs(1)).contains(&attempt.took),
        "{attempt:?}"
    );
    assert_eq!(attempt.address, Some(local));
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut encoder, bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn an_answer_with_many_headers_or_an_encoding_is_read_as_it_is_meant() {
    let many: Vec<_> = (0..1_500)
        .map(|at| format!("Set-Cookie: c{at}={at}\r\n"))
        .collect();
    let many = many.concat();
    let text = br#"{"success":true}"#;
    let zeros = vec![b'0'; 4 * ANSWER_CAP];
    let cut = &zeros[..ANSWER_CAP];
    for (headers, body, expected) in [
        (many.as_str(), text.to_vec(), text.as_slice()),
        ("Content-Encoding: gzip\r\n", gzip(text), text),
        (
            "Content-Encoding: x-gzip\r\n",
            gzip(&gzip(text)),
            &gzip(text),
        ),
        ("Content-Encoding: gzip\r\n", text.to_vec(), text),
        ("Content-Encoding: br\r\n", text.to_vec(), text),
        ("Content-Encoding: gzip\r\n", gzip(&zeros), cut),
    ] {
        let length = body.len();
        let mut answer = format!(
            "HTTP/1.1 200 OK\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n"
        )
        .into_bytes();
        answer.extend(body);
        let endpoint = Endpoint::answering(answer).await;
        let answer = post(&net(&["127.0.0.0/8"]), &endpoint.url("127.0.0.1")).await;
        let answer = answer.unwrap();
        assert!(
            answer.body == expected || answer.cut,
            "{headers:.40} {:?}",
            answer.body
        );
        assert_eq!(answer.cut, expected.len() == ANSWER_CAP, "{headers:.40}");
        assert!(answer.body.len() <= ANSWER_CAP);
    }
}
