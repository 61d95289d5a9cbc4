//! The possible refusals of each endpoint, as values of [`ApiError`]. The code, the status and the
//! text come from the error itself.

use waviro_core::lenient_json::{Cause, Fault};
use waviro_core::outbox::NoRoom;
use waviro_core::permits::NoPermit;
use waviro_link::{Status, UnlinkedCause};

use super::{Endpoint, Takes, What, Whom};
use crate::api::error::{ApiError, MediaFault, UrlFault};

impl Endpoint {
    /// Returns the refusals that a well-formed request can get, with the document's causes first;
    /// [`anywhere`] returns the other refusals.
    #[must_use]
    pub fn refusals(&self) -> Vec<ApiError> {
        let mut list = vec![not_connected(), ApiError::InvalidSecretKey];
        match self.takes {
            Takes::Nothing if self.name == "getqr" => list.push(ApiError::QrNotReady(None)),
            Takes::Nothing => list.push(ApiError::LookupFailed),
            Takes::Number => {
                list.push(ApiError::MissingField("nohp"));
                list.push(malformed_number("nohp"));
                list.push(ApiError::LookupFailed);
            }
            Takes::Message(whom, what) => {
                list.push(ApiError::MissingField(needed(what)));
                list.push(ApiError::Duplicate);
                list.push(ApiError::InvalidIdempotencyKey);
                list.push(ApiError::IdempotencyConflict);
                list.extend(destination(whom));
                list.extend(content(what));
                list.push(malformed_url("notifyurl"));
                list.push(ApiError::LookupFailed);
            }
        }
        list
    }
}

/// Returns all refusals of an endpoint, including the refusals of bodies meant for another path.
#[must_use]
pub fn possible(endpoint: &Endpoint) -> Vec<ApiError> {
    let mut list = endpoint.refusals();
    if let Takes::Message(whom, what) = endpoint.takes {
        let other = match whom {
            Whom::Person => Whom::Group,
            Whom::Group => Whom::Person,
        };
        list.extend(destination(other));
        if what != What::Contact {
            list.extend(content(What::Contact));
        }
    }
    let reads = endpoint.takes != Takes::Nothing;
    // Only endpoints with a write to the store can be busy.
    let writes = matches!(endpoint.takes, Takes::Message(..));
    list.extend(anywhere().into_iter().filter(|refusal| match refusal {
        ApiError::NotFound | ApiError::MethodNotAllowed => false,
        ApiError::BodyTooLarge
        | ApiError::BodyIncomplete
        | ApiError::BodyNotJson(_)
        | ApiError::BodyNotForm
        | ApiError::BodyNotObject => reads,
        ApiError::Busy => writes,
        _ => true,
    }));
    list
}

/// Returns the refusals that are possible at each path, including paths that do not exist.
#[must_use]
pub fn anywhere() -> Vec<ApiError> {
    vec![
        ApiError::NoSecretKey,
        ApiError::TooManyWrongKeys,
        ApiError::BodyNotJson(Fault {
            line: 1,
            column: 26,
            cause: Cause::UnescapedQuote,
        }),
        ApiError::BodyNotObject,
        ApiError::BodyIncomplete,
        ApiError::BodyTooLarge,
        ApiError::NotFound,
        ApiError::MethodNotAllowed,
        ApiError::Busy,
        ApiError::Internal,
    ]
}

fn not_connected() -> ApiError {
    ApiError::NotConnected(Status::Unlinked(UnlinkedCause::Never))
}

fn malformed_number(field: &'static str) -> ApiError {
    ApiError::InvalidNumber { field, meant: None }
}

fn malformed_url(field: &'static str) -> ApiError {
    ApiError::InvalidUrl {
        field,
        fault: UrlFault::NotAUrl,
    }
}

fn needed(what: What) -> &'static str {
    match what {
        What::Text => "pesan",
        What::Media => "mediaurl",
        What::Location => "latitude",
        What::Contact => "contact",
    }
}

fn destination(whom: Whom) -> Vec<ApiError> {
    match whom {
        Whom::Person => vec![malformed_number("nohp"), ApiError::NotRegistered],
        Whom::Group => vec![
            ApiError::InvalidGroup { field: "groupid" },
            ApiError::NotInGroup,
        ],
    }
}

fn content(what: What) -> Vec<ApiError> {
    let text = |field| [ApiError::NotText { field }, ApiError::TextTooLong { field }];
    match what {
        What::Text => text("pesan").into(),
        What::Media => [
            malformed_url("mediaurl"),
            ApiError::NoMedia(MediaFault::TooLarge),
            ApiError::NoMedia(MediaFault::NotFound),
            ApiError::NoMedia(MediaFault::Unreachable),
            ApiError::NoMedia(MediaFault::TimedOut),
            ApiError::NoMedia(MediaFault::Empty),
            ApiError::NoMedia(MediaFault::Page(None)),
            ApiError::NoRoom(NoRoom::Fetches(NoPermit::Owner(8))),
            ApiError::NoRoom(NoRoom::Waiting {
                files: 1000,
                mib: 1024,
            }),
            ApiError::NoRoom(NoRoom::Disk),
        ]
        .into_iter()
        .chain(text("pesan"))
        .collect(),
        What::Location => [
            ApiError::InvalidDegrees { field: "latitude" },
            ApiError::InvalidDegrees { field: "longitude" },
        ]
        .into_iter()
        .chain(text("pesan"))
        .collect(),
        What::Contact => [
            ApiError::NotAnObject { field: "contact" },
            ApiError::TooManyNumbers { most: 50 },
            ApiError::MissingField("contact.name"),
            ApiError::MissingField("contact.numbers"),
            malformed_number("contact.numbers"),
        ]
        .into_iter()
        .chain(text("contact.name"))
        .collect(),
    }
}
