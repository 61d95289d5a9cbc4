//! Opens a database: creates the file, migrates the schema, starts the writer.

use std::cmp::Ordering;
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AnyConnection, Executor, Row, SqlSafeStr};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::counts::{Counters, Counts};
use crate::database::{DatabaseAddress, DatabaseAt, file};
use crate::search::Searches;
use crate::store::{State, Store};
use crate::writer::Writer;
use crate::{StoreError, panics};

/// All migrations in order. A released migration is never edited.
const SCHEMA: &[(i64, &str, &str)] = &[
    (1, "gateway", include_str!("../migrations/0001_gateway.sql")),
    (
        2,
        "inbound_by_time",
        include_str!("../migrations/0002_inbound_by_time.sql"),
    ),
    (
        3,
        "deliveries",
        include_str!("../migrations/0003_deliveries.sql"),
    ),
    (4, "tokens", include_str!("../migrations/0004_tokens.sql")),
    (5, "events", include_str!("../migrations/0005_events.sql")),
    (
        6,
        "timeline",
        include_str!("../migrations/0006_timeline.sql"),
    ),
    (
        7,
        "settings",
        include_str!("../migrations/0007_settings.sql"),
    ),
    (8, "users", include_str!("../migrations/0008_users.sql")),
    (
        9,
        "message_log",
        include_str!("../migrations/0009_message_log.sql"),
    ),
    (
        10,
        "kept_answers",
        include_str!("../migrations/0010_kept_answers.sql"),
    ),
    (14, "growth", include_str!("../migrations/0014_growth.sql")),
    (16, "lists", include_str!("../migrations/0016_lists.sql")),
    (18, "queues", include_str!("../migrations/0018_queues.sql")),
    (30, "claims", include_str!("../migrations/0030_claims.sql")),
    (31, "causes", include_str!("../migrations/0031_causes.sql")),
];

/// The number of read connections. In WAL mode SQLite reads beside the writer; four readers
/// saturate two cores.
const READERS: u32 = 4;

/// The capacity of the writer's queue. If the queue is full, [`Store::accept`] refuses with
/// [`StoreError::Busy`].
const WAITING: usize = 4096;

/// The schema version found in a database, compared with the version of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schema {
    /// The database does not exist or is empty.
    None,
    /// An older schema; [`Store::open`] migrates it.
    Older,
    /// The schema of the running version.
    Current,
    /// A schema of a later version; the running version cannot read it.
    Newer,
}

impl Store {
    /// Returns the state of the schema at an address. Creates and changes nothing.
    ///
    /// # Errors
    /// [`StoreError::Failed`] with the database's own message.
    pub async fn schema_at(at: impl Into<DatabaseAt>) -> Result<Schema, StoreError> {
        let at = at.into();
        let place = DatabaseAddress::parse(&at)?;
        if let Some(rest) = at.url.strip_prefix("sqlite:") {
            let path = file(rest)?;
            match std::fs::metadata(&path) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Schema::None),
                Err(error) => {
                    return Err(StoreError::Failed(format!("{}: {error}", path.display())));
                }
            }
        }
        // The connection has no settings, because the settings would change an empty file.
        let mut connection = place.dial().await?;
        let table = if place.sqlite {
            "SELECT COUNT(*) FROM sqlite_master WHERE name = '_sqlx_migrations'"
        } else {
            // `to_regclass` uses the search path, as the next query does: other schemas may hold
            // the tables of another program.
            "SELECT COUNT(*) WHERE to_regclass('_sqlx_migrations') IS NOT NULL"
        };
        let tables: i64 = connection.fetch_one(table).await?.try_get(0)?;
        let (newest, landed): (i64, i64) = if tables == 0 {
            (0, 0)
        } else {
            let versions = "SELECT COALESCE(MAX(version), 0), COUNT(*) FROM _sqlx_migrations";
            let row = connection.fetch_one(versions).await?;
            (row.try_get(0)?, row.try_get(1)?)
        };
        let all = i64::try_from(SCHEMA.len()).unwrap_or(i64::MAX);
        let current = SCHEMA.iter().map(|(version, ..)| *version).max();
        let current = current.unwrap_or(0);
        Ok(match newest.cmp(&current) {
            _ if landed == 0 => Schema::None,
            Ordering::Less => Schema::Older,
            // A migration between two others may be missing.
            Ordering::Equal if landed < all => Schema::Older,
            Ordering::Equal => Schema::Current,
            Ordering::Greater => Schema::Newer,
        })
    }

    /// Opens `sqlite:PATH` (a missing file is created with mode 0600) or `postgres://…`, migrates
    /// the schema and starts the writer.
    ///
    /// # Errors
    /// [`StoreError::Failed`] with the database's own message, [`StoreError::Unverified`] for an
    /// `sslmode` that is too weak.
    pub async fn open(at: impl Into<DatabaseAt>) -> Result<Self, StoreError> {
        let at = at.into();
        let place = DatabaseAddress::parse(&at)?;
        create(&at.url)?;
        let mut connection = place.connect().await?;
        migrate(&mut connection).await?;
        place.fit_cache(&mut connection).await?;
        let counters = Counters::read(&mut connection).await?;
        let state = Arc::new(State::default());
        *state.counts() = Counts::read(&mut connection).await?;
        state.last_seq.store(counters.seq, atomic::Ordering::SeqCst);
        state.last_event.send_replace(counters.event);
        let (reads, searches) = (place.pool(READERS), Searches::new(place.pool(1)));
        let (writes, inbox) = mpsc::channel(WAITING);
        let (background, background_inbox) = mpsc::channel(1);
        let tasks = TaskTracker::new();
        let stop = CancellationToken::new();
        let task = Writer::new(place, connection, counters, Arc::clone(&state));
        let writing = task.run(inbox, background_inbox, stop.clone());
        tasks.spawn(panics::vital("database writer", writing));
        tasks.close();
        Ok(Self {
            reads,
            searches,
            writes,
            background,
            state,
            tasks,
            stop,
        })
    }
}

/// Migrates the schema.
async fn migrate(connection: &mut AnyConnection) -> Result<(), StoreError> {
    let migrations = SCHEMA.iter().map(|&(version, name, text)| {
        Migration::new(
            version,
            name.into(),
            MigrationType::Simple,
            text.into_sql_str(),
            false,
        )
    });
    waviro_fault::step("before migration");
    Migrator::with_migrations(migrations.collect())
        .run(connection)
        .await
        .map_err(|error| StoreError::Failed(format!("migration: {error}")))?;
    waviro_fault::step("after migration");
    Ok(())
}

/// Creates a missing SQLite file with mode 0600; SQLite gives its log the same mode.
fn create(url: &str) -> Result<(), StoreError> {
    let Some(rest) = url.strip_prefix("sqlite:") else {
        return Ok(());
    };
    let path = file(rest)?;
    let mut options = std::fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(&path) {
        Ok(_) => Ok(()),
        Err(error) => Err(StoreError::Failed(format!("{}: {error}", path.display()))),
    }
}
