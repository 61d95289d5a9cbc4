//! The link store: a file for each device, in the library's own SQLite schema.
//!
//! `synchronous=FULL`: a Signal session that forgets what it used up encrypts with the same key twice after a crash. A file
//! each, because writers of one SQLite file wait for each other's disk, in pauses that grow: two hundred devices on one file
//! send no faster than one. It also keeps one device's damage from the others, and forgetting a device is removing a file.
//!
//! A slot that is linked anew gets a file of a new name: `3.db`, then `3-2.db`. The library's connections to the old file close
//! some time after it was let go, and SQLite's last one removes the log *by its name*. Under the same name that was the new
//! device's log, with its keys in it.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use whatsapp_rust::store::{SqliteStore, SqliteStoreConfig, Synchronous};

use super::redelivered::fresh;
use crate::LinkError;

/// The device's number within its file: there is no other.
const ONLY: i32 = 1;

/// The first file of a slot.
const FIRST: u32 = 1;

/// The folder of the devices' files.
#[derive(Debug)]
pub(super) struct Stores(PathBuf);

impl Stores {
    /// Makes the folder, open to its owner alone.
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

    /// The store of the device of `slot`; made where it is missing.
    pub(super) async fn open(&self, slot: i32) -> Result<Arc<SqliteStore>, LinkError> {
        let newest = self.generations(slot)?.last().copied();
        let file = self.file(slot, newest.unwrap_or(FIRST));
        make(&file)?;
        let config = SqliteStoreConfig {
            synchronous: Synchronous::Full,
            // A device works on its own few rows: a small cache keeps a further bot cheap.
            cache_size_kib: 64,
            ..SqliteStoreConfig::default()
        };
        SqliteStore::with_config_for_device(&file.to_string_lossy(), ONLY, config)
            .await
            .map(Arc::new)
            .map_err(|error| LinkError::Store(cause(&error)))
    }

    /// Leaves what is kept of `slot` behind: whoever opens it next finds nothing. A client that still writes does so to files
    /// without a name.
    pub(super) fn renew(&self, slot: i32) -> Result<(), LinkError> {
        let old = self.generations(slot)?;
        let next = old.last().map_or(FIRST, |newest| newest + 1);
        make(&self.file(slot, next))?;
        self.remove(slot, &old)
    }

    /// Removes all that is kept of `slot`, which is never opened again.
    pub(super) fn wipe(&self, slot: i32) -> Result<(), LinkError> {
        let came_again = self.came_again(slot);
        remove(&fresh(&came_again))?;
        remove(&came_again)?;
        self.remove(slot, &self.generations(slot)?)
    }

    /// Where the device of `slot` notes what is delivered to it again.
    pub(super) fn came_again(&self, slot: i32) -> PathBuf {
        self.0.join(format!("{slot}.again"))
    }

    fn remove(&self, slot: i32, generations: &[u32]) -> Result<(), LinkError> {
        for generation in generations {
            // The file by which they are found goes last: what a kill leaves is found by the next wipe.
            for suffix in ["-wal", "-shm", ""] {
                let mut path = self.file(slot, *generation).into_os_string();
                path.push(suffix);
                remove(Path::new(&path))?;
            }
        }
        Ok(())
    }

    /// Those of `slot` that have a file, oldest first. More than one where a kill came in the middle of a change.
    fn generations(&self, slot: i32) -> Result<Vec<u32>, LinkError> {
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
                && of == slot
            {
                found.push(generation);
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    fn file(&self, slot: i32, generation: u32) -> PathBuf {
        self.0.join(if generation == FIRST {
            format!("{slot}.db")
        } else {
            format!("{slot}-{generation}.db")
        })
    }
}

fn remove(file: &Path) -> Result<(), LinkError> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(failed(file, &error)),
        _ => Ok(()),
    }
}

/// Makes a missing file, for its owner alone; SQLite gives its log the same mode.
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

/// The error with what lies under it; the library's own sentence alone says only "database operation error".
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
    use super::*;

    #[tokio::test]
    async fn a_wipe_leaves_no_file_of_the_device_and_every_file_of_others() {
        let folder = tempfile::tempdir().unwrap();
        let stores = Stores::prepare(&folder.path().join("links")).unwrap();
        drop(stores.open(1).await.unwrap());
        let other = stores.open(2).await.unwrap();
        std::fs::write(stores.came_again(1), "").unwrap();
        std::fs::write(fresh(&stores.came_again(1)), "").unwrap();
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

    #[tokio::test]
    async fn a_store_let_go_late_takes_nothing_of_the_one_that_came_after() {
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
