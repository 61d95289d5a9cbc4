//! URLs from callers that lead to internal hosts: no notation may cause a connection.
//!
//! The tests count the connections at a listener on this machine and do not rely on the gateway's
//! answers alone.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::TaskTracker;

use crate::test_app::{Answer, TestApp};

/// A service of this machine, on IPv4 and, if available, on IPv6. No request from outside may reach
/// the service.
struct Inside {
    port: u16,
    came: Arc<AtomicUsize>,
    addresses: Vec<SocketAddr>,
}

impl Inside {
    async fn start() -> Self {
        let first = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = first.local_addr().unwrap().port();
        let mut listeners = vec![first];
        listeners.extend(TcpListener::bind(("::1", port)).await);
        let came = Arc::<AtomicUsize>::default();
        let addresses = listeners
            .iter()
            .map(|one| one.local_addr().unwrap())
            .collect();
        for listener in listeners {
            let came = came.clone();
            TaskTracker::new().spawn(async move {
                while let Ok((mut stream, _)) = listener.accept().await {
                    came.fetch_add(1, Ordering::SeqCst);
                    let body =
                        "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nsecret";
                    let _ = stream.write_all(body.as_bytes()).await;
                }
            });
        }
        Self {
            port,
            came,
            addresses,
        }
    }

    /// Checks that no connection came except those of this function, which also prove that the
    /// service counts.
    async fn assert_no_connection(&self) {
        for address in &self.addresses {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let mut read = Vec::new();
            let reading = stream.read_to_end(&mut read);
            tokio::time::timeout(Duration::from_secs(20), reading)
                .await
                .unwrap()
                .unwrap();
        }
        assert_eq!(self.came.load(Ordering::SeqCst), self.addresses.len());
    }

    /// Returns the service's URL in every notation that the gateway must recognize.
    fn urls(&self) -> Vec<String> {
        let port = self.port;
        let hosts = [
            "127.0.0.1",
            "127.1",
            "127.0.1",
            "127.0.0.1.",
            "127.127.127.127",
            "2130706433",
            "0x7f.1",
            "0x7f.0.0.1",
            "0x7f000001",
            "017700000001",
            "0177.0.0.01",
            "0",
            "0.0.0.0",
            "[::1]",
            "[0:0:0:0:0:0:0:1]",
            "[::]",
            "[::127.0.0.1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[64:ff9b::7f00:1]",
            "[64:ff9b::127.0.0.1]",
            "[2002:7f00:1::]",
            "[2001:0:7f00:1::]",
            "localhost",
            "localhost.",
            "LOCALHOST",
            "a.localhost",
            "%6cocalhost",
            "%31%32%37.0.0.1",
            "127%2e0%2e0%2e1",
            "127\u{3002}0\u{3002}0\u{3002}1",
            "\u{ff11}\u{ff12}\u{ff17}.0.0.1",
            "\u{2460}\u{2461}\u{2466}.\u{24ea}.\u{24ea}.\u{2460}",
            "loc\u{ad}alhost",
            "a@127.0.0.1",
            "a:b@127.0.0.1",
            "example.com@127.0.0.1",
            ":@127.0.0.1",
            "example.com:80@127.0.0.1",
        ];
        let mut urls: Vec<String> = hosts
            .iter()
            .map(|host| format!("http://{host}:{port}/x"))
            .collect();
        urls.extend([
            format!("https://127.0.0.1:{port}/"),
            format!("HTTP://127.0.0.1:{port}/"),
            format!(" \t\nhttp://127.0.0.1:{port}/ \r\n"),
            format!("ht\ntp://127.0\t.0.1:{port}/"),
            format!("http://127.0.0.1:{port}\\@example.com/"),
            format!("http:\\\\127.0.0.1:{port}\\x"),
            format!("http:/127.0.0.1:{port}/"),
            format!("http:127.0.0.1:{port}/"),
            format!("http:///127.0.0.1:{port}/"),
            format!("http://127.0.0.1:{port}#@example.com/"),
            format!("http://127.0.0.1:{port}?@example.com/"),
            format!("http://127.0.0.1:0{port}/"),
            format!("//127.0.0.1:{port}/"),
            format!("127.0.0.1:{port}"),
            format!("http://[::ffff:127.0.0.1%25eth0]:{port}/"),
            format!("http://127.0.0.1 :{port}/"),
            format!("http://127.0.0.1\0:{port}/"),
            format!("ftp://127.0.0.1:{port}/"),
            format!("gopher://127.0.0.1:{port}/_GET"),
            format!("dict://127.0.0.1:{port}/x"),
            format!("ldap://127.0.0.1:{port}/"),
            format!("ws://127.0.0.1:{port}/"),
            format!("blob:http://127.0.0.1:{port}/"),
            format!("jar:http://127.0.0.1:{port}!/"),
            format!("view-source:http://127.0.0.1:{port}/"),
            "file:///etc/passwd".to_owned(),
            "file://localhost/etc/passwd".to_owned(),
            "data:text/plain,secret".to_owned(),
            "javascript:alert(1)".to_owned(),
        ]);
        urls
    }
}

