//! What has come again and was not told of yet, in a file beside the device's own.
//!
//! A line each: `+ STANZA` came, `? ID` was asked for, `- ID` is done. Lines are written before the library goes on and are not
//! synced: a process that is killed leaves them to the kernel. With the power they may go, as may what the library wrote
//! in the same moment. Each begins with its line break, so that one that was cut off spoils no other. What is done is taken out
//! when there is more of it than of what is left.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use whatsapp_rust::wacore_binary::node::Node;
use whatsapp_rust::wacore_binary::{OwnedNodeRef, marshal};

use super::super::handle::{bytes, hex};
use super::Left;

/// So many lines more than there is left are no reason to write the file anew.
const SPARE: usize = 64;

/// The file, made when there is something to write: most devices never have any.
pub(super) struct Journal {
    path: PathBuf,
    file: Option<File>,
    lines: usize,
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
        let lines = lines.lines().count();
        let mut journal = Self {
            path,
            file: None,
            lines,
        };
        journal.trim(&left);
        (journal, left)
    }

    pub(super) fn came(&mut self, envelope: &Node) {
        match marshal(envelope) {
            Ok(stanza) => self.write(&came(&stanza), true),
            Err(error) => unusable(&self.path, &error),
        }
    }

    pub(super) fn asked(&mut self, id: &str) {
        self.write(&asked(id), false);
    }

    pub(super) fn done(&mut self, id: &str) {
        self.write(&format!("\n- {id}"), false);
    }

    /// Nothing is left.
    pub(super) fn clear(&mut self) {
        (self.file, self.lines) = (None, 0);
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != ErrorKind::NotFound => unusable(&self.path, &error),
            _ => {}
        }
    }

    /// Takes out what is done, where that is most of it.
    pub(super) fn trim(&mut self, left: &HashMap<String, Left>) {
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
                lines += &came(&stanza);
                lines += &asked(id).repeat(it.asked as usize);
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

    /// What is said of a message matters only where it stands: a file that was removed stays away.
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

fn came(stanza: &[u8]) -> String {
    format!("\n+ {}", hex(stanza))
}

fn asked(id: &str) -> String {
    format!("\n? {id}")
}

/// Where a file is written that takes this one's place.
pub(in crate::whatsapp) fn fresh(path: &Path) -> PathBuf {
    path.with_extension("again.new")
}

/// For its owner alone: numbers stand in it.
fn open(options: &mut OpenOptions, path: &Path) -> std::io::Result<File> {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
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

    #[test]
    fn what_is_done_is_taken_out_in_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1.again");
        let (mut journal, mut left) = Journal::open(path.clone());
        journal.came(&message("A0"));
        journal.asked("A0");
        left.insert("A0".to_owned(), Left::new(message("A0")));
        left.get_mut("A0").unwrap().asked = 1;
        for n in 1..1000 {
            journal.came(&message(&format!("A{n}")));
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
        assert!(!path.exists(), "nothing is left, nor is the file");
    }

    #[test]
    fn a_file_that_was_removed_stays_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1.again");
        let (mut journal, _) = Journal::open(path.clone());
        journal.done("A1");
        journal.asked("A2");
        assert!(!path.exists());
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
