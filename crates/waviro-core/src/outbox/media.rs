//! The spool: files are fetched when their message is accepted, and stay on disk until the WhatsApp
//! server has the message.
//!
//! A spooled file is durable before the row with its name is written. The rows decide: a file
//! without a pending message is removed. The removal happens at once when a message is final; the
//! sweep removes files left behind by a killed process.

mod container;
mod formats;
mod kind;
mod name;
mod page;
mod preview;
mod turns;
mod unclaimed;
mod waiting;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufWriter};
use tokio::time::Instant;
use url::Url;
use waviro_fault::Bug;
use waviro_link::{Media, MessageId};
use waviro_store::Store;

use super::settings::{FILE_CAP, FILE_WITHIN, Settings};
use crate::bots::Bot;
use crate::config::AllowedNetwork;
use crate::disk::Floor;
use crate::net::unpack::{self, Encoding, UnpackError};
use crate::net::{FetchError, Fetched, Net};
use crate::private;

use container::Container;
use kind::{About, Judged};
use preview::Previews;
use turns::Turns;
use waiting::{Waiting, name_of};

pub(super) use unclaimed::Unclaimed;

/// The age below which the sweep keeps a file. Longer than a fetch and the commit after the fetch.
const YOUNG: Duration = Duration::from_mins(10);

/// The most files decoded at the same time: a decoder may use 16 MiB of memory.
const DECODING: usize = 2;

/// The folder of files that wait to be sent.
#[derive(Debug, Clone)]
pub(super) struct Spool {
    folder: PathBuf,
    previews: Previews,
    waiting: Waiting,
    floor: Floor,
    decoding: Turns,
}

/// A file to fetch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    /// The id of the bot.
    pub(super) bot: i32,
    pub(super) url: &'a Url,
    /// The intended use of the file.
    pub(super) meant: MediaUse,
}

/// The reason for a missing file.
#[derive(Debug)]
pub(super) enum NotTaken {
    /// The file could not be fetched.
    Fetch(FetchError),
    /// Too many files of the bot wait in the spool.
    TooMany,
    Disk,
}

impl From<FetchError> for NotTaken {
    fn from(error: FetchError) -> Self {
        Self::Fetch(error)
    }
}

/// The intended use of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MediaUse {
    /// Any file. The bytes decide about the kind.
    Anything,
    /// A picture, a video or an audio; a web page is refused.
    Displayed,
    /// A document: the file is sent unchanged.
    Document,
    /// A contact card; a web page is refused.
    Card,
}

impl Spool {
    /// Creates the folder with access for its owner only.
    pub(super) fn prepare(folder: PathBuf, settings: &Settings) -> std::io::Result<Self> {
        private::make_folder(&folder)?;
        let bytes = settings.waiting_files_mib.saturating_mul(1024 * 1024);
        Ok(Self {
            floor: Floor::new(folder.clone(), settings.free_disk_mib),
            waiting: Waiting::new(settings.waiting_files, bytes),
            folder,
            previews: Previews::new(),
            decoding: Turns::new(DECODING),
        })
    }

    /// Fetches a file for a bot and makes the file durable under `name`. The bot's own allowed
    /// networks apply. The file is removed when the returned [`Unclaimed`] is dropped without a
    /// claim, and also when the caller stops waiting.
    pub(super) async fn take(
        &self,
        (store, net): (&Store, &Net),
        wanted: Wanted<'_>,
        bot: &Bot,
        name: &str,
    ) -> Result<(Media, Unclaimed), NotTaken> {
        if self.floor.is_reached() {
            return Err(NotTaken::Disk);
        }
        let bot_id = bot.id();
        if !self.waiting.begin(bot_id, name) {
            self.look_after(bot_id, store).await;
            if !self.waiting.begin(bot_id, name) {
                return Err(NotTaken::TooMany);
            }
        }
        let file = Unclaimed::new(self.folder.join(name), self.waiting.clone());
        let settings = bot.settings();
        let fetched = self.fetch(net, wanted, &settings.allow, &file).await;
        let fetched = match fetched {
            Ok(media) => match tokio::fs::metadata(file.path()).await {
                Ok(about) if self.waiting.fetched(name, about.len()) => Ok(media),
                Ok(_) => Err(NotTaken::TooMany),
                Err(error) => Err(FetchError::from(error).into()),
            },
            Err(error) => Err(error.into()),
        };
        match fetched {
            Ok(media) => Ok((media, file)),
            Err(none) => {
                // The file is removed before the error is returned, so that the caller finds no
                // file.
                file.discard().await;
                Err(none)
            }
        }
    }

