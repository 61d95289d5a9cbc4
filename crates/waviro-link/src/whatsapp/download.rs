//! Downloads received files: fetches a file as a stream, decrypts it on the way, and renames it to
//! its final name when it is complete.

use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use whatsapp_rust::anyhow;
use whatsapp_rust::download::{DownloadParams, DownloadWriter};
use whatsapp_rust::wacore::libsignal::crypto::CryptographicHash;
use whatsapp_rust::{
    Client, ErrorChainExt as _, MediaRetryResult, MediaReuploadError, MediaReuploadRequest,
};

use super::handle::Reference;
use super::send::client_error;
use crate::{LinkError, MediaHandle};

/// The maximum size of a file, the limit of WhatsApp's clients for media in a chat. Documents may
/// have 2 GB; the gateway does not download such large files without a request.
const LARGEST: u64 = 100 * 1024 * 1024;

/// The timeout of a download: 100 MiB take almost two minutes at 8 Mbit/s, and before the download
/// the phone may need half a minute to upload the file again.
const WITHIN: Duration = Duration::from_mins(4);

/// The HTTP status codes for a deleted file or an expired path. WhatsApp's hosts keep a file for
/// some weeks.
const GONE: [u16; 3] = [403, 404, 410];

/// Downloads a file into `to`, see [`crate::Link::download`].
pub(super) async fn download(
    client: &Arc<Client>,
    handle: &MediaHandle,
    to: &Path,
) -> Result<(), LinkError> {
    let reference = Reference::read(handle).ok_or_else(|| {
        LinkError::Refused("the media handle is not from this gateway".to_owned())
    })?;
    if reference.length > LARGEST {
        return Err(too_large());
    }
    let fetching = fetch(client, reference, to);
    match tokio::time::timeout(WITHIN, fetching).await {
        Ok(done) => done,
        Err(_) => Err(LinkError::TimedOut),
    }
}

async fn fetch(client: &Arc<Client>, mut reference: Reference, to: &Path) -> Result<(), LinkError> {
    match attempt(client, &reference, to).await {
        Err(Missed::Gone) => {}
        Err(Missed::Other(error)) => return Err(error),
        Ok(()) => return Ok(()),
    }
    reference.path = uploaded_again(client, &reference).await?;
    match attempt(client, &reference, to).await {
        Ok(()) => Ok(()),
        Err(Missed::Gone) => Err(gone()),
        Err(Missed::Other(error)) => Err(error),
    }
}

/// The reason of a failed attempt.
enum Missed {
    /// WhatsApp's hosts do not have the file.
    Gone,
    Other(LinkError),
}

async fn attempt(client: &Arc<Client>, reference: &Reference, to: &Path) -> Result<(), Missed> {
    let part = Part::beside(to);
    let spool = |error: std::io::Error| Missed::Other(LinkError::Failed(format!("file: {error}")));
    let too_large = Arc::new(AtomicBool::new(false));
    let sink = Sink::open(&part.0, Arc::clone(&too_large)).map_err(spool)?;
    let params = DownloadParams::encrypted(
        reference.path.clone(),
        &reference.key,
        &reference.sha256,
        &reference.sealed_sha256,
        reference.length,
        reference.media_type(),
    );
    let sink = match client.download_to_writer(&params, sink).await {
        Ok(sink) => sink,
        Err(_) if too_large.load(Ordering::SeqCst) => {
            return Err(Missed::Other(self::too_large()));
        }
        Err(error) => return Err(missed(&error)),
    };
    let (expected, to) = (reference.sha256.clone(), to.to_owned());
    let finishing = tokio::task::spawn_blocking(move || {
        let read = sink.finish()?;
        if read != expected {
            return Ok(false);
        }
        std::fs::rename(&part.0, to)?;
        Ok(true)
    });
    match finishing.await {
        Ok(Ok(true)) => Ok(()),
        Ok(Ok(false)) => Err(Missed::Other(LinkError::Refused(
            "the file does not match the sender's hash".to_owned(),
        ))),
        Ok(Err(error)) => Err(spool(error)),
        Err(error) => Err(Missed::Other(LinkError::Failed(error.to_string()))),
    }
}

