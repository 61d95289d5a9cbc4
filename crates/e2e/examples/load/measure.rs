//! Measurements: distributions of times, the disk, and a process.

use std::fmt;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

/// Sorted times.
pub struct Spread(Vec<Duration>);

impl Spread {
    pub fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    /// Returns the quantile `q` of the times in milliseconds.
    pub fn at(&self, q: f64) -> f64 {
        let last = self.0.len().saturating_sub(1);
        let index = (last as f64 * q).round() as usize;
        self.0
            .get(index)
            .map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p50 {:.2} ms, p99 {:.2} ms", self.at(0.5), self.at(0.99))
    }
}

/// Writes and syncs `count` pages on the disk of `folder`.
pub fn disk_probe(folder: &Path, count: usize) -> Spread {
    let mut file = File::create(folder.join("probe")).unwrap();
    Spread::of((0..count).map(|_| durable_page(&mut file)).collect())
}

/// Writes and syncs fifty pages per second during a phase, to measure the disk while the gateway
/// uses the disk too.
pub fn disk_probe_during(folder: &Path, span: Duration) -> Spread {
    let mut file = File::create(folder.join("probe")).unwrap();
    let end = Instant::now() + span;
    let mut times = Vec::new();
    while Instant::now() < end {
        times.push(durable_page(&mut file));
        std::thread::sleep(Duration::from_millis(20));
    }
    Spread::of(times)
}

fn durable_page(file: &mut File) -> Duration {
    let began = Instant::now();
    file.write_all(&[7; 4096]).unwrap();
    file.sync_data().unwrap();
    began.elapsed()
}

/// A process, measured with /proc.
#[derive(Clone, Copy)]
pub struct Process(pub u32);

impl Process {
    pub fn own() -> Self {
        Self(std::process::id())
    }

    /// The resident memory in MiB.
    pub fn memory(self) -> f64 {
        e2e::process::memory(self.0)
    }

    /// Returns the resident memory once the value is stable: linking causes work that ends soon.
    pub async fn settled_memory(self) -> f64 {
        let mut last = self.memory();
        for _ in 0..20 {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let now = self.memory();
            if (now - last).abs() < 0.25 {
                return now;
            }
            last = now;
        }
        last
    }

    /// Returns the used processor seconds, user and system.
    pub fn cpu(self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0)).unwrap();
        let (_, fields) = stat.rsplit_once(')').unwrap();
        let mut fields = fields.split_whitespace().skip(11);
        let mut ticks = || fields.next().unwrap().parse::<f64>().unwrap();
        // Linux always reports hundredths of a second here, independent of the kernel's tick.
        (ticks() + ticks()) / 100.0
    }
}