    /// Removes the files of a bot's final messages. A queue that ends at once leaves its files
    /// behind for the sweep.
    async fn look_after(&self, bot_id: i32, store: &Store) {
        for name in self.waiting.to_look_after(bot_id) {
            let Ok(id) = name.parse::<MessageId>() else {
                continue;
            };
            match store.message(&id).await {
                Ok(Some(message)) if message.ack != 0 => {
                    self.remove(&self.folder.join(&name)).await;
                }
                // The message may still be written.
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, "waiting files could not be checked");
                    return;
                }
            }
        }
    }

    /// Removes a spooled file. If the removal fails, a later sweep finds the file.
    pub(super) async fn remove(&self, path: &Path) {
        match tokio::fs::remove_file(path).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(%error, "sent file could not be removed");
            }
            _ => self.waiting.gone(&name_of(path)),
        }
    }

    async fn fetch(
        &self,
        net: &Net,
        wanted: Wanted<'_>,
        allow: &[AllowedNetwork],
        spooled: &Unclaimed,
    ) -> Result<Media, FetchError> {
        let path = spooled.path();
        let mut options = File::options();
        options.write(true).read(true).create_new(true);
        #[cfg(unix)]
        options.mode(0o600);
        let latest = Instant::now() + FILE_WITHIN;
        let file = match options.open(path).await {
            // The folder was removed while the gateway runs.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                private::make_folder(&self.folder)?;
                options.open(path).await?
            }
            opened => opened?,
        };
        let mut sink = BufWriter::new(file);
        let fetched = net
            .fetch(wanted.url, allow, FILE_WITHIN, FILE_CAP, &mut sink)
            .await?;
        sink.flush().await?;
        waviro_fault::step("spool begun");
        drop(sink);
        let mut judged = self.judge(spooled, fetched, wanted).await?;
        if matches!(judged.container, Container::Webp | Container::Gif)
            && wanted.meant != MediaUse::Document
            && let Some(mime) = self
                .previews
                .still(wanted.bot, path, &judged.mime, latest)
                .await
        {
            judged.shown_as(mime);
        }
        if !waviro_fault::planted(Bug::NoSync) {
            let file = File::options().write(true).open(path).await?;
            file.sync_all().await?;
        }
        // The folder's entry for the file must also survive a power failure.
        let folder = File::open(&self.folder).await?;
        folder.sync_all().await?;
        waviro_fault::step("spool safe");
        let sha256 = hash(path).await?;
        let preview = self
            .previews
            .of(wanted.bot, path, judged.kind, &judged.mime, latest)
            .await;
        Ok(Media {
            kind: judged.kind,
            file: path.to_owned(),
            sha256,
            file_name: judged.file_name,
            caption: None,
            voice: judged.voice,
            mime: judged.mime,
            preview,
        })
    }

    /// Decodes the file and determines its kind, on a blocking thread.
    async fn judge(
        &self,
        spooled: &Unclaimed,
        fetched: Fetched,
        wanted: Wanted<'_>,
    ) -> Result<Judged, FetchError> {
        let decoding = if fetched.encodings.is_empty() {
            None
        } else {
            self.decoding.of(wanted.bot).await
        };
        let (spooled, requested, no_page) = (
            spooled.clone(),
            wanted.url.clone(),
            matches!(wanted.meant, MediaUse::Displayed | MediaUse::Card),
        );
        let judging = tokio::task::spawn_blocking(move || {
            let path = spooled.path();
            if decoding.is_some() {
                decode(path, &fetched.encodings)?;
            }
            drop(decoding);
            let mut file = std::fs::File::open(path)?;
            let about = About {
                content_type: fetched.content_type.as_deref(),
                disposition: fetched.disposition.as_deref(),
                requested: &requested,
                found: &fetched.url,
                no_page,
            };
            let judged = kind::of(&mut file, about)?;
            judged.map_err(|page| FetchError::Page(page.direct))
        });
        let judged = judging.await;
        judged.unwrap_or_else(|error| Err(FetchError::Disk(error.to_string())))
    }

    /// Returns the path of a file in the spool.
    pub(super) fn path(&self, file: &Path) -> PathBuf {
        self.folder.join(file.file_name().unwrap_or_default())
    }

    /// Removes every file without a pending message. Files in use by a task and young files stay,
    /// because their message may not be written yet.
    pub(super) async fn sweep(&self, store: &Store) -> Result<usize, String> {
        let mut removed = 0;
        let failed = |error: std::io::Error| error.to_string();
        let mut entries = match tokio::fs::read_dir(&self.folder).await {
            // The next fetch creates the folder again.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
            entries => entries.map_err(failed)?,
        };
        while let Some(entry) = entries.next_entry().await.map_err(failed)? {
            // The file was removed together with its request.
            let Ok(about) = entry.metadata().await else {
                continue;
            };
            let name = entry.file_name();
            // Read before the message is loaded: a message is written before its file is released.
            if self.waiting.is_held(&name.to_string_lossy()) {
                continue;
            }
            let id = Path::new(&name).file_stem().and_then(|stem| stem.to_str());
            let id: Option<MessageId> = id.and_then(|id| id.parse().ok());
            let message = match id {
                Some(id) => store
                    .message(&id)
                    .await
                    .map_err(|error| error.to_string())?,
                None => None,
            };
            if let Some(message) = message
                && message.ack == 0
            {
                let name = name_of(&entry.path());
                self.waiting.found(message.bot_id, &name, about.len());
                continue;
            }
            // A file with a future time was written before the machine's clock was set back,
            // perhaps just now.
            let age = about.modified().map_err(failed)?.elapsed();
            if age.is_ok_and(|age| age >= YOUNG) {
                self.remove(&entry.path()).await;
                removed += 1;
            }
        }
        Ok(removed)
    }
}

