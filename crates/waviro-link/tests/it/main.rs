//! Tests of the real link with the simulator: each rule of the contract, without the gateway.
#![expect(
    clippy::disallowed_methods,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests fail by panicking, and look at the machine's clock"
)]

mod calls;
mod claims;
mod dialling;
mod files;
mod groups;
mod inbound;
mod life;
mod linking;
mod messages;
mod states;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::timeout;
use url::Url;
use wa_sim::{Phone, PhoneSpec, Sim};
use waviro_link::whatsapp::{WhatsApp, WhatsAppConfig};
use waviro_link::{
    Call, Chat, Connector, Content, GroupChange, Inbound, InboundMedia, Link, Listener, MessageId,
    NotCommitted, Number, Outgoing, Receipt, Sender, ServerAck, Status,
};

const OWNER: &str = "6281200000001";
const CUSTOMER: &str = "6281300000001";
const PATIENCE: Duration = Duration::from_secs(20);

/// Records the link's reports, and refuses commits on a test's request.
#[derive(Debug, Default)]
struct Recorder {
    reports: Mutex<Reports>,
    refuse_receipts: AtomicUsize,
    refuse_inbound: AtomicUsize,
    /// Serializes the commits, like a database with a single connection.
    database: tokio::sync::Mutex<()>,
    /// If true, an inbound message holds `database` until `release_database` is notified.
    hold_database: AtomicBool,
    release_database: tokio::sync::Notify,
    receipts_begun: AtomicUsize,
    /// If true, `unknown` fails.
    refuse_questions: AtomicBool,
}

#[derive(Debug, Default)]
struct Reports {
    states: Vec<Status>,
    acks: Vec<ServerAck>,
    receipts: Vec<Receipt>,
    inbound: Vec<Inbound>,
    group_changes: usize,
    changes: Vec<GroupChange>,
    calls: Vec<Call>,
}

#[async_trait::async_trait]
impl Listener for Recorder {
    fn status(&self, status: &Status) {
        self.reports().states.push(status.clone());
    }

    async fn server_ack(&self, ack: ServerAck) {
        self.reports().acks.push(ack);
    }

    async fn receipt(&self, receipt: Receipt) -> Result<(), NotCommitted> {
        refuse(&self.refuse_receipts)?;
        self.receipts_begun.fetch_add(1, Ordering::SeqCst);
        let _database = self.database.lock().await;
        self.reports().receipts.push(receipt);
        Ok(())
    }

    fn groups_changed(&self) {
        self.reports().group_changes += 1;
    }

    async fn group_changed(&self, change: GroupChange) {
        self.reports().changes.push(change);
    }

    async fn call(&self, call: Call) {
        self.reports().calls.push(call);
    }

    async fn inbound(&self, batch: Vec<Inbound>) -> Result<(), NotCommitted> {
        refuse(&self.refuse_inbound)?;
        let _database = self.database.lock().await;
        if self.hold_database.load(Ordering::SeqCst) {
            self.release_database.notified().await;
        }
        self.reports().inbound.extend(batch);
        Ok(())
    }

    async fn unknown(&self, ids: Vec<MessageId>) -> Result<Vec<MessageId>, NotCommitted> {
        if self.refuse_questions.load(Ordering::SeqCst) {
            return Err(NotCommitted("the test says so".to_owned()));
        }
        let reports = self.reports();
        let known = |id: &MessageId| reports.inbound.iter().any(|message| message.id == *id);
        Ok(ids.into_iter().filter(|id| !known(id)).collect())
    }
}

fn refuse(left: &AtomicUsize) -> Result<(), NotCommitted> {
    let one_less = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
    match one_less {
        Ok(_) => Err(NotCommitted("the test says so".to_owned())),
        Err(_) => Ok(()),
    }
}

impl Recorder {
    fn reports(&self) -> MutexGuard<'_, Reports> {
        self.reports.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `look` finds a value in the record.
    async fn wait<T>(&self, what: &str, look: impl Fn(&Reports) -> Option<T>) -> T {
        let end = tokio::time::Instant::now() + PATIENCE;
        loop {
            if let Some(found) = look(&self.reports()) {
                return found;
            }
            assert!(
                tokio::time::Instant::now() < end,
                "waited for {what}; seen: {:#?}",
                self.reports()
            );
            let nothing = std::future::pending::<()>();
            let _ = timeout(Duration::from_millis(2), nothing).await;
        }
    }

