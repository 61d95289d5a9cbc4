//! The state on disk, if a data directory is given.
//!
//! A background task writes every change, at most twice a second, and a graceful shutdown writes
//! the last state. The handlers of messages never write to the disk.
//!
//! - `server.json`: the seed (all server keys are derived from the seed) and the number of starts
//! - `groups.json`
//! - `accounts/NUMBER.json`: an account, its phone's Signal state, its companions and their queues
//! - `inboxes/NUMBER.jsonl`: the inbox of the phone; each message is appended as one line
//! - `media/ID.enc`: uploaded files, still encrypted; the media host writes each file at its upload
//!
//! A file is written under another name, then renamed. After a kill, each file is therefore
//! complete and at most half a second old. The snapshot does not contain the messages sent by
//! phones (kept for retry receipts), the message ids for the server's duplicate check, the counters
//! and the faults.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::disk;
use crate::seed::Seed;
use crate::world::World;
use crate::world::account::{Account, PhoneSpec};
use crate::world::app_state::AppState;
use crate::world::companion::{Companion, Fixed, Keys};
use crate::world::delivery::Held;
use crate::world::group::{Group, GroupInfo};
use crate::world::habits::Habits;
use crate::world::inbox::{InboxMessage, Unread};
use crate::world::offline::{Class, Waiting};
use crate::world::signal::SavedSignal;

/// The shortest time between two snapshots.
const INTERVAL: Duration = Duration::from_millis(500);

#[derive(Serialize, Deserialize)]
struct SavedServer {
    seed: Seed,
    runs: u64,
}

#[derive(Serialize, Deserialize)]
struct SavedAccount {
    number: String,
    name: String,
    lid_migrated: bool,
    next_device: u16,
    habits: Habits,
    #[serde(default)]
    held: Held,
    signal: SavedSignal,
    app_state: AppState,
    companions: Vec<SavedCompanion>,
    unread: HashMap<String, Vec<Unread>>,
    duplicates: u64,
    watchers: Vec<String>,
    /// Distributed sender keys, each as `group companion`.
    distributed: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct SavedCompanion {
    device: u16,
    fixed: Fixed,
    keys: Keys,
    waiting: Vec<SavedStanza>,
}

#[derive(Serialize, Deserialize)]
struct SavedStanza {
    class: Class,
    id: String,
    detail: String,
    #[serde(with = "crate::base64::serde_bytes")]
    wire: Vec<u8>,
}

/// A file or folder of the data directory that could not be read or created.
pub(crate) struct Unusable {
    pub(crate) path: PathBuf,
    pub(crate) reason: String,
}

/// The content of `server.json` after opening a data directory.
pub(crate) struct Opened {
    pub(crate) seed: Seed,
    pub(crate) run: u64,
}

/// Opens a data directory, creates missing folders, and counts the start.
pub(crate) fn open(dir: &Path, seed: Seed) -> Result<Opened, Unusable> {
    for sub in ["accounts", "inboxes", "media"] {
        let path = dir.join(sub);
        disk::make_folder(&path).map_err(|error| unusable(&path, &error))?;
    }
    let path = dir.join("server.json");
    let mut server = read::<SavedServer>(&path)?.unwrap_or(SavedServer { seed, runs: 0 });
    server.runs += 1;
    replace(&path, &server).map_err(|error| unusable(&path, &error))?;
    Ok(Opened {
        seed: server.seed,
        run: server.runs,
    })
}

/// Reads the saved state into an empty world.
pub(crate) fn restore(world: &World) -> Result<(), Unusable> {
    let Some(dir) = &world.data_dir else {
        return Ok(());
    };
    let accounts = dir.join("accounts");
    for entry in std::fs::read_dir(&accounts).map_err(|error| unusable(&accounts, &error))? {
        let path = entry.map_err(|error| unusable(&accounts, &error))?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
            && let Some(saved) = read::<SavedAccount>(&path)?
        {
            restore_account(world, dir, saved)?;
        }
    }
    for group in read::<Vec<GroupInfo>>(&dir.join("groups.json"))?.unwrap_or_default() {
        world.put_group(Group::restore(group));
    }
    Ok(())
}

fn restore_account(world: &World, dir: &Path, saved: SavedAccount) -> Result<(), Unusable> {
    let spec = PhoneSpec::new(&saved.number, saved.name).lid_migrated(saved.lid_migrated);
    let account = world.add_account(spec);
    account.set_next_device(saved.next_device);
    *account.habits.lock() = saved.habits;
    *account.held.lock() = saved.held;
    account.signal.lock().restore(&saved.signal);
    *account.app_state.lock() = saved.app_state;
    account.watchers.lock().extend(saved.watchers);
    account.sent.lock().distributed.extend(saved.distributed);
    for companion in saved.companions {
        let restored = Companion::new(
            &account.number,
            &account.lid,
            companion.device,
            companion.fixed,
        );
        *restored.keys() = companion.keys;
        restored
            .mailbox
            .lock()
            .restore(companion.waiting.into_iter().map(|stanza| Waiting {
                class: stanza.class,
                id: stanza.id,
                detail: stanza.detail,
                wire: stanza.wire.into(),
            }));
        account.add_companion(Arc::new(restored));
    }
    let inbox = inbox_path(dir, &account.number);
    let lines = match std::fs::read_to_string(&inbox) {
        Ok(lines) => lines,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(unusable(&inbox, &error)),
    };
    // The last line can be incomplete after a kill.
    let messages = lines
        .lines()
        .filter_map(|line| serde_json::from_str::<InboxMessage>(line).ok());
    let mut kept = account.inbox.lock();
    kept.restore(messages, saved.unread, saved.duplicates);
    account.shown.send_replace(kept.len() as u64);
    Ok(())
}

/// Writes snapshots until `finish`.
pub(crate) struct Saver {
    written: Arc<Mutex<Written>>,
}

/// The number of inbox messages on disk, for each account.
#[derive(Default)]
struct Written(HashMap<String, u64>);

impl Saver {
    pub(crate) fn start(world: &Arc<World>) -> Self {
        let mut written = Written::default();
        for account in world.accounts() {
            written
                .0
                .insert(account.number.clone(), *account.shown.borrow());
        }
        let written = Arc::new(Mutex::new(written));
        if world.data_dir.is_some() {
            let (saved, written) = (Arc::clone(world), Arc::clone(&written));
            world.spawn(async move {
                loop {
                    saved.pause(INTERVAL).await;
                    write(&saved, &written).await;
                }
            });
        }
        Self { written }
    }

