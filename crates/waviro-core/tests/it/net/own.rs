//! Networks that only one bot may reach: another bot must not get through over a kept connection or
//! a cached address.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::TaskTracker;
use url::Url;
use waviro_core::config::AllowedNetwork;
use waviro_core::net::{FetchError, NetError};

use super::inside::{fetch, net, networks, post};

/// A service in one bot's network with keep-alive connections, as most servers have.
struct Shop {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
}

impl Shop {
    async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let shop = Self {
            address: listener.local_addr().unwrap(),
            connections: Arc::default(),
            requests: Arc::default(),
        };
        let (connections, requests) = (shop.connections.clone(), shop.requests.clone());
        TaskTracker::new().spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                TaskTracker::new().spawn(keep(stream, requests.clone()));
            }
        });
        shop
    }

    fn url(&self, host: &str) -> Url {
        Url::parse(&format!("http://{host}:{}/", self.address.port())).unwrap()
    }

    fn network(&self) -> Vec<AllowedNetwork> {
        networks(&[&format!("127.0.0.1/32:{}", self.address.port())])
    }

    fn counts(&self) -> (usize, usize) {
        let count = |counter: &AtomicUsize| counter.load(Ordering::SeqCst);
        (count(&self.connections), count(&self.requests))
    }
}

async fn keep(mut stream: TcpStream, requests: Arc<AtomicUsize>) {
    let (mut read, mut buffer) = (String::new(), [0; 8192]);
    loop {
        // In these tests a POST ends with its JSON object and a GET with its head.
        let whole = if read.starts_with("POST") {
            "}"
        } else {
            "\r\n\r\n"
        };
        if read.ends_with(whole) {
            requests.fetch_add(1, Ordering::SeqCst);
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                .await;
            read.clear();
        }
        match stream.read(&mut buffer).await {
            Ok(count) if count > 0 => read.push_str(&String::from_utf8_lossy(&buffer[..count])),
            _ => return,
        }
    }
}

#[tokio::test]
async fn what_one_bot_may_reach_stays_closed_to_another() {
    let (shop, net) = (Shop::open().await, net(&[]));
    let own = shop.network();
    let others = networks(&["10.0.0.0/8", "127.0.0.1/32:1"]);
    let mut served = 0;
    for host in ["shop.example", "127.0.0.1", "localhost"] {
        let url = shop.url(host);
        for other in [[].as_slice(), &others] {
            assert_eq!(post(&net, &url, &own).await.outcome.unwrap().status, 200);
            fetch(&net, &url, &own).await.unwrap();
            served += 2;
            let refused = post(&net, &url, other).await;
            assert!(
                matches!(refused.outcome, Err(NetError::Refused(_))),
                "{host} {refused:?}"
            );
            assert_eq!(refused.address, None);
            let refused = fetch(&net, &url, other).await;
            assert!(
                matches!(refused, Err(FetchError::Net(NetError::Refused(_)))),
                "{host} {refused:?}"
            );
            assert_eq!(shop.counts(), (served, served), "{host}");
        }
    }
}

#[tokio::test]
async fn calls_of_two_bots_at_once_do_not_share_a_connection() {
    let (shop, net) = (Shop::open().await, net(&[]));
    let (url, own) = (shop.url("shop.example"), shop.network());
    let calls = (0..60).map(|at| {
        let allow = if at % 2 == 0 { own.as_slice() } else { &[] };
        post(&net, &url, allow)
    });
    for (at, attempt) in join_all(calls).await.into_iter().enumerate() {
        assert_eq!(attempt.outcome.is_ok(), at % 2 == 0, "{at} {attempt:?}");
    }
    assert_eq!(shop.counts(), (30, 30));
}

/// Proves that the tests above can fail: connections to this service are kept and reused.
#[tokio::test]
async fn what_everybody_may_reach_is_reached_over_kept_connections() {
    let shop = Shop::open().await;
    let net = net(&["127.0.0.0/8"]);
    for _ in 0..20 {
        let attempt = post(&net, &shop.url("shop.example"), &[]).await;
        assert_eq!(attempt.outcome.unwrap().status, 200);
        assert_eq!(attempt.address, Some(shop.address.ip()));
    }
    let (connections, requests) = shop.counts();
    assert!(
        connections < 20 && requests == 20,
        "{connections} {requests}"
    );
}
