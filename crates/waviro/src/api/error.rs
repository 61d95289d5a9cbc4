//! Every way an endpoint says no, and the only place with sentences for users, Indonesian and English.
//!
//! A sentence says what to do. Beside it stands a code that programs may rely on, and the field that is to blame.

mod language;
mod sentence;

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_LANGUAGE, HeaderValue, RETRY_AFTER};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tracing::{error, info};
use waviro_link::{DialFailure, LinkError, Number, Status};

use crate::bots::NoCode;
use crate::door::{self, BodyFault};
use crate::lenient_json::Fault;
use crate::net::{FetchError, NetError, Refused};
use crate::once::OnceError;
use crate::outbox::{NoRoom, Refusal};

pub use language::Language;

/// Why an endpoint did not do what it was asked.
#[derive(Debug, Clone)]
pub enum ApiError {
    /// No such path.
    NotFound,
    /// Not POST.
    MethodNotAllowed,
    /// Above `limits.body_kib`.
    BodyTooLarge,
    /// It broke off, or came too slowly.
    BodyIncomplete,
    /// Neither JSON nor a form; where it stops to be JSON.
    BodyNotJson(Fault),
    /// A form that is broken, or not in UTF-8.
    BodyNotForm,
    /// JSON, but a list or a bare value.
    BodyNotObject,
    /// No key, or a blank one.
    NoSecretKey,
    /// A key that no bot has.
    InvalidSecretKey,
    /// `limits.wrong_keys_per_minute`
    TooManyWrongKeys,
    /// A required field is absent, `null` or blank.
    MissingField(&'static str),
    /// Neither `nohp` nor `groupid`, on the path that the document makes for either.
    NobodyNamed,
    /// Not a string, or one with a NUL in it.
    NotText {
        /// Which.
        field: &'static str,
    },
    /// Longer than [`super::body::TEXT_CAP`].
    TextTooLong {
        /// Which.
        field: &'static str,
    },
    /// Not in the form that the document asks for.
    InvalidNumber {
        /// Which.
        field: &'static str,
        /// The form that would be right, where it can be guessed.
        meant: Option<Number>,
    },
    /// No angle, or one beyond the globe.
    InvalidDegrees {
        /// Which.
        field: &'static str,
    },
    /// Neither an object nor the text of one.
    NotAnObject {
        /// Which.
        field: &'static str,
    },
    /// A contact with more numbers than one card holds.
    TooManyNumbers {
        /// The most.
        most: usize,
    },
    /// A number that is not on WhatsApp.
    NotRegistered,
    /// The bot is not in the group.
    NotInGroup,
    /// Not a group id.
    InvalidGroup {
        /// Which.
        field: &'static str,
    },
    /// A URL that can't be called.
    InvalidUrl {
        /// Which.
        field: &'static str,
        /// Why.
        fault: UrlFault,
    },
    /// The file behind a mediaurl did not come.
    NoMedia(MediaFault),
    /// The bot's link is not up, and won't be soon.
    NotConnected(Status),
    /// The same as the message before.
    Duplicate,
    /// An Idempotency-Key that can't be one.
    InvalidIdempotencyKey,
    /// An Idempotency-Key that was used with another body.
    IdempotencyConflict,
    /// WhatsApp did not say whether the number exists, or which groups there are.
    LookupFailed,
    /// No more files are taken now.
    NoRoom(NoRoom),
    /// Too much at once.
    Busy,
    /// WhatsApp has shown no code yet; why it cannot be reached, where that is the cause.
    QrNotReady(Option<DialFailure>),
    /// Our fault; the log says more under the request's id.
    Internal,
}

/// Why a URL can't be called.
#[derive(Debug, Clone)]
pub enum UrlFault {
    /// No absolute URL.
    NotAUrl,
    /// More than 2048 bytes.
    TooLong,
    /// The guard refuses it.
    Refused(Refused),
}

/// Why a file did not come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MediaFault {
    /// Above [`crate::outbox::FILE_CAP`].
    TooLarge,
    /// The host has no such file.
    NotFound,
    /// The host answered with this status instead.
    Status(u16),
    /// No connection, or it broke.
    Unreachable,
    /// Too slow.
    TimedOut,
    /// Not a byte.
    Empty,
    /// A web page in the place of a file, and the link to the file itself if it is known.
    Page(Option<String>),
    /// The bytes do not fit their `Content-Encoding`.
    Encoding,
    /// Sent on too often.
    Lost,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'b> {
    success: bool,
    error_message: String,
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'b str>,
}

