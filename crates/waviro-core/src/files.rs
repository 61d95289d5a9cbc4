//! Stores received files: makes signed links to the files, and downloads a file on its first
//! request.
//!
//! A link opens a file without a token. A secret of this installation signs the file's id and the
//! time of expiry. `waviro media rotate` replaces the secret, also while the gateway runs, and so
//! revokes every earlier link. A file is downloaded once, even for concurrent requests, and stays
//! in `data_dir/media` until the retention ends.

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
use waviro_store::clock::{Clock, Millis, millis};
use waviro_store::{MediaRow, Store, StoreError};

use crate::bots::Bots;
use crate::disk::Floor;
use crate::permits::Permits;
use crate::private;

/// The characters of a file's id: hex, less than half of a SHA-256.
const ID: usize = 24;

/// The number of files in one query to the database.
const ASKED_TOGETHER: usize = 64;

/// All received files. Cheap to clone.
#[derive(Clone)]
pub struct Files(Arc<Inner>);

struct Inner {
    store: Store,
    clock: Clock,
    folder: PathBuf,
    /// The secret at the last read; [`Files::refresh`] reads the secret again.
    secret: Mutex<[u8; 32]>,
    /// The start of each link.
    base: String,
    keeps: Duration,
    /// Permits for downloads, by bot.
    permits: Permits<i32>,
    floor: Floor,
    /// A lock for each file in download, by file id.
    fetching: Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// The settings for received files.
#[derive(Debug, Clone)]
pub struct RetentionLimits {
    pub folder: PathBuf,
    /// The start of each link: the public address of the gateway, or nothing.
    pub base: String,
    /// The retention of files. Links are valid for the same time.
    pub keeps: Duration,
    /// Permits for concurrent downloads, by bot.
    pub permits: Permits<i32>,
    /// The free disk space below which no file is downloaded.
    pub floor: Floor,
}

/// A link that opens a file without a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedLink {
    pub url: String,
    /// The time of expiry.
    pub expires_at: Millis,
}

/// The reason for a failed start, sweep or revocation.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The folder cannot be created or read.
    #[error("{0}")]
    Folder(#[from] std::io::Error),
}

/// The reason for an invalid link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadLink {
    /// The signature is wrong: the link is from elsewhere, revoked or changed.
    Signature,
    Expired,
}

/// The reason for a missing file.
#[derive(Debug, thiserror::Error)]
pub enum NoFile {
    /// The retention has ended, or neither WhatsApp nor the phone has the file any more. Final.
    #[error("the file is gone: {0}")]
    Gone(String),
    /// The link is down, or WhatsApp does not answer. A retry may succeed.
    #[error("the file cannot be fetched now: {0}")]
    NotNow(String),
    /// The free space on the disk is below `limits.free_disk_mib`.
    #[error("the disk is almost full")]
    NoRoom,
    /// The disk failed.
    #[error("{0}")]
    Disk(#[from] std::io::Error),
}

impl Files {
    /// Creates the folder with access for its owner only, and reads the secret from the database.
    /// The first start creates the secret. Downloads run on `tasks` and end at `stop`.
    ///
    /// # Errors
    /// [`FilesError`].
    pub async fn open(
        store: Store,
        clock: Clock,
        keeping: RetentionLimits,
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

    /// Reads the secret again, because the command line may have replaced the secret while this
    /// process runs. Must be called before a link is made or accepted.
    ///
    /// # Errors
    /// [`StoreError`]; the old secret stays in use.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        if let Some(kept) = self.0.store.kept_media_secret().await? {
            let secret = read(&kept)?;
            *self.0.secret.lock().unwrap_or_else(PoisonError::into_inner) = secret;
        }
        Ok(())
    }

    /// Makes a link to a file received at `at`.
    #[must_use]
    pub fn link(&self, id: &str, at: Millis) -> SignedLink {
        // The link contains the time in seconds.
        let expires = at.saturating_add(millis(self.0.keeps)).div_euclid(1000);
        let signature = hex::encode(self.sign(id, expires).finalize().into_bytes());
        let base = &self.0.base;
        SignedLink {
            url: format!("{base}/v1/media/{id}?expires={expires}&signature={signature}"),
            expires_at: expires * 1000,
        }
    }

