//! The first handshake of a client that knows no key yet (XX), and the way back to it (XX fallback): what the gateway's
//! own binary never does against a simulator, because it pins the key. The certificate check is compiled out of this
//! test crate alone.

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

/// The client must not fetch anything.
struct NoHttp;

#[whatsapp_rust::async_trait]
impl HttpClient for NoHttp {
    async fn execute(&self, request: HttpRequest) -> anyhow::Result<HttpResponse> {
        bail!("nothing to fetch at {}", request.url)
    }
}

/// The unmodified client as a newcomer would set it up.
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

/// How the next client to log in opened its connection.
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
    // The client keeps a server's key only once it has an account: the login after the 515 is the first it keeps.
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

    // A server that no longer knows its key answers IK with its static key, and the client falls back.
    sim.faults().set_refuse_ik(true);
    handle.client().reconnect_immediately().await;
    assert_eq!(pattern(&mut logins).await, Pattern::XxFallback);
    handle.shutdown().await;
}
