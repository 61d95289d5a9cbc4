//! The test engine: the gateway without HTTP over a fake link, with a database in a temporary
//! folder and a scripted endpoint on loopback.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;
use waviro_core::bots::{self, Bot, Bots, Profiles, SecretKey};
use waviro_core::config::{AllowedNetwork, Outbound};
use waviro_core::events;
use waviro_core::files::{Files, RetentionLimits};
use waviro_core::jobs::Jobs;
use waviro_core::net::Net;
use waviro_core::outbox::{Accepted, Draft, NewMessage, Outbox, Refusal, Settings};
use waviro_link::fake::{FakeConnector, FakeLink};
use waviro_link::{Chat, Content, MessageId};
use waviro_store::Store;
use waviro_store::clock::{Clock, Millis};

use crate::samples::{OWN, START, number};

/// A gateway without its HTTP server.
pub struct Engine {
    pub connector: Arc<FakeConnector>,
    pub store: Store,
    pub bots: Bots,
    pub outbox: Outbox,
    tasks: TaskTracker,
    stop: CancellationToken,
    files: tempfile::TempDir,
}

/// An engine with one bot; the database survives a restart of the engine.
pub struct TestEngine {
    pub folder: tempfile::TempDir,
    pub clock: Clock,
    pub engine: Engine,
    pub bot: Arc<Bot>,
    pub key: SecretKey,
}

impl TestEngine {
    /// Starts an engine with an online bot.
    pub async fn online() -> Self {
        Self::over(FakeConnector::online(number(OWN))).await
    }

    /// Starts an engine with one bot over this connector.
    pub async fn over(connector: FakeConnector) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::manual(START);
        let engine = Engine::start(&url(&folder), connector, &clock).await;
        let (bot, key) = engine.bots.add("toko").await.unwrap();
        Self {
            folder,
            clock,
            engine,
            bot,
            key,
        }
    }

    pub fn url(&self) -> String {
        url(&self.folder)
    }

    /// The fake link of the bot.
    pub fn link(&self) -> Arc<FakeLink> {
        self.engine.connector.link(self.bot.id()).unwrap()
    }

    /// Drops the engine's state without a clean stop, as after a crash, and starts a new engine on
    /// the same database.
    pub async fn crash_and_restart(&mut self, connector: FakeConnector) {
        self.engine.stop.cancel();
        self.engine.store.close().await;
        self.engine = Engine::start(&self.url(), connector, &self.clock).await;
        self.bot = self.engine.bots.list().remove(0);
    }

    pub async fn accept(&self, to: &str, text: &str) -> Result<Accepted, Refusal> {
        self.engine
            .outbox
            .accept(&self.bot, message(to, text, None))
            .await
    }

    pub async fn accept_with(&self, to: &str, text: &str, notify: &Url) -> Accepted {
        let message = message(to, text, Some(notify.clone()));
        self.engine.outbox.accept(&self.bot, message).await.unwrap()
    }

    pub async fn ack_of(&self, id: &MessageId) -> i8 {
        self.engine.store.message(id).await.unwrap().unwrap().ack
    }

    /// Returns the sent texts, including resends.
    pub fn wire(&self) -> Vec<String> {
        self.link()
            .sent()
            .iter()
            .map(|sent| text_of(&sent.content))
            .collect()
    }

    /// Changes the bot's settings with a merge patch.
    pub async fn set(&self, patch: Value) {
        let settings: bots::Settings = self.bot.settings().patched(&patch).unwrap();
        let bots = &self.engine.bots;
        bots.set(self.bot.id(), &settings).await.unwrap();
    }

    /// Advances the clock by half a second at a time until `count` messages are sent; returns each
    /// message with its time. With `acked`, the function also waits for the acks, because a minute
    /// of the manual clock passes faster than a disk sync.
    pub async fn run_until_sent(&self, count: usize, acked: bool) -> Vec<(Millis, String)> {
        let (mut seen, real) = (Vec::new(), Clock::system());
        let give_up = real.now() + 60_000;
        loop {
            let now = self.clock.now();
            let new: Vec<String> = self.wire().into_iter().skip(seen.len()).collect();
            seen.extend(new.into_iter().map(|text| (now, text)));
            if seen.len() >= count {
                return seen;
            }
            assert!(real.now() < give_up, "last seen: {seen:?}");
            let mut waits = false;
            for sent in self.link().sent() {
                waits |= acked && self.ack_of(&sent.id).await == 0;
            }
            if !waits {
                self.pass(Duration::from_millis(500));
            }
            real.sleep(Duration::from_millis(2)).await;
        }
    }

    /// Waits until no message waits for its ack.
    pub async fn ack_all(&self) {
        until(
            || async { self.engine.store.pending_count() },
            |count| *count == 0,
        )
        .await;
    }

    /// Advances the clock.
    pub fn pass(&self, span: Duration) {
        self.clock.advance(span);
    }
}

