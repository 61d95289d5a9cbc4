//! Measures the client library alone, on the same store with the same durability, as the reference
//! for the gateway.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use whatsapp_rust::anyhow::{self, bail};
use whatsapp_rust::async_channel::Receiver;
use whatsapp_rust::http::{HttpClient, HttpRequest, HttpResponse};
use whatsapp_rust::prelude::*;
use whatsapp_rust::store::{SqliteStoreConfig, Synchronous};
use whatsapp_rust::wacore::store::device::{CachedNoiseCert, CachedServerCertChain};
use whatsapp_rust_tokio_transport::TokioWebSocketTransportFactory;

use crate::Turn;
use crate::measure::Process;
use crate::stage::{Stage, customer};

/// The limit of messages without an ack per client; the gateway uses the same limit.
const IN_FLIGHT: usize = 16;

pub struct Figures {
    /// MiB per additional linked idle client.
    pub memory: f64,
    /// Acked messages per second.
    pub rate: f64,
    /// Processor seconds per acked message.
    pub cpu: f64,
}

struct NoHttp;

#[whatsapp_rust::async_trait]
impl HttpClient for NoHttp {
    async fn execute(&self, request: HttpRequest) -> anyhow::Result<HttpResponse> {
        bail!("nothing to fetch at {}", request.url)
    }
}

/// Frees a permit for each server ack.
struct Acks {
    acked: Arc<AtomicU64>,
    free: Arc<Semaphore>,
}

impl EventHandler for Acks {
    fn handle_event(&self, event: Arc<Event>) {
        if let Event::ServerAck(ack) = &*event
            && ack.class.as_deref() == Some("message")
        {
            self.acked.fetch_add(1, Ordering::Relaxed);
            self.free.add_permits(1);
        }
    }

    fn interest(&self) -> EventInterest {
        EventInterest::of(&[EventKind::ServerAck])
    }
}

struct Bare {
    handle: BotHandle,
    free: Arc<Semaphore>,
}

pub async fn run(stage: &Arc<Stage>, count: usize, span: Duration) -> Figures {
    let folder = tempfile::tempdir().unwrap();
    let acked = Arc::<AtomicU64>::default();
    let me = Process::own();
    let mut clients = Vec::new();
    let mut at_half = 0.0;
    for n in 0..count {
        clients.push(link(stage, folder.path(), n, &acked).await);
        if n + 1 == count / 2 {
            at_half = me.settled_memory().await;
        }
    }
    let memory = (me.settled_memory().await - at_half) / (count - count / 2) as f64;
    let clients = Arc::new(clients);
    let turn = Arc::<Turn>::default();

    send(&clients, &turn, Until::Count(count * 4)).await;
    settle(&clients).await;
    let (before, cpu, began) = (acked.load(Ordering::Relaxed), me.cpu(), Instant::now());
    send(&clients, &turn, Until::Time(began + span)).await;
    settle(&clients).await;
    let took = began.elapsed().as_secs_f64();
    let acked = (acked.load(Ordering::Relaxed) - before) as f64;
    Figures {
        memory,
        rate: acked / took,
        cpu: (me.cpu() - cpu) / acked,
    }
}

async fn link(stage: &Stage, folder: &std::path::Path, n: usize, acked: &Arc<AtomicU64>) -> Bare {
    let key = stage.key().await;
    let pinned: [u8; 32] = STANDARD
        .decode(key["server_key"].as_str().unwrap())
        .unwrap()
        .try_into()
        .unwrap();
    let config = SqliteStoreConfig {
        synchronous: Synchronous::Full,
        cache_size_kib: 64,
        ..Default::default()
    };
    let file = folder.join("bare.db");
    let store = SqliteStore::with_config_for_device(&file.to_string_lossy(), n as i32 + 1, config)
        .await
        .unwrap();
    let bot = Bot::builder()
        .with_backend(store)
        .with_transport_factory(
            TokioWebSocketTransportFactory::new().with_url(key["ws_url"].as_str().unwrap()),
        )
        .with_http_client(NoHttp)
        .with_runtime(TokioRuntime)
        .with_version((2, 3000, 1))
        .skip_history_sync()
        .build()
        .await
        .unwrap();
    let client = bot.client();
    let certificate = || CachedNoiseCert {
        key: pinned,
        not_before: 0,
        not_after: i64::MAX,
    };
    client
        .persistence_manager()
        .modify_device(|device| {
            device.pn = Some(Jid::pn("0"));
            device.server_cert_chain = Some(CachedServerCertChain {
                intermediate: certificate(),
                leaf: certificate(),
            });
        })
        .await;
    let free = Arc::new(Semaphore::new(IN_FLIGHT));
    client
        .subscribe_handler(Arc::new(Acks {
            acked: Arc::clone(acked),
            free: Arc::clone(&free),
        }))
        .detach();
    let (handler, events) = ChannelEventHandler::new();
    let watching = client.subscribe_handler(handler);
    let handle = bot.spawn();

    let number = format!("62822{n:07}");
    stage.phone(&number).await;
    let code = next(&events, |event| match event {
        Event::PairingQrCode(qr) => Some(qr.code.clone()),
        _ => None,
    })
    .await;
    stage.scan(&number, &code).await;
    next(&events, |event| {
        matches!(event, Event::Connected(_)).then_some(())
    })
    .await;
    drop(watching);
    // Pairing may have used a permit or added an extra one.
    free.forget_permits(Semaphore::MAX_PERMITS);
    free.add_permits(IN_FLIGHT);
    Bare { handle, free }
}

async fn next<T>(events: &Receiver<Arc<Event>>, pick: impl Fn(&Event) -> Option<T>) -> T {
    loop {
        if let Some(found) = pick(&events.recv().await.unwrap()) {
            return found;
        }
    }
}

#[derive(Clone, Copy)]
enum Until {
    Count(usize),
    Time(Instant),
}

/// Sends with 64 senders over all clients in turn, like the gateway's load.
async fn send(clients: &Arc<Vec<Bare>>, turn: &Arc<Turn>, until: Until) {
    let mut senders = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let (clients, turn) = (Arc::clone(clients), Arc::clone(turn));
        senders.spawn(async move {
            loop {
                let n = turn.next();
                let over = match until {
                    Until::Count(count) => n >= count,
                    Until::Time(end) => Instant::now() >= end,
                };
                if over {
                    return;
                }
                let bare = &clients[n % clients.len()];
                bare.free.acquire().await.unwrap().forget();
                let to = Jid::pn(customer(n / clients.len()));
                bare.handle
                    .client()
                    .send_text(to, format!("pesan nomor {n}"))
                    .await
                    .unwrap();
            }
        });
    }
    senders.join_all().await;
}

/// Waits until every ack has arrived.
async fn settle(clients: &[Bare]) {
    for client in clients {
        let all = client.free.acquire_many(IN_FLIGHT as u32).await.unwrap();
        drop(all);
    }
}
