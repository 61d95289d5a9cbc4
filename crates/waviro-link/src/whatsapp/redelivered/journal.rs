//! What has come again and was not told of yet, in a file beside the device's own.
//!
//! A line each: `+ STANZA` came, `? ID` was asked for, `- ID` is done. Lines are written before the library goes on and are not
//! synced: a process that is killed leaves them to the kernel. With the power they may go, as may what the library wrote
//! in the same moment. Each begins with its line break, so that one that was cut off spoils no other.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use whatsapp_rust::wacore_binary::node::Node;
use whatsapp_rust::wacore_binary::{OwnedNodeRef, marshal};

use super::super::handle::{bytes, hex};
use super::Left;

/// The file, made when there is something to write: most devices never have any.
pub(super) struct Journal {
    path: PathBuf,
    file: Option<File>,
}

impl Journal {
    /// And what is left in it.
    pub(super) fn open(path: PathBuf) -> (Self, HashMap<String, Left>) {
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
                        left.asked += 1;
                    }
                }
                Some(("-", id)) => drop(left.remove(id)),
                _ => {}
            }
        }
        (Self { path, file: None }, left)
    }

    pub(super) fn came(&mut self, envelope: &Node) {
        match marshal(envelope) {
            Ok(stanza) => self.write(&format!("\n+ {}", hex(&stanza))),
            Err(error) => unusable(&self.path, &error),
        }
    }

    pub(super) fn asked(&mut self, id: &str) {
        self.write(&format!("\n? {id}"));
    }

    pub(super) fn done(&mut self, id: &str) {
        self.write(&format!("\n- {id}"));
    }

    /// Nothing is left.
    pub(super) fn clear(&mut self) {
        self.file = None;
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != ErrorKind::NotFound => unusable(&self.path, &error),
            _ => {}
        }
    }

    fn write(&mut self, line: &str) {
        let file = match self.file.take() {
            Some(file) => Ok(file),
            None => open(&self.path),
        };
        let written = file.and_then(|mut file| {
            file.write_all(line.as_bytes())?;
            Ok(file)
        });
        match written {
            Ok(file) => self.file = Some(file),
            Err(error) => unusable(&self.path, &error),
        }
    }
}

/// For its owner alone: numbers stand in it.
fn open(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// An id and its stanza; `None` where the line was cut off.
fn read(stanza: &str) -> Option<(String, Left)> {
    // The first byte says how the rest is packed, and it is not.
    let stanza = OwnedNodeRef::new(bytes(stanza)?.get(1..)?.to_vec()).ok()?;
    let id = stanza.get_attr("id")?.as_str().into_owned();
    Some((id, Left::new(stanza.to_owned_node())))
}

/// It is remembered all the same, as long as the process lives.
fn unusable(path: &Path, error: &dyn std::fmt::Display) {
    let path = path.display();
    tracing::warn!(%path, %error, "what came again is not kept in its file");
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

    fn ids(left: &HashMap<String, Left>) -> Vec<(&str, u32)> {
        let mut ids: Vec<_> = left.iter().map(|(id, it)| (&**id, it.asked)).collect();
        ids.sort_unstable();
        ids
    }

    #[test]
    fn what_is_left_comes_back_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1.again");
        let (mut journal, left) = Journal::open(path.clone());
        assert!(left.is_empty() && !path.exists());
        for id in ["A1", "A2", "A3"] {
            journal.came(&message(id));
        }
        journal.done("A2");
        journal.asked("A3");
        drop(journal);
        let (mut journal, left) = Journal::open(path.clone());
        assert_eq!(ids(&left), [("A1", 0), ("A3", 1)]);
        assert_eq!(left["A1"].envelope, message("A1"));
        journal.asked("A3");
        drop(journal);
        let (mut journal, left) = Journal::open(path.clone());
        assert_eq!(ids(&left), [("A1", 0), ("A3", 2)]);
        journal.clear();
        assert!(!path.exists());
        journal.came(&message("A4"));
        assert_eq!(ids(&Journal::open(path).1), [("A4", 0)]);
    }

    #[test]
    fn a_line_that_was_cut_off_spoils_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1.again");
        let (mut journal, _) = Journal::open(path.clone());
        journal.came(&message("A1"));
        journal.came(&message("A2"));
        drop(journal);
        let whole = std::fs::read(&path).unwrap();
        let of_the_first = whole.iter().rposition(|byte| *byte == b'\n').unwrap();
        for cut in of_the_first..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let (mut journal, left) = Journal::open(path.clone());
            assert_eq!(ids(&left), [("A1", 0)], "cut at {cut}");
            journal.came(&message("A3"));
            let (_, left) = Journal::open(path.clone());
            assert_eq!(ids(&left), [("A1", 0), ("A3", 0)], "cut at {cut}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn it_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1.again");
        Journal::open(path.clone()).0.came(&message("A1"));
        let mode = std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
