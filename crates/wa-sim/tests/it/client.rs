//! The real client, connected to a simulator whose key is pinned.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_websockets::ClientBuilder;
use whatsapp_rust::anyhow::{self, bail};
use whatsapp_rust::bot::BotHandle;
use whatsapp_rust::http::{HttpClient, HttpRequest, HttpResponse};
use whatsapp_rust::prelude::{Bot, Event, SendOptions, TokioRuntime, wa};
use whatsapp_rust::transport::{Transport, TransportEvent, TransportFactory};
use whatsapp_rust::types::presence::ReceiptType;
use whatsapp_rust::wacore::store::InMemoryBackend;
use whatsapp_rust::wacore::store::device::{CachedNoiseCert, CachedServerCertChain};
use whatsapp_rust::{Client, Jid, async_channel, async_trait};
use whatsapp_rust_tokio_transport::{Connector, from_websocket};

use wa_sim::{DeviceInfo, Phone, Sim};

/// Long enough for a loaded machine. No test waits this long if all is well.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// A client with a log of its events.
pub struct TestClient {
    pub client: Arc<Client>,
    pub backend: Arc<InMemoryBackend>,
    /// The client's HTTP requests, as `METHOD URL`.
    pub asked: Arc<Mutex<Vec<String>>>,
    handle: BotHandle,
    record: Arc<watch::Sender<Vec<Arc<Event>>>>,
    log: watch::Receiver<Vec<Arc<Event>>>,
}

impl TestClient {
    /// Starts an unpaired client.
    pub async fn start(sim: &Sim) -> Self {
        Self::resume(&sim.ws_url(), sim.server_key(), Arc::default()).await
    }

    /// Starts a client with the state in `backend`.
    pub async fn resume(ws_url: &str, key: [u8; 32], backend: Arc<InMemoryBackend>) -> Self {
        let (record, log) = watch::channel(Vec::new());
        let record = Arc::new(record);
        let asked = Arc::default();
        let bot = Bot::builder()
            .with_backend_arc(Arc::clone(&backend) as Arc<_>)
            .with_transport_factory(Dialer {
                url: ws_url.to_owned(),
            })
            .with_http_client(SimHttp {
                authority: authority(ws_url),
                asked: Arc::clone(&asked),
            })
            .with_runtime(TokioRuntime)
            .with_version((2, 3000, 1))
            .skip_history_sync()
            .with_event_handler(Recorder(Arc::clone(&record)))
            .build()
            .await
            .expect("the client can be built");
        let client = bot.client();
        pin(&client, key).await;
        Self {
            client,
            backend,
            asked,
            handle: bot.spawn(),
            record,
            log,
        }
    }

    /// Starts a client, links the client to `phone` by QR code, and waits until the client is
    /// connected.
    pub async fn paired(sim: &Sim, phone: &Phone) -> (Self, DeviceInfo) {
        let client = Self::start(sim).await;
        let qr = client.qr().await;
        let device = phone.scan(&qr).await.expect("the code is accepted");
        client.connected().await;
        (client, device)
    }

    pub async fn qr(&self) -> String {
        self.event("a QR code", |event| match event {
            Event::PairingQrCode(qr) => Some(qr.code.clone()),
            _ => None,
        })
        .await
    }

    pub async fn connected(&self) {
        self.event("Connected", |event| {
            matches!(event, Event::Connected(_)).then_some(())
        })
        .await;
    }

    /// Waits for an event; earlier events count.
    pub async fn event<T>(&self, what: &str, wanted: impl FnMut(&Event) -> Option<T>) -> T {
        self.event_after(0, what, wanted).await
    }

    /// Clears the log of events, so that a long run does not fill the memory.
    pub fn forget(&self) {
        self.record.send_modify(Vec::clear);
    }

    /// Returns the number of events so far.
    pub fn seen(&self) -> usize {
        self.log.borrow().len()
    }

    /// Waits for an event after the first `seen` events.
    pub async fn event_after<T>(
        &self,
        mut seen: usize,
        what: &str,
        mut wanted: impl FnMut(&Event) -> Option<T>,
    ) -> T {
        let mut log = self.log.clone();
        let search = async {
            loop {
                {
                    let events = log.borrow_and_update();
                    for event in events.iter().skip(seen) {
                        if let Some(found) = wanted(event) {
                            return found;
                        }
                    }
                    seen = events.len();
                }
                log.changed().await.expect("the client lives");
            }
        };
        let Ok(found) = tokio::time::timeout(DEADLINE, search).await else {
            panic!("{what} did not come; the client saw{}", self.digest())
        };
        found
    }

    /// Returns the number of events that `wanted` accepts.
    pub fn count(&self, wanted: impl Fn(&Event) -> bool) -> usize {
        self.log
            .borrow()
            .iter()
            .filter(|event| wanted(event))
            .count()
    }

    fn digest(&self) -> String {
        self.log
            .borrow()
            .iter()
            .fold(String::new(), |mut all, event| {
                let line: String = format!("{event:?}").chars().take(300).collect();
                let _ = write!(all, "\n  {line}");
                all
            })
    }

    pub async fn send(&self, to: &str, text: &str, id: &str) {
        let message = wa::Message {
            conversation: Some(text.to_owned()),
            ..Default::default()
        };
        self.send_message(to, message, id).await;
    }

    pub async fn send_message(&self, to: &str, message: wa::Message, id: &str) {
        let to: Jid = to.parse().expect("a JID");
        self.client
            .send_message_with_options(to, message, SendOptions::default().with_message_id(id))
            .await
            .expect("the client sends");
    }

