//! The conditions of a dial, and the reported causes of a failed dial.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use wa_sim::Certificate;
use waviro_link::whatsapp::{WhatsApp, WhatsAppConfig, probe};
use waviro_link::{Connector as _, DialFailure, DialStep, Link, Listener, OfflineCause, Status};

use crate::{Recorder, World, config, connector};

/// Starts a server that sends `answer` on each connection and closes the connection.
async fn answering(answer: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut asked = [0; 1024];
            let _ = socket.read(&mut asked).await;
            let _ = socket.write_all(answer.as_bytes()).await;
        }
    });
    address
}

/// Starts linking with the given URL.
async fn linking(world: &World, url: &str, folder: &Path) -> (Arc<dyn Link>, Arc<Recorder>) {
    started(connector(&world.sim, url, folder)).await
}

async fn started(whatsapp: WhatsApp) -> (Arc<dyn Link>, Arc<Recorder>) {
    let recorder = Arc::<Recorder>::default();
    let listener = Arc::clone(&recorder) as Arc<dyn Listener>;
    let link = whatsapp.open(1, listener).await.unwrap();
    link.start_linking().await.unwrap();
    (link, recorder)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_dial_is_a_state_with_its_cause_and_is_reported_once() {
    let world = World::new().await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let refused = closed.local_addr().unwrap();
    drop(closed);
    for (address, failure) in [
        (refused, DialFailure::Refused),
        (
            answering("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n").await,
            DialFailure::UpgradeStatus(403),
        ),
        (
            answering("HTTP/1.1 429 Too Many Requests\r\ncontent-length: 0\r\n\r\n").await,
            DialFailure::UpgradeStatus(429),
        ),
        (
            answering("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nhalo").await,
            DialFailure::UpgradeStatus(200),
        ),
        (answering("halo\r\n\r\n").await, DialFailure::NotWebSocket),
        (answering("").await, DialFailure::Closed(DialStep::Upgrade)),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("ws://{address}/ws/chat");
        let (link, recorder) = linking(&world, &url, folder.path()).await;
        let wanted = Status::Unreachable(failure);
        recorder
            .wait_state("the cause", |state| *state == wanted)
            .await;
        // After several further dials the cause was still reported only once.
        let nothing = std::future::pending::<()>();
        let _ = tokio::time::timeout(Duration::from_secs(1), nothing).await;
        let states = recorder.reports().states.clone();
        let times = states.iter().filter(|state| **state == wanted).count();
        assert_eq!(times, 1, "{states:?}");
        link.close(Duration::from_secs(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_linked_device_says_why_it_is_offline_and_comes_back() {
    let sim = wa_sim::Sim::start().await.unwrap();
    let relay = Relay::start(sim.addr()).await;
    let world = World::at(sim, &format!("ws://{}/ws/chat", relay.address)).await;
    world.scan().await;
    relay.open.send_replace(false);
    let wanted = Status::Reconnecting {
        cause: OfflineCause::Unreachable(DialFailure::Closed(DialStep::Upgrade)),
    };
    world
        .recorder
        .wait_state("the cause", |state| *state == wanted)
        .await;
    relay.open.send_replace(true);
    world.online().await;
}

/// An open relay forwards bytes; a closed relay cuts all connections.
struct Relay {
    address: SocketAddr,
    open: tokio::sync::watch::Sender<bool>,
}

impl Relay {
    async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let open = tokio::sync::watch::Sender::new(true);
        let watching = open.subscribe();
        tokio::spawn(async move {
            while let Ok((mut from, _)) = listener.accept().await {
                let mut open = watching.clone();
                tokio::spawn(async move {
                    if !*open.borrow() {
                        return;
                    }
                    let mut to = TcpStream::connect(target).await.unwrap();
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut from, &mut to) => {}
                        _ = open.wait_for(|open| !open) => {}
                    }
                });
            }
        });
        Self { address, open }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_closes_before_its_hello_is_named() {
    let world = World::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let target = world.sim.addr();
    // The relay passes the upgrade to the simulator and then cuts the connection.
    tokio::spawn(async move {
        while let Ok((mut from, _)) = listener.accept().await {
            let mut to = TcpStream::connect(target).await.unwrap();
            let mut bytes = [0; 4096];
            let read = from.read(&mut bytes).await.unwrap();
            to.write_all(&bytes[..read]).await.unwrap();
            let read = to.read(&mut bytes).await.unwrap();
            from.write_all(&bytes[..read]).await.unwrap();
            let _ = from.read(&mut bytes).await;
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let url = format!("ws://{address}/ws/chat");
    let (link, recorder) = linking(&world, &url, folder.path()).await;
    let wanted = Status::Unreachable(DialFailure::Closed(DialStep::Handshake));
    recorder
        .wait_state("the cause", |state| *state == wanted)
        .await;
    link.close(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_wrong_certificate_is_named_and_the_right_one_links() {
    let world = World::new().await;
    for (certificate, failure) in [
        (Certificate::UnknownCa, DialFailure::TlsUnknownCa),
        (Certificate::WrongName, DialFailure::TlsWrongName),
        (Certificate::Expired, DialFailure::TlsExpired),
        (Certificate::NotYetValid, DialFailure::TlsNotYetValid),
    ] {
        let folder = tempfile::tempdir().unwrap();
        world.sim.faults().set_certificate(certificate);
        let (link, recorder) = linking(&world, &world.sim.wss_url(), folder.path()).await;
        let wanted = Status::Unreachable(failure);
        recorder
            .wait_state("the cause", |state| *state == wanted)
            .await;
        world.sim.faults().set_certificate(Certificate::Valid);
        recorder
            .wait_state("a code", |state| {
                matches!(state, Status::Linking { qr: Some(_) })
            })
            .await;
        link.close(Duration::from_secs(5)).await;
    }
    world.scan().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_that_no_file_names_is_not_trusted() {
    let world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let whatsapp = WhatsApp::new(config(
        &world.sim,
        &world.sim.wss_url(),
        folder.path(),
        None,
    ));
    let (link, recorder) = started(whatsapp.unwrap()).await;
    let wanted = Status::Unreachable(DialFailure::TlsUnknownCa);
    recorder
        .wait_state("the cause", |state| *state == wanted)
        .await;
    link.close(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_finds_the_first_step_that_fails_and_leaves_no_device() {
    let world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("ca.pem");
    std::fs::write(&ca_file, world.sim.authority()).unwrap();
    let good = config(
        &world.sim,
        &world.sim.wss_url(),
        folder.path(),
        Some(ca_file),
    );
    let outcome = async |config: &WhatsAppConfig| {
        let probed = probe(config).await.unwrap();
        assert_eq!(probed.addresses, Ok(vec![world.sim.addr()]));
        let mut families = probed.families;
        assert_eq!(families.len(), 1);
        families.remove(0).outcome
    };
    assert_eq!(outcome(&good).await, Ok(world.sim.addr()));
    let mut wrong_key = good.clone();
    wrong_key.server_key = Some([9; 32]);
    assert_eq!(outcome(&wrong_key).await, Err(DialFailure::ServerKey));
    // Without a key, only WhatsApp's own server is accepted.
    let mut unpinned = good.clone();
    unpinned.server_key = None;
    assert_eq!(outcome(&unpinned).await, Err(DialFailure::ServerKey));
    world.sim.faults().set_certificate(Certificate::WrongName);
    assert_eq!(outcome(&good).await, Err(DialFailure::TlsWrongName));
    assert!(world.sim.devices().await.is_empty());
}
