//! The data that all pages share: the language, the theme, the user, and the outcome of the last
//! form.

use std::convert::Infallible;
use std::sync::Arc;

use askama::Template;
use axum::extract::FromRequestParts;
use axum::http::header::{
    ACCEPT_LANGUAGE, CONTENT_LANGUAGE, CONTENT_TYPE, HeaderName, HeaderValue,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Redirect, Response};
use tracing::error;
use waviro_store::{UserRole, UserRow};

use super::cookies::{LANGUAGE, THEME, cookie};
use super::state::Dashboard;
use crate::http::header;
use crate::texts::{self, Language};
use crate::v1::timestamp::Timestamp;

/// The query that tells a page that the last form was a repetition without effect.
const REPEATED: &str = "repeated";

/// The header of a request by htmx for the changing part of a page.
static HX_REQUEST: HeaderName = HeaderName::from_static("hx-request");

/// The shared data of a page; templates refer to the data as `context`.
#[derive(Debug, Clone)]
pub(super) struct PageContext {
    language: Language,
    /// The texts of all pages in the language: `{{ context.text.rules.empty_title }}`.
    pub(super) text: &'static texts::Dashboard,
    /// `light`, `dark`, or empty for the setting of the reader's system.
    pub(super) theme: &'static str,
    /// The path before all paths of the dashboard.
    pub(super) home: String,
    /// The path before `/docs`.
    pub(super) base: String,
    /// The path and query of the page, for forms that return to the page.
    pub(super) here: String,
    /// The logged-in user.
    pub(super) user: Option<UserRow>,
    /// The URL of the simulator's phones.
    pub(super) phones: Option<String>,
    pub(super) style: String,
    pub(super) script: String,
    pub(super) htmx: String,
    /// A random word, different for each page. A form with the word has its effect only once: the
    /// reload of a page sends its form again.
    pub(super) form_nonce: String,
    /// True if the form before the page was a repetition and had no effect.
    pub(super) repeated: bool,
    /// The fingerprint of the gateway's state before the page was built
    /// ([`Dashboard::fingerprint`]). A stream that starts at the fingerprint misses no change.
    pub(super) seen: u64,
    /// True if only the changing part of the page is requested.
    pub(super) part: bool,
}

impl PageContext {
    pub(super) fn of(dashboard: &Dashboard, headers: &HeaderMap, uri: &Uri) -> Self {
        let home = format!("{}/dashboard", dashboard.base);
        // Inside the nested router, the path has no base path and no `/dashboard`.
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let language = match cookie(headers, LANGUAGE) {
            Some("id") => Language::Indonesian,
            Some("en") => Language::English,
            _ => Language::of(header(headers, &ACCEPT_LANGUAGE)),
        };
        Self {
            language,
            text: &language.texts().dashboard,
            theme: match cookie(headers, THEME) {
                Some("light") => "light",
                Some("dark") => "dark",
                _ => "",
            },
            here: format!("{home}{path}").trim_end_matches('/').to_owned(),
            style: format!("{home}/files/{}", dashboard.assets.style.name),
            script: format!("{home}/files/{}", dashboard.assets.script.name),
            htmx: format!("{home}/files/{}", dashboard.assets.htmx.name),
            home,
            base: dashboard.base.clone(),
            user: None,
            phones: dashboard.phones.get().cloned(),
            form_nonce: format!("{:032x}", rand::random::<u128>()),
            repeated: uri.query().is_some_and(|query| query == REPEATED),
            seen: dashboard.fingerprint(),
            part: headers.contains_key(&HX_REQUEST),
        }
    }

    /// Redirects after a form; `before` tells whether the form was a repetition.
    pub(super) fn onward(path: &str, before: bool) -> Redirect {
        if before {
            Redirect::to(&format!("{path}?{REPEATED}"))
        } else {
            Redirect::to(path)
        }
    }

    /// Returns a context with the given language and no other data.
    #[cfg(test)]
    pub(super) fn in_language(language: Language) -> Self {
        Self {
            language,
            text: &language.texts().dashboard,
            theme: "",
            home: String::new(),
            base: String::new(),
            here: String::new(),
            user: None,
            phones: None,
            style: String::new(),
            script: String::new(),
            htmx: String::new(),
            form_nonce: String::new(),
            repeated: false,
            seen: 0,
            part: false,
        }
    }

    pub(super) fn language(&self) -> Language {
        self.language
    }

    pub(super) fn tag(&self) -> &'static str {
        self.language.tag()
    }

    pub(super) fn is_admin(&self) -> bool {
        self.user
            .as_ref()
            .is_some_and(|user| user.role == UserRole::Admin)
    }

    /// Returns whether the user may change anything.
    pub(super) fn may_change(&self) -> bool {
        self.user
            .as_ref()
            .is_some_and(|user| user.role != UserRole::Viewer)
    }

    /// Formats a timestamp of the API in UTC. A script in the browser replaces the text by local
    /// time.
    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "templates pass each field by reference"
    )]
    pub(super) fn when(&self, Timestamp(at): &Timestamp) -> String {
        let form = self.text.common.time_format;
        let at = jiff::Timestamp::from_millisecond(*at).unwrap_or_default();
        at.strftime(form).to_string()
    }

    /// Renders a page.
    pub(super) fn show(&self, status: StatusCode, page: &impl Template) -> Response {
        match page.render() {
            Ok(text) => {
                let kind = [(
                    CONTENT_TYPE,
                    HeaderValue::from_static("text/html; charset=utf-8"),
                )];
                let language = [(CONTENT_LANGUAGE, HeaderValue::from_static(self.tag()))];
                (status, kind, language, text).into_response()
            }
            Err(cause) => {
                error!(%cause, "dashboard page could not be rendered");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }
}

/// The guard creates the context once per request.
impl FromRequestParts<Arc<Dashboard>> for PageContext {
    type Rejection = Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        dashboard: &Arc<Dashboard>,
    ) -> Result<Self, Infallible> {
        let made = parts.extensions.get::<Self>().cloned();
        Ok(made.unwrap_or_else(|| Self::of(dashboard, &parts.headers, &parts.uri)))
    }
}

/// Returns the path for a redirect back. Only a path of the dashboard is accepted, so that no
/// redirect leads to another site.
pub(super) fn back_to(dashboard: &Dashboard, asked: Option<&str>) -> String {
    let home = format!("{}/dashboard", dashboard.base);
    let within = |path: &&str| {
        path.strip_prefix(&home)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
    };
    asked
        .filter(within)
        .filter(|path| !path.contains('\\'))
        .filter(|path| path.bytes().all(|byte| byte.is_ascii_graphic()))
        .map_or(home.clone(), ToOwned::to_owned)
}
