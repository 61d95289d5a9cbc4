//! The project's two calls that the compiler cannot check, in a crate of their own, so that every other crate forbids `unsafe`.
//! Both do nothing where the C library is not glibc: musl and others do not hoard so.

/// Lets threads share arenas, as many as there are processors. To be called before there are threads.
///
/// The C library gives eight times as many their own, and what one thread has freed is then of no use to the others: each
/// arena keeps the room of its own busiest moment.
pub fn share_arenas() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let most = libc::c_int::try_from(processors).unwrap_or(libc::c_int::MAX);
        #[expect(unsafe_code, reason = "the C library is a foreign function")]
        // SAFETY: mallopt(3) takes two numbers, and changes how many arenas are made from now on.
        unsafe {
            libc::mallopt(libc::M_ARENA_MAX, most);
        }
    }
}

/// Gives whole pages that are free, wherever they lie, back to the machine.
///
/// The C library itself gives back only what is free at the top of its heap: one thing that lives on above a burst's room
/// keeps all of it resident. It looks through the whole heap under the allocator's locks, milliseconds for tens of MiB, so
/// it is a matter of every so often, on a thread that may wait.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[expect(unsafe_code, reason = "the C library is a foreign function")]
    // SAFETY: malloc_trim(3) takes a number, may be called from any thread, and touches nothing that is allocated.
    unsafe {
        libc::malloc_trim(0);
    }
}

#[cfg(all(test, target_os = "linux", target_env = "gnu"))]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::give_back;

    /// Below what glibc maps for itself and gives back at once.
    const PIECE: usize = 16 * 1024;
    const PIECES: usize = 4096;

    /// In bytes.
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
