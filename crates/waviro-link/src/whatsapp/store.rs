//! The link store: one file per device, in the library's own SQLite schema.
//!
//! The files use `synchronous=FULL`, because a Signal session that loses its last change in a crash
//! would encrypt twice with the same key. Each device has its own file, because concurrent writers
//! of one SQLite file wait for each other with growing pauses: 200 devices with one file send no
//! faster than one device. Separate files also keep damage of one device away from the others, and
//! a device is deleted by removing a file.
//!
//! If a bot is linked again, the device gets a file with a new name: `3.db`, then `3-2.db`. The
//! library closes its connections to the old file some time later, and the last connection removes
//! SQLite's log *by name*. With an unchanged name, SQLite would remove the log of the new device
//! with its keys.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, SqliteConnection};
use whatsapp_rust::store::{SqliteStore, SqliteStoreConfig, Synchronous};

use super::redelivered::fresh;
use crate::LinkError;

/// The number of the only device in a file.
const ONLY: i32 = 1;

/// The generation of a bot's first file.
const FIRST: u32 = 1;

/// The retention of sent messages, for recipients that fail to decrypt a message and ask for a
/// resend. The library's default of two hours ends before a phone that was off comes back.
pub(super) const SENT_MESSAGES_KEPT: Duration = Duration::from_hours(7 * 24);

/// The folder of the devices' files.
#[derive(Debug)]
pub(super) struct Stores(PathBuf);

impl Stores {
    /// Creates the folder with mode 0700.
    pub(super) fn prepare(folder: &Path) -> Result<Self, LinkError> {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder
            .create(folder)
            .map_err(|error| LinkError::Store(format!("{}: {error}", folder.display())))?;
        Ok(Self(folder.to_owned()))
    }

    /// Opens the store of the device of `bot_id`, and creates a missing file.
    pub(super) async fn open(&self, bot_id: i32) -> Result<Arc<SqliteStore>, LinkError> {
        let newest = self.generations(bot_id)?.last().copied();
        let file = self.file(bot_id, newest.unwrap_or(FIRST));
        make(&file)?;
        let config = SqliteStoreConfig {
            synchronous: Synchronous::Full,
            // A device uses only a few rows: a small cache keeps the memory per bot low.
            cache_size_kib: 64,
            ..SqliteStoreConfig::default()
        };
        let store = SqliteStore::with_config_for_device(&file.to_string_lossy(), ONLY, config)
            .await
            .map_err(|error| LinkError::Store(cause(&error)))?;
        tokio::task::spawn_blocking(move || keep_sent_messages(&file))
            .await
            .map_err(|error| LinkError::Store(error.to_string()))??;
        Ok(Arc::new(store))
    }

    /// Replaces the store of `bot_id` by an empty file. If an old client still writes, the data
    /// goes to deleted files.
    pub(super) fn renew(&self, bot_id: i32) -> Result<(), LinkError> {
        let old = self.generations(bot_id)?;
        let next = old.last().map_or(FIRST, |newest| newest + 1);
        make(&self.file(bot_id, next))?;
        self.remove(bot_id, &old)
    }

    /// Removes all files of `bot_id`. The bot is never opened again.
    pub(super) fn wipe(&self, bot_id: i32) -> Result<(), LinkError> {
        let redelivered_file = self.redelivered_file(bot_id);
        remove(&fresh(&redelivered_file))?;
        remove(&redelivered_file)?;
        self.remove(bot_id, &self.generations(bot_id)?)
    }

    /// Returns the file with the records of redelivered messages.
    pub(super) fn redelivered_file(&self, bot_id: i32) -> PathBuf {
        self.0.join(format!("{bot_id}.again"))
    }

    fn remove(&self, bot_id: i32, generations: &[u32]) -> Result<(), LinkError> {
        for generation in generations {
            // The main file identifies the generation, so the main file is removed last: after a
            // kill the next wipe finds the rest.
            for suffix in ["-wal", "-shm", ""] {
                let mut path = self.file(bot_id, *generation).into_os_string();
                path.push(suffix);
                remove(Path::new(&path))?;
            }
        }
        Ok(())
    }

    /// Returns the generations of `bot_id` with a file, oldest first. Several generations exist
    /// only after a kill during a replacement.
    fn generations(&self, bot_id: i32) -> Result<Vec<u32>, LinkError> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&self.0).map_err(|error| failed(&self.0, &error))? {
            let name = entry.map_err(|error| failed(&self.0, &error))?.file_name();
            let Some(stem) = name.to_str().and_then(|name| name.strip_suffix(".db")) else {
                continue;
            };
            let (of, generation) = match stem.split_once('-') {
                Some((of, generation)) => (of, generation.parse()),
                None => (stem, Ok(FIRST)),
            };
            if let (Ok(of), Ok(generation)) = (of.parse::<i32>(), generation)
                && of == bot_id
            {
                found.push(generation);
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    fn file(&self, bot_id: i32, generation: u32) -> PathBuf {
        self.0.join(if generation == FIRST {
            format!("{bot_id}.db")
        } else {
            format!("{bot_id}-{generation}.db")
        })
    }
}

/// Keeps each sent message in the file until its retention ends.
///
/// If a phone asks for a resend, the library takes the message out of its table, sends the message
/// and puts the message back. A second phone that asks in between would get nothing, and a kill in
/// between would lose the message. A trigger ignores the deletion of younger messages.
fn keep_sent_messages(file: &Path) -> Result<(), LinkError> {
    let failed = |error: &dyn std::error::Error| LinkError::Store(cause(error));
    let mut connection =
        SqliteConnection::establish(&file.to_string_lossy()).map_err(|error| failed(&error))?;
    let seconds = SENT_MESSAGES_KEPT.as_secs();
    // The library's own write of a message replaces the row, which fires no trigger in SQLite.
    let trigger = format!(
        "PRAGMA busy_timeout = 5000; \
         CREATE TRIGGER IF NOT EXISTS waviro_keep_sent_messages BEFORE DELETE ON sent_messages \
         WHEN OLD.created_at >= CAST(strftime('%s', 'now') AS INTEGER) - {seconds} \
         BEGIN SELECT RAISE(IGNORE); END;"
    );
    let made = connection.batch_execute(&trigger);
    made.map_err(|error| failed(&error))
}

fn remove(file: &Path) -> Result<(), LinkError> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(failed(file, &error)),
        _ => Ok(()),
    }
}