impl door::Refusal for ApiError {
    const INTERNAL: Self = Self::Internal;

    fn code(&self) -> &'static str {
        Self::code(self)
    }
}

impl ApiError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::BodyTooLarge => "body_too_large",
            Self::BodyIncomplete => "body_incomplete",
            Self::BodyNotJson(_) | Self::BodyNotForm | Self::BodyNotObject => "invalid_body",
            Self::NoSecretKey | Self::InvalidSecretKey => "invalid_secret_key",
            Self::TooManyWrongKeys => "too_many_wrong_keys",
            Self::MissingField(_) | Self::NobodyNamed => "missing_field",
            Self::NotText { .. } => "invalid_text",
            Self::TextTooLong { .. } => "text_too_long",
            Self::InvalidNumber { .. } | Self::NotRegistered => "invalid_number",
            Self::InvalidGroup { .. } | Self::NotInGroup => "invalid_group",
            Self::InvalidDegrees { .. } => "invalid_coordinate",
            Self::NotAnObject { .. } | Self::TooManyNumbers { .. } => "invalid_contact",
            Self::InvalidUrl { .. } => "invalid_url",
            Self::NoMedia(fault) => fault.code(),
            Self::NotConnected(_) => "not_connected",
            Self::Duplicate => "duplicate_message",
            Self::InvalidIdempotencyKey => "invalid_idempotency_key",
            Self::IdempotencyConflict => "idempotency_conflict",
            Self::LookupFailed => "lookup_failed",
            Self::NoRoom(NoRoom::Fetches(_)) => "too_many_fetches",
            Self::NoRoom(NoRoom::Waiting { .. }) => "too_many_files",
            Self::NoRoom(NoRoom::Disk) => "disk_full",
            Self::Busy => "busy",
            Self::QrNotReady(_) => "qr_not_ready",
            Self::Internal => "internal",
        }
    }

    /// What it is answered with.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooManyWrongKeys | Self::Busy => StatusCode::TOO_MANY_REQUESTS,
            Self::NoRoom(NoRoom::Fetches(_) | NoRoom::Waiting { .. }) => {
                StatusCode::TOO_MANY_REQUESTS
            }
            Self::NoRoom(NoRoom::Disk) => StatusCode::SERVICE_UNAVAILABLE,
            Self::LookupFailed | Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// The field to blame, if it is one's fault.
    #[must_use]
    pub fn field(&self) -> Option<&'static str> {
        match self {
            Self::MissingField(field)
            | Self::NotText { field }
            | Self::TextTooLong { field }
            | Self::InvalidNumber { field, .. }
            | Self::InvalidGroup { field }
            | Self::InvalidDegrees { field }
            | Self::NotAnObject { field }
            | Self::InvalidUrl { field, .. } => Some(field),
            Self::NotRegistered | Self::NobodyNamed => Some("nohp"),
            Self::NotInGroup => Some("groupid"),
            Self::NoMedia(_) => Some("mediaurl"),
            Self::TooManyNumbers { .. } => Some("contact.numbers"),
            _ => None,
        }
    }

    /// The same about a field inside another, by its whole name.
    #[must_use]
    pub fn inside(self, whole: &'static str) -> Self {
        match self {
            Self::MissingField(_) => Self::MissingField(whole),
            Self::NotText { .. } => Self::NotText { field: whole },
            Self::TextTooLong { .. } => Self::TextTooLong { field: whole },
            Self::InvalidNumber { meant, .. } => Self::InvalidNumber {
                field: whole,
                meant,
            },
            other => other,
        }
    }

    /// Seconds after which another try makes sense.
    fn retry_after(&self) -> Option<&'static str> {
        match self {
            Self::TooManyWrongKeys | Self::NoRoom(NoRoom::Waiting { .. } | NoRoom::Disk) => {
                Some("60")
            }
            Self::NoRoom(NoRoom::Fetches(_)) => Some("5"),
            Self::Busy => Some("1"),
            _ => None,
        }
    }

    /// The answer. `id` is the request's, `body_cap` the configured limit in bytes.
    pub(super) fn respond(&self, language: Language, id: &str, body_cap: usize) -> Response {
        let body = Body {
            success: false,
            error_message: self.sentence(language, id, body_cap),
            code: self.code(),
            field: self.field(),
        };
        let mut response = (self.status(), Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_LANGUAGE, HeaderValue::from_static(language.tag()));
        if let Some(seconds) = self.retry_after() {
            headers.insert(RETRY_AFTER, HeaderValue::from_static(seconds));
        }
        if matches!(self, Self::MethodNotAllowed) {
            headers.insert(axum::http::header::ALLOW, HeaderValue::from_static("POST"));
        }
        response
    }
}

