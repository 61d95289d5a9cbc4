//! The refusals of the documentation. What every operation may answer is added to it by `openapi`; these are for the rest, beside
//! an operation's own answers: `responses((status = 200, …), AdminOnly, Conflict)`.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use utoipa::IntoResponses;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};

use super::problem::{PROBLEM_JSON, Problem};
use crate::door::Refusal;

/// 403: a bot's token does not do here.
pub struct AdminOnly;

/// 404: what the body names is not there. What the path names needs no word.
pub struct Missing;

/// 409: a name is taken, or the state does not allow it.
pub struct Conflict;

/// 503: WhatsApp does not answer, or there is too much at once.
pub struct Unavailable;

/// The answer with this status, and the codes that it may carry.
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

/// 410, 502 and 503: no file.
pub struct NoFile;

/// 403: a link that was not signed here.
pub struct SignatureWrong;

impl IntoResponses for SignatureWrong {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        only(StatusCode::FORBIDDEN)
    }
}

impl IntoResponses for NoFile {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let mut all = only(StatusCode::GONE);
        all.append(&mut only(StatusCode::BAD_GATEWAY));
        all.append(&mut only(StatusCode::SERVICE_UNAVAILABLE));
        all
    }
}

fn only(status: StatusCode) -> BTreeMap<String, RefOr<Response>> {
    BTreeMap::from([(status.as_str().to_owned(), refusal(status))])
}

impl IntoResponses for AdminOnly {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        only(StatusCode::FORBIDDEN)
    }
}

impl IntoResponses for Missing {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        only(StatusCode::NOT_FOUND)
    }
}

impl IntoResponses for Conflict {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        only(StatusCode::CONFLICT)
    }
}

impl IntoResponses for Unavailable {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        only(StatusCode::SERVICE_UNAVAILABLE)
    }
}
