//! Everything the server knows: accounts, groups, codes that wait for a scan. Locks are short, and none is held while
//! another account's is taken.

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

use crate::companion::{Companion, DeviceInfo};
use crate::event::{BACKLOG, SimEvent};
use crate::fault::Faults;
use crate::group::{Group, GroupSpec};
use crate::handshake::ServerKeys;
use crate::iq;
use crate::media::Media;
use crate::pairing::Pairings;
use crate::phone::files::Checked;
use crate::phone::{Account, PhoneSpec};
use crate::seed::Seed;
use crate::wire::WireLog;

/// The clock, as an argument.
pub(crate) type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// The state of one simulator.
pub(crate) struct World {
    pub(crate) seed: Seed,
    /// How often a simulator was started on this data, so that ids don't repeat.
    pub(crate) run: u64,
    pub(crate) keys: ServerKeys,
    pub(crate) faults: Faults,
    pub(crate) pairings: Mutex<Pairings>,
    pub(crate) media: Media,
    pub(crate) checked: Checked,
    pub(crate) wire: WireLog,
    pub(crate) data_dir: Option<PathBuf>,
    pub(crate) inbox_limit: usize,
    /// Groups changed since the last snapshot.
    pub(crate) groups_dirty: AtomicBool,
    /// Ends every connection and task.
    pub(crate) stop: CancellationToken,
    /// All tasks, so that a stop can wait for them.
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

    /// Seconds since 1970.
    pub(crate) fn now(&self) -> u64 {
        (self.clock)()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs())
    }

    /// Milliseconds since 1970.
    pub(crate) fn now_ms(&self) -> u64 {
        let since = (self.clock)().duration_since(UNIX_EPOCH);
        since.map_or(0, |since| {
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        })
    }

    /// Runs a task that a stop cuts short and waits for.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            stop.run_until_cancelled(task).await;
        });
    }

    /// Waits, in real time.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where time passes; faults are made of delays"
    )]
    pub(crate) async fn pause(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    /// Makes an event only if someone listens.
    pub(crate) fn emit(&self, event: impl FnOnce() -> SimEvent) {
        if self.events.receiver_count() > 0 {
            // An error means that the last listener has just left.
            let _ = self.events.send(event());
        }
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<SimEvent> {
        self.events.subscribe()
    }

    /// A generator for one connection or one code.
    pub(crate) fn fork_rng(&self) -> StdRng {
        use rand::SeedableRng as _;
        StdRng::from_seed(self.rng.lock().random())
    }

    /// An id for a stanza of the server's own.
    pub(crate) fn next_id(&self) -> String {
        let random: u64 = self.rng.lock().random();
        format!("{random:016x}")
    }

    pub(crate) fn account_by_number(&self, number: &str) -> Option<Arc<Account>> {
        self.accounts.read().by_number.get(number).cloned()
    }

    /// The account that a phone number or LID names.
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

    /// The account with this number, made if there is none.
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

    /// A device by its name, `number:device`.
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

    /// Makes a group, with phones for members that have none, and tells the members' companions.
    pub(crate) fn create_group(&self, spec: GroupSpec) -> Arc<Group> {
        for number in spec.members.iter().chain([&spec.owner]) {
            self.add_account(PhoneSpec::new(number, number.as_str()));
        }
        // Real group ids look like this: 120363 and twelve digits.
        let id = format!(
            "120363{:012}",
            self.rng.lock().random_range(0..1_000_000_000_000_u64)
        );
        let group = self.put_group(Group::new(id, spec, self.now()));
        iq::groups::changes::announce(self, &group);
        group
    }

    /// What a phone calls the chat behind an address: a number, or a group's id.
    pub(crate) fn chat_name(&self, address: &str) -> String {
        let Ok(jid) = address.parse::<Jid>() else {
            return address.to_owned();
        };
        self.account(&jid)
            .map_or_else(|| jid.user.to_string(), |account| account.number.clone())
    }
}
