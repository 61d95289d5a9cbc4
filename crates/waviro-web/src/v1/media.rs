//! `/v1/media/{media}` and `/v1/bots/{bot}/media/{media}`: files received by the bots, by a signed
//! link or with a token.

use axum::body::{Body, Bytes};
use axum::extract::FromRequestParts;
use axum::http::header::{
    CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use futures::stream;
use tokio::fs::File;
use tokio::io::AsyncReadExt;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use waviro_core::files::{BadLink, NoFile, is_id};
use waviro_core::outbox::NoRoom;
use waviro_store::invisible::{is_bidi_control, is_blank};
use waviro_store::{FileDetail, MediaRow};

use super::auth::AtBot;
use super::body::required;
use super::path::path_part;
use super::problem::{Limit, Problem};
use super::query::Query;
use super::responses::{FileGone, NotFetched, SignatureWrong, Unavailable};
use super::state::V1;
use crate::services::{Services, SharedServices};

/// The bytes of a read.
const PART: usize = 64 * 1024;

const MISSING: Problem = Problem::NoSuch("file");

pub(super) fn routes() -> OpenApiRouter<V1> {
    OpenApiRouter::new()
        .routes(routes!(open))
        .routes(routes!(fetch))
}

/// The parameters of a signed link.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(
    dead_code,
    reason = "parsed by hand, so that the error names the wrong parameter"
)]
pub struct LinkParams {
    /// When the link expires, in Unix seconds.
    expires: i64,
    /// HMAC-SHA256 over the file's id and `expires`, in hex.
    signature: String,
}

/// Open a file by its link
///
/// The link comes from `media.url` of a `message.received` event and needs no token. The gateway
/// fetches the file from WhatsApp at the first request, which takes a moment, and keeps the file
/// for `retention.media_days`. Never show the file inside a web page: the content comes from an
/// untrusted sender.
#[utoipa::path(
    get, path = "/v1/media/{media}", tag = "media", security(()), params(LinkParams),
    responses((status = 200, description = "The file.", body = Vec<u8>, content_type = "*/*"), SignatureWrong, FileGone, NotFetched, Unavailable)
)]
async fn open(
    services: SharedServices,
    MediaId(id): MediaId,
    query: Query,
) -> Result<Response, Problem> {
    let expires = required("expires", query.said("expires"))?;
    let signature = required("signature", query.said("signature"))?;
    // A value that is not a number cannot have a valid signature.
    let expires = expires.parse().map_err(|_| Problem::BadSignature)?;
    let id = id.ok_or(Problem::BadSignature)?;
    // The secret in memory is checked first, so that a stranger's link costs no database query. The
    // second check uses the current secret, which the command line may have replaced.
    services.files.check(&id, expires, signature)?;
    services.files.refresh().await?;
    services.files.check(&id, expires, signature)?;
    let row = services.store.media(&id).await?;
    // The signature is valid, so the file existed.
    let gone = || Problem::MediaGone("its retention has ended".to_owned());
    give(&services, row.ok_or_else(gone)?).await
}

/// Fetch a file
///
/// Returns the same file as the link, with a token.
#[utoipa::path(
    get, path = "/v1/bots/{bot}/media/{media}", tag = "media",
    responses((status = 200, description = "The file.", body = Vec<u8>, content_type = "*/*"), FileGone, NotFetched, Unavailable)
)]
async fn fetch(
    services: SharedServices,
    at: AtBot,
    MediaId(id): MediaId,
) -> Result<Response, Problem> {
    let row = services.store.media(&id.ok_or(MISSING)?).await?;
    let row = row.filter(|row| row.bot_id == at.bot().id());
    give(&services, row.ok_or(MISSING)?).await
}

async fn give(services: &Services, row: MediaRow) -> Result<Response, Problem> {
    let file = services.files.get(&row, &services.bots).await?;
    answer(file, &row)
        .await
        .map_err(|error| NoFile::from(error).into())
}

/// Builds the response as a download, so that no browser executes the content: an untrusted sender
/// chose the content and its media type.
async fn answer(file: File, row: &MediaRow) -> std::io::Result<Response> {
    let length = file.metadata().await?.len();
    let parts = stream::try_unfold(file, async |mut file: File| {
        let mut part = vec![0; PART];
        let count = file.read(&mut part).await?;
        part.truncate(count);
        let part = (count > 0).then(|| Bytes::from(part));
        Ok::<_, std::io::Error>(part.map(|part| (part, file)))
    });
    let mut response = Body::from_stream(parts).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, length.into());
    headers.insert(CONTENT_TYPE, kind(&row.about));
    headers.insert(CONTENT_DISPOSITION, disposition(row));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; sandbox"),
    );
    Ok(response)
}