impl Engine {
    pub async fn start(url: &str, connector: FakeConnector, clock: &Clock) -> Self {
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let connector = Arc::new(connector);
        let store = Store::open(url).await.unwrap();
        let loopback: AllowedNetwork = "127.0.0.0/8".parse().unwrap();
        let outbound = Outbound {
            allow: vec![loopback],
            timeout_s: 2,
        };
        let net = Net::new(&outbound, clock.clone()).unwrap();
        let random = StdRng::seed_from_u64(u64::try_from(store.last_seq()).unwrap());
        let spool = tempfile::tempdir().unwrap();
        let outbox = Outbox::new(
            store.clone(),
            net.clone(),
            clock.clone(),
            Settings::default(),
            spool.path().join("spool"),
            random,
        )
        .unwrap();
        let profiles = Profiles::new(store.clone(), clock.clone());
        let jobs = Jobs::start(
            store.clone(),
            net,
            outbox.clone(),
            profiles.clone(),
            clock.clone(),
            &tasks,
            stop.clone(),
        )
        .await
        .unwrap();
        let keeping = RetentionLimits {
            folder: spool.path().join("media"),
            base: "https://wa.example".to_owned(),
            keeps: Duration::from_hours(24),
            permits: waviro_core::permits::Permits::new(64, 8),
            floor: waviro_core::disk::Floor::new(spool.path().to_owned(), 0),
        };
        let files = Files::open(
            store.clone(),
            clock.clone(),
            keeping,
            tasks.clone(),
            stop.clone(),
        )
        .await
        .unwrap();
        let attach = events::attach(
            store.clone(),
            outbox.clone(),
            jobs,
            profiles,
            files,
            clock.clone(),
        );
        let bots = Bots::start(
            store.clone(),
            connector.clone(),
            clock.clone(),
            &tasks,
            stop.clone(),
            attach,
        )
        .await
        .unwrap();
        Self {
            connector,
            store,
            bots,
            outbox,
            tasks,
            stop,
            files: spool,
        }
    }

    /// The folder with the files to send.
    pub fn spool(&self) -> PathBuf {
        self.files.path().join("spool")
    }

