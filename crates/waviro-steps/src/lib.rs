//! Counts the steps of SQLite's virtual machine per statement of the process, for tests only. A
//! statement with a full table scan takes several steps per row, independent of the machine and the
//! load.

use std::collections::BTreeMap;
use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use libsqlite3_sys as sqlite;

/// The highest step count of a run, by statement text.
static STEPS: Mutex<BTreeMap<String, u64>> = Mutex::new(BTreeMap::new());

/// Starts counting on every connection opened from now on.
pub fn watch() {
    static ONCE: Once = Once::new();
    #[expect(unsafe_code, reason = "SQLite is a foreign function")]
    // SAFETY: `opened` has the signature required by SQLite for a callback on new connections, and
    // lives as long as the process.
    ONCE.call_once(|| unsafe {
        sqlite::sqlite3_auto_extension(Some(opened));
    });
}

/// Returns the counts since the last call: the highest step count of a run, by statement text.
#[must_use]
pub fn take() -> BTreeMap<String, u64> {
    std::mem::take(&mut *steps())
}

fn steps() -> MutexGuard<'static, BTreeMap<String, u64>> {
    STEPS.lock().unwrap_or_else(PoisonError::into_inner)
}

#[expect(unsafe_code, reason = "SQLite calls it")]
unsafe extern "C" fn opened(
    connection: *mut sqlite::sqlite3,
    _: *mut *mut c_char,
    _: *const sqlite::sqlite3_api_routines,
) -> c_int {
    let mask = sqlite::SQLITE_TRACE_PROFILE;
    // SAFETY: the connection is open. `ended` lives as long as the process and gets no data of
    // ours.
    unsafe { sqlite::sqlite3_trace_v2(connection, mask, Some(ended), std::ptr::null_mut()) }
}

/// Called by SQLite after a statement has finished or was reset.
#[expect(unsafe_code, reason = "SQLite calls it")]
unsafe extern "C" fn ended(
    _: c_uint,
    _: *mut c_void,
    statement: *mut c_void,
    _: *mut c_void,
) -> c_int {
    let statement = statement.cast::<sqlite::sqlite3_stmt>();
    // SAFETY: with this mask the third argument is the statement. Statement and text live until
    // after the call.
    let (count, text) = unsafe {
        let count = sqlite::sqlite3_stmt_status(statement, sqlite::SQLITE_STMTSTATUS_VM_STEP, 1);
        let text = sqlite::sqlite3_sql(statement);
        if text.is_null() {
            return 0;
        }
        (count, CStr::from_ptr(text).to_string_lossy().into_owned())
    };
    let mut steps = steps();
    let most = steps.entry(text).or_default();
    *most = (*most).max(u64::try_from(count).unwrap_or(0));
    0
}
