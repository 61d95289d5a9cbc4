//! The link store: a file for each device, in the library's own SQLite schema.
//!
//! `synchronous=FULL`: a Signal session that forgets what it used up encrypts with the same key twice after a crash. A file
//! each, because writers of one SQLite file wait for each other's disk, in pauses that grow: two hundred devices on one file
//! send no faster than one. It also keeps one device's damage from the others, and forgetting a device is removing a file.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use whatsapp_rust::store::{SqliteStore, SqliteStoreConfig, Synchronous};

use crate::LinkError;

/// The device's number within its file: there is no other.
const ONLY: i32 = 1;

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
        let file = self.file(slot);
        let mut options = std::fs::OpenOptions::new();
        options.create(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options
            .open(&file)
            .map_err(|error| LinkError::Store(format!("{}: {error}", file.display())))?;
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

    /// Removes all that is kept of `slot`. Its store must be closed, else that goes on writing to files without a name.
    pub(super) fn wipe(&self, slot: i32) -> Result<(), LinkError> {
        let file = self.file(slot);
        for suffix in ["", "-wal", "-shm"] {
            let mut path = file.clone().into_os_string();
            path.push(suffix);
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    let path = path.display();
                    return Err(LinkError::Store(format!("{path}: {error}")));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn file(&self, slot: i32) -> PathBuf {
        self.0.join(format!("{slot}.db"))
    }
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
