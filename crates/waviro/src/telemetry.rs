//! The telemetry of the gateway: log lines on stderr, metrics for `/metrics`, and panics.
//!
//! No log line contains a text, a key or a full number. The gateway's own code ensures this;
//! libraries are limited to warnings, and the writer masks every long run of digits from any
//! source.

mod expected;
mod log_writer;

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;
use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tokio_util::sync::CancellationToken;
use tracing::error;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use waviro_core::config::{Log, LogFormat};
use waviro_link::whatsapp::TOLD_TOO_MUCH;
use waviro_store::clock::Clock;
use waviro_store::panics;

use log_writer::LogWriter;

/// Targets limited to errors. The first two warn about defects in files of other people, which an
/// operator cannot fix.
const QUIETER: [&str; 3] = ["lofty", "mp4parse", TOLD_TOO_MUCH];

/// Histogram buckets in seconds, from half a millisecond to the longest wait.
const BUCKETS: [f64; 12] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 20.0,
];

/// How often samples are counted into buckets, independent of scrapes. Uncounted samples use
/// memory.
const COUNT_EVERY: Duration = Duration::from_secs(5);

/// The timeout for writing the waiting lines at the end of the process.
const FLUSH_WITHIN: Duration = Duration::from_millis(500);

static WRITER: OnceLock<LogWriter> = OnceLock::new();

thread_local! {
    /// Set while the log thread formats its own notice.
    static NOTICE: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// Why the log did not start.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// A log was started before.
    #[error(transparent)]
    Again(#[from] TryInitError),
    /// The system could not create a thread.
    #[error("the log thread could not be started: {0}")]
    Thread(#[from] io::Error),
}

/// Starts the log and the reports of panics.
///
/// # Errors
/// [`LogError`]
pub fn start_log(log: &Log) -> Result<(), LogError> {
    let writer = LogWriter::start(stderr(), notice)?;
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(io::stderr().is_terminal())
        // The layer reports a failed write with `eprintln!`, which panics if stderr cannot be
        // written.
        .log_internal_errors(false)
        .with_writer({
            let writer = writer.clone();
            move || Masked(Queued(writer.clone()))
        });
    // A filter that names the library's target shows all lines of the library.
    let quiet = (!log.level.contains(expected::TARGET)).then_some(expected::Expected);
    let registry = tracing_subscriber::registry()
        .with(EnvFilter::new(filter(&log.level)))
        .with(quiet);
    match log.format {
        LogFormat::Text => registry.with(lines).try_init()?,
        LogFormat::Json => registry.with(lines.json().flatten_event(true)).try_init()?,
    }
    WRITER.get_or_init(|| writer);
    panics::watch(finish_log);
    Ok(())
}

/// Waits until the log is written, at most half a second. Must be called before the process ends.
pub fn finish_log() {
    if let Some(writer) = WRITER.get() {
        writer.flush(FLUSH_WITHIN);
    }
}

/// Returns stderr without the lock of the standard library: a write that blocks in a pipe would
/// hold the lock and block every other writer of stderr.
fn stderr() -> Box<dyn Write + Send> {
    #[cfg(unix)]
    {
        use std::os::fd::AsFd;
        if let Ok(stderr) = io::stderr().as_fd().try_clone_to_owned() {
            return Box::new(File::from(stderr));
        }
    }
    Box::new(io::stderr())
}

/// Formats the notice about lost lines like any other line, on the log thread.
fn notice(lost: u64) -> Vec<u8> {
    NOTICE.set(Some(Vec::new()));
    error!(
        lines = lost,
        "log lines were lost; the log could not be written"
    );
    NOTICE.take().unwrap_or_default()
}

/// Builds the filter. A bare level applies to the gateway only. Other targets are limited to
/// warnings unless named: at debug the client library prints every stanza with names, under targets
/// (`Client/Recv`, `AppState`) that no list of crates would match.
fn filter(level: &str) -> String {
    let directives = level.split(',').map(str::trim);
    let mut gateway = LevelFilter::WARN;
    let mut named = Vec::new();
    for directive in directives.filter(|directive| !directive.is_empty()) {
        match directive.parse() {
            Ok(bare) => gateway = bare,
            Err(_) => named.push(directive),
        }
    }
    let others = gateway.min(LevelFilter::WARN);
    let quieter = gateway.min(LevelFilter::ERROR);
    // The prefix `waviro` also matches `waviro_link`. Of two directives for a target, the later
    // wins.
    let mut all = vec![others.to_string(), format!("waviro={gateway}")];
    all.extend(QUIETER.map(|target| format!("{target}={quieter}")));
    all.extend(named.into_iter().map(ToOwned::to_owned));
    all.join(",")
}

/// Records the metrics of the whole process, including the client library.
///
/// # Errors
/// An error if a recorder was installed before.
pub fn start_metrics() -> Result<PrometheusHandle, BuildError> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS)?
        .install_recorder()
}

