//! Counts the steps of SQLite's virtual machine that each statement of this process takes, for tests alone: a statement that walks over
//! a table takes some steps for each row, whatever the machine and its load.

use std::collections::BTreeMap;
use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use libsqlite3_sys as sqlite;

/// The most steps of one run, by the statement's text.
static STEPS: Mutex<BTreeMap<String, u64>> = Mutex::new(BTreeMap::new());

/// From now on every connection that is opened is watched.
pub fn watch() {
    static ONCE: Once = Once::new();
    #[expect(unsafe_code, reason = "SQLite is a foreign function")]
    // SAFETY: `opened` is such a function as SQLite calls with each new connection, and lives as long as the process.
    ONCE.call_once(|| unsafe {
        sqlite::sqlite3_auto_extension(Some(opened));
    });
}

/// What was counted since the last call: the most steps of one run, by the statement's text.
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
    // SAFETY: the connection is open, and `ended` lives as long as the process and is given nothing of ours.
    unsafe { sqlite::sqlite3_trace_v2(connection, mask, Some(ended), std::ptr::null_mut()) }
}

/// A statement has run to its end, or was given up.
#[expect(unsafe_code, reason = "SQLite calls it")]
unsafe extern "C" fn ended(
    _: c_uint,
    _: *mut c_void,
    statement: *mut c_void,
    _: *mut c_void,
) -> c_int {
    let statement = statement.cast::<sqlite::sqlite3_stmt>();
    // SAFETY: with this mask the third argument is the statement, which lives until after this call; so does its text.
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