/// Returns the sender's media type if it is well-formed.
fn kind(about: &FileDetail) -> HeaderValue {
    let token = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
    };
    let (essence, _) = about.mime.split_once(';').unwrap_or((&about.mime, ""));
    let valid = essence
        .trim()
        .split_once('/')
        .is_some_and(|(first, second)| token(first) && token(second));
    let value = valid.then(|| HeaderValue::from_str(about.mime.trim()).ok());
    let usual = || HeaderValue::from_static("application/octet-stream");
    value.flatten().unwrap_or_else(usual)
}

/// Returns the Content-Disposition header (RFC 6266): an ASCII name for all clients, and the full
/// name for clients with RFC 8187.
fn disposition(row: &MediaRow) -> HeaderValue {
    const LONGEST: usize = 120;
    let told = row.about.file_name.as_deref().unwrap_or_default();
    let last = told.rsplit(['/', '\\']).next().unwrap_or_default();
    let name: String = last
        .chars()
        .filter(|letter| !letter.is_control() && !is_bidi_control(*letter))
        .take(LONGEST)
        .collect();
    let name = name.trim().trim_start_matches('.');
    let name = if is_blank(name) { &row.id } else { name };
    let plain: String = name
        .chars()
        .map(|letter| match letter {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '-' | '_' | ' ' => letter,
            _ => '_',
        })
        .collect();
    let mut extended = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b".-_".contains(&byte) {
            extended.push(char::from(byte));
        } else {
            extended.push('%');
            extended.push_str(&hex::encode_upper([byte]));
        }
    }
    let text = format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{extended}");
    // The value is ASCII without control characters, so the conversion cannot fail.
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static("attachment"))
}

/// Extractor: the file id in the path; `None` if the value cannot be an id.
struct MediaId(Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for MediaId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let id = path_part(parts, "media").await;
        Ok(Self(id.filter(|id| is_id(id))))
    }
}

impl From<BadLink> for Problem {
    fn from(bad: BadLink) -> Self {
        match bad {
            BadLink::Signature => Self::BadSignature,
            BadLink::Expired => Self::LinkExpired,
        }
    }
}

impl From<NoFile> for Problem {
    fn from(none: NoFile) -> Self {
        match none {
            NoFile::Gone(why) => Self::MediaGone(why),
            NoFile::NoRoom => Self::Limit(Limit::Files(NoRoom::Disk)),
            NoFile::NotNow(why) => Self::MediaUnavailable(why),
            NoFile::Disk(error) => {
                tracing::error!(%error, "media file could not be read");
                Self::Internal
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(mime: &str, file_name: Option<&str>) -> MediaRow {
        MediaRow {
            id: "0123456789abcdef01234567".to_owned(),
            bot_id: 1,
            handle: None,
            about: FileDetail {
                mime: mime.to_owned(),
                file_name: file_name.map(ToOwned::to_owned),
                ..FileDetail::default()
            },
        }
    }

    #[test]
    fn an_invalid_media_type_becomes_octet_stream() {
        for (told, said) in [
            ("image/jpeg", "image/jpeg"),
            ("audio/ogg; codecs=opus", "audio/ogg; codecs=opus"),
            ("", "application/octet-stream"),
            ("image", "application/octet-stream"),
            ("a/b\r\nx: y", "application/octet-stream"),
            ("text/<html>", "application/octet-stream"),
        ] {
            assert_eq!(kind(&row(told, None).about), said, "{told}");
        }
    }

    #[test]
    fn a_name_is_one_of_a_file_whatever_the_sender_wrote() {
        for (told, said) in [
            (
                Some("faktur.pdf"),
                "filename=\"faktur.pdf\"; filename*=UTF-8''faktur.pdf",
            ),
            (
                Some("../../etc/passwd"),
                "filename=\"passwd\"; filename*=UTF-8''passwd",
            ),
            (
                Some("a\"\r\nb.html"),
                "filename=\"a_b.html\"; filename*=UTF-8''a%22b.html",
            ),
            (
                Some("daftar harga é.pdf"),
                "filename=\"daftar harga _.pdf\"; filename*=UTF-8''daftar%20harga%20%C3%A9.pdf",
            ),
            (
                Some("..."),
                "filename=\"0123456789abcdef01234567\"; filename*=UTF-8''0123456789abcdef01234567",
            ),
            (
                Some("faktur\u{202e}fdp.exe"),
                "filename=\"fakturfdp.exe\"; filename*=UTF-8''fakturfdp.exe",
            ),
            (
                Some("\u{2067}\u{3164} \u{200b}"),
                "filename=\"0123456789abcdef01234567\"; filename*=UTF-8''0123456789abcdef01234567",
            ),
            (
                None,
                "filename=\"0123456789abcdef01234567\"; filename*=UTF-8''0123456789abcdef01234567",
            ),
        ] {
            assert_eq!(disposition(&row("", told)), format!("attachment; {said}"));
        }
    }
}
