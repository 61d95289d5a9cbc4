//! The files on the media host: encrypted, and found by a direct path that nobody can guess.
//!
//! The id of a file is derived from the seed, the kind and the hash of the file. The signature in
//! the path is derived from the id. The host therefore stores only the bytes. With a data
//! directory, the files are in `media/`. Without a data directory, the files are in memory, and the
//! oldest files are removed when the memory limit is reached.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use parking_lot::Mutex;
use wacore_libsignal::crypto::CryptographicHash;

use crate::disk;
use crate::seed::Seed;

/// The largest encrypted file: 100 MiB of content, plus padding and MAC.
pub(crate) const MAX_FILE: usize = (100 << 20) + 64;
/// The memory limit for files without a data directory, in bytes.
const MEMORY: usize = 512 << 20;
/// The number of interrupted uploads kept for a resume.
const PARTIALS: usize = 16;

/// A SHA-256.
pub(crate) type Hash = [u8; 32];

/// The state of the media host.
pub(crate) struct Media {
    seed: Seed,
    dir: Option<PathBuf>,
    files: Mutex<Files>,
    partials: Mutex<VecDeque<(String, Bytes)>>,
    /// The ids of expired files. A renewal removes the id, and a restart forgets all of them.
    expired: Mutex<HashSet<String>>,
    /// Upload tokens, each with its device.
    tokens: Mutex<HashMap<String, String>>,
}

#[derive(Default)]
struct Files {
    by_id: HashMap<String, Bytes>,
    order: VecDeque<String>,
    size: usize,
}

impl Media {
    pub(crate) fn new(seed: Seed, data_dir: Option<&Path>) -> Self {
        Self {
            seed,
            dir: data_dir.map(|dir| dir.join("media")),
            files: Mutex::default(),
            partials: Mutex::default(),
            expired: Mutex::default(),
            tokens: Mutex::default(),
        }
    }

    /// Returns the upload token of a device (`number:device`).
    pub(crate) fn auth(&self, device: &str) -> String {
        let token = URL_SAFE_NO_PAD.encode(self.seed.bytes(&format!("media auth {device}")));
        self.tokens.lock().insert(token.clone(), device.to_owned());
        token
    }

    /// Returns the device of a token issued since the start.
    pub(crate) fn holder(&self, token: &str) -> Option<String> {
        self.tokens.lock().get(token).cloned()
    }

    /// Stores an encrypted file. Returns the direct path.
    pub(crate) fn put(&self, kind: &str, hash: &Hash, bytes: Bytes) -> io::Result<String> {
        let id = self.id(kind, hash);
        match &self.dir {
            Some(dir) => disk::replace_bytes(&dir.join(format!("{id}.enc")), &bytes)?,
            None => self.files.lock().put(&id, bytes),
        }
        Ok(self.path(kind, &id))
    }

    /// Returns the direct path of a stored file.
    pub(crate) fn find(&self, kind: &str, hash: &Hash) -> Option<String> {
        let id = self.id(kind, hash);
        let is_there = match &self.dir {
            Some(dir) => dir.join(format!("{id}.enc")).is_file(),
            None => self.files.lock().by_id.contains_key(&id),
        };
        is_there.then(|| self.path(kind, &id))
    }

    /// Returns the encrypted bytes at a direct path. The signature in the path must be correct.
    pub(crate) fn open(&self, direct_path: &str) -> Result<Bytes, Missing> {
        let (_, query) = direct_path.split_once('?').unwrap_or((direct_path, ""));
        let id = id_in(direct_path).ok_or(Missing::Unknown)?;
        let signature = query.split('&').find_map(|pair| pair.strip_prefix("oh="));
        if signature != Some(self.signature(id).as_str()) {
            return Err(Missing::Unsigned);
        }
        if self.expired.lock().contains(id) {
            return Err(Missing::Expired);
        }
        match &self.dir {
            Some(dir) => std::fs::read(dir.join(format!("{id}.enc")))
                .map(Bytes::from)
                .map_err(|_| Missing::Unknown),
            None => self
                .files
                .lock()
                .by_id
                .get(id)
                .cloned()
                .ok_or(Missing::Unknown),
        }
    }

    /// Marks a file as expired. Returns whether the file existed.
    pub(crate) fn expire(&self, direct_path: &str) -> bool {
        let is_there = self.open(direct_path).is_ok();
        if let Some(id) = id_in(direct_path).filter(|_| is_there) {
            self.expired.lock().insert(id.to_owned());
        }
        is_there
    }

