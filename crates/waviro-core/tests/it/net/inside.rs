//! A service of this machine that must not be reachable from outside, with every notation of its
//! URL.
//!
//! The tests count the connections at the service and do not rely on the guard's answers. Another
//! test shows that each URL reaches the service if the address is allowed.

use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::TaskTracker;
use url::Url;
use waviro_core::config::{AllowedNetwork, Outbound};
use waviro_core::net::{Attempt, FetchError, Fetched, Lookup, Net};
use waviro_store::clock::Clock;

/// A listener on one port of every address of this machine, IPv4 and IPv6, or of one address.
pub struct Inside {
    pub port: u16,
    came: Arc<Mutex<Vec<IpAddr>>>,
    at: IpAddr,
}

impl Inside {
    pub async fn everywhere() -> Self {
        // The IPv6 listener accepts both. A machine without IPv6 cannot be reached over IPv6.
        match TcpListener::bind("[::]:0").await {
            Ok(listener) => Self::serve(listener, "127.0.0.1"),
            Err(_) => Self::serve(TcpListener::bind("0.0.0.0:0").await.unwrap(), "127.0.0.1"),
        }
    }

    pub async fn only_at(address: &str) -> Self {
        Self::serve(TcpListener::bind((address, 0)).await.unwrap(), address)
    }

    fn serve(listener: TcpListener, at: &str) -> Self {
        let port = listener.local_addr().unwrap().port();
        let came = Arc::<Mutex<Vec<IpAddr>>>::default();
        let dialled = came.clone();
        TaskTracker::new().spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                dialled
                    .lock()
                    .unwrap()
                    .push(stream.local_addr().unwrap().ip().to_canonical());
                TaskTracker::new().spawn(async move {
                    let _ = stream.read(&mut [0; 8192]).await;
                    let answer =
                        "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nsecret";
                    let _ = stream.write_all(answer.as_bytes()).await;
                });
            }
        });
        let at = at.parse().unwrap();
        Self { port, came, at }
    }

    /// Returns the dialled addresses since the last call. The function connects itself at the end,
    /// so that all earlier connections are counted.
    pub async fn came(&self) -> Vec<IpAddr> {
        let coming = async {
            let mut stream = TcpStream::connect((self.at, self.port)).await.unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
            stream.read_to_end(&mut Vec::new()).await.unwrap()
        };
        tokio::time::timeout(Duration::from_secs(20), coming)
            .await
            .unwrap();
        let mut came = std::mem::take(&mut *self.came.lock().unwrap());
        assert_eq!(came.pop(), Some(self.at));
        came
    }

    /// Returns host names and addresses of this machine, in every notation.
    pub fn hosts() -> Vec<&'static str> {
        let mut hosts = vec![
            "127.0.0.1",
            "127.1",
            "127.0.1",
            "127.0.0.1.",
            "127.0.0.2",
            "127.127.127.127",
            "127.255.255.254",
            "2130706433",
            "2130706433.",
            "0x7f.1",
            "0x7f.0.0.1",
            "0x7f000001",
            "0X7F000001",
            "017700000001",
            "0177.0.0.01",
            "0177.0x0.0.1",
            "127.0x000001",
            "0",
            "0.0.0.0",
            "0x0",
            "localhost",
            "localhost.",
            "localhost..",
            "LOCALHOST",
            "a.localhost",
            "a.LocalHost.",
            "%6cocalhost",
            "%31%32%37.0.0.1",
            "127%2e0%2e0%2e1",
            "127\u{3002}0\u{3002}0\u{3002}1",
            "127\u{ff0e}0\u{ff61}0.1",
            "\u{ff11}\u{ff12}\u{ff17}.0.0.1",
            "\u{2460}\u{2461}\u{2466}.\u{24ea}.\u{24ea}.\u{2460}",
            "\u{ff10}\u{ff58}7f.1",
            "loc\u{ad}alhost",
            "\u{24db}ocalhost",
            "shop.example",
            "SHOP.example.",
            "127.0.0.1.shop.example",
            "toko-b\u{fc}cher.example",
            "@127.0.0.1",
            "@localhost",
            "@shop.example",
        ];
        // Some machines have only IPv4.
        if std::net::TcpListener::bind("[::1]:0").is_ok() {
            hosts.extend([
                "[::1]",
                "[0:0:0:0:0:0:0:1]",
                "[0000::0.0.0.1]",
                "[::]",
                "[::ffff:127.0.0.1]",
                "[::FFFF:7f00:2]",
                "[::ffff:0.0.0.0]",
            ]);
        }
        hosts
    }

    /// Returns texts that parse as URLs of the service.
    pub fn urls(&self) -> Vec<String> {
        let port = self.port;
        let hosts = Self::hosts().into_iter();
        let mut urls: Vec<String> = hosts
            .map(|host| format!("http://{host}:{port}/x"))
            .collect();
        urls.extend([
            format!("https://127.0.0.1:{port}/"),
            format!("https://localhost:{port}/"),
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
        ]);
        urls
    }

    /// Returns texts that are refused as URLs, even if every address is allowed.
    fn never(&self) -> Vec<String> {
        let port = self.port;
        vec![
            format!("http://a@127.0.0.1:{port}/"),
            format!("http://a:b@127.0.0.1:{port}/"),
            format!("http://:b@127.0.0.1:{port}/"),
            format!("http://example.com@127.0.0.1:{port}/"),
            format!("http://example.com:80@127.0.0.1:{port}/"),
            format!("http://example.com%40127.0.0.1:{port}/"),
            format!("//127.0.0.1:{port}/"),
            format!("127.0.0.1:{port}"),
            format!("localhost:{port}"),
            format!("http://[::ffff:127.0.0.1%25eth0]:{port}/"),
            format!("http://[::1%25lo]:{port}/"),
            format!("http://127.0.0.1 :{port}/"),
            format!("http://127.0.0.1\0:{port}/"),
            format!("ftp://127.0.0.1:{port}/"),
            format!("gopher://127.0.0.1:{port}/_GET"),
            format!("dict://127.0.0.1:{port}/x"),
            format!("ldap://127.0.0.1:{port}/"),
            format!("ws://127.0.0.1:{port}/"),
            format!("unix://127.0.0.1:{port}/"),
            format!("blob:http://127.0.0.1:{port}/"),
            format!("jar:http://127.0.0.1:{port}!/"),
            format!("view-source:http://127.0.0.1:{port}/"),
            "file:///etc/passwd".to_owned(),
            "data:text/plain,secret".to_owned(),
        ]
    }

    /// Returns IPv6 addresses that a translator in the network would map to this machine.
    fn disguised(&self) -> Vec<String> {
        let hosts = [
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::7f00:1",
            "2002:7f00:1::",
            "2001:0:7f00:1::",
            "::ffff:0:7f00:1",
        ];
        hosts
            .map(|host| format!("http://[{host}]:{}/", self.port))
            .into()
    }
}