    /// Waits for the server's ack. Returns the error code.
    pub async fn ack(&self, id: &str) -> Option<String> {
        self.event(&format!("the ack of {id}"), |event| match event {
            Event::ServerAck(ack) if ack.id == id && ack.class.as_deref() == Some("message") => {
                Some(ack.error.clone())
            }
            _ => None,
        })
        .await
    }

    /// Waits for a receipt. Returns the sender.
    pub async fn receipt(&self, id: &str, kind: ReceiptType) -> String {
        self.event(
            &format!("the receipt {kind:?} of {id}"),
            |event| match event {
                Event::Receipt(receipt)
                    if receipt.r#type == kind
                        && receipt.message_ids.iter().any(|known| known == id) =>
                {
                    Some(receipt.source.sender.to_string())
                }
                _ => None,
            },
        )
        .await
    }

    /// Waits for a text. Returns the id, the chat and the sender.
    pub async fn text(&self, text: &str) -> Received {
        self.event(&format!("the text {text:?}"), |event| match event {
            Event::Messages(batch) => batch.messages.iter().find_map(|inbound| {
                let shown = inbound.message.conversation.as_deref()?;
                (shown == text).then(|| Received {
                    id: inbound.info.id.clone(),
                    chat: inbound.info.source.chat.clone(),
                    sender: inbound.info.source.sender.clone(),
                    sender_alt: inbound.info.source.sender_alt.clone(),
                })
            }),
            _ => None,
        })
        .await
    }

    /// Waits for a message of any kind.
    pub async fn message(&self, id: &str) -> wa::Message {
        self.event(&format!("the message {id}"), |event| match event {
            Event::Messages(batch) => batch
                .messages
                .iter()
                .find(|inbound| inbound.info.id == id)
                .map(|inbound| (*inbound.message).clone()),
            _ => None,
        })
        .await
    }

    /// Stops the client gracefully. Returns the store with the client's state.
    pub async fn shutdown(self) -> Arc<InMemoryBackend> {
        self.handle.shutdown().await;
        self.backend
    }
}

/// A text received by the client.
#[derive(Debug)]
pub struct Received {
    pub id: String,
    pub chat: Jid,
    pub sender: Jid,
    pub sender_alt: Option<Jid>,
}

/// Sets the client's state as a gateway in a sandbox does: user 0 until the client is paired, and
/// the pinned server key.
async fn pin(client: &Arc<Client>, key: [u8; 32]) {
    let certificate = || CachedNoiseCert {
        key,
        not_before: 0,
        not_after: i64::MAX,
    };
    client
        .persistence_manager()
        .modify_device(|device| {
            if device.pn.is_none() {
                device.pn = Some(Jid::pn("0"));
            }
            device.server_cert_chain = Some(CachedServerCertChain {
                intermediate: certificate(),
                leaf: certificate(),
            });
        })
        .await;
}

struct Recorder(Arc<watch::Sender<Vec<Arc<Event>>>>);

impl whatsapp_rust::wacore::types::events::EventHandler for Recorder {
    fn handle_event(&self, event: Arc<Event>) {
        self.0.send_modify(|log| log.push(event));
    }
}

/// The bundled transport with `TCP_NODELAY`. Without the option, small frames are delayed.
struct Dialer {
    url: String,
}

#[async_trait]
impl TransportFactory for Dialer {
    async fn create_transport(
        &self,
    ) -> anyhow::Result<(Arc<dyn Transport>, async_channel::Receiver<TransportEvent>)> {
        let uri: http::Uri = self.url.parse()?;
        let tcp = TcpStream::connect(authority(&self.url)).await?;
        tcp.set_nodelay(true)?;
        let stream = Connector::Plain.wrap("localhost", tcp).await?;
        let (socket, _) = ClientBuilder::from_uri(uri).connect_on(stream).await?;
        Ok(from_websocket(socket))
    }
}

/// An HTTP client for the simulator alone. The library uses `https://` for every media host, also
/// for the simulator's.
struct SimHttp {
    authority: String,
    asked: Arc<Mutex<Vec<String>>>,
}

#[async_trait]
impl HttpClient for SimHttp {
    async fn execute(&self, request: HttpRequest) -> anyhow::Result<HttpResponse> {
        let line = format!("{} {}", request.method, request.url);
        self.asked.lock().expect("no one panics").push(line);
        let prefix = format!("https://{}/", self.authority);
        let Some(path) = request.url.strip_prefix(&prefix) else {
            bail!(
                "the test client asks no one but the simulator, not {}",
                request.url
            )
        };
        let url = format!("http://{}/{path}", self.authority);
        let mut asked = plain_http().request(request.method.parse()?, url);
        for (name, value) in request.headers {
            asked = asked.header(name, value);
        }
        let response = asked.body(request.body.unwrap_or_default()).send().await?;
        Ok(HttpResponse {
            status_code: response.status().as_u16(),
            body: response.bytes().await?.to_vec(),
        })
    }
}

/// Returns an HTTP client.
pub fn plain_http() -> reqwest::Client {
    // Installs a TLS provider: reqwest requires a provider, even for plain HTTP.
    let _ = whatsapp_rust_tokio_transport::default_tls_connector();
    reqwest::Client::new()
}

fn authority(url: &str) -> String {
    let uri: http::Uri = url.parse().expect("a URL");
    uri.authority().map(ToString::to_string).unwrap_or_default()
}