fn missed(error: &anyhow::Error) -> Missed {
    let cause: &(dyn std::error::Error + 'static) = error.as_ref();
    match cause.http_status() {
        Some(status) if GONE.contains(&status) => Missed::Gone,
        _ => Missed::Other(LinkError::Failed(format!("download: {error:#}"))),
    }
}

/// Asks the owner's phone to upload the file again; returns the new path.
async fn uploaded_again(client: &Arc<Client>, reference: &Reference) -> Result<String, LinkError> {
    let request = MediaReuploadRequest {
        msg_id: &reference.message,
        chat_jid: &reference.chat,
        media_key: &reference.key,
        is_from_me: reference.from_me,
        participant: reference.participant.as_ref(),
    };
    match client.media_reupload().request(&request).await {
        Ok(MediaRetryResult::Success { direct_path }) => Ok(direct_path),
        Ok(_) => Err(gone()),
        Err(MediaReuploadError::Timeout) => Err(LinkError::TimedOut),
        Err(MediaReuploadError::NotLoggedIn) => Err(LinkError::Offline),
        Err(MediaReuploadError::Client(error)) => Err(client_error(error)),
        Err(MediaReuploadError::InvalidRequest(reason)) => Err(LinkError::Refused(reason)),
        Err(error) => Err(LinkError::Failed(format!("reupload: {error:#}"))),
    }
}

fn gone() -> LinkError {
    LinkError::Refused("neither WhatsApp nor the phone has the file any more".to_owned())
}

fn too_large() -> LinkError {
    LinkError::Refused("the file is larger than 100 MiB".to_owned())
}

/// The unfinished file; dropping the value removes the file, unless it was renamed.
struct Part(PathBuf);

impl Part {
    fn beside(file: &Path) -> Self {
        let mut name = file.as_os_str().to_owned();
        name.push(".part");
        Self(name.into())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // After a successful download the file no longer exists under this name.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Writes, counts and hashes the file's content. The library truncates the sink before it tries
/// another host.
struct Sink {
    file: BufWriter<File>,
    hash: CryptographicHash,
    left: u64,
    too_large: Arc<AtomicBool>,
}

impl Sink {
    fn open(path: &Path, too_large: Arc<AtomicBool>) -> std::io::Result<Self> {
        // An older file may have another mode.
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = File::options();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        Ok(Self {
            file: BufWriter::new(options.open(path)?),
            hash: sha256()?,
            left: LARGEST,
            too_large,
        })
    }

    /// Returns the hash of the content after syncing the file.
    fn finish(mut self) -> std::io::Result<Vec<u8>> {
        self.file.flush()?;
        self.file.get_ref().sync_all()?;
        Ok(self.hash.finalize())
    }
}

fn sha256() -> std::io::Result<CryptographicHash> {
    CryptographicHash::new("SHA-256").map_err(|error| std::io::Error::other(error.to_string()))
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let count = bytes.len() as u64;
        if count > self.left {
            self.too_large.store(true, Ordering::SeqCst);
            return Err(std::io::Error::other("larger than 100 MiB"));
        }
        let written = self.file.write(bytes)?;
        self.hash.update(bytes.get(..written).unwrap_or(bytes));
        self.left -= written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

impl Seek for Sink {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.file.seek(to)
    }
}

impl DownloadWriter for Sink {
    /// The library truncates only to zero, before an attempt.
    fn truncate(&mut self, length: u64) -> std::io::Result<()> {
        self.file.flush()?;
        self.file.get_ref().set_len(length)?;
        (self.hash, self.left) = (sha256()?, LARGEST);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_from_a_failed_host_is_discarded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.part");
        let mut sink = Sink::open(&path, Arc::default()).unwrap();
        sink.write_all(b"something else").unwrap();
        sink.truncate(0).unwrap();
        sink.rewind().unwrap();
        sink.write_all(b"abc").unwrap();
        // FIPS 180-2, appendix B.1.
        assert_eq!(
            sink.finish().unwrap()[..4],
            [0xba, 0x78, 0x16, 0xbf],
            "the hash of abc"
        );
        assert_eq!(std::fs::read(&path).unwrap(), b"abc");
    }

    #[test]
    fn a_download_above_the_size_limit_is_aborted() {
        let folder = tempfile::tempdir().unwrap();
        let too_large = Arc::new(AtomicBool::new(false));
        let path = folder.path().join("file.part");
        let mut sink = Sink::open(&path, Arc::clone(&too_large)).unwrap();
        sink.left = 2;
        assert!(sink.write_all(b"ab").is_ok());
        assert!(sink.write_all(b"c").is_err());
        assert!(too_large.load(Ordering::SeqCst));
    }
}
