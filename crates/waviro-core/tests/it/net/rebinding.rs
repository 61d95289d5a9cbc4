//! DNS rebinding: names whose addresses change between two lookups, or that have several addresses
//! at once.
//!
//! 127.0.0.2 stands for a public address: only this address is allowed. The forbidden service
//! listens on another address.

use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;
use url::Url;
use waviro_core::net::{FetchError, Lookup, Net, NetError, Refused};

use super::inside::{ALL, Inside, Names, addresses, fetch, net_with, post};

const OUTSIDE: &str = "127.0.0.2/32";

/// A resolver with another answer for each lookup; the last answer is repeated.
#[derive(Debug, Clone)]
struct Turning {
    answers: Arc<Vec<Vec<IpAddr>>>,
    looks: Arc<Mutex<usize>>,
}

impl Turning {
    fn to(answers: &[&[&str]]) -> Self {
        Self {
            answers: Arc::new(answers.iter().map(|one| addresses(one)).collect()),
            looks: Arc::default(),
        }
    }

    fn looks(&self) -> usize {
        *self.looks.lock().unwrap()
    }
}

#[async_trait]
impl Lookup for Turning {
    async fn lookup(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        assert_eq!(name, "turning.example");
        let mut looks = self.looks.lock().unwrap();
        let last = self.answers.len() - 1;
        let answer = self.answers[(*looks).min(last)].clone();
        *looks += 1;
        Ok(answer)
    }
}

fn url(port: u16) -> Url {
    Url::parse(&format!("http://turning.example:{port}/x")).unwrap()
}

/// Sends one request, as a POST or as a file download.
async fn call(net: &Net, url: &Url, files: bool) -> Result<(), NetError> {
    if files {
        match fetch(net, url, &[]).await {
            Ok(_) => Ok(()),
            Err(FetchError::Net(error)) => Err(error),
            Err(other) => panic!("{other}"),
        }
    } else {
        post(net, url, &[]).await.outcome.map(|_| ())
    }
}

const TURNS: [&[&str]; 7] = [
    &["127.0.0.1"],
    &["::1"],
    &["0.0.0.0"],
    &["::ffff:127.0.0.1"],
    &["127.0.0.3", "::1", "127.0.0.1"],
    &["10.0.0.1", "127.0.0.1"],
    &["::"],
];

#[tokio::test]
async fn a_name_that_turns_to_this_machine_is_asked_again_and_refused() {
    let inside = Inside::everywhere().await;
    for (turn, files) in TURNS.iter().flat_map(|turn| [(turn, false), (turn, true)]) {
        let turning = Turning::to(&[&["127.0.0.2"], turn]);
        let net = net_with(&[OUTSIDE], turning.clone());
        net.check(&url(inside.port), &[]).unwrap();
        call(&net, &url(inside.port), files).await.unwrap();
        assert_eq!(inside.came().await, addresses(&["127.0.0.2"]));
        assert_eq!(turning.looks(), 1, "what was judged is what was dialled");
        let refused = call(&net, &url(inside.port), files).await;
        assert!(
            matches!(refused, Err(NetError::Refused(_))),
            "{turn:?} {refused:?}"
        );
        assert!(inside.came().await.is_empty(), "{turn:?}");
    }
}

/// Proves that the test above can fail.
#[tokio::test]
async fn a_name_that_turns_is_followed_where_it_is_allowed() {
    let inside = Inside::everywhere().await;
    for files in [false, true] {
        let net = net_with(&ALL, Turning::to(&[&["127.0.0.2"], &["127.0.0.1"]]));
        for address in ["127.0.0.2", "127.0.0.1"] {
            call(&net, &url(inside.port), files).await.unwrap();
            assert_eq!(inside.came().await, addresses(&[address]));
        }
    }
}

#[tokio::test]
async fn of_mixed_answers_only_what_is_permitted_is_dialled() {
    let inside = Inside::everywhere().await;
    let mixed: [&[&str]; 3] = [
        &["127.0.0.1", "127.0.0.2"],
        &["127.0.0.2", "127.0.0.1", "::1"],
        &["::1", "0.0.0.0", "127.0.0.3", "127.0.0.2", "127.0.0.1"],
    ];
    for (mixed, files) in mixed.iter().flat_map(|one| [(one, false), (one, true)]) {
        let net = net_with(&[OUTSIDE], Turning::to(&[mixed]));
        call(&net, &url(inside.port), files).await.unwrap();
        assert_eq!(inside.came().await, addresses(&["127.0.0.2"]), "{mixed:?}");
    }
}

