//! Files on their way out: fetched when they are accepted, kept on disk until the server has the message.
//!
//! A spooled file is durable before the row that names it is written, and the row is the truth: what no pending message names is
//! removed, at once when a message is final and at the start for what a kill left behind.

mod kind;
mod name;
mod preview;

use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufWriter};
use tokio::time::Instant;
use url::Url;
use waviro_fault::Bug;
use waviro_link::{Media, MediaKind, MessageId};

use crate::config::AllowedNetwork;
use crate::net::{FetchError, Net};
use crate::store::Store;

use preview::Previews;

/// What WhatsApp takes for a picture, song or film, and the document's own limit.
pub const CAP: u64 = 16 * 1024 * 1024;

/// The caller's request is open so long: below the 30 s after which the audience's PHP gives up.
const WITHIN: Duration = Duration::from_secs(25);

/// Longer than a fetch and the commit after it take together.
const YOUNG: Duration = Duration::from_mins(10);

/// The folder of spooled files.
#[derive(Debug, Clone)]
pub(super) struct Spool {
    folder: PathBuf,
    previews: Previews,
}

impl Spool {
    /// Makes the folder, open to its owner alone.
    pub(super) fn prepare(folder: PathBuf) -> std::io::Result<Self> {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&folder)?;
        Ok(Self {
            folder,
            previews: Previews::new(),
        })
    }

    /// Fetches a file, also from the networks that `allow` names, and makes it durable under `name`.
    pub(super) async fn take(
        &self,
        net: &Net,
        url: &Url,
        allow: &[AllowedNetwork],
        name: &str,
    ) -> Result<Media, FetchError> {
        let path = self.folder.join(name);
        let taken = self.fetch(net, url, allow, &path).await;
        if taken.is_err() {
            remove(&path).await;
        }
        taken
    }

    async fn fetch(
        &self,
        net: &Net,
        url: &Url,
        allow: &[AllowedNetwork],
        path: &Path,
    ) -> Result<Media, FetchError> {
        let disk = |error: std::io::Error| FetchError::Disk(error.to_string());
        let mut options = File::options();
        options.write(true).read(true).create_new(true);
        #[cfg(unix)]
        options.mode(0o600);
        let latest = Instant::now() + WITHIN;
        let mut sink = BufWriter::new(options.open(path).await.map_err(disk)?);
        let fetched = net.fetch(url, allow, WITHIN, CAP, &mut sink).await?;
        sink.flush().await.map_err(disk)?;
        waviro_fault::step("spool begun");
        let file = sink.into_inner();
        if !waviro_fault::planted(Bug::NoSync) {
            file.sync_all().await.map_err(disk)?;
        }
        // The name in the folder must survive a power cut too.
        let folder = File::open(&self.folder).await.map_err(disk)?;
        folder.sync_all().await.map_err(disk)?;
        waviro_fault::step("spool safe");
        let sha256 = hash(path).await.map_err(disk)?;
        let (kind, mime) = kind::of(&fetched.head, fetched.content_type.as_deref(), &fetched.url);
        let preview = self.previews.of(path, kind, &mime, latest).await;
        Ok(Media {
            kind,
            file: path.to_owned(),
            sha256,
            file_name: name::of(fetched.disposition.as_deref(), &fetched.url, &mime),
            caption: None,
            voice: kind == MediaKind::Audio && kind::is_voice(&fetched.head),
            mime,
            preview,
        })
    }

    /// Where the file of this name is.
    pub(super) fn path(&self, file: &Path) -> PathBuf {
        self.folder.join(file.file_name().unwrap_or_default())
    }

    /// Removes every file that no pending message names. Young ones are left alone: their message may not have been written yet.
    pub(super) async fn sweep(&self, store: &Store) -> Result<usize, String> {
        let mut removed = 0;
        let failed = |error: std::io::Error| error.to_string();
        let mut entries = tokio::fs::read_dir(&self.folder).await.map_err(failed)?;
        while let Some(entry) = entries.next_entry().await.map_err(failed)? {
            let age = entry.metadata().await.and_then(|about| about.modified());
            // One of the future was written before the machine's clock was put back, perhaps just now.
            if age
                .map_err(failed)?
                .elapsed()
                .map_or(true, |age| age < YOUNG)
            {
                continue;
            }
            let name = entry.file_name();
            let id = Path::new(&name).file_stem().and_then(|stem| stem.to_str());
            let id: Option<MessageId> = id.and_then(|id| id.parse().ok());
            let message = match id {
                Some(id) => store
                    .message(&id)
                    .await
                    .map_err(|error| error.to_string())?,
                None => None,
            };
            if message.is_none_or(|message| message.ack != 0) {
                remove(&entry.path()).await;
                removed += 1;
            }
        }
        Ok(removed)
    }
}

/// Removes a spooled file. One that stays is found at the next start.
pub(super) async fn remove(path: &Path) {
    if let Err(error) = tokio::fs::remove_file(path).await
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(%error, "a file that was sent is not removed yet");
    }
}

async fn hash(path: &Path) -> std::io::Result<[u8; 32]> {
    let (mut file, mut hash) = (File::open(path).await?, Sha256::new());
    let mut part = vec![0; 64 * 1024];
    loop {
        match file.read(&mut part).await? {
            0 => return Ok(hash.finalize().into()),
            count => hash.update(&part[..count]),
        }
    }
}
