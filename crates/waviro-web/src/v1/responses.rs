//! The forms of responses, and the documentation of refusals. `openapi` adds the refusals that are
//! common to all operations. An operation names its other refusals beside its own responses:
//! `responses((status = 200, …), AdminOnly, Conflict)`.

use std::collections::BTreeMap;
use std::fmt::Display;

use axum::Json;
use axum::http::header::{HeaderName, LOCATION};
use axum::http::{StatusCode, Uri};
use utoipa::IntoResponses;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};

use super::problem::{PROBLEM_JSON, Problem};
use crate::http::Refusal;

/// The result of an operation as JSON.
pub type JsonResult<T> = Result<Json<T>, Problem>;

/// A response with a new object and its path.
pub type Located<T> = (StatusCode, [(HeaderName, String); 1], Json<T>);

/// Returns the response with a new object, `id` below the request's path `uri`.
pub fn located<T>(status: StatusCode, uri: &Uri, id: impl Display, new: T) -> Located<T> {
    let location = format!("{}/{id}", uri.path().trim_end_matches('/'));
    (status, [(LOCATION, location)], Json(new))
}

/// A refusal with the given status.
pub struct Refused<const STATUS: u16>;

/// 403: the operation needs an admin token.
pub type AdminOnly = Refused<403>;

/// 403: the gateway did not sign the link.
pub type SignatureWrong = Refused<403>;

/// 404: an object named in the body does not exist. For objects named in the path, the response is
/// added to every operation.
pub type Missing = Refused<404>;

/// 409: a name is taken, or the state does not allow the operation.
pub type Conflict = Refused<409>;

/// 410: the file no longer exists.
pub type FileGone = Refused<410>;

/// 502: WhatsApp does not deliver the file.
pub type NotFetched = Refused<502>;

/// 503: WhatsApp does not answer, or the gateway is busy.
pub type Unavailable = Refused<503>;

impl<const STATUS: u16> IntoResponses for Refused<STATUS> {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let status = StatusCode::from_u16(STATUS).unwrap_or_default();
        BTreeMap::from([(STATUS.to_string(), refusal(status))])
    }
}

/// Returns the response with the given status and all of its possible codes.
#[must_use]
pub fn refusal(status: StatusCode) -> RefOr<Response> {
    let codes: Vec<_> = Problem::samples()
        .iter()
        .filter(|problem| problem.status() == status)
        .map(|problem| format!("`{}`: {}.", problem.code(), problem.title()))
        .collect();
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem")));
    ResponseBuilder::new()
        .description(codes.join(" "))
        .content(PROBLEM_JSON, content.build())
        .build()
        .into()
}
