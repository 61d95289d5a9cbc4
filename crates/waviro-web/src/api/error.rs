//! The errors of `/api`, and their texts for users in Indonesian and English.
//!
//! Each text says what the caller should do. Beside the text, a response has a stable code for
//! programs and the name of the wrong field.

mod named;
mod sentence;

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_LANGUAGE, HeaderValue, RETRY_AFTER};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tracing::{error, info};
use waviro_core::bots::NoCode;
use waviro_core::idempotency::IdempotencyError;
use waviro_core::lenient_json::Fault;
use waviro_core::net::{FetchError, NetError, Refused};
use waviro_core::outbox::{NoRoom, Refusal};
use waviro_link::{DialFailure, LinkError, Number, Status};

use crate::http::{self, BodyFault};

pub use crate::texts::Language;

/// The reasons for which an endpoint refuses a request.
#[derive(Debug, Clone)]
pub enum ApiError {
    /// The path does not exist.
    NotFound,
    /// The method is not POST.
    MethodNotAllowed,
    /// The body is larger than `limits.body_kib`.
    BodyTooLarge,
    /// The body ended early or came too slowly.
    BodyIncomplete,
    /// The body is neither JSON nor a form; the fault is the place at which JSON parsing failed.
    BodyNotJson(Fault),
    /// The form is broken or not in UTF-8.
    BodyNotForm,
    /// The body is JSON, but a list or a bare value.
    BodyNotObject,
    /// The key is absent or blank.
    NoSecretKey,
    /// No bot has the key, or the request has several different keys.
    InvalidSecretKey,
    /// The address passed `limits.wrong_keys_per_minute`.
    TooManyWrongKeys,
    /// A required field is absent, `null` or blank.
    MissingField(&'static str),
    /// Both `nohp` and `groupid` are missing, on the path that the document makes for either.
    NobodyNamed,
    /// The field is not a string, or has a NUL in the string.
    NotText {
        /// The field's name.
        field: &'static str,
    },
    /// The text is longer than [`super::body::TEXT_CAP`].
    TextTooLong {
        /// The field's name.
        field: &'static str,
    },
    /// The number is not in the form that the document requires.
    InvalidNumber {
        /// The field's name.
        field: &'static str,
        /// The probable number in the right form, if it can be guessed.
        meant: Option<Number>,
    },
    /// The value is no angle, or is outside the allowed degrees.
    InvalidDegrees {
        /// The field's name.
        field: &'static str,
    },
    /// The value is neither an object nor the text of an object.
    NotAnObject {
        /// The field's name.
        field: &'static str,
    },
    /// The contact has more numbers than a card may have.
    TooManyNumbers {
        /// The maximum number of phone numbers of a card.
        most: usize,
    },
    /// The number is not registered on WhatsApp.
    NotRegistered,
    /// The bot is not in the group.
    NotInGroup,
    /// The value is not a group id.
    InvalidGroup {
        /// The field's name.
        field: &'static str,
    },
    /// The URL cannot be called.
    InvalidUrl {
        /// The field's name.
        field: &'static str,
        /// The reason.
        fault: UrlFault,
    },
    /// The file at `mediaurl` could not be fetched.
    NoMedia(MediaFault),
    /// The bot is not connected, and will not be soon.
    NotConnected(Status),
    /// The duplicate rule refuses the message.
    Duplicate,
    /// The Idempotency-Key is malformed.
    InvalidIdempotencyKey,
    /// The Idempotency-Key was already used with another body.
    IdempotencyConflict,
    /// WhatsApp did not answer a lookup (of a number or of the bot's groups).
    LookupFailed,
    /// The gateway accepts no more files now.
    NoRoom(NoRoom),
    /// The gateway accepts no more work now.
    Busy,
    /// WhatsApp has sent no QR code yet. The value is the reason, if WhatsApp cannot be reached.
    QrNotReady(Option<DialFailure>),
    /// The gateway failed. The log has the cause under the request's id.
    Internal,
}

/// The reasons for which a URL cannot be called.
#[derive(Debug, Clone)]
pub enum UrlFault {
    /// The text is no absolute URL.
    NotAUrl,
    /// The URL has more than 2048 bytes.
    TooLong,
    /// The guard refuses the URL.
    Refused(Refused),
}

/// The reasons for which a file could not be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MediaFault {
    /// The file is larger than [`waviro_core::outbox::FILE_CAP`].
    TooLarge,
    /// The host answered 404 or 410.
    NotFound,
    /// The host answered with another status than success.
    Status(u16),
    /// The connection failed or broke.
    Unreachable,
    /// The download timed out.
    TimedOut,
    /// The file has no bytes.
    Empty,
    /// The host answered with a web page. The value is the direct link to the file, if known.
    Page(Option<String>),
    /// The bytes do not match their `Content-Encoding`.
    Encoding,
    /// The host redirected too often, or to an invalid target.
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

impl http::Refusal for ApiError {
    const INTERNAL: Self = Self::Internal;

    fn code(&self) -> &'static str {
        Self::code(self)
    }
}

impl ApiError {
    /// Returns the stable code.
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

    /// Returns the HTTP status of the response.
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

    /// Returns the name of the wrong field, if the error is about a field.
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

    /// Renames the field of the error. Used for a nested field, which needs its full name
    /// (`contact.name`).
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

    /// Returns the seconds after which a retry can succeed.
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

    /// Builds the response. `id` is the request's id; `body_cap` is the configured limit in bytes.
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

/// Carries the error in the response's extensions to the layer that knows the caller's language.
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
                error!(%cause, "lookup at WhatsApp failed");
                Self::LookupFailed
            }
            Refusal::NoFile(FetchError::Net(NetError::Refused(refused))) => Self::InvalidUrl {
                field: "mediaurl",
                fault: refused.into(),
            },
            Refusal::NoFile(FetchError::Disk(cause)) => {
                error!(cause, "file could not be written to disk");
                Self::Internal
            }
            Refusal::NoFile(cause) => {
                info!(%cause, "file could not be downloaded");
                Self::NoMedia(cause.into())
            }
            Refusal::Storage(cause) => {
                error!(%cause, "message could not be stored");
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
                error!(%cause, "linking could not be started: the link store failed");
                Self::Internal
            }
            NoCode::TimedOut | NoCode::Link(_) => Self::QrNotReady(None),
            NoCode::Unreachable(failure) => Self::QrNotReady(Some(failure)),
        }
    }
}

impl From<IdempotencyError> for ApiError {
    fn from(error: IdempotencyError) -> Self {
        match error {
            IdempotencyError::OtherBody => Self::IdempotencyConflict,
            IdempotencyError::Store(cause) => {
                error!(%cause, "stored response could not be read");
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