/// Returns the page for `/metrics`.
#[must_use]
pub fn render_metrics(metrics: &PrometheusHandle) -> String {
    // The counters are read here and not counted at the event: code that fails to log or panics may
    // also fail to count.
    let lost = WRITER.get().map_or(0, LogWriter::lost);
    metrics::counter!("waviro_log_lines_lost_total").absolute(lost);
    metrics::counter!("waviro_panics_total").absolute(panics::count());
    metrics.render()
}

/// Limits the memory of the metrics until `stop`.
pub async fn count_metrics(metrics: PrometheusHandle, clock: Clock, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = clock.sleep(COUNT_EVERY) => metrics.run_upkeep(),
            () = stop.cancelled() => return,
        }
    }
}

/// Enqueues each line for the log thread. Never fails.
struct Queued(LogWriter);

impl Write for Queued {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let own = NOTICE.with_borrow_mut(|notice| {
            notice
                .as_mut()
                .map(|notice| notice.extend_from_slice(line))
                .is_some()
        });
        if !own {
            self.0.write(line.to_vec());
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Masks numbers in the output; each write is a line.
struct Masked<W>(W);

impl<W: Write> Write for Masked<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.write_all(&mask(line))?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Masks separate runs of 9 or more digits: phone numbers, group ids, LIDs. Message ids are
/// hexadecimal with letters next to the digits and stay complete.
fn mask(line: &[u8]) -> Vec<u8> {
    const SHOWN: (usize, usize) = (5, 2);
    let mut masked = Vec::with_capacity(line.len());
    let mut rest = line;
    while let Some(&first) = rest.first() {
        let run = |test: fn(&u8) -> bool| rest.iter().take_while(|byte| test(byte)).count();
        let (digits, word) = (run(u8::is_ascii_digit), run(u8::is_ascii_alphanumeric));
        if digits >= 9 && digits == word {
            masked.extend_from_slice(&rest[..SHOWN.0]);
            masked.extend_from_slice("…".as_bytes());
            masked.extend_from_slice(&rest[digits - SHOWN.1..digits]);
            rest = &rest[digits..];
        } else if word > 0 {
            masked.extend_from_slice(&rest[..word]);
            rest = &rest[word..];
        } else {
            masked.push(first);
            rest = &rest[1..];
        }
    }
    masked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_log_line_carries_a_full_number() {
        let mut out = Vec::new();
        let line = "2026-01-02T03:04:05.123456Z WARN 6282386000001@s.whatsapp.net:12 id=3EB0123456789012345A to=\"628…\" 120363000000000001@g.us 12345678\n";
        let written = Masked(&mut out).write(line.as_bytes()).unwrap();
        assert_eq!(written, line.len());
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "2026-01-02T03:04:05.123456Z WARN 62823…01@s.whatsapp.net:12 id=3EB0123456789012345A to=\"628…\" 12036…01@g.us 12345678\n"
        );
    }

    #[test]
    fn libraries_log_only_warnings_unless_a_filter_names_them() {
        for (level, others, gateway, quieter, named) in [
            ("info", "warn", "info", "error", ""),
            ("TRACE", "warn", "trace", "error", ""),
            ("error", "error", "error", "error", ""),
            ("off", "off", "off", "off", ""),
            (
                "waviro::net=debug",
                "warn",
                "warn",
                "error",
                ",waviro::net=debug",
            ),
            (
                "wacore=trace, debug,",
                "warn",
                "debug",
                "error",
                ",wacore=trace",
            ),
            (
                "info,waviro=debug",
                "warn",
                "info",
                "error",
                ",waviro=debug",
            ),
        ] {
            let read = format!(
                "{others},waviro={gateway},lofty={quieter},mp4parse={quieter},{TOLD_TOO_MUCH}={quieter}{named}"
            );
            assert_eq!(filter(level), read, "{level}");
        }
        let last_wins = EnvFilter::new(filter("info,waviro=debug")).to_string();
        assert!(last_wins.contains("waviro=debug") && !last_wins.contains("waviro=info"));
    }
}
