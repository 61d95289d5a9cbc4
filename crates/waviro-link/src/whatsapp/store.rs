//! The link store: the library's SQLite store, one file for all devices, one row set per slot.
//!
//! `synchronous=FULL`: a Signal session that forgets what it used up encrypts with the same key twice after a crash.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use diesel::connection::SimpleConnection;
use tokio::sync::Mutex;
use whatsapp_rust::store::error::StoreError;
use whatsapp_rust::store::{SqliteStore, SqliteStoreConfig, Synchronous};

use crate::LinkError;

/// Every table of the store that holds rows of a device under `device_id`. The list belongs to the pinned
/// version of the library; a test holds it against the real schema.
const TABLES: [&str; 17] = [
    "app_state_keys",
    "app_state_mutation_macs",
    "app_state_versions",
    "base_keys",
    "device_registry",
    "group_metadata",
    "identities",
    "lid_pn_mapping",
    "msg_secrets",
    "pending_inbound_messages",
    "prekeys",
    "sender_key_devices",
    "sender_keys",
    "sent_messages",
    "sessions",
    "signed_prekeys",
    "tc_tokens",
];

/// The file, and a connection that stays open while any device may use it.
///
/// SQLite takes the write-ahead log down with the last connection and sets it up with the first, and neither may be
/// disturbed: a device that opens its store in that moment fails. So one connection outlives the devices, and they open
/// theirs one after another.
pub(super) struct Stores {
    path: PathBuf,
    anchor: SqliteStore,
    opening: Mutex<()>,
}

impl Stores {
    /// Makes the file, readable by its owner alone, and its tables.
    pub(super) async fn prepare(path: &Path) -> Result<Self, LinkError> {
        let mut options = std::fs::OpenOptions::new();
        options.create(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options
            .open(path)
            .map_err(|error| LinkError::Store(format!("{}: {error}", path.display())))?;
        Ok(Self {
            path: path.to_owned(),
            anchor: connect(path, 0).await?,
            opening: Mutex::new(()),
        })
    }

    /// The store as the device of `slot` sees it.
    pub(super) async fn open(&self, slot: i32) -> Result<Arc<SqliteStore>, LinkError> {
        let _one_at_a_time = self.opening.lock().await;
        connect(&self.path, slot).await.map(Arc::new)
    }

    /// Removes every row of `slot`.
    pub(super) async fn wipe(&self, slot: i32) -> Result<(), LinkError> {
        let statements = TABLES
            .map(|table| format!("DELETE FROM {table} WHERE device_id = {slot};"))
            .concat();
        let statements =
            format!("BEGIN IMMEDIATE; {statements} DELETE FROM device WHERE id = {slot}; COMMIT;");
        self.anchor
            .shared()
            .run(move |connection| {
                connection
                    .batch_execute(&statements)
                    .map_err(|error| StoreError::Database(Box::new(error)))
            })
            .await
            .map_err(|error| LinkError::Store(cause(&error)))
    }
}

async fn connect(path: &Path, slot: i32) -> Result<SqliteStore, LinkError> {
    let config = SqliteStoreConfig {
        synchronous: Synchronous::Full,
        // A device works on its own few rows: a small cache keeps a further bot cheap.
        cache_size_kib: 64,
        ..SqliteStoreConfig::default()
    };
    SqliteStore::with_config_for_device(&path.to_string_lossy(), slot, config)
        .await
        .map_err(|error| LinkError::Store(cause(&error)))
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

impl std::fmt::Debug for Stores {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stores")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use diesel::prelude::*;

    use super::*;

    #[derive(QueryableByName)]
    struct Name {
        #[diesel(sql_type = diesel::sql_types::Text)]
        name: String,
    }

    #[tokio::test]
    async fn a_wipe_names_every_table_that_holds_rows_of_a_device() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("link.db");
        let stores = Stores::prepare(&path).await.unwrap();
        let store = stores.open(1).await.unwrap();
        let mut tables = store
            .shared()
            .run(|connection| {
                diesel::sql_query(
                    "SELECT m.name AS name FROM sqlite_master m, pragma_table_info(m.name) c \
                     WHERE m.type = 'table' AND c.name = 'device_id' ORDER BY m.name",
                )
                .load::<Name>(connection)
                .map_err(|error| StoreError::Database(Box::new(error)))
            })
            .await
            .unwrap()
            .into_iter()
            .map(|row| row.name)
            .collect::<Vec<_>>();
        tables.dedup();
        let named: Vec<_> = TABLES.iter().map(|table| (*table).to_owned()).collect();
        assert_eq!(tables, named);
        stores.wipe(1).await.unwrap();
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn the_file_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("link.db");
        let _stores = Stores::prepare(&path).await.unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