    /// Makes an expired file available again, as after a second upload. Returns the new direct
    /// path.
    pub(crate) fn renew(&self, direct_path: &str) -> Option<String> {
        let id = id_in(direct_path)?;
        self.expired.lock().remove(id);
        self.open(direct_path).is_ok().then(|| {
            // A new path has a different expiry time.
            direct_path.replace("&oe=7FFFFFFF", "&oe=7FFFFFFE")
        })
    }

    /// Keeps the received part of an interrupted upload.
    pub(crate) fn keep_partial(&self, name: String, bytes: Bytes) {
        let mut partials = self.partials.lock();
        partials.retain(|(known, _)| *known != name);
        if partials.len() >= PARTIALS {
            partials.pop_front();
        }
        partials.push_back((name, bytes));
    }

    pub(crate) fn partial(&self, name: &str) -> Option<Bytes> {
        let partials = self.partials.lock();
        let (_, bytes) = partials.iter().find(|(known, _)| known == name)?;
        Some(bytes.clone())
    }

    pub(crate) fn forget_partial(&self, name: &str) {
        self.partials.lock().retain(|(known, _)| known != name);
    }

    fn id(&self, kind: &str, hash: &Hash) -> String {
        let label = format!("media file {kind} {}", hex(hash));
        hex(&self.seed.bytes(&label)[..16])
    }

    fn signature(&self, id: &str) -> String {
        hex(&self.seed.bytes(&format!("media signature {id}"))[..19])
    }

    /// Returns a direct path in the real format. The path has a query, so a reader must append
    /// further parameters with `&`.
    fn path(&self, kind: &str, id: &str) -> String {
        let bucket = match kind {
            "image" => "t62.7118-24",
            "video" => "t62.7161-24",
            "audio" => "t62.7117-24",
            "document" => "t62.7119-24",
            _ => "t62.36144-24",
        };
        let signature = self.signature(id);
        format!("/v/{bucket}/{id}_n.enc?ccb=11-4&oh={signature}&oe=7FFFFFFF&_nc_sid=5e03e0")
    }
}

/// Returns the file id in a direct path.
fn id_in(direct_path: &str) -> Option<&str> {
    let path = direct_path.split('?').next()?;
    path.rsplit('/')
        .next()?
        .strip_suffix("_n.enc")
        .filter(|id| id.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

impl Files {
    fn put(&mut self, id: &str, bytes: Bytes) {
        if self.by_id.contains_key(id) {
            return;
        }
        self.size += bytes.len();
        self.by_id.insert(id.to_owned(), bytes);
        self.order.push_back(id.to_owned());
        while self.size > MEMORY
            && let Some(oldest) = self.order.pop_front()
        {
            if let Some(bytes) = self.by_id.remove(&oldest) {
                self.size -= bytes.len();
            }
        }
    }
}

/// The reason why a direct path leads to no file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    /// There is no such file, or the file was removed.
    Unknown,
    /// The file has expired.
    Expired,
    /// The path's signature is missing or wrong.
    Unsigned,
}

/// Returns the SHA-256 of some bytes.
pub(crate) fn sha256(bytes: &[u8]) -> Hash {
    let mut out = [0; 32];
    // The only error is an unknown algorithm name.
    if let Ok(mut hash) = CryptographicHash::new("SHA-256") {
        hash.update(bytes);
        out.copy_from_slice(&hash.finalize());
    }
    out
}

/// Returns bytes as lower-case hexadecimal text.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{Media, Missing, sha256};
    use crate::seed::Seed;

    #[test]
    fn a_file_is_found_by_its_whole_direct_path_alone() {
        let media = Media::new(Seed(1), None);
        let bytes = Bytes::from_static(b"ciphertext");
        let hash = sha256(&bytes);
        assert_eq!(media.find("image", &hash), None);
        let path = media.put("image", &hash, bytes.clone()).unwrap_or_default();
        assert_eq!(media.find("image", &hash), Some(path.clone()));
        assert_eq!(media.open(&path), Ok(bytes));
        let (plain, _) = path.split_once('?').unwrap_or_default();
        assert_eq!(media.open(plain), Err(Missing::Unsigned));
        let other = Media::new(Seed(1), None);
        assert_eq!(other.open(&path), Err(Missing::Unknown));
        assert_eq!(
            media.open("/v/t62.7118-24/../x_n.enc"),
            Err(Missing::Unknown)
        );
    }

    #[test]
    fn the_number_of_stored_interrupted_uploads_is_limited() {
        let media = Media::new(Seed(1), None);
        for n in 0..=super::PARTIALS {
            media.keep_partial(n.to_string(), Bytes::from_static(b"half"));
        }
        assert_eq!(media.partial("0"), None);
        assert!(media.partial("1").is_some());
        media.forget_partial("1");
        assert_eq!(media.partial("1"), None);
    }
}