    /// Checks a link to a file, by its parameters `expires` and `signature`.
    ///
    /// # Errors
    /// [`BadLink`]
    pub fn check(&self, id: &str, expires: i64, signature: &str) -> Result<(), BadLink> {
        let signature = hex::decode(signature).map_err(|_| BadLink::Signature)?;
        // Compares in constant time.
        let signed = self.sign(id, expires).verify_slice(&signature);
        signed.map_err(|_| BadLink::Signature)?;
        if expires.saturating_mul(1000) <= self.0.clock.now() {
            return Err(BadLink::Expired);
        }
        Ok(())
    }

    fn sign(&self, id: &str, expires: i64) -> Hmac<Sha256> {
        // A key shorter than a block is padded with zeros (RFC 2104).
        let mut key = Key::<Hmac<Sha256>>::default();
        let secret = *self.0.secret.lock().unwrap_or_else(PoisonError::into_inner);
        key[..secret.len()].copy_from_slice(&secret);
        let mut signed = Hmac::<Sha256>::new(&key);
        signed.update(format!("{id}.{expires}").as_bytes());
        signed
    }

    /// Returns the file, and downloads the file first if necessary. A started download continues
    /// when its caller leaves, because others may wait for the same file. Above the limit of
    /// concurrent downloads a caller waits for a permit; a caller who leaves during this wait
    /// starts no download.
    ///
    /// # Errors
    /// [`NoFile`]
    pub async fn get(&self, file: &MediaRow, bots: &Bots) -> Result<File, NoFile> {
        let path = self.0.folder.join(&file.id);
        if let Some(here) = opened(&path).await? {
            return Ok(here);
        }
        let Some(handle) = file.handle.clone() else {
            return Err(NoFile::Gone("its retention has ended".to_owned()));
        };
        if self.0.floor.is_reached() {
            return Err(NoFile::NoRoom);
        }
        let (files, id, bot_id, bots) = (self.clone(), file.id.clone(), file.bot_id, bots.clone());
        let stops = || NoFile::NotNow("the gateway is stopping".to_owned());
        let permit = tokio::select! {
            permit = self.0.permits.wait(bot_id) => permit,
            () = self.0.stop.cancelled() => return Err(stops()),
        };
        let fetching = self.0.tasks.spawn(async move {
            let _permit = permit;
            tokio::select! {
                fetched = files.fetch(&id, bot_id, &handle, &bots) => fetched,
                () = files.0.stop.cancelled() => Err(stops()),
            }
        });
        let fetched = fetching.await;
        fetched.unwrap_or_else(|error| Err(NoFile::NotNow(error.to_string())))
    }

    /// Downloads a file. Other callers wait for the same download and then find the file.
    async fn fetch(
        &self,
        id: &str,
        bot_id: i32,
        handle: &MediaHandle,
        bots: &Bots,
    ) -> Result<File, NoFile> {
        let turn = self.turn(id);
        let _turn = turn.lock().await;
        let path = self.0.folder.join(id);
        if let Some(here) = opened(&path).await? {
            return Ok(here);
        }
        let link = bots.by_id(bot_id).and_then(|bot| bot.link());
        let link = link.ok_or_else(|| NoFile::NotNow("the bot has no link".to_owned()))?;
        // The folder may have been removed while the gateway runs.
        private::make_folder(&self.0.folder)?;
        link.download(handle, &path).await.map_err(|error| {
            warn!(bot_id, media = id, %error, "file could not be downloaded");
            match error {
                LinkError::Denied { code, text } => NoFile::Gone(format!("{code} {text}")),
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

    /// Removes the files whose retention has ended. Returns the number of removed files. A file
    /// that cannot be removed is found at the next start.
    pub async fn remove(&self, ids: &[String]) -> usize {
        let mut removed = 0;
        for id in ids {
            match tokio::fs::remove_file(self.0.folder.join(id)).await {
                Ok(()) => removed += 1,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => warn!(media = id, %error, "expired file could not be removed"),
            }
        }
        removed
    }

    /// Removes files without a row in the database. With `every` the method checks all files, else
    /// only the leftovers of broken downloads. Leftovers are few, while the check of every file
    /// costs many queries. Returns the number of removed files.
    ///
    /// # Errors
    /// [`FilesError`]; earlier removals stay.
    pub async fn sweep(&self, every: bool) -> Result<usize, FilesError> {
        let mut names = Vec::new();
        let mut entries = match tokio::fs::read_dir(&self.0.folder).await {
            // The next download creates the folder again.
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

/// Revokes every link made until now. A running gateway applies the change at once.
///
/// # Errors
/// [`StoreError`]; then the links stay valid.
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

/// Returns whether a text has the form of a file's id. Only such names are read from the disk.
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
