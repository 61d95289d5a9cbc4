//! Opens a database: parses the URL, creates the file, configures each connection, migrates the
//! schema.

mod postgres;

use std::cmp::Ordering;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Once;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AnyConnection, AnyPool, ConnectOptions, Executor, Row, SqlSafeStr};
use waviro_fault::Bug;

use super::{Schema, StoreError};
use crate::DatabaseAt;

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

/// The settings of each SQLite connection. With WAL and FULL, a commit costs one fsync of the log
/// and survives a power cut. `busy_timeout` covers concurrent writes by the command line tool.
/// `journal_size_limit` truncates a log that grew during a long read. `wal_autocheckpoint` copies
/// the log into the database every 4,000 pages (16 MB) instead of 1,000: the commit that crosses
/// the limit waits for the copy, and a page written several times is copied once.
const SQLITE_SETTINGS: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 5000; \
     PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY; PRAGMA journal_size_limit = 67108864; PRAGMA wal_autocheckpoint = 4000;";

/// The settings of read connections. Each connection has a page cache of 2,000 KiB by default. The
/// cache takes hours of traffic to fill, so its growth looks like a memory leak. A small cache is
/// enough, because the kernel caches the pages too, and readers mostly read new pages. The writer
/// returns to the same pages and keeps a larger cache.
const READER_SETTINGS: &str = "PRAGMA cache_size = -512;";

/// The writer's page cache, as a part of the database size. Every write goes through the inner
/// pages of the indexes, about a hundredth of the database. The limits in KiB are SQLite's default
/// and the most that a small machine can spare.
const CACHE_PART: i64 = 64;
const CACHE_KIB: (i64, i64) = (2_000, 65_536);

/// SQLite's number for `synchronous=FULL`.
const FULL: i64 = 2;

/// The address of a database.
#[derive(Debug, Clone)]
pub(super) struct DatabaseAddress {
    options: AnyConnectOptions,
    sqlite: bool,
    /// The host whose certificate a connection verifies.
    verified: Option<String>,
}

impl DatabaseAddress {
    /// Parses `sqlite:PATH`, `sqlite://PATH`, `postgres://…` and `postgresql://…`.
    pub(super) fn parse(at: &DatabaseAt) -> Result<Self, StoreError> {
        static DRIVERS: Once = Once::new();
        DRIVERS.call_once(sqlx::any::install_default_drivers);
        let (options, verified) = match at.url.split_once(':') {
            Some(("sqlite", rest)) => {
                file(rest)?;
                let options: AnyConnectOptions = at
                    .url
                    .parse()
                    .map_err(|error: sqlx::Error| StoreError::Failed(error.to_string()))?;
                (options, None)
            }
            Some(("postgres" | "postgresql", _)) => {
                let server = postgres::secured(&at.url, at.allow_unverified, environment)?;
                (AnyConnectOptions::from_url(&server.url)?, server.verified)
            }
            _ => {
                return Err(StoreError::Failed(
                    "the database URL must start with sqlite: or postgres://".to_owned(),
                ));
            }
        };
        // Statements hold people's texts and numbers, so no statement may reach the log.
        let options = options.disable_statement_logging();
        Ok(Self {
            options,
            sqlite: at.url.starts_with("sqlite:"),
            verified,
        })
    }