    /// Stops the engine as the gateway stops.
    pub async fn stop_all(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.store.close().await;
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn url(folder: &tempfile::TempDir) -> String {
    format!("sqlite:{}", folder.path().join("waviro.db").display())
}

pub fn text_of(content: &Content) -> String {
    match content {
        Content::Text(text) => text.clone(),
        other => unreachable!("not a text: {other:?}"),
    }
}

pub fn message(to: &str, text: &str, notify_url: Option<Url>) -> NewMessage {
    let to = to.strip_suffix("@g.us").map_or_else(
        || Chat::Person(number(to)),
        |group| Chat::Group(group.parse().unwrap()),
    );
    NewMessage {
        to,
        content: Draft::Ready(Content::Text(text.to_owned())),
        notify_url,
    }
}

/// Polls `look` until the value is wanted. After a minute the test fails with the last value; the
/// limit is generous because machines are shared.
pub async fn until<T, F>(mut look: impl FnMut() -> F, wanted: impl Fn(&T) -> bool) -> T
where
    T: std::fmt::Debug,
    F: Future<Output = T>,
{
    let clock = Clock::system();
    let give_up = clock.now() + 60_000;
    loop {
        let seen = look().await;
        if wanted(&seen) {
            return seen;
        }
        assert!(clock.now() < give_up, "last seen: {seen:?}");
        clock.sleep(Duration::from_millis(5)).await;
    }
}

/// A callback endpoint: records the calls per path and answers as scripted, with 200 by default.
#[derive(Clone, Default)]
pub struct Receiver(Arc<Mutex<Script>>);

#[derive(Default)]
struct Script {
    arrived: HashMap<String, Vec<(String, i64)>>,
    answers: HashMap<String, VecDeque<u16>>,
    always: HashMap<String, u16>,
    silent: HashSet<String>,
    ids: Vec<String>,
    bodies: Vec<String>,
}

impl Receiver {
    /// Listens on a free port of loopback.
    pub async fn start() -> (Self, SocketAddr) {
        let receiver = Self::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = Router::new()
            .route("/{path}", axum::routing::post(Self::take))
            .with_state(receiver.clone());
        TaskTracker::new().spawn(async move { axum::serve(listener, app).await });
        (receiver, address)
    }

    /// Scripts the next answers for a path.
    pub fn answer(&self, path: &str, statuses: &[u16]) {
        let mut script = self.0.lock().unwrap();
        script
            .answers
            .entry(path.to_owned())
            .or_default()
            .extend(statuses);
    }

    /// Scripts every later answer for a path.
    pub fn always(&self, path: &str, status: u16) {
        self.0
            .lock()
            .unwrap()
            .always
            .insert(path.to_owned(), status);
    }

    /// Records every later call for a path without answering.
    pub fn never_answer(&self, path: &str) {
        self.0.lock().unwrap().silent.insert(path.to_owned());
    }

    /// Returns the calls for a path, with any answer.
    pub fn arrived(&self, path: &str) -> Vec<(String, i64)> {
        self.0
            .lock()
            .unwrap()
            .arrived
            .get(path)
            .cloned()
            .unwrap_or_default()
    }

    /// Returns the acks received for a path.
    pub fn stages(&self, path: &str) -> Vec<i64> {
        self.arrived(path).into_iter().map(|(_, ack)| ack).collect()
    }

    /// Waits until `count` calls have arrived for a path.
    pub async fn wait_for(&self, path: &str, count: usize) -> Vec<i64> {
        until(
            || async { self.stages(path) },
            |stages| stages.len() >= count,
        )
        .await
    }

    pub fn bodies(&self) -> Vec<String> {
        self.0.lock().unwrap().bodies.clone()
    }

    pub fn webhook_ids(&self) -> Vec<String> {
        self.0.lock().unwrap().ids.clone()
    }

    async fn take(
        State(receiver): State<Self>,
        Path(path): Path<String>,
        headers: HeaderMap,
        body: String,
    ) -> StatusCode {
        match receiver.received(&path, headers, body) {
            Some(status) => StatusCode::from_u16(status).unwrap(),
            None => std::future::pending().await,
        }
    }

    /// Records a call; returns the status, or `None` if the path never answers.
    fn received(&self, path: &str, mut headers: HeaderMap, body: String) -> Option<u16> {
        let json: serde_json::Value = serde_json::from_str(&body).unwrap();
        let mut script = self.0.lock().unwrap();
        script.bodies.push(body);
        let id = headers.remove("webhook-id").unwrap();
        script.ids.push(id.to_str().unwrap().to_owned());
        let call = (
            json["msgid"].as_str().unwrap().to_owned(),
            json["ack"].as_i64().unwrap(),
        );
        script
            .arrived
            .entry(path.to_owned())
            .or_default()
            .push(call);
        let scripted = script.answers.get_mut(path).and_then(VecDeque::pop_front);
        let status = scripted
            .or_else(|| script.always.get(path).copied())
            .unwrap_or(200);
        (!script.silent.contains(path)).then_some(status)
    }
}

pub fn endpoint(address: SocketAddr, path: &str) -> Url {
    format!("http://{address}/{path}").parse().unwrap()
}