#[tokio::test]
async fn where_the_permitted_address_is_dead_no_other_is_tried() {
    let inside = Inside::only_at("127.0.0.1").await;
    let outside = addresses(&["127.0.0.2"]);
    for mixed in [["127.0.0.2", "127.0.0.1"], ["127.0.0.1", "127.0.0.2"]] {
        let net = net_with(&[OUTSIDE], Turning::to(&[&mixed]));
        let attempt = post(&net, &url(inside.port), &[]).await;
        assert!(
            matches!(attempt.outcome, Err(NetError::Unreachable(_))),
            "{attempt:?}"
        );
        assert_eq!(
            attempt.address,
            Some(outside[0]),
            "the one that was permitted"
        );
        assert!(call(&net, &url(inside.port), true).await.is_err());
        assert!(inside.came().await.is_empty(), "{mixed:?}");
        // Shows the target of the request if every address is allowed.
        let net = net_with(&ALL, Turning::to(&[&mixed]));
        for files in [false, true] {
            call(&net, &url(inside.port), files).await.unwrap();
            assert_eq!(inside.came().await, addresses(&["127.0.0.1"]), "{mixed:?}");
        }
    }
}

#[tokio::test]
async fn a_host_that_sends_on_to_its_own_name_after_it_turned_is_refused() {
    let inside = Inside::only_at("127.0.0.1").await;
    // The sender has the same port, so the same URL leads to either address.
    let sender = TcpListener::bind(("127.0.0.2", inside.port)).await.unwrap();
    let to = url(inside.port);
    TaskTracker::new().spawn(async move {
        while let Ok((mut stream, _)) = sender.accept().await {
            let _ = stream.read(&mut [0; 8192]).await;
            let answer = format!(
                "HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            );
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    let turning = Turning::to(&[&["127.0.0.2"], &["127.0.0.1"]]);
    let refused = call(&net_with(&[OUTSIDE], turning), &url(inside.port), true).await;
    assert!(matches!(refused, Err(NetError::Refused(_))), "{refused:?}");
    assert!(inside.came().await.is_empty());
    let turning = Turning::to(&[&["127.0.0.2"], &["127.0.0.1"]]);
    call(&net_with(&ALL, turning), &url(inside.port), true)
        .await
        .unwrap();
    assert_eq!(inside.came().await.len(), 1);
}

#[tokio::test]
async fn a_name_without_an_address_is_unreachable() {
    let attempt = post(&net_with(&[], Names(Vec::new())), &url(80), &[]).await;
    assert!(
        matches!(attempt.outcome, Err(NetError::Unreachable(_))),
        "{attempt:?}"
    );
    assert_eq!(attempt.address, None);
}

#[tokio::test]
async fn no_refusal_tells_which_private_address_a_name_has() {
    let private = [
        "10.20.30.40",
        "192.168.77.5",
        "fd12:3456::7",
        "168.63.129.16",
    ];
    for address in private {
        let net = net_with(&[], Names(addresses(&[address])));
        let attempt = post(&net, &url(8080), &[]).await;
        let posted = attempt.outcome.unwrap_err().to_string();
        let fetched = fetch(&net, &url(8080), &[]).await.unwrap_err().to_string();
        for said in [posted, fetched] {
            assert!(
                said.contains("turning.example has no public address"),
                "{said}"
            );
            assert!(!said.contains(address), "{said}");
        }
        assert_eq!(attempt.address, None, "the journal shows it");
    }
}

#[tokio::test]
async fn a_port_of_another_protocol_is_refused_before_the_name_is_looked_up() {
    let turning = Turning::to(&[&["127.0.0.2"]]);
    let net = net_with(&ALL, turning.clone());
    for (port, files) in [(25, false), (25, true), (6667, false), (10080, true)] {
        let refused = call(&net, &url(port), files).await;
        assert!(
            matches!(refused, Err(NetError::Refused(Refused::UnsafePort(_)))),
            "{port} {refused:?}"
        );
    }
    assert_eq!(turning.looks(), 0);
}
