//! `waviro doctor`: prints a line per check, with a remedy for each problem. The module `whatsapp`
//! checks the connection to WhatsApp step by step.

mod whatsapp;

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use waviro_core::config::Config;
use waviro_core::private;
use waviro_store::clock::Clock;
use waviro_store::{Schema, Store, StoreError};

use super::output::print_line;

/// The timeout for a connection. A healthy connection takes tens of milliseconds.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// With less free space SQLite soon cannot commit, and the gateway answers 500 instead of 200.
const LITTLE_SPACE: u64 = 512 * 1024 * 1024;

/// The plausible range of the clock: 2026-01-01, before this program was written, to 2100-01-01.
const SANE: std::ops::Range<i64> = 1_767_225_600_000..4_102_444_800_000;

enum Finding {
    Ok(String),
    Warn(String),
    Fail(String),
}

use Finding::{Fail, Warn};

/// Runs all checks. The exit code is a failure if the gateway cannot work because of a finding.
pub(super) async fn run(config: &Config) -> anyhow::Result<ExitCode> {
    let mut failed = false;
    let mut findings = vec![
        ("port", port(config.server.listen, "server.listen").await),
        ("metrics", metrics(config).await),
        ("data", data(&config.data_dir)),
        ("files", files(config)),
        ("database", database(config).await),
        ("clock", clock(&Clock::system())),
    ];
    let dial = whatsapp::dial(config).await;
    findings.extend(dial.into_iter().map(|finding| ("whatsapp", finding)));
    for (check, finding) in findings {
        let (word, text) = match finding {
            Finding::Ok(text) => ("OK  ", text),
            Warn(text) => ("WARN", text),
            Fail(text) => {
                failed = true;
                ("FAIL", text)
            }
        };
        print_line(format_args!("{word}  {check:<9} {text}"));
    }
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

async fn metrics(config: &Config) -> Finding {
    match config.server.metrics_listen {
        Some(address) => port(address, "server.metrics_listen").await,
        None => Finding::Ok("not served; set server.metrics_listen to serve them".to_owned()),
    }
}

async fn port(address: SocketAddr, key: &str) -> Finding {
    match TcpListener::bind(address).await {
        Ok(_) => Finding::Ok(format!("{address} is free")),
        Err(_) if is_waviro(address).await => Finding::Ok(format!("Waviro answers on {address}")),
        Err(error) => Fail(format!(
            "{address}: {error}; stop the program that uses it, or set {key} to another address"
        )),
    }
}

/// Returns true if `/livez` at this address answers like this gateway.
async fn is_waviro(address: SocketAddr) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect(address).await.ok()?;
        let request = b"GET /livez HTTP/1.1\r\nHost: waviro\r\nConnection: close\r\n\r\n";
        stream.write_all(request).await.ok()?;
        let mut answer = Vec::new();
        stream.take(4096).read_to_end(&mut answer).await.ok()?;
        answer.ends_with(b"alive\n").then_some(())
    };
    matches!(
        tokio::time::timeout(CONNECT_WITHIN, ask).await,
        Ok(Some(()))
    )
}

fn data(folder: &Path) -> Finding {
    let shown = folder.display();
    if !folder.exists() {
        // The check does not create the folder, because the current user may not be the user that
        // runs waviro.
        return Finding::Ok(format!(
            "{shown} does not exist yet; the first start creates it"
        ));
    }
    let written = tempfile::NamedTempFile::new_in(folder).and_then(|mut file| {
        file.write_all(b"waviro")
            .and_then(|()| file.as_file().sync_all())
    });
    if let Err(error) = written {
        return Fail(format!(
            "{shown} cannot be written: {error}; make the user that runs waviro its owner, or set data_dir"
        ));
    }
    match free_space(folder) {
        Some(bytes) if bytes < LITTLE_SPACE => Warn(format!(
            "{shown} has only {} MiB free; free some space before the disk is full",
            bytes >> 20
        )),
        Some(bytes) => Finding::Ok(format!("{shown} can be written, {} MiB free", bytes >> 20)),
        None => Finding::Ok(format!("{shown} can be written")),
    }
}

fn files(config: &Config) -> Finding {
    let open = private::open_to_others(config);
    let Some(first) = open.first() else {
        return Finding::Ok("no other user of this machine can read them".to_owned());
    };
    let first = first.path.display();
    let count = open.len();
    if open.iter().all(|open| open.ours) {
        return Warn(format!(
            "{count} are readable by other users of this machine, for example {first}; the next start of waviro makes them private"
        ));
    }
    Warn(format!(
        "{count} are readable by other users of this machine, for example {first}; run chmod -R go-rwx on the private files"
    ))
}

#[cfg(unix)]
fn free_space(folder: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(folder).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[cfg(not(unix))]
fn free_space(_: &Path) -> Option<u64> {
    None
}

/// Checks the database without a change: migrating the schema under a running gateway of an older
/// version would stop that gateway.
async fn database(config: &Config) -> Finding {
    let at = config.database_at();
    match Store::schema_at(at.clone()).await {
        Ok(Schema::Current) => {}
        Ok(Schema::None) => return Finding::Ok("none yet; the first start creates it".to_owned()),
        Ok(Schema::Older) => {
            return Warn(
                "from an older version; the next start or `waviro migrate` updates the schema"
                    .to_owned(),
            );
        }
        Ok(Schema::Newer) => {
            return Fail("from a newer version; install the newer version again".to_owned());
        }
        Err(error @ StoreError::Unverified(..)) => return Fail(error.to_string()),
        Err(error) => return Fail(format!("{error}; check database.url and data_dir")),
    }
    let store = match Store::open(at).await {
        Ok(store) => store,
        Err(error) => return Fail(format!("{error}; check database.url and data_dir")),
    };
    let finding = match store.ping().await {
        Ok(()) => Finding::Ok("can be opened and answers; the schema is up to date".to_owned()),
        Err(error) => Fail(error.to_string()),
    };
    store.close().await;
    finding
}

fn clock(clock: &Clock) -> Finding {
    let now = clock.now();
    let shown = jiff::Timestamp::from_millisecond(now)
        .map(|now| now.to_string())
        .unwrap_or_default();
    if SANE.contains(&now) {
        Finding::Ok(shown)
    } else {
        Fail(format!(
            "{shown} is wrong; WhatsApp and TLS refuse connections with a wrong clock; switch time synchronisation on"
        ))
    }
}