    /// Writes the last state. The caller must have stopped the world before.
    pub(crate) async fn finish(&self, world: &Arc<World>) {
        write(world, &self.written).await;
    }
}

/// Writes the changes on a blocking thread, so that the threads of the connections do not wait.
async fn write(world: &Arc<World>, written: &Arc<Mutex<Written>>) {
    let (world, written) = (Arc::clone(world), Arc::clone(written));
    let done = tokio::task::spawn_blocking(move || save(&world, &mut written.lock())).await;
    if let Err(error) = done {
        tracing::error!(%error, "snapshot could not be written");
    }
}

fn save(world: &World, written: &mut Written) {
    let Some(dir) = &world.data_dir else { return };
    for account in world.accounts() {
        if account.take_dirty()
            && let Err(error) = save_account(dir, &account, written)
        {
            account.touch();
            tracing::warn!(%error, "account could not be written; retry scheduled");
        }
    }
    if world.groups_dirty.swap(false, Ordering::AcqRel) {
        let groups: Vec<_> = world.groups().iter().map(|group| group.info()).collect();
        if let Err(error) = replace(&dir.join("groups.json"), &groups) {
            world.groups_dirty.store(true, Ordering::Release);
            tracing::warn!(%error, "groups could not be written; retry scheduled");
        }
    }
}

fn save_account(dir: &Path, account: &Account, written: &mut Written) -> std::io::Result<()> {
    append_inbox(dir, account, written)?;
    let companions = account
        .companions()
        .iter()
        .map(|companion| save_companion(companion))
        .collect();
    let (unread, duplicates) = {
        let inbox = account.inbox.lock();
        (inbox.unread().clone(), inbox.duplicates())
    };
    let saved = SavedAccount {
        number: account.number.clone(),
        name: account.name.clone(),
        lid_migrated: account.lid_migrated,
        next_device: account.peek_next_device(),
        habits: *account.habits.lock(),
        held: account.held.lock().clone(),
        signal: account.signal.lock().save(),
        app_state: account.app_state.lock().clone(),
        companions,
        unread,
        duplicates,
        watchers: account.watchers.lock().iter().cloned().collect(),
        distributed: account.sent.lock().distributed.iter().cloned().collect(),
    };
    replace(
        &dir.join("accounts")
            .join(format!("{}.json", account.number)),
        &saved,
    )
}

fn save_companion(companion: &Companion) -> SavedCompanion {
    let waiting = companion
        .mailbox
        .lock()
        .waiting()
        .cloned()
        .collect::<Vec<_>>();
    SavedCompanion {
        device: companion.device,
        fixed: companion.fixed.clone(),
        keys: companion.keys().clone(),
        waiting: waiting
            .into_iter()
            .map(|waiting| SavedStanza {
                class: waiting.class,
                id: waiting.id,
                detail: waiting.detail,
                wire: waiting.wire.to_vec(),
            })
            .collect(),
    }
}

fn append_inbox(dir: &Path, account: &Account, written: &mut Written) -> std::io::Result<()> {
    let seen = written.0.entry(account.number.clone()).or_default();
    let (fresh, total) = {
        let inbox = account.inbox.lock();
        let (fresh, total) = inbox.since(*seen);
        (fresh.cloned().collect::<Vec<_>>(), total)
    };
    if fresh.is_empty() {
        return Ok(());
    }
    let mut lines = Vec::new();
    for message in &fresh {
        serde_json::to_writer(&mut lines, message)?;
        lines.push(b'\n');
    }
    let path = inbox_path(dir, &account.number);
    let mut options = std::fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(&lines)?;
    *seen = total;
    Ok(())
}

fn inbox_path(dir: &Path, number: &str) -> PathBuf {
    dir.join("inboxes").join(format!("{number}.jsonl"))
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Unusable> {
    match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| unusable(path, &error)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unusable(path, &error)),
    }
}

fn replace<T: Serialize>(path: &Path, value: &T) -> std::io::Result<()> {
    disk::replace_bytes(path, &serde_json::to_vec(value)?)
}

fn unusable(path: &Path, reason: &dyn std::fmt::Display) -> Unusable {
    Unusable {
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}