/// Replaces a spooled file by its decoded content.
fn decode(path: &Path, encodings: &[Encoding]) -> Result<(), FetchError> {
    let plain = path.with_extension("plain");
    let mut options = std::fs::File::options();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let decoded = decode_into(path, &plain, &options, encodings);
    if !matches!(decoded, Ok(true)) {
        // The file may not exist.
        let _ = std::fs::remove_file(&plain);
    }
    decoded.map(|_| ())
}

/// Decodes `path` into `plain`. Returns `false` if the file was not encoded although its host named
/// an encoding.
fn decode_into(
    path: &Path,
    plain: &Path,
    options: &std::fs::OpenOptions,
    encodings: &[Encoding],
) -> Result<bool, FetchError> {
    let source = std::fs::File::open(path)?;
    let mut sink = std::io::BufWriter::new(options.open(plain)?);
    match unpack::unpack(source, encodings, FILE_CAP, &mut sink) {
        Ok(0) => Err(FetchError::Empty),
        Ok(_) => {
            std::io::Write::flush(&mut sink)?;
            std::fs::rename(plain, path)?;
            Ok(true)
        }
        Err(UnpackError::TooLarge(cap)) => Err(FetchError::TooLarge(cap)),
        Err(UnpackError::Broken(_)) => {
            // Deflate and brotli have no signature. A file with a signature of its own was never
            // encoded.
            let mut source = std::fs::File::open(path)?;
            match container::of(&mut source, false)? {
                Container::Binary | Container::Gzip | Container::Zstd => Err(FetchError::Encoding),
                _ => Ok(false),
            }
        }
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
