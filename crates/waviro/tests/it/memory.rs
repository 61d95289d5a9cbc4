//! The memory of a burst returns to the operating system while the gateway runs.
#![cfg(all(target_os = "linux", target_env = "gnu"))]

use std::time::Duration;

use waviro_testing::engine::until;

use crate::test_app::TestApp;

/// Smaller than the allocations that the C library maps separately and returns at once.
const PIECE: usize = 16 * 1024;
const PIECES: usize = 4096;

/// The resident memory in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.unwrap().split_whitespace().next().unwrap();
    kilobytes.parse::<usize>().unwrap() * 1024
}

/// One of 512 pieces stays allocated, so the C library itself returns nothing.
#[tokio::test]
async fn memory_freed_after_a_burst_is_returned_every_half_minute() {
    let app = TestApp::online().await;
    let burst: Vec<Vec<u8>> = (0..PIECES).map(|_| vec![1; PIECE]).collect();
    let held = resident();
    let lives_on: Vec<Vec<u8>> = burst
        .into_iter()
        .enumerate()
        .filter_map(|(n, piece)| (n % 512 == 511).then_some(piece))
        .collect();
    let later = || async {
        app.clock.advance(Duration::from_secs(30));
        resident()
    };
    until(later, |left| held > left + PIECE * PIECES / 2).await;
    assert_eq!(lives_on.len(), PIECES / 512);
}
