//! Measures a process with `/proc`.

/// Returns the resident memory in MiB.
#[must_use]
pub fn memory(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process lives");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    let kib: f64 = kib.and_then(|kib| kib.parse().ok()).expect("VmRSS");
    kib / 1024.0
}
