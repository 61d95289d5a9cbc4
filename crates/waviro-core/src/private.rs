//! Files and folders private to the user of the gateway process.
//!
//! The data folder holds the keys of linked devices and people's messages. The gateway creates
//! everything in the folder for the owner alone. A copied or restored folder may be readable by
//! others. At the start the gateway restricts the mode of its own files and only reports the
//! others, because the data folder may be somebody's home.

use std::io;
use std::path::{Path, PathBuf};

use tracing::warn;

use crate::config::Config;

/// The entries created in the data folder beside the database.
const OURS: [&str; 4] = ["lock", "links", "media", "spool"];

/// The prefix of the names of the database, of the database log and of copies.
const DATABASE: &str = "waviro.db";

/// A file or folder with permissions for other users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    pub path: PathBuf,
    /// The gateway created the entry.
    pub ours: bool,
}

/// Creates a folder and its parents with mode 0700. Existing folders stay as they are.
///
/// # Errors
/// Any error of the operating system.
pub fn make_folder(path: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Returns everything in the data folder accessible to others, and the database if its path is
/// outside the data folder.
#[must_use]
pub fn open_to_others(config: &Config) -> Vec<Open> {
    let mut found = Vec::new();
    let folder = &config.data_dir;
    let mut all_ours = true;
    for entry in entries(folder) {
        let name = entry.file_name().unwrap_or_default().to_string_lossy();
        let ours = name.starts_with(DATABASE) || OURS.contains(&&*name);
        all_ours &= ours;
        look(&entry, ours, &mut found);
    }
    if is_open(folder) {
        found.push(Open {
            path: folder.clone(),
            ours: all_ours,
        });
    }
    for file in config.database_files() {
        if file.parent() != Some(folder.as_path()) {
            look(&file, true, &mut found);
        }
    }
    found
}

/// Restricts the mode of the gateway's own files, and logs all files accessible to others before.
pub fn narrow(config: &Config) {
    let (ours, others): (Vec<_>, Vec<_>) = open_to_others(config)
        .into_iter()
        .partition(|open| open.ours);
    let mut left: Vec<_> = others.into_iter().map(|open| open.path).collect();
    let mut narrowed = Vec::new();
    for Open { path, .. } in ours {
        match close(&path) {
            Ok(()) => narrowed.push(path),
            Err(error) => {
                warn!(path = %path.display(), %error, "mode of a file could not be changed");
                left.push(path);
            }
        }
    }
    if let Some(path) = narrowed.first() {
        warn!(
            files = narrowed.len(),
            first = %path.display(),
            "files of the gateway were readable by other users of this machine; now only the gateway's user can read them"
        );
    }
    if let Some(path) = left.first() {
        warn!(
            files = left.len(),
            first = %path.display(),
            "files in the data folder are readable by other users of this machine; run chmod go-rwx"
        );
    }
}

fn look(path: &Path, ours: bool, found: &mut Vec<Open>) {
    if is_open(path) {
        found.push(Open {
            path: path.to_owned(),
            ours,
        });
    }
    for entry in entries(path) {
        look(&entry, ours, found);
    }
}

/// Returns the entries of a folder; none if the path is not a folder or is a symbolic link.
fn entries(path: &Path) -> Vec<PathBuf> {
    let is_folder = std::fs::symlink_metadata(path).is_ok_and(|about| about.is_dir());
    let entries = is_folder.then(|| std::fs::read_dir(path).ok()).flatten();
    let entries = entries.into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

/// Returns the mode of a file or folder, and the widest allowed mode (0600 or 0700); `None` for
/// links and sockets, because the mode has no meaning there.
#[cfg(unix)]
fn wanted(path: &Path) -> Option<(u32, u32)> {
    use std::os::unix::fs::MetadataExt;
    let about = std::fs::symlink_metadata(path).ok()?;
    let most = match (about.is_dir(), about.is_file()) {
        (true, _) => 0o700,
        (_, true) => 0o600,
        _ => return None,
    };
    Some((about.mode() & 0o777, most))
}

#[cfg(unix)]
fn is_open(path: &Path) -> bool {
    wanted(path).is_some_and(|(mode, most)| mode & !most != 0)
}

#[cfg(unix)]
fn close(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let Some((mode, most)) = wanted(path) else {
        return Ok(());
    };
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode & most))
}

#[cfg(not(unix))]
fn is_open(_: &Path) -> bool {
    false
}

#[cfg(not(unix))]
fn close(_: &Path) -> io::Result<()> {
    Ok(())
}
