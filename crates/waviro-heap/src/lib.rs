//! Two memory functions of the C library. The functions need `unsafe` code, so a separate crate
//! holds them, and every other crate can forbid `unsafe`. Without glibc both functions do nothing:
//! other C libraries, such as musl, keep less freed memory.

/// Limits the number of malloc arenas to the number of processors. Must be called before the first
/// thread starts.
///
/// By default glibc creates up to eight arenas per processor. Threads with different arenas cannot
/// share freed memory, so each arena keeps the size of its peak.
pub fn share_arenas() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let most = libc::c_int::try_from(processors).unwrap_or(libc::c_int::MAX);
        #[expect(unsafe_code, reason = "the C library is a foreign function")]
        // SAFETY: mallopt(3) takes two numbers and affects only arenas created later.
        unsafe {
            libc::mallopt(libc::M_ARENA_MAX, most);
        }
    }
}

/// Returns free pages anywhere in the heap to the operating system.
///
/// The C library itself returns only free memory at the top of its heap. After a burst, a single
/// living allocation above the freed memory keeps the whole burst resident. The call searches the
/// heap under the allocator's locks and takes milliseconds for tens of MiB. Call the function
/// rarely, on a thread that may block.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[expect(unsafe_code, reason = "the C library is a foreign function")]
    // SAFETY: malloc_trim(3) takes a number, may be called from any thread, and does not change
    // living allocations.
    unsafe {
        libc::malloc_trim(0);
    }
}

#[cfg(all(test, target_os = "linux", target_env = "gnu"))]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::give_back;

    /// Smaller than the allocations that glibc maps separately and returns at once.
    const PIECE: usize = 16 * 1024;
    const PIECES: usize = 4096;

    /// The resident memory in bytes.
    fn resident() -> usize {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.unwrap().split_whitespace().next().unwrap();
        kilobytes.parse::<usize>().unwrap() * 1024
    }

    #[test]
    fn what_is_free_below_something_that_lives_goes_back() {
        let mut pieces: Vec<Vec<u8>> = (0..PIECES).map(|_| vec![1; PIECE]).collect();
        let above = pieces.pop();
        drop(pieces);
        let kept = resident();
        give_back();
        let left = resident();
        assert!(
            kept > left + PIECE * PIECES / 2,
            "{kept} bytes before, {left} after"
        );
        assert_eq!(above.unwrap().len(), PIECE);
    }
}
