//! What `/api` says where it refuses the same: one sentence for a shop's programs and for who sends by hand.

use crate::api::error::{ApiError, UrlFault};
use crate::net::Refused;
use crate::v1::problem::{BadUrl, Limit, Problem};

/// The refusal of `/api` that this problem is; `None` where `/api` knows no such refusal.
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

/// What `/api` calls this field.
fn named(field: &str) -> &'static str {
    match field {
        "media.url" => "mediaurl",
        "notify_url" => "notifyurl",
        _ => "URL",
    }
}