/// Creates a missing file with mode 0600; SQLite's log gets the same mode.
fn make(file: &Path) -> Result<(), LinkError> {
    let mut options = std::fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
        .open(file)
        .map(drop)
        .map_err(|error| failed(file, &error))
}

fn failed(path: &Path, error: &std::io::Error) -> LinkError {
    LinkError::Store(format!("{}: {error}", path.display()))
}

/// Returns the text of the error with all its sources. The library's own text is only "database
/// operation error".
pub(super) fn cause(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut under = error.source();
    while let Some(error) = under {
        text = format!("{text}: {error}");
        under = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use whatsapp_rust::store::traits::ProtocolStore as _;

    use super::*;

    #[tokio::test]
    async fn a_wipe_leaves_no_file_of_the_device_and_every_file_of_others() {
        let folder = tempfile::tempdir().unwrap();
        let stores = Stores::prepare(&folder.path().join("links")).unwrap();
        drop(stores.open(1).await.unwrap());
        let other = stores.open(2).await.unwrap();
        std::fs::write(stores.redelivered_file(1), "").unwrap();
        std::fs::write(fresh(&stores.redelivered_file(1)), "").unwrap();
        stores.wipe(1).unwrap();
        stores.wipe(1).unwrap();
        let left: Vec<_> = std::fs::read_dir(folder.path().join("links"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        assert!(left.iter().any(|name| name == "2.db"), "{left:?}");
        assert!(left.iter().all(|name| name.starts_with("2.db")), "{left:?}");
        drop(other);
    }

    /// The library takes a message for a resend, and a kill may come before the message is back.
    #[tokio::test]
    async fn a_sent_message_that_was_taken_for_a_resend_is_still_there_until_its_retention_ends() {
        let folder = tempfile::tempdir().unwrap();
        let stores = Stores::prepare(&folder.path().join("links")).unwrap();
        let (chat, id) = ("6281@s.whatsapp.net", "3EB0A1");
        drop(stores.open(1).await.unwrap());
        // The second opening finds the trigger.
        let store = stores.open(1).await.unwrap();
        for text in ["satu", "dua"] {
            store
                .store_sent_message(chat, id, text.as_bytes())
                .await
                .unwrap();
            for _ in 0..2 {
                let taken = store.take_sent_message(chat, id).await.unwrap();
                assert_eq!(taken.as_deref(), Some(text.as_bytes()));
            }
        }
        let aged = "UPDATE sent_messages SET created_at = created_at - 604801";
        let file = stores.file(1, FIRST);
        let mut connection = SqliteConnection::establish(&file.to_string_lossy()).unwrap();
        connection.batch_execute(aged).unwrap();
        let old = jiff::Timestamp::now().as_second() - 604_800;
        assert_eq!(store.delete_expired_sent_messages(old).await.unwrap(), 1);
        assert_eq!(store.take_sent_message(chat, id).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_store_closed_late_removes_nothing_of_its_successor() {
        let folder = tempfile::tempdir().unwrap();
        let stores = Stores::prepare(&folder.path().join("links")).unwrap();
        let names = || {
            let files = std::fs::read_dir(folder.path().join("links")).unwrap();
            let mut names: Vec<_> = files
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            names
        };
        let old = stores.open(3).await.unwrap();
        stores.renew(3).unwrap();
        let new = stores.open(3).await.unwrap();
        assert_eq!(names(), ["3-2.db", "3-2.db-shm", "3-2.db-wal"]);
        let gone = Arc::downgrade(&old);
        drop(old);
        assert!(gone.upgrade().is_none());
        assert_eq!(names(), ["3-2.db", "3-2.db-shm", "3-2.db-wal"]);
        stores.renew(3).unwrap();
        assert_eq!(names(), ["3-3.db"]);
        drop(new);
        stores.wipe(3).unwrap();
        assert!(names().is_empty());
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn keys_are_their_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let links = folder.path().join("links");
        let stores = Stores::prepare(&links).unwrap();
        let store = stores.open(7).await.unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&links), 0o700);
        for entry in std::fs::read_dir(&links).unwrap() {
            let path = entry.unwrap().path();
            assert_eq!(mode(&path), 0o600, "{}", path.display());
        }
        drop(store);
    }
}