/// Only carries the error to the layer that knows the caller's language.
impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotConnected(status) => Self::NotConnected(status),
            Refusal::NotRegistered => Self::NotRegistered,
            Refusal::NotInGroup => Self::NotInGroup,
            Refusal::Duplicate { .. } => Self::Duplicate,
            Refusal::NoRoom(none) => Self::NoRoom(none),
            Refusal::Busy => Self::Busy,
            Refusal::LookupFailed(cause) => {
                error!(%cause, "WhatsApp did not answer a question");
                Self::LookupFailed
            }
            Refusal::NoFile(FetchError::Net(NetError::Refused(refused))) => Self::InvalidUrl {
                field: "mediaurl",
                fault: refused.into(),
            },
            Refusal::NoFile(FetchError::Disk(cause)) => {
                error!(cause, "a file could not be written down");
                Self::Internal
            }
            Refusal::NoFile(cause) => {
                info!(%cause, "a file could not be fetched");
                Self::NoMedia(cause.into())
            }
            Refusal::Storage(cause) => {
                error!(%cause, "a message could not be accepted");
                Self::Internal
            }
        }
    }
}

impl From<BodyFault> for ApiError {
    fn from(fault: BodyFault) -> Self {
        match fault {
            BodyFault::TooLarge => Self::BodyTooLarge,
            BodyFault::Incomplete => Self::BodyIncomplete,
        }
    }
}

impl From<NoCode> for ApiError {
    fn from(none: NoCode) -> Self {
        match none {
            NoCode::Impossible(status) => Self::NotConnected(status),
            NoCode::Link(cause @ LinkError::Store(_)) => {
                error!(%cause, "linking could not be started");
                Self::Internal
            }
            NoCode::TimedOut | NoCode::Link(_) => Self::QrNotReady(None),
            NoCode::Unreachable(failure) => Self::QrNotReady(Some(failure)),
        }
    }
}

impl From<OnceError> for ApiError {
    fn from(error: OnceError) -> Self {
        match error {
            OnceError::OtherBody => Self::IdempotencyConflict,
            OnceError::Store(cause) => {
                error!(%cause, "a kept answer could not be looked for");
                Self::Internal
            }
        }
    }
}

impl MediaFault {
    fn code(&self) -> &'static str {
        match self {
            Self::TooLarge => "media_too_large",
            Self::NotFound => "media_not_found",
            Self::Status(_) | Self::Unreachable | Self::Lost | Self::Encoding => {
                "media_unreachable"
            }
            Self::Page(_) => "media_is_page",
            Self::TimedOut => "media_timeout",
            Self::Empty => "media_empty",
        }
    }
}

impl From<FetchError> for MediaFault {
    fn from(error: FetchError) -> Self {
        match error {
            FetchError::TooLarge(_) => Self::TooLarge,
            FetchError::Status(404 | 410) => Self::NotFound,
            FetchError::Status(status) => Self::Status(status),
            FetchError::Empty => Self::Empty,
            FetchError::Page(direct) => Self::Page(direct),
            FetchError::Encoding => Self::Encoding,
            FetchError::Lost => Self::Lost,
            FetchError::Net(NetError::TimedOut(_)) => Self::TimedOut,
            FetchError::Net(_) | FetchError::Disk(_) => Self::Unreachable,
        }
    }
}

impl From<Refused> for UrlFault {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}
