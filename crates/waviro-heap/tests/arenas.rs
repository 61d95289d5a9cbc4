//! The test needs a separate process, because the limit of arenas applies to the whole process.
#![cfg(all(target_os = "linux", target_env = "gnu"))]
#![expect(clippy::unwrap_used, reason = "tests")]

use std::sync::{Arc, Barrier};

/// Far more threads than processors; all threads hold memory at the same time.
const THREADS: usize = 64;

/// The size in bytes of the address range reserved by glibc for each arena except the first. The
/// start is a multiple of the size.
const RESERVED: usize = 64 * 1024 * 1024;

fn arenas() -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let ours = maps
        .lines()
        .filter(|line| line.contains(" rw-p 00000000 00:00 0"));
    let starts = ours.filter_map(|line| usize::from_str_radix(line.split_once('-')?.0, 16).ok());
    1 + starts.filter(|start| start % RESERVED == 0).count()
}

#[test]
fn threads_share_as_many_arenas_as_there_are_processors() {
    waviro_heap::share_arenas();
    let together = Arc::new(Barrier::new(THREADS + 1));
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let together = Arc::clone(&together);
            std::thread::spawn(move || {
                let held = vec![1_u8; 100_000];
                together.wait();
                together.wait();
                held.len()
            })
        })
        .collect();
    together.wait();
    let seen = arenas();
    together.wait();
    for thread in threads {
        assert_eq!(thread.join().unwrap(), 100_000);
    }
    // The main thread got an arena before the limit was set.
    let processors = std::thread::available_parallelism().unwrap().get();
    assert!(
        seen <= processors.max(2),
        "{seen} arenas, {processors} processors"
    );
}
