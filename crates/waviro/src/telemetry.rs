//! What the gateway says about itself: log lines on stderr, and metrics for `/metrics`.
//!
//! No line carries a text, a key or a full number. The gateway's own code takes care of that; what the client library
//! writes is kept to warnings, and the writer masks every long run of digits, whoever wrote it.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::TryInitError;

use crate::clock::Clock;
use crate::config::{Log, LogFormat};

/// Targets that say too much at info. A user's own filter for one of them wins.
const QUIET: &str = "whatsapp_rust=warn,wacore=warn,wacore_binary=warn,wacore_libsignal=warn,wacore_noise=warn,\
                     whatsapp_rust_sqlite_storage=warn,whatsapp_rust_tokio_transport=warn,sqlx=warn,hyper=warn,\
                     hyper_util=warn,reqwest=warn,rustls=warn,tungstenite=warn,tokio_tungstenite=warn,wa_sim=warn,\
                     lofty=error,mp4parse=error";

/// From half a millisecond to the longest wait there is, seconds.
const BUCKETS: [f64; 12] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 20.0,
];

/// Samples are kept one by one until they are counted into buckets; this is how often, whether scraped or not.
const COUNT_EVERY: Duration = Duration::from_secs(5);

/// Starts the log.
///
/// # Errors
/// Where a log was started before.
pub fn start_log(log: &Log) -> Result<(), TryInitError> {
    use tracing_subscriber::util::SubscriberInitExt;
    let filter = EnvFilter::new(format!("{QUIET},{}", log.level));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(|| Masked(io::stderr()));
    match log.format {
        LogFormat::Text => lines.finish().try_init(),
        LogFormat::Json => lines.json().flatten_event(true).finish().try_init(),
    }
}

/// Takes the metrics of the whole process, the client library's included.
///
/// # Errors
/// Where a recorder was installed before.
pub fn start_metrics() -> Result<PrometheusHandle, BuildError> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS)?
        .install_recorder()
}

/// Keeps the memory of the metrics bounded until `stop`.
pub async fn count_metrics(metrics: PrometheusHandle, clock: Clock, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = clock.sleep(COUNT_EVERY) => metrics.run_upkeep(),
            () = stop.cancelled() => return,
        }
    }
}

/// Masks numbers in what passes, one line a write.
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

/// Runs of 9 digits and more that stand alone: phone numbers, group ids, LIDs. Ids of messages are hexadecimal with
/// letters around and stay whole.
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
    fn a_users_filter_wins_over_the_quiet_ones() {
        let filter = EnvFilter::new(format!("{QUIET},debug,wacore=trace")).to_string();
        assert!(filter.contains("wacore=trace"), "{filter}");
        assert!(!filter.contains("wacore=warn"), "{filter}");
    }
}
