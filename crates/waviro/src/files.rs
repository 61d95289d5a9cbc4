//! Files that came in: links to them that need no token, and the files themselves, fetched when they are first asked for.
//!
//! A link is signed with a secret of this installation over the file's id and the moment it
//! expires. `waviro media rotate` replaces the secret, also while the gateway runs, which revokes
//! every link that was made before. A file is fetched once, however many ask, and lies in
//! `data_dir/media` until retention takes it.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use hmac::digest::Key;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tokio::fs::File;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;
use waviro_link::{LinkError, MediaHandle};

use crate::bots::Bots;
use crate::clock::{Clock, Millis, millis};
use crate::disk::Floor;
use crate::door::Permits;
use crate::private;
use crate::store::{MediaRow, Store, StoreError};

/// Characters of a file's id: half a SHA-256 and less, in hex.
const ID: usize = 24;

/// Files asked after in one question.
const ASKED_TOGETHER: usize = 64;

/// All files that came in. Cheap to clone.
#[derive(Clone)]
pub struct Files(Arc<Inner>);

struct Inner {
    store: Store,
    clock: Clock,
    folder: PathBuf,
    /// The secret as last read; [`Files::refresh`] reads it again.
    secret: Mutex<[u8; 32]>,
    /// What links begin with.
    base: String,
    keeps: Duration,
    /// Files being fetched, by bot.
    permits: Permits<i32>,
    floor: Floor,
    /// Who fetches a file has its lock.
    fetching: Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// How files are kept.
#[derive(Debug, Clone)]
pub struct Keeping {
    /// Where they lie.
    pub folder: PathBuf,
    /// What links begin with: the gateway's address as others reach it, or nothing.
    pub base: String,
    /// How long they are kept, and how long links work.
    pub keeps: Duration,
    /// How many are fetched at a time, by bot.
    pub permits: Permits<i32>,
    /// Below it none is fetched.
    pub floor: Floor,
}

/// A link that opens a file without a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedLink {
    /// The link.
    pub url: String,
    /// After this it opens nothing.
    pub expires_at: Millis,
}

/// Why files cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The folder.
    #[error("{0}")]
    Folder(#[from] std::io::Error),
}

/// Why a link opens nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadLink {
    /// It was not signed here, or it was changed.
    Signature,
    /// Its time is over.
    Expired,
}

/// Why there is no file.
#[derive(Debug, thiserror::Error)]
pub enum NoFile {
    /// Retention took it, or WhatsApp has it no more and neither has the phone. Final.
    #[error("the file is gone: {0}")]
    Gone(String),
    /// The link is down, or WhatsApp does not answer. Worth another try.
    #[error("the file cannot be fetched now: {0}")]
    NotNow(String),
    /// The disk has less free than `limits.free_disk_mib`.
    #[error("the disk is almost full")]
    NoRoom,
    /// The disk.
    #[error("{0}")]
    Disk(#[from] std::io::Error),
}

impl Files {
    /// Makes the folder, open to its owner alone, and takes the secret from the database, where it is made at the first start.
    /// Downloads run on `tasks` and end at `stop`.
    ///
    /// # Errors
    /// [`FilesError`].
    pub async fn open(
        store: Store,
        clock: Clock,
        keeping: Keeping,
        tasks: TaskTracker,
        stop: CancellationToken,
    ) -> Result<Self, FilesError> {
        private::make_folder(&keeping.folder)?;
        let secret = read(&store.media_secret(fresh_secret()).await?)?;
        Ok(Self(Arc::new(Inner {
            store,
            clock,
            folder: keeping.folder,
            secret: Mutex::new(secret),
            base: keeping.base,
            keeps: keeping.keeps,
            permits: keeping.permits,
            floor: keeping.floor,
            fetching: Mutex::default(),
            tasks,
            stop,
        })))
    }

