//! The first handshake of a client without a known server key (XX), and the fallback to this
//! handshake (XX fallback). The gateway binary never uses either against a simulator, because the
//! gateway pins the simulator's key. Only this test crate compiles the certificate check out.

use std::sync::Arc;
use std::time::Duration;

use e2e::PATIENCE;
use wa_sim::{Pattern, PhoneSpec, Sim, SimEvent};
use whatsapp_rust::anyhow::{self, bail};
use whatsapp_rust::async_channel::Receiver;
use whatsapp_rust::http::{HttpClient, HttpRequest, HttpResponse};
use whatsapp_rust::prelude::*;
use whatsapp_rust::wacore::store::in_memory::InMemoryBackend;
use whatsapp_rust_tokio_transport::TokioWebSocketTransportFactory;

use crate::{CUSTOMER, OWNER};

/// An HTTP client that refuses every request.
struct NoHttp;

#[whatsapp_rust::async_trait]
impl HttpClient for NoHttp {
    async fn execute(&self, request: HttpRequest) -> anyhow::Result<HttpResponse> {
        bail!("nothing to fetch at {}", request.url)
    }
}

/// Builds the unmodified client library with its default settings.
async fn client(sim: &Sim, backend: Arc<InMemoryBackend>) -> (BotHandle, Receiver<Arc<Event>>) {
    let (handler, events) = ChannelEventHandler::new();
    let bot = Bot::builder()
        .with_backend_arc(backend)
        .with_transport_factory(TokioWebSocketTransportFactory::new().with_url(sim.ws_url()))
        .with_http_client(NoHttp)
        .with_runtime(TokioRuntime)
        .with_version((2, 3000, 1))
        .build()
        .await
        .unwrap();
    bot.client().subscribe_handler(handler).detach();
    (bot.spawn(), events)
}

async fn next<T>(events: &Receiver<Arc<Event>>, pick: impl Fn(&Event) -> Option<T>) -> T {
    let found = async {
        loop {
            if let Some(found) = pick(&events.recv().await.unwrap()) {
                return found;
            }
        }
    };
    tokio::time::timeout(PATIENCE, found)
        .await
        .expect("the event comes")
}

/// Waits for the next login and returns its handshake pattern.
async fn pattern(sim_events: &mut tokio::sync::broadcast::Receiver<SimEvent>) -> Pattern {
    let seen = async {
        loop {
            if let SimEvent::LoggedIn { handshake, .. } = sim_events.recv().await.unwrap() {
                return handshake;
            }
        }
    };
    tokio::time::timeout(PATIENCE, seen).await.expect("a login")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unpinned_client_pairs_by_xx_resumes_by_ik_and_falls_back() {
    let sim = Sim::start().await.unwrap();
    let owner = sim.add_phone(PhoneSpec::new(OWNER, "Toko")).await;
    let customer = sim.add_phone(PhoneSpec::new(CUSTOMER, "Ani")).await;
    let backend = Arc::new(InMemoryBackend::new());
    let (handle, events) = client(&sim, Arc::clone(&backend)).await;

    let code = next(&events, |event| match event {
        Event::PairingQrCode(qr) => Some(qr.code.clone()),
        _ => None,
    })
    .await;
    let mut logins = sim.events();
    owner.scan(&code).await.unwrap();
    next(&events, |event| {
        matches!(event, Event::Connected(_)).then_some(())
    })
    .await;
    // The client stores a server key only for an existing account. The key of the login after the
    // 515 is therefore the first stored key.
    assert_eq!(pattern(&mut logins).await, Pattern::Xx);

    let jid = Jid::pn(CUSTOMER);
    let sent = handle.client().send_text(jid, "halo").await.unwrap();
    customer
        .wait_for(Duration::from_secs(10), move |message| {
            message.id == sent.message_id
        })
        .await
        .unwrap();

    handle.client().reconnect_immediately().await;
    assert_eq!(pattern(&mut logins).await, Pattern::Ik);

    // A server with a new key answers IK with its static key, and the client falls back to XX.
    sim.faults().set_refuse_ik(true);
    handle.client().reconnect_immediately().await;
    assert_eq!(pattern(&mut logins).await, Pattern::XxFallback);
    handle.shutdown().await;
}
