//! The error pages of the dashboard.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use waviro_store::StoreError;

use super::page_context::PageContext;
use super::refused::Refused;
use crate::http::Refusal;

/// The reasons for an error page.
#[derive(Debug, Clone)]
pub(super) enum PageError {
    /// The path does not exist.
    Nothing,
    /// Another site sent the form.
    ForeignForm,
    /// The form ended early or has a wrong field.
    BadForm,
    /// The administration API refused the request.
    Refused(Refused),
    /// The gateway failed.
    Internal,
}

#[derive(Template)]
#[template(path = "dashboard/error.html")]
struct Page<'p> {
    context: PageContext,
    wrong: &'p PageError,
    id: &'p str,
}

impl PageError {
    fn status(&self) -> StatusCode {
        match self {
            Self::Nothing => StatusCode::NOT_FOUND,
            Self::ForeignForm => StatusCode::FORBIDDEN,
            Self::BadForm => StatusCode::BAD_REQUEST,
            Self::Refused(refused) => Refused::status_of(Some(refused)),
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Returns the error page; `id` is the request's id in the log.
    pub(super) fn respond(&self, context: &PageContext, id: &str) -> Response {
        let page = Page {
            context: context.clone(),
            wrong: self,
            id,
        };
        context.show(self.status(), &page)
    }
}

impl From<Refused> for PageError {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl From<StoreError> for PageError {
    fn from(_: StoreError) -> Self {
        Self::Internal
    }
}

impl Refusal for PageError {
    const INTERNAL: Self = Self::Internal;

    fn code(&self) -> &'static str {
        match self {
            Self::Nothing => "not_found",
            Self::ForeignForm => "foreign_form",
            Self::BadForm => "bad_form",
            Self::Refused(_) => "refused",
            Self::Internal => "internal",
        }
    }

    fn is_logged(&self) -> bool {
        matches!(self, Self::Refused(refused) if refused.problem.is_some())
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}
