//! The file with the records of redelivered messages, beside the device's own file.
//!
//! Each record is a line: `+ STANZA` for a redelivered message, `? ID` for a request to its sender,
//! `- ID` for a processed message. A line is written before the library continues, but is not
//! synced: after a kill of the process the kernel still writes the line. A power failure may lose
//! the line, like the library's own writes of the same moment. Each line starts with its line
//! break, so that an incomplete line does not damage the next line. Lines of processed messages are
//! removed when they outnumber the others.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use whatsapp_rust::wacore_binary::node::Node;
use whatsapp_rust::wacore_binary::{OwnedNodeRef, marshal};

use super::super::handle::{bytes, hex};

/// A redelivered message without a report of the library.
#[derive(Debug, Clone)]
pub(super) struct Unreported {
    /// The attributes of the stanza, needed for the request to the sender. The content is removed,
    /// because the content may be large.
    pub(super) envelope: Node,
    /// The number of connections with a request for the message.
    pub(super) requests: u32,
    /// The number of the last connection of the process with a request; 0 for none.
    pub(super) requested_on: u64,
}

impl Unreported {
    pub(super) fn new(envelope: Node) -> Self {
        Self {
            envelope,
            requests: 0,
            requested_on: 0,
        }
    }
}

/// The number of extra lines that do not cause a rewrite of the file.
const SPARE: usize = 64;

/// The file is created at the first write, because most devices never need the file.
pub(super) struct Journal {
    path: PathBuf,
    file: Option<File>,
    lines: usize,
}

impl Journal {
    /// Opens the journal, and returns the records of unprocessed messages.
    pub(super) fn open(path: PathBuf) -> (Self, HashMap<String, Unreported>) {
        let lines = match std::fs::read_to_string(&path) {
            Ok(lines) => lines,
            Err(error) => {
                if error.kind() != ErrorKind::NotFound {
                    unusable(&path, &error);
                }
                String::new()
            }
        };
        let mut left = HashMap::new();
        for line in lines.lines() {
            match line.split_once(' ') {
                Some(("+", stanza)) => left.extend(read(stanza)),
                Some(("?", id)) => {
                    if let Some(left) = left.get_mut(id) {
                        left.requests += 1;
                    }
                }
                Some(("-", id)) => drop(left.remove(id)),
                _ => {}
            }
        }
        let lines = lines.lines().count();
        let mut journal = Self {
            path,
            file: None,
            lines,
        };
        journal.trim(&left);
        (journal, left)
    }

    pub(super) fn record(&mut self, envelope: &Node) {
        match marshal(envelope) {
            Ok(stanza) => self.write(&record_line(&stanza), true),
            Err(error) => unusable(&self.path, &error),
        }
    }

    pub(super) fn requested(&mut self, id: &str) {
        self.write(&request_line(id), false);
    }

    pub(super) fn done(&mut self, id: &str) {
        self.write(&format!("\n- {id}"), false);
    }

    /// Removes the file, because no record is left.
    pub(super) fn clear(&mut self) {
        (self.file, self.lines) = (None, 0);
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != ErrorKind::NotFound => unusable(&self.path, &error),
            _ => {}
        }
    }

    /// Removes the lines of processed messages if most lines are such lines.
    pub(super) fn trim(&mut self, left: &HashMap<String, Unreported>) {
        if left.is_empty() {
            if self.lines > 0 {
                self.clear();
            }
            return;
        }
        if self.lines <= 2 * left.len() + SPARE {
            return;
        }
        let mut lines = String::new();
        for (id, it) in left {
            if let Ok(stanza) = marshal(&it.envelope) {
                lines += &record_line(&stanza);
                lines += &request_line(id).repeat(it.requests as usize);
            }
        }
        let fresh = fresh(&self.path);
        let put = open(
            OpenOptions::new().create(true).write(true).truncate(true),
            &fresh,
        )
        .and_then(|mut file| file.write_all(lines.as_bytes()))
        .and_then(|()| std::fs::rename(&fresh, &self.path));
        match put {
            Ok(()) => (self.file, self.lines) = (None, lines.lines().count()),
            Err(error) => unusable(&self.path, &error),
        }
    }

    /// Appends a line. `make` allows creating the file. Only a new record creates the file; other
    /// lines refer to an existing record and are dropped if the file is missing.
    fn write(&mut self, line: &str, make: bool) {
        let file = match self.file.take() {
            Some(file) => Ok(file),
            None => open(OpenOptions::new().create(make).append(true), &self.path),
        };
        let written = file.and_then(|mut file| {
            file.write_all(line.as_bytes())?;
            Ok(file)
        });
        match written {
            Ok(file) => {
                self.file = Some(file);
                self.lines += 1;
            }
            Err(error) if error.kind() == ErrorKind::NotFound && !make => {}
            Err(error) => unusable(&self.path, &error),
        }
    }
}

fn record_line(stanza: &[u8]) -> String {
    format!("\n+ {}", hex(stanza))
}

