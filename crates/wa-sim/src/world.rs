//! The state of the server: accounts with their phones and companions, groups, files, faults,
//! events, and clients that wait for a link.
//!
//! **The modules below `world` build no stanza and call no handler.** The queue of a companion
//! stores stanzas and only marks redelivered stanzas. The handlers and the actions of phones are
//! above this layer and take a [`World`] as an argument.
//!
//! Each lock is held for a short time. A task never holds the locks of two accounts at once.

pub(crate) mod account;
pub(crate) mod app_state;
pub(crate) mod companion;
pub(crate) mod delivery;
pub(crate) mod event;
pub(crate) mod fault;
pub(crate) mod file;
pub(crate) mod group;
pub(crate) mod habits;
pub(crate) mod inbox;
pub(crate) mod link;
pub(crate) mod media;
pub(crate) mod offline;
pub(crate) mod pairings;
pub(crate) mod signal;
pub(crate) mod ticks;
pub(crate) mod wire;

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::{Mutex, RwLock};
use rand::RngExt as _;
use rand::rngs::StdRng;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wacore_binary::{Jid, Server};

use crate::handshake::ServerKeys;
use crate::seed::Seed;

use account::{Account, PhoneSpec};
use companion::{Companion, DeviceInfo};
use event::{BACKLOG, SimEvent};
use fault::Faults;
use file::Checked;
use group::{Group, GroupSpec};
use media::Media;
use pairings::Pairings;
use wire::WireLog;

/// A clock, passed as an argument so that tests can replace it.
pub(crate) type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// The state of one simulator.
pub(crate) struct World {
    pub(crate) seed: Seed,
    /// Counts the starts of a simulator on this data directory, so that ids do not repeat.
    pub(crate) run: u64,
    pub(crate) keys: ServerKeys,
    pub(crate) faults: Faults,
    pub(crate) pairings: Mutex<Pairings>,
    pub(crate) media: Media,
    pub(crate) checked: Checked,
    pub(crate) wire: WireLog,
    pub(crate) data_dir: Option<PathBuf>,
    pub(crate) inbox_limit: usize,
    /// Set if a group has changed since the last snapshot.
    pub(crate) groups_dirty: AtomicBool,
    /// Stops every connection and task.
    pub(crate) stop: CancellationToken,
    /// Tracks all tasks, so that a shutdown can wait for them.
    pub(crate) tasks: TaskTracker,
    events: broadcast::Sender<SimEvent>,
    clock: Clock,
    rng: Mutex<StdRng>,
    accounts: RwLock<Accounts>,
    groups: RwLock<BTreeMap<String, Arc<Group>>>,
}

#[derive(Default)]
struct Accounts {
    by_number: BTreeMap<String, Arc<Account>>,
    by_lid: HashMap<String, Arc<Account>>,
}

impl World {
    pub(crate) fn new(
        seed: Seed,
        run: u64,
        data_dir: Option<PathBuf>,
        inbox_limit: usize,
        clock: Clock,
    ) -> Self {
        Self {
            seed,
            run,
            keys: ServerKeys::new(seed),
            faults: Faults::default(),
            pairings: Mutex::default(),
            media: Media::new(seed, data_dir.as_deref()),
            checked: Checked::default(),
            wire: WireLog::default(),
            data_dir,
            inbox_limit,
            groups_dirty: AtomicBool::new(false),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            events: broadcast::Sender::new(BACKLOG),
            clock,
            rng: Mutex::new(seed.rng(&format!("server {run}"))),
            accounts: RwLock::default(),
            groups: RwLock::default(),
        }
    }