    /// The statement that starts a writing transaction. SQLite must take the write lock at once: a
    /// transaction that reads first and writes later fails without waiting if another process wrote
    /// in between.
    pub(super) fn begin(&self) -> &'static str {
        if self.sqlite {
            "BEGIN IMMEDIATE"
        } else {
            "BEGIN"
        }
    }

    /// Opens a connection and applies the settings.
    pub(super) async fn connect(&self) -> Result<AnyConnection, StoreError> {
        let mut connection = self.dial().await?;
        if self.sqlite {
            connection.execute(SQLITE_SETTINGS).await?;
            if waviro_fault::planted(Bug::NoSync) {
                connection.execute("PRAGMA synchronous = OFF").await?;
                return Ok(connection);
            }
            be_sure(&mut connection).await?;
        }
        Ok(connection)
    }

    /// Opens a connection without settings. The error for a refused certificate contains the
    /// remedy.
    async fn dial(&self) -> Result<AnyConnection, StoreError> {
        self.options
            .connect()
            .await
            .map_err(|error| match (&error, &self.verified) {
                (sqlx::Error::Tls(_), Some(host)) => unproven(host, &error),
                // sqlx reports a certificate refused by rustls as `InvalidData`.
                (sqlx::Error::Io(cause), Some(host)) if cause.kind() == ErrorKind::InvalidData => {
                    unproven(host, &error)
                }
                _ => error.into(),
            })
    }

    /// Sets the size of the writer's page cache for the current size of the database.
    pub(super) async fn fit_cache(&self, connection: &mut AnyConnection) -> Result<(), StoreError> {
        if !self.sqlite {
            return Ok(());
        }
        let pages: i64 = (connection.fetch_one("PRAGMA page_count").await?).try_get(0)?;
        let size: i64 = (connection.fetch_one("PRAGMA page_size").await?).try_get(0)?;
        let (least, most) = CACHE_KIB;
        let fitting = (pages.saturating_mul(size) / 1024 / CACHE_PART).clamp(least, most);
        let text = format!("PRAGMA cache_size = -{fitting}");
        connection.execute(sqlx::AssertSqlSafe(text)).await?;
        Ok(())
    }

    /// Creates a pool for reads; the pool connects at its first use.
    pub(super) fn pool(&self, connections: u32) -> AnyPool {
        let sqlite = self.sqlite;
        AnyPoolOptions::new()
            .max_connections(connections)
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    if sqlite {
                        connection.execute(SQLITE_SETTINGS).await?;
                        connection.execute(READER_SETTINGS).await?;
                    }
                    Ok(())
                })
            })
            .connect_lazy_with(self.options.clone())
    }
}

/// Reads an environment variable of libpq.
#[expect(
    clippy::disallowed_methods,
    reason = "sqlx reads these variables itself, so the gateway must check their values"
)]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The error for a server on another machine without a verified identity, with the remedy.
fn unproven(host: &str, error: &sqlx::Error) -> StoreError {
    StoreError::Failed(format!(
        "{error}; a PostgreSQL server on another machine needs TLS with a certificate for {host}; \
         set sslrootcert=FILE in database.url for your own authority"
    ))
}

/// Checks the two settings required for the durability of every 200. SQLite may refuse both without
/// an error, for example WAL on a network file system.
async fn be_sure(connection: &mut AnyConnection) -> Result<(), StoreError> {
    let row = connection.fetch_one("PRAGMA synchronous").await?;
    let synchronous: i64 = row.try_get(0)?;
    let row = connection.fetch_one("PRAGMA journal_mode").await?;
    let journal: String = row.try_get(0)?;
    if synchronous == FULL && journal == "wal" {
        return Ok(());
    }
    Err(StoreError::Failed(format!(
        "commits would not survive a power cut (synchronous={synchronous}, journal_mode={journal}); \
         the database must be on a local disk"
    )))
}

/// Migrates the schema.
pub(super) async fn migrate(connection: &mut AnyConnection) -> Result<(), StoreError> {
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
pub(super) fn create(url: &str) -> Result<(), StoreError> {
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

/// Implements [`super::Store::schema_at`].
pub(super) async fn schema_at(at: &DatabaseAt) -> Result<Schema, StoreError> {
    let place = DatabaseAddress::parse(at)?;
    if let Some(rest) = at.url.strip_prefix("sqlite:") {
        let path = file(rest)?;
        match std::fs::metadata(&path) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Schema::None),
            Err(error) => return Err(StoreError::Failed(format!("{}: {error}", path.display()))),
        }
    }
    // The connection has no settings, because the settings would change an empty file.
    let mut connection = place.dial().await?;
    let table = if place.sqlite {
        "SELECT COUNT(*) FROM sqlite_master WHERE name = '_sqlx_migrations'"
    } else {
        // `to_regclass` uses the search path, as the next query does: other schemas may hold the
        // tables of another program.
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

/// Returns the path in a SQLite URL.
fn file(rest: &str) -> Result<PathBuf, StoreError> {
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    let path = rest.split_once('?').map_or(rest, |(path, _)| path);
    if path.contains('%') || path.contains('#') {
        return Err(StoreError::Failed(
            "the path of the database must not contain % or #".to_owned(),
        ));
    }
    if path == ":memory:" || path.is_empty() {
        return Err(StoreError::Failed(
            "the database must be a file: sqlite:/var/lib/waviro/waviro.db".to_owned(),
        ));
    }
    Ok(PathBuf::from(path))
}