    async fn wait_state(&self, what: &str, wanted: impl Fn(&Status) -> bool) -> Status {
        self.wait(what, |reports| {
            reports.states.last().filter(|s| wanted(s)).cloned()
        })
        .await
    }

    /// Waits for the message with the id.
    async fn message(&self, id: &str) -> Inbound {
        let same = |message: &&Inbound| message.id.as_str() == id;
        self.wait("the message", |reports| {
            reports.inbound.iter().find(same).cloned()
        })
        .await
    }

    /// Waits for the message with the id, and returns its file.
    async fn file(&self, id: &str) -> InboundMedia {
        match self.message(id).await.kind {
            waviro_link::InboundKind::Media(file) => *file,
            other => panic!("no file: {other:?}"),
        }
    }
}

/// A simulator with a link.
struct World {
    sim: Sim,
    whatsapp: WhatsApp,
    link: Arc<dyn Link>,
    recorder: Arc<Recorder>,
    owner: Phone,
    customer: Phone,
    folder: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let sim = Sim::start().await.unwrap();
        let url = sim.wss_url();
        Self::at(sim, &url).await
    }

    async fn at(sim: Sim, url: &str) -> Self {
        Self::of(sim, url, true).await
    }

    /// Creates a linked world; the accounts address people by LID or by number.
    async fn linked_among(lids: bool) -> Self {
        let sim = Sim::start().await.unwrap();
        let url = sim.wss_url();
        let world = Self::of(sim, &url, lids).await;
        world.scan().await;
        world
    }

    async fn of(sim: Sim, url: &str, lids: bool) -> Self {
        let phone = |number, name| PhoneSpec::new(number, name).lid_migrated(lids);
        let owner = sim.add_phone(phone(OWNER, "Toko")).await;
        let customer = sim.add_phone(phone(CUSTOMER, "Ani")).await;
        let folder = tempfile::tempdir().unwrap();
        let whatsapp = connector(&sim, url, folder.path());
        let recorder = Arc::<Recorder>::default();
        let link = whatsapp
            .open(1, Arc::clone(&recorder) as Arc<dyn Listener>)
            .await
            .unwrap();
        Self {
            sim,
            whatsapp,
            link,
            recorder,
            owner,
            customer,
            folder,
        }
    }

    /// Creates a linked world with an online link.
    async fn linked() -> Self {
        let world = Self::new().await;
        world.scan().await;
        world
    }

    async fn scan(&self) {
        self.link.start_linking().await.unwrap();
        let code = self.code().await;
        self.owner.scan(&code).await.unwrap();
        self.online().await;
    }

    async fn code(&self) -> String {
        let state = self
            .recorder
            .wait_state("a QR code", |s| {
                matches!(s, Status::Linking { qr: Some(_) })
            })
            .await;
        match state {
            Status::Linking { qr: Some(qr) } => qr.text,
            _ => unreachable!(),
        }
    }

    async fn online(&self) {
        self.recorder
            .wait_state("online", |s| *s == Status::Online)
            .await;
    }

    async fn send(&self, id: &str, text: &str) {
        self.link
            .send(&text_to_customer(id, text), false)
            .await
            .unwrap();
    }
}

/// Creates a connector that trusts the simulator's certificate authority.
fn connector(sim: &Sim, url: &str, folder: &std::path::Path) -> WhatsApp {
    let ca_file = folder.join("ca.pem");
    std::fs::write(&ca_file, sim.authority()).unwrap();
    WhatsApp::new(config(sim, url, folder, Some(ca_file))).unwrap()
}

fn config(
    sim: &Sim,
    url: &str,
    folder: &std::path::Path,
    ca_file: Option<std::path::PathBuf>,
) -> WhatsAppConfig {
    WhatsAppConfig {
        store_folder: folder.join("links"),
        url: Url::parse(url).unwrap(),
        server_key: Some(sim.server_key()),
        ca_file,
        http_proxy: None,
        version: Some((2, 3000, 1)),
        device_name: "Waviro".to_owned(),
    }
}

/// A sender with a known number.
fn person(number: &str) -> Sender {
    Sender::Number(number.parse().unwrap())
}

fn text_to_customer(id: &str, text: &str) -> Outgoing {
    Outgoing {
        id: id.parse::<MessageId>().unwrap(),
        to: Chat::Person(CUSTOMER.parse::<Number>().unwrap()),
        content: Content::Text(text.to_owned()),
    }
}