    /// Returns the seconds since 1970.
    pub(crate) fn now(&self) -> u64 {
        (self.clock)()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs())
    }

    /// Returns the milliseconds since 1970.
    pub(crate) fn now_ms(&self) -> u64 {
        let since = (self.clock)().duration_since(UNIX_EPOCH);
        since.map_or(0, |since| {
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        })
    }

    /// Spawns a task. A shutdown cancels the task and waits for its end.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            stop.run_until_cancelled(task).await;
        });
    }

    /// Sleeps in real time.
    #[expect(
        clippy::disallowed_methods,
        reason = "the only place with real delays; some faults are delays"
    )]
    pub(crate) async fn pause(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    /// Sends an event. If there is no subscriber, the event is not built.
    pub(crate) fn emit(&self, event: impl FnOnce() -> SimEvent) {
        if self.events.receiver_count() > 0 {
            // An error means that the last subscriber has just gone.
            let _ = self.events.send(event());
        }
    }

    /// Emits the number of clients that wait for a link.
    pub(crate) fn emit_waiting(&self) {
        self.emit(|| SimEvent::Waiting {
            count: self.pairings.lock().count(),
        });
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<SimEvent> {
        self.events.subscribe()
    }

    /// Returns a random generator for one connection or one pairing code.
    pub(crate) fn fork_rng(&self) -> StdRng {
        use rand::SeedableRng as _;
        StdRng::from_seed(self.rng.lock().random())
    }

    /// Returns the id for a stanza created by the server.
    pub(crate) fn next_id(&self) -> String {
        let random: u64 = self.rng.lock().random();
        format!("{random:016x}")
    }

    pub(crate) fn account_by_number(&self, number: &str) -> Option<Arc<Account>> {
        self.accounts.read().by_number.get(number).cloned()
    }

    /// Returns the account of a phone number or LID.
    pub(crate) fn account(&self, jid: &Jid) -> Option<Arc<Account>> {
        let accounts = self.accounts.read();
        match jid.server {
            Server::Lid | Server::HostedLid => accounts.by_lid.get(jid.user.as_str()).cloned(),
            Server::Pn | Server::Hosted | Server::Legacy => {
                accounts.by_number.get(jid.user.as_str()).cloned()
            }
            _ => None,
        }
    }

    pub(crate) fn accounts(&self) -> Vec<Arc<Account>> {
        self.accounts.read().by_number.values().cloned().collect()
    }

    /// Returns the account of this number, created if necessary.
    pub(crate) fn add_account(&self, spec: PhoneSpec) -> Arc<Account> {
        if let Some(account) = self.account_by_number(&spec.number) {
            return account;
        }
        let account = Arc::new(Account::new(self.seed, self.run, spec, self.inbox_limit));
        let mut accounts = self.accounts.write();
        if let Some(account) = accounts.by_number.get(&account.number) {
            return Arc::clone(account);
        }
        accounts
            .by_lid
            .insert(account.lid.clone(), Arc::clone(&account));
        accounts
            .by_number
            .insert(account.number.clone(), Arc::clone(&account));
        drop(accounts);
        self.emit(|| SimEvent::PhoneAdded {
            phone: account.number.clone(),
        });
        account
    }

    /// Returns a device by its name, `number:device`.
    pub(crate) fn companion(&self, name: &str) -> Option<Arc<Companion>> {
        let (number, device) = name.split_once(':')?;
        self.account_by_number(number)?
            .companion(device.parse().ok()?)
    }

    pub(crate) fn companions(&self) -> Vec<Arc<Companion>> {
        self.accounts()
            .iter()
            .flat_map(|account| account.companions())
            .collect()
    }

    pub(crate) fn devices(&self) -> Vec<DeviceInfo> {
        self.companions()
            .iter()
            .map(|companion| companion.info())
            .collect()
    }

    pub(crate) fn group(&self, id: &str) -> Option<Arc<Group>> {
        self.groups.read().get(id).cloned()
    }

    pub(crate) fn groups(&self) -> Vec<Arc<Group>> {
        self.groups.read().values().cloned().collect()
    }

    pub(crate) fn put_group(&self, group: Group) -> Arc<Group> {
        let group = Arc::new(group);
        self.groups
            .write()
            .insert(group.id().to_owned(), Arc::clone(&group));
        self.groups_dirty.store(true, Ordering::Release);
        group
    }

    /// Creates a group, and phones for unknown members.
    pub(crate) fn create_group(&self, spec: GroupSpec) -> Arc<Group> {
        for number in spec.members.iter().chain([&spec.owner]) {
            self.add_account(PhoneSpec::new(number, number.as_str()));
        }
        // A real group id has the same format: 120363 and twelve digits.
        let id = format!(
            "120363{:012}",
            self.rng.lock().random_range(0..1_000_000_000_000_u64)
        );
        self.put_group(Group::new(id, spec, self.now()))
    }

    /// Returns the name of a chat in the phone's inbox: a number or a group id.
    pub(crate) fn chat_name(&self, address: &str) -> String {
        let Ok(jid) = address.parse::<Jid>() else {
            return address.to_owned();
        };
        self.account(&jid)
            .map_or_else(|| jid.user.to_string(), |account| account.number.clone())
    }
}
