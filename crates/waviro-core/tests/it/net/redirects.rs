//! An allowed endpoint that redirects to this machine.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;
use url::Url;

use super::inside::{ALL, Inside, fetch, net, networks, post};

const STATUSES: [&str; 5] = [
    "301 Moved Permanently",
    "302 Found",
    "303 See Other",
    "307 Temporary Redirect",
    "308 Permanent Redirect",
];

/// Answers every request with the given status and target.
struct Sender {
    url: Url,
    network: String,
    current: Arc<Mutex<(&'static str, String)>>,
}

impl Sender {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let current = Arc::<Mutex<(&'static str, String)>>::default();
        let next = current.clone();
        TaskTracker::new().spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.read(&mut [0; 8192]).await;
                let (status, to) = next.lock().unwrap().clone();
                let answer = format!(
                    "HTTP/1.1 {status}\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                );
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        Self {
            url: Url::parse(&format!("http://{at}/foto.jpg")).unwrap(),
            network: format!("127.0.0.1/32:{}", at.port()),
            current,
        }
    }

    /// Returns every redirect status with every target that a header can carry.
    fn turns(&self, inside: &Inside) -> impl Iterator<Item = (&'static str, String)> {
        let port = inside.port;
        let mut targets: Vec<String> = Inside::hosts()
            .iter()
            .map(|host| format!("http://{host}:{port}/x"))
            .collect();
        targets.push(format!("//127.0.0.1:{port}/x"));
        targets.push(format!("//localhost:{port}"));
        let current = self.current.clone();
        let turns = STATUSES
            .into_iter()
            .flat_map(move |status| targets.clone().into_iter().map(move |to| (status, to)));
        turns.inspect(move |turn| current.lock().unwrap().clone_from(turn))
    }
}

#[tokio::test]
async fn nobody_is_sent_on_into_this_machine() {
    let (inside, sender) = (Inside::everywhere().await, Sender::start().await);
    // Only the sender is allowed, for all bots or by the bot's own settings.
    let everybodys = net(&[&sender.network]);
    let (nobodys, own) = (net(&[]), networks(&[&sender.network]));
    for (status, to) in sender.turns(&inside) {
        for (net, own) in [(&everybodys, [].as_slice()), (&nobodys, &own)] {
            let answer = post(net, &sender.url, own).await.outcome.unwrap();
            assert_eq!(answer.status.to_string(), status[..3], "{to}");
            let fetched = fetch(net, &sender.url, own).await;
            assert!(fetched.is_err(), "{status} {to}");
            assert!(inside.came().await.is_empty(), "{status} {to}");
        }
    }
}

/// Proves that the test above can fail. A POST never follows a redirect.
#[tokio::test]
async fn a_file_is_sent_on_where_it_is_allowed_and_a_post_never_is() {
    let (inside, sender) = (Inside::everywhere().await, Sender::start().await);
    let (everybodys, nobodys, own) = (net(&ALL), net(&[]), networks(&ALL));
    for (status, to) in sender.turns(&inside) {
        for (net, own) in [(&everybodys, [].as_slice()), (&nobodys, &own)] {
            let answer = post(net, &sender.url, own).await.outcome.unwrap();
            assert_eq!(answer.status.to_string(), status[..3], "{to}");
            assert!(inside.came().await.is_empty(), "{status} {to}");
            let fetched = fetch(net, &sender.url, own).await;
            assert!(!inside.came().await.is_empty(), "{status} {to} {fetched:?}");
        }
    }
}