/// URLs in networks without a possible listener in this test.
const ELSEWHERE: [&str; 14] = [
    "http://169.254.169.254/latest/meta-data/",
    "http://168.63.129.16/machine?comp=goalstate",
    "http://0xa83f8110/",
    "http://2852039166/",
    "http://[::ffff:a9fe:a9fe]/",
    "http://[fd00:ec2::254]/",
    "http://100.64.0.1/",
    "http://10.0.0.1/",
    "http://172.16.0.1/",
    "http://192.168.1.1/",
    "http://[fd00::1]/",
    "http://[fe80::1]/",
    "http://[fe80::1%25eth0]/",
    "http://255.255.255.255/",
];

async fn sendmedia(app: &TestApp, url: &str) -> Answer {
    let body = json!({"nohp": "6282386000001", "mediaurl": url});
    app.post("/api/sendmedia", body.to_string()).await
}

#[tokio::test]
async fn no_mediaurl_and_no_notifyurl_reaches_this_machine_however_it_is_written() {
    let (app, inside) = (TestApp::online().await, Inside::start().await);
    let elsewhere = ELSEWHERE.map(ToOwned::to_owned);
    for url in inside.urls().into_iter().chain(elsewhere) {
        let answer = sendmedia(&app, &url).await;
        assert_eq!(answer.refusal(), (400, "invalid_url"), "{url:?}");
        assert_eq!(answer.field(), "mediaurl", "{url:?}");
        let text = json!({"nohp": "6282386000001", "pesan": "halo", "notifyurl": url});
        let answer = app.sendwa(text).await;
        assert_eq!(answer.refusal(), (400, "invalid_url"), "{url:?}");
        assert_eq!(answer.field(), "notifyurl", "{url:?}");
    }
    inside.assert_no_connection().await;
    assert_eq!(app.link().sent(), []);
}

#[tokio::test]
async fn an_allowed_host_cannot_redirect_to_this_machine() {
    let inside = Inside::start().await;
    // An operator allowed one port of this machine for files. The host on this port redirects to
    // the given target.
    let host = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = host.local_addr().unwrap();
    let app = TestApp::with(&[("outbound.allow", &format!("127.0.0.1/32:{}", at.port()))]).await;
    let location = Arc::new(std::sync::Mutex::new(String::new()));
    let target = location.clone();
    TaskTracker::new().spawn(async move {
        while let Ok((mut stream, _)) = host.accept().await {
            let _ = stream.read(&mut [0; 8192]).await;
            let to = target.lock().unwrap().clone();
            let answer = format!(
                "HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            );
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    // Leaves out targets that a header cannot carry, and targets that are paths on the same host.
    let carried = |url: &String| {
        !url.contains(['\r', '\n', '\0', '\t'])
            && url.contains("//")
            && !url.starts_with("http:///")
    };
    let urls = inside.urls().into_iter().filter(carried);
    for url in urls.chain(ELSEWHERE.map(ToOwned::to_owned)) {
        location.lock().unwrap().clone_from(&url);
        let answer = sendmedia(&app, &format!("http://{at}/foto.jpg")).await;
        let (status, code) = answer.refusal();
        assert!(
            status == 400 && ["invalid_url", "media_unreachable"].contains(&code),
            "{url:?} {answer:?}"
        );
        assert_eq!(answer.field(), "mediaurl", "{url:?}");
    }
    inside.assert_no_connection().await;
    assert_eq!(app.link().sent(), []);
}
