//! The link store: the library's SQLite store, one file for all devices, one row set per slot.
//!
//! `synchronous=FULL`: a Signal session that forgets what it used up encrypts with the same key twice after a crash.

use std::path::Path;
use std::sync::Arc;

use diesel::connection::SimpleConnection;
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

/// Makes the file, readable by its owner alone, and its tables.
pub(super) async fn prepare(path: &Path) -> Result<(), LinkError> {
    let mut options = std::fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
        .open(path)
        .map_err(|error| LinkError::Store(format!("{}: {error}", path.display())))?;
    open(path, 1).await.map(drop)
}

/// The store as the device of `slot` sees it.
pub(super) async fn open(path: &Path, slot: i32) -> Result<Arc<SqliteStore>, LinkError> {
    let config = SqliteStoreConfig {
        synchronous: Synchronous::Full,
        // A device works on its own few rows: a small cache keeps a further bot cheap.
        cache_size_kib: 64,
        ..SqliteStoreConfig::default()
    };
    SqliteStore::with_config_for_device(&path.to_string_lossy(), slot, config)
        .await
        .map(Arc::new)
        .map_err(|error| LinkError::Store(error.to_string()))
}

/// Removes every row of `slot`.
pub(super) async fn wipe(path: &Path, slot: i32) -> Result<(), LinkError> {
    let store = open(path, slot).await?;
    let statements = TABLES
        .map(|table| format!("DELETE FROM {table} WHERE device_id = {slot};"))
        .concat();
    store
        .shared()
        .run(move |connection| {
            connection
                .batch_execute(&format!(
                    "BEGIN IMMEDIATE; {statements} DELETE FROM device WHERE id = {slot}; COMMIT;"
                ))
                .map_err(|error| StoreError::Database(Box::new(error)))
        })
        .await
        .map_err(|error| LinkError::Store(error.to_string()))
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
        prepare(&path).await.unwrap();
        let store = open(&path, 1).await.unwrap();
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
        wipe(&path, 1).await.unwrap();
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn the_file_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("link.db");
        prepare(&path).await.unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