/// A resolver with the same addresses for every name.
#[derive(Debug)]
pub struct Names(pub Vec<IpAddr>);

#[async_trait]
impl Lookup for Names {
    async fn lookup(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        Ok(self.0.clone())
    }
}

pub fn addresses(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

pub fn networks(texts: &[&str]) -> Vec<AllowedNetwork> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// The networks that allow every address.
pub const ALL: [&str; 2] = ["0.0.0.0/0", "::/0"];

/// Returns a [`Net`] that resolves names only with `lookup`.
pub fn net_with(allow: &[&str], lookup: impl Lookup + 'static) -> Net {
    let outbound = Outbound {
        allow: networks(allow),
        timeout_s: 10,
    };
    Net::with_lookup(&outbound, Clock::system(), Arc::new(lookup)).unwrap()
}

/// Returns a [`Net`] that resolves every name to this machine, the worst case.
pub fn net(allow: &[&str]) -> Net {
    net_with(allow, Names(addresses(&["127.0.0.1", "::1"])))
}

pub async fn post(net: &Net, url: &Url, own: &[AllowedNetwork]) -> Attempt {
    super::attempt(net, url, own).await
}

pub async fn fetch(net: &Net, url: &Url, own: &[AllowedNetwork]) -> Result<Fetched, FetchError> {
    net.fetch(url, own, Duration::from_secs(10), 1000, &mut Vec::new())
        .await
}

#[tokio::test]
async fn nothing_on_this_machine_is_reached_however_its_url_is_written() {
    let (inside, net) = (Inside::everywhere().await, net(&[]));
    let urls = [inside.urls(), inside.never(), inside.disguised()].concat();
    assert!(urls.len() > 70, "{}", urls.len());
    for text in urls {
        let Ok(url) = Url::parse(&text) else {
            continue;
        };
        let answers = (post(&net, &url, &[]).await, fetch(&net, &url, &[]).await);
        assert!(answers.0.outcome.is_err() && answers.1.is_err(), "{text:?}");
        assert!(inside.came().await.is_empty(), "{text:?}");
    }
}

/// Proves that the test above can fail.
#[tokio::test]
async fn each_of_those_urls_reaches_this_machine_once_it_is_allowed() {
    let inside = Inside::everywhere().await;
    // Allowed by the operator for all bots, or by a bot's own settings.
    for (allow, own) in [(ALL.as_slice(), [].as_slice()), (&[], &ALL)] {
        let (net, own) = (net(allow), networks(own));
        for text in inside.urls() {
            let url = Url::parse(&text).unwrap();
            let attempt = post(&net, &url, &own).await;
            assert!(!inside.came().await.is_empty(), "{text:?} {attempt:?}");
            let fetched = fetch(&net, &url, &own).await;
            assert!(!inside.came().await.is_empty(), "{text:?} {fetched:?}");
        }
    }
}

#[tokio::test]
async fn another_scheme_or_a_user_name_is_not_called_whatever_is_allowed() {
    let (inside, net) = (Inside::everywhere().await, net(&ALL));
    for text in inside.never() {
        let Ok(url) = Url::parse(&text) else {
            continue;
        };
        let answers = (
            post(&net, &url, &networks(&ALL)).await,
            fetch(&net, &url, &[]).await,
        );
        assert!(answers.0.outcome.is_err() && answers.1.is_err(), "{text:?}");
        assert!(inside.came().await.is_empty(), "{text:?}");
    }
}
