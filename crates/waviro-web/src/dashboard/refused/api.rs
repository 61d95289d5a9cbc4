//! The refusals of `/api` with the same meaning as a problem of `/v1`. A shop's program and a
//! person on the dashboard get the same text.

use waviro_core::net::Refused;

use crate::api::error::{ApiError, UrlFault};
use crate::v1::fields::BadUrl;
use crate::v1::problem::{Limit, Problem};

/// Returns the refusal of `/api` with the same meaning, or `None`.
pub(super) fn same(problem: &Problem) -> Option<ApiError> {
    Some(match problem {
        Problem::InvalidUrl(field, bad) => ApiError::InvalidUrl {
            field: named(field),
            fault: match bad {
                BadUrl::NotAUrl => UrlFault::NotAUrl,
                BadUrl::TooLong => UrlFault::TooLong,
                BadUrl::Scheme => UrlFault::Refused(Refused::Scheme(String::new())),
            },
        },
        Problem::UrlRefused(field, refused) => ApiError::InvalidUrl {
            field: named(field),
            fault: refused.clone().into(),
        },
        Problem::NoFile(cause) => ApiError::NoMedia(cause.clone().into()),
        Problem::NotConnected(status) => ApiError::NotConnected(status.clone()),
        Problem::NotRegistered => ApiError::NotRegistered,
        Problem::NotInGroup => ApiError::NotInGroup,
        Problem::Duplicate(_) => ApiError::Duplicate,
        Problem::Limit(Limit::Files(none)) => ApiError::NoRoom(*none),
        Problem::Busy => ApiError::Busy,
        _ => return None,
    })
}

/// Returns the field's name in `/api`.
fn named(field: &str) -> &'static str {
    match field {
        "media.url" => "mediaurl",
        "notify_url" => "notifyurl",
        _ => "URL",
    }
}
