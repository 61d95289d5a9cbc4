//! The address of the database, and connections with their settings.

mod postgres;

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Once;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{AnyConnection, AnyPool, AssertSqlSafe, ConnectOptions, Executor, Row};
use waviro_fault::Bug;

use crate::StoreError;

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

/// The address of the database, with all defaults filled in. No `Debug`, because the URL may
/// contain a password.
#[derive(Clone)]
pub struct DatabaseAt {
    /// `sqlite:…` or `postgres://…`.
    pub url: String,
    /// Permits a weaker `sslmode` for a PostgreSQL server on another machine.
    pub allow_unverified: bool,
}

impl From<&str> for DatabaseAt {
    fn from(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            allow_unverified: false,
        }
    }
}

impl From<&String> for DatabaseAt {
    fn from(url: &String) -> Self {
        url.as_str().into()
    }
}

/// A parsed address.
#[derive(Debug, Clone)]
pub(crate) struct DatabaseAddress {
    options: AnyConnectOptions,
    pub(crate) sqlite: bool,
    /// The host whose certificate a connection verifies.
    verified: Option<String>,
}

impl DatabaseAddress {
    /// Parses `sqlite:PATH`, `sqlite://PATH`, `postgres://…` and `postgresql://…`.
    pub(crate) fn parse(at: &DatabaseAt) -> Result<Self, StoreError> {
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
    pub(crate) fn begin(&self) -> &'static str {
        if self.sqlite {
            "BEGIN IMMEDIATE"
        } else {
            "BEGIN"
        }
    }

    /// Opens a connection and applies the settings.
    pub(crate) async fn connect(&self) -> Result<AnyConnection, StoreError> {
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
    pub(crate) async fn dial(&self) -> Result<AnyConnection, StoreError> {
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
    pub(crate) async fn fit_cache(&self, connection: &mut AnyConnection) -> Result<(), StoreError> {
        if !self.sqlite {
            return Ok(());
        }
        let pages: i64 = (connection.fetch_one("PRAGMA page_count").await?).try_get(0)?;
        let size: i64 = (connection.fetch_one("PRAGMA page_size").await?).try_get(0)?;
        let (least, most) = CACHE_KIB;
        let fitting = (pages.saturating_mul(size) / 1024 / CACHE_PART).clamp(least, most);
        let text = format!("PRAGMA cache_size = -{fitting}");
        connection.execute(AssertSqlSafe(text)).await?;
        Ok(())
    }

    /// Creates a pool for reads; the pool connects at its first use.
    pub(crate) fn pool(&self, connections: u32) -> AnyPool {
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

/// Returns the path in a SQLite URL.
pub(crate) fn file(rest: &str) -> Result<PathBuf, StoreError> {
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