    /// Reads the secret again: the command line may have replaced the secret while this process
    /// runs. Must be called before a link is made, and before a link is accepted.
    ///
    /// # Errors
    /// [`StoreError`]; the secret stays as it was.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        if let Some(kept) = self.0.store.kept_media_secret().await? {
            let secret = read(&kept)?;
            *self.0.secret.lock().unwrap_or_else(PoisonError::into_inner) = secret;
        }
        Ok(())
    }

    /// A link to a file that came at `at`.
    #[must_use]
    pub fn link(&self, id: &str, at: Millis) -> SignedLink {
        // To the second, as the link says it.
        let expires = at.saturating_add(millis(self.0.keeps)).div_euclid(1000);
        let signature = hex::encode(self.sign(id, expires).finalize().into_bytes());
        let base = &self.0.base;
        SignedLink {
            url: format!("{base}/v1/media/{id}?expires={expires}&signature={signature}"),
            expires_at: expires * 1000,
        }
    }

    /// Whether a link opens this file: `expires` and `signature` as it has them.
    ///
    /// # Errors
    /// [`BadLink`]
    pub fn check(&self, id: &str, expires: i64, signature: &str) -> Result<(), BadLink> {
        let signature = hex::decode(signature).map_err(|_| BadLink::Signature)?;
        // In constant time.
        let signed = self.sign(id, expires).verify_slice(&signature);
        signed.map_err(|_| BadLink::Signature)?;
        if expires.saturating_mul(1000) <= self.0.clock.now() {
            return Err(BadLink::Expired);
        }
        Ok(())
    }

    fn sign(&self, id: &str, expires: i64) -> Hmac<Sha256> {
        // A key shorter than a block is filled up with zeros (RFC 2104).
        let mut key = Key::<Hmac<Sha256>>::default();
        let secret = *self.0.secret.lock().unwrap_or_else(PoisonError::into_inner);
        key[..secret.len()].copy_from_slice(&secret);
        let mut signed = Hmac::<Sha256>::new(&key);
        signed.update(format!("{id}.{expires}").as_bytes());
        signed
    }

    /// The file, fetched if it is not here yet. Who leaves does not end the fetching: others may wait for it. Whoever comes while
    /// as many are fetched as may be waits for its turn, and whoever leaves before that is forgotten.
    ///
    /// # Errors
    /// [`NoFile`]
    pub async fn get(&self, file: &MediaRow, bots: &Bots) -> Result<File, NoFile> {
        let path = self.0.folder.join(&file.id);
        if let Some(here) = opened(&path).await? {
            return Ok(here);
        }
        let Some(handle) = file.handle.clone() else {
            return Err(NoFile::Gone("it was kept long enough".to_owned()));
        };
        if self.0.floor.is_reached() {
            return Err(NoFile::NoRoom);
        }
        let (files, id, slot, bots) = (self.clone(), file.id.clone(), file.slot, bots.clone());
        let stops = || NoFile::NotNow("the gateway stops".to_owned());
        let permit = tokio::select! {
            permit = self.0.permits.wait(slot) => permit,
            () = self.0.stop.cancelled() => return Err(stops()),
        };
        let fetching = self.0.tasks.spawn(async move {
            let _permit = permit;
            tokio::select! {
                fetched = files.fetch(&id, slot, &handle, &bots) => fetched,
                () = files.0.stop.cancelled() => Err(stops()),
            }
        });
        let fetched = fetching.await;
        fetched.unwrap_or_else(|error| Err(NoFile::NotNow(error.to_string())))
    }

    /// One download at a time for a file; who waited finds it here.
    async fn fetch(
        &self,
        id: &str,
        slot: i32,
        handle: &MediaHandle,
        bots: &Bots,
    ) -> Result<File, NoFile> {
        let turn = self.turn(id);
        let _turn = turn.lock().await;
        let path = self.0.folder.join(id);
        if let Some(here) = opened(&path).await? {
            return Ok(here);
        }
        let link = bots.by_slot(slot).and_then(|bot| bot.link());
        let link = link.ok_or_else(|| NoFile::NotNow("the bot has no link".to_owned()))?;
        // Somebody may have removed it while the gateway runs.
        private::make_folder(&self.0.folder)?;
        link.download(handle, &path).await.map_err(|error| {
            warn!(slot, media = id, %error, "a file could not be fetched");
            match error {
                LinkError::Refused(words) => NoFile::Gone(words),
                LinkError::Offline => NoFile::NotNow("the bot is not connected".to_owned()),
                LinkError::TimedOut => NoFile::NotNow("WhatsApp did not answer in time".to_owned()),
                LinkError::Failed(_) | LinkError::Store(_) => {
                    NoFile::NotNow("the download failed".to_owned())
                }
            }
        })?;
        waviro_fault::step("download done");
        let here = opened(&path).await?;
        here.ok_or_else(|| NoFile::NotNow("the download left no file".to_owned()))
    }

    fn turn(&self, id: &str) -> Arc<tokio::sync::Mutex<()>> {
        let fetching = self.0.fetching.lock();
        let mut fetching = fetching.unwrap_or_else(PoisonError::into_inner);
        fetching.retain(|_, turn| turn.strong_count() > 0);
        if let Some(turn) = fetching.get(id).and_then(Weak::upgrade) {
            return turn;
        }
        let turn = Arc::default();
        fetching.insert(id.to_owned(), Arc::downgrade(&turn));
        turn
    }

    /// Removes the files that retention let go. Returns how many were here; one that stays is found at the next start.
    pub async fn remove(&self, ids: &[String]) -> usize {
        let mut removed = 0;
        for id in ids {
            match tokio::fs::remove_file(self.0.folder.join(id)).await {
                Ok(()) => removed += 1,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => warn!(media = id, %error, "a file that was let go stays for now"),
            }
        }
        removed
    }

    /// Removes every file that the database does not know, or what broken downloads left behind alone: the latter are few, and each
    /// file costs a question. Returns how many.
    ///
    /// # Errors
    /// [`FilesError`]; what was removed before stays removed.
    pub async fn sweep(&self, every: bool) -> Result<usize, FilesError> {
        let mut names = Vec::new();
        let mut entries = match tokio::fs::read_dir(&self.0.folder).await {
            // The next file makes the folder again.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
            entries => entries?,
        };
        while let Some(entry) = entries.next_entry().await? {
            let name = entry.file_name().to_string_lossy().into_owned();
            if every || !is_id(&name) {
                names.push(name);
            }
        }
        let mut removed = 0;
        for names in names.chunks(ASKED_TOGETHER) {
            let ids: Vec<String> = names
                .iter()
                .map(|name| name.chars().take(ID).collect())
                .collect();
            let known = self.0.store.known_media(&ids).await?;
            for (name, id) in names.iter().zip(&ids) {
                if !known.contains(id) {
                    tokio::fs::remove_file(self.0.folder.join(name)).await?;
                    removed += 1;
                }
            }
        }
        Ok(removed)
    }
}

/// Revokes every link that was made until now. A running gateway follows at once.
///
/// # Errors
/// [`StoreError`]; then the links work on.
pub async fn revoke_links(store: &Store) -> Result<(), StoreError> {
    store.rotate_media_secret(fresh_secret()).await
}

fn fresh_secret() -> String {
    hex::encode(rand::random::<[u8; 32]>())
}

fn read(kept: &str) -> Result<[u8; 32], StoreError> {
    let bytes = hex::decode(kept).ok();
    let secret = bytes.and_then(|bytes| bytes.try_into().ok());
    secret.ok_or_else(|| StoreError::Unreadable("the secret that signs links to files".to_owned()))
}

/// Whether a text may be a file's id; nothing else is looked for on the disk.
#[must_use]
pub fn is_id(text: &str) -> bool {
    text.len() == ID
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

async fn opened(path: &Path) -> std::io::Result<Option<File>> {
    match File::open(path).await {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
