//! The errors by name, with sample values. The catalogue of the documentation lists the errors of
//! each endpoint by these names.

use serde::de::{Deserialize, Deserializer, Error};
use waviro_core::lenient_json::{Cause, Fault};
use waviro_core::limits::NUMBERS_CAP;
use waviro_core::outbox::NoRoom;
use waviro_core::permits::NoPermit;
use waviro_link::{Status, UnlinkedCause};

use super::{ApiError, MediaFault, UrlFault};

impl<'de> Deserialize<'de> for ApiError {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The catalogue is read once and never dropped.
        let name: &'static str = String::deserialize(deserializer)?.leak();
        named(name).ok_or_else(|| D::Error::custom(format!("there is no refusal {name}")))
    }
}

/// Returns the error with this name, with sample values and the field after the name.
fn named(name: &'static str) -> Option<ApiError> {
    let (name, field) = name.split_once(' ').unwrap_or((name, ""));
    Some(match name {
        "not_found" => ApiError::NotFound,
        "method_not_allowed" => ApiError::MethodNotAllowed,
        "body_too_large" => ApiError::BodyTooLarge,
        "body_incomplete" => ApiError::BodyIncomplete,
        "body_not_json" => ApiError::BodyNotJson(Fault {
            line: 1,
            column: 26,
            cause: Cause::UnescapedQuote,
        }),
        "body_not_object" => ApiError::BodyNotObject,
        "no_secret_key" => ApiError::NoSecretKey,
        "invalid_secret_key" => ApiError::InvalidSecretKey,
        "too_many_wrong_keys" => ApiError::TooManyWrongKeys,
        "missing_field" => ApiError::MissingField(field),
        "not_text" => ApiError::NotText { field },
        "text_too_long" => ApiError::TextTooLong { field },
        "invalid_number" => ApiError::InvalidNumber { field, meant: None },
        "invalid_degrees" => ApiError::InvalidDegrees { field },
        "not_an_object" => ApiError::NotAnObject { field },
        "too_many_numbers" => ApiError::TooManyNumbers { most: NUMBERS_CAP },
        "not_registered" => ApiError::NotRegistered,
        "not_in_group" => ApiError::NotInGroup,
        "invalid_group" => ApiError::InvalidGroup { field },
        "invalid_url" => ApiError::InvalidUrl {
            field,
            fault: UrlFault::NotAUrl,
        },
        "media_too_large" => ApiError::NoMedia(MediaFault::TooLarge),
        "media_not_found" => ApiError::NoMedia(MediaFault::NotFound),
        "media_unreachable" => ApiError::NoMedia(MediaFault::Unreachable),
        "media_timeout" => ApiError::NoMedia(MediaFault::TimedOut),
        "media_empty" => ApiError::NoMedia(MediaFault::Empty),
        "media_is_page" => ApiError::NoMedia(MediaFault::Page(None)),
        "too_many_fetches" => ApiError::NoRoom(NoRoom::Fetches(NoPermit::Owner(8))),
        "too_many_files" => ApiError::NoRoom(NoRoom::Waiting {
            files: 1000,
            mib: 1024,
        }),
        "disk_full" => ApiError::NoRoom(NoRoom::Disk),
        "not_connected" => ApiError::NotConnected(Status::Unlinked(UnlinkedCause::Never)),
        "duplicate" => ApiError::Duplicate,
        "invalid_idempotency_key" => ApiError::InvalidIdempotencyKey,
        "idempotency_conflict" => ApiError::IdempotencyConflict,
        "lookup_failed" => ApiError::LookupFailed,
        "busy" => ApiError::Busy,
        "qr_not_ready" => ApiError::QrNotReady(None),
        "internal" => ApiError::Internal,
        _ => return None,
    })
}