fn request_line(id: &str) -> String {
    format!("\n? {id}")
}

/// Returns the path of the new file during a rewrite.
pub(in crate::whatsapp) fn fresh(path: &Path) -> PathBuf {
    path.with_extension("again.new")
}

/// Opens a file with mode 0600, because the file contains phone numbers.
fn open(options: &mut OpenOptions, path: &Path) -> std::io::Result<File> {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options.open(path)
}

/// Parses an id and its stanza; returns `None` for an incomplete line.
fn read(stanza: &str) -> Option<(String, Unreported)> {
    // The first byte is the compression flag; the stanza is not compressed.
    let stanza = OwnedNodeRef::new(bytes(stanza)?.get(1..)?.to_vec()).ok()?;
    let id = stanza.get_attr("id")?.as_str().into_owned();
    Some((id, Unreported::new(stanza.to_owned_node())))
}

/// Logs the error. The record stays in memory until the process ends.
fn unusable(path: &Path, error: &dyn std::fmt::Display) {
    let path = path.display();
    tracing::warn!(%path, %error, "redelivered message ids could not be written to their file");
}

#[cfg(test)]
mod tests {
    use whatsapp_rust::Jid;
    use whatsapp_rust::wacore_binary::node::{Attrs, NodeValue};

    use super::*;

    fn message(id: &str) -> Node {
        let mut attributes = Attrs::with_capacity(4);
        attributes.push_value("id", NodeValue::from(id));
        attributes.push_value("from", Jid::group("120363000000000001").into());
        attributes.push_value("participant", Jid::lid("123456789012345").into());
        attributes.push_value("notify", NodeValue::from("Ani\n- A1"));
        Node::new("message", attributes, None)
    }

    fn ids(left: &HashMap<String, Unreported>) -> Vec<(&str, u32)> {
        let mut ids: Vec<_> = left.iter().map(|(id, it)| (&**id, it.requests)).collect();
        ids.sort_unstable();
        ids
    }

    #[test]
    fn open_entries_are_restored_unchanged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1.again");
        let (mut journal, left) = Journal::open(path.clone());
        assert!(left.is_empty() && !path.exists());
        for id in ["A1", "A2", "A3"] {
            journal.record(&message(id));
        }
        journal.done("A2");
        journal.requested("A3");
        drop(journal);
        let (mut journal, left) = Journal::open(path.clone());
        assert_eq!(ids(&left), [("A1", 0), ("A3", 1)]);
        assert_eq!(left["A1"].envelope, message("A1"));
        journal.requested("A3");
        drop(journal);
        let (mut journal, left) = Journal::open(path.clone());
        assert_eq!(ids(&left), [("A1", 0), ("A3", 2)]);
        journal.clear();
        assert!(!path.exists());
        journal.record(&message("A4"));
        assert_eq!(ids(&Journal::open(path).1), [("A4", 0)]);
    }

    #[test]
    fn a_truncated_line_does_not_affect_other_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1.again");
        let (mut journal, _) = Journal::open(path.clone());
        journal.record(&message("A1"));
        journal.record(&message("A2"));
        drop(journal);
        let whole = std::fs::read(&path).unwrap();
        let of_the_first = whole.iter().rposition(|byte| *byte == b'\n').unwrap();
        for cut in of_the_first..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let (mut journal, left) = Journal::open(path.clone());
            assert_eq!(ids(&left), [("A1", 0)], "cut at {cut}");
            journal.record(&message("A3"));
            let (_, left) = Journal::open(path.clone());
            assert_eq!(ids(&left), [("A1", 0), ("A3", 0)], "cut at {cut}");
        }
    }

    #[test]
    fn finished_entries_are_finally_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1.again");
        let (mut journal, mut left) = Journal::open(path.clone());
        journal.record(&message("A0"));
        journal.requested("A0");
        left.insert("A0".to_owned(), Unreported::new(message("A0")));
        left.get_mut("A0").unwrap().requests = 1;
        for n in 1..1000 {
            journal.record(&message(&format!("A{n}")));
            journal.done(&format!("A{n}"));
            journal.trim(&left);
            let lines = std::fs::read_to_string(&path).unwrap().lines().count();
            assert!(lines < 3 * SPARE, "{lines} lines for one message");
        }
        let (mut journal, again) = Journal::open(path.clone());
        assert_eq!(ids(&again), [("A0", 1)]);
        assert!(!fresh(&path).exists());
        journal.done("A0");
        drop(journal);
        assert!(Journal::open(path.clone()).1.is_empty());
        assert!(!path.exists(), "no entry is left, and the file is removed");
    }

    #[test]
    fn a_removed_journal_file_is_not_created_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1.again");
        let (mut journal, _) = Journal::open(path.clone());
        journal.done("A1");
        journal.requested("A2");
        assert!(!path.exists());
    }

    #[cfg(unix)]
    #[test]
    fn the_journal_file_is_private_to_its_owner() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1.again");
        Journal::open(path.clone()).0.record(&message("A1"));
        let mode = std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
