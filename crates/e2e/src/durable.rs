//! Checks in a trace by `strace` that the gateway synced a message to the disk before the answer
//! left.
//!
//! A test with SIGKILL cannot prove durability: the kernel still writes the data that the process
//! handed over, but a power cut loses the same data. The check therefore reads the order of the
//! system calls. The gateway must write the message id to the database's log, sync that file, wait
//! for the end of the sync, and only then send the answer with the id.

use std::collections::BTreeSet;

/// The system calls to trace.
pub const CALLS: &str = "trace=openat,write,writev,pwrite64,pwritev,sendto,sendmsg,fdatasync,fsync";

/// An accepted message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// The message id from the answer.
    pub id: String,
    /// True if the gateway fetched a file for this message. The file on the disk has the message id
    /// in its name.
    pub file: bool,
}

/// A system call with the trace lines on which the call began and ended.
#[derive(Debug, PartialEq, Eq)]
struct Call<'t> {
    name: &'t str,
    /// The text between the parentheses. A call interrupted by another thread's line keeps only the
    /// text before the interruption.
    arguments: &'t str,
    began: usize,
    ended: usize,
    result: i64,
}

impl Call<'_> {
    /// The file descriptor in the first argument.
    fn descriptor(&self) -> Option<i64> {
        let digits = self.arguments.split([',', ')', ' ']).next()?;
        digits.trim().parse().ok()
    }

    fn is_sync(&self) -> bool {
        matches!(self.name, "fsync" | "fdatasync") && self.result == 0
    }
}

/// Returns one sentence for each message whose answer left before the message was synced.
#[must_use]
pub fn too_early(trace: &str, answered: &[Answered]) -> Vec<String> {
    let calls = calls(trace);
    let mut found = Vec::new();
    for Answered { id, file } in answered {
        let Some(answer) = calls.iter().find(|call| {
            matches!(call.name, "write" | "writev" | "sendto" | "sendmsg")
                && call.arguments.contains("HTTP/1.1 20")
                && call.arguments.contains(id.as_str())
        }) else {
            found.push(format!("{id}: its answer is not in the trace"));
            continue;
        };
        let synced = |descriptor: i64, after: usize| {
            calls.iter().any(|call| {
                call.is_sync()
                    && call.descriptor() == Some(descriptor)
                    && call.began > after
                    && call.ended < answer.began
            })
        };
        let logged = calls.iter().filter(|call| {
            matches!(call.name, "pwrite64" | "pwritev")
                && call.ended < answer.began
                && call.arguments.contains(id.as_str())
        });
        let written: BTreeSet<(usize, Option<i64>)> =
            logged.map(|call| (call.ended, call.descriptor())).collect();
        if written.is_empty() {
            found.push(format!(
                "{id}: answered, and the database has not written it"
            ));
        } else if !written
            .iter()
            .any(|(at, descriptor)| descriptor.is_some_and(|it| synced(it, *at)))
        {
            found.push(format!("{id}: answered before its commit was synced"));
        }
        if !file {
            continue;
        }
        let opened = calls
            .iter()
            .find(|call| call.name == "openat" && call.arguments.contains(id.as_str()));
        match opened {
            Some(call) if synced(call.result, call.ended) => {}
            Some(_) => found.push(format!("{id}: answered before its file was synced")),
            None => found.push(format!("{id}: no file was opened for it")),
        }
    }
    found
}

/// Parses a trace by `strace -f`; the calls are in the order of their start. A call interrupted by
/// another thread's line takes two lines of the trace.
fn calls(trace: &str) -> Vec<Call<'_>> {
    let mut calls: Vec<Call<'_>> = Vec::new();
    let mut open: Vec<(&str, usize)> = Vec::new();
    for (at, line) in trace.lines().enumerate() {
        let Some((thread, rest)) = line.split_once(' ') else {
            continue;
        };
        let rest = rest.trim_start();
        if let Some(resumed) = rest.strip_prefix("<... ") {
            let waiting = open.iter().rposition(|(waiting, _)| *waiting == thread);
            if let Some(waiting) = waiting {
                let (_, call) = open.swap_remove(waiting);
                (calls[call].ended, calls[call].result) = (at, result(resumed));
            }
            continue;
        }
        let Some((name, arguments)) = rest.split_once('(') else {
            continue;
        };
        let unfinished = arguments.ends_with("<unfinished ...>");
        if unfinished {
            open.push((thread, calls.len()));
        }
        calls.push(Call {
            name,
            arguments,
            began: at,
            ended: if unfinished { usize::MAX } else { at },
            result: if unfinished { -1 } else { result(arguments) },
        });
    }
    calls
}

/// The return value of a call; -1 if the text is not a number.
fn result(text: &str) -> i64 {
    let after = text.rsplit_once(" = ").map_or("", |(_, after)| after);
    let digits = after.split(' ').next().unwrap_or_default();
    digits.parse().unwrap_or(-1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(id: &str) -> Vec<Answered> {
        vec![Answered {
            id: id.to_owned(),
            file: false,
        }]
    }

    const WELL: &str = r#"7 pwrite64(9, "\n\0..3EB0A..halo", 4096, 56) = 4096
7 fdatasync(9 <unfinished ...>
5 sendto(14, "HTTP/1.1 200 OK\r\n..3EB0B", 90, MSG_NOSIGNAL, NULL, 0) = 90
7 <... fdatasync resumed>) = 0
5 sendto(14, "HTTP/1.1 200 OK\r\n..3EB0A", 90, MSG_NOSIGNAL, NULL, 0) = 90
"#;

    #[test]
    fn an_answer_after_the_sync_of_its_commit_is_in_order() {
        assert_eq!(too_early(WELL, &text("3EB0A")), [""; 0]);
    }

    #[test]
    fn an_answer_during_the_sync_or_without_a_write_is_too_early() {
        let lines: Vec<&str> = WELL.lines().collect();
        let during = [lines[0], lines[1], lines[4], lines[3]].join("\n");
        assert_eq!(too_early(&during, &text("3EB0A")).len(), 1);
        let failed = WELL.replace("resumed>) = 0", "resumed>) = -1 EIO (error)");
        assert_eq!(too_early(&failed, &text("3EB0A")).len(), 1);
        let another_file = WELL.replace("fdatasync(9", "fdatasync(8");
        assert_eq!(too_early(&another_file, &text("3EB0A")).len(), 1);
        let never = [lines[0], lines[4]].join("\n");
        assert_eq!(too_early(&never, &text("3EB0A")).len(), 1);
        assert_eq!(
            too_early(WELL, &text("3EB0B")),
            ["3EB0B: answered, and the database has not written it"]
        );
        assert_eq!(too_early(WELL, &text("3EB0C")).len(), 1);
    }

    #[test]
    fn a_file_must_be_synced_too() {
        let answered = vec![Answered {
            id: "3EB0A".to_owned(),
            file: true,
        }];
        assert_eq!(too_early(WELL, &answered).len(), 1);
        let opened = r#"6 openat(AT_FDCWD, "/data/spool/3EB0A", O_RDWR|O_CREAT|O_EXCL, 0600) = 11"#;
        let kept = format!("{opened}\n{WELL}");
        assert_eq!(too_early(&kept, &answered).len(), 1);
        let synced = format!("{opened}\n6 fsync(11) = 0\n{WELL}");
        assert_eq!(too_early(&synced, &answered), [""; 0]);
    }
}
