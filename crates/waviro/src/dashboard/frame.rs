//! What stands around every page: language, look, who is logged in, and what was just done.

use std::convert::Infallible;
use std::sync::Arc;

use askama::Template;
use axum::extract::FromRequestParts;
use axum::http::header::{
    ACCEPT_LANGUAGE, CONTENT_LANGUAGE, CONTENT_TYPE, COOKIE, HeaderName, HeaderValue,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Redirect, Response};
use tracing::error;

use super::Shared;
use super::session::cookie;
use crate::api::error::Language;
use crate::door::header;
use crate::store::UserRole;
use crate::store::UserRow;

/// The cookie that remembers the language.
pub(super) const LANGUAGE: &str = "waviro_lang";

/// The cookie that remembers the theme.
pub(super) const THEME: &str = "waviro_theme";

/// The query of the page that a form leads to which was done before.
const REPEATED: &str = "repeated";

/// Asked for by htmx, which wants the part of the page that changes.
static HX_REQUEST: HeaderName = HeaderName::from_static("hx-request");

/// Said by templates as `frame`.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    language: Language,
    /// `light`, `dark`, or empty for what the reader's system says.
    pub(super) theme: &'static str,
    /// What stands before every path of the dashboard.
    pub(super) home: String,
    /// What stands before `/docs`.
    pub(super) base: String,
    /// The path and query of this page, for forms that come back to it.
    pub(super) here: String,
    /// Who is logged in.
    pub(super) user: Option<UserRow>,
    /// Where the simulator's phones are.
    pub(super) phones: Option<String>,
    pub(super) style: String,
    pub(super) script: String,
    pub(super) htmx: String,
    /// A word that no other page has. A form sends it along where what it asks must not be done twice: a page that is loaded again
    /// sends its form again.
    pub(super) once: String,
    /// The form that led here had been done before, and was not done again.
    pub(super) repeated: bool,
    /// What the gateway was like before this page looked ([`Shared::fingerprint`]): whoever follows it from there misses nothing.
    pub(super) seen: u64,
    /// Only the part of the page that changes is wanted.
    pub(super) part: bool,
}

impl Frame {
    pub(super) fn of(shared: &Shared, headers: &HeaderMap, uri: &Uri) -> Self {
        let home = format!("{}/dashboard", shared.base);
        // Within the nest the path has lost what stands before it.
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let language = match cookie(headers, LANGUAGE) {
            Some("id") => Language::Indonesian,
            Some("en") => Language::English,
            _ => Language::of(header(headers, &ACCEPT_LANGUAGE)),
        };
        Self {
            language,
            theme: match cookie(headers, THEME) {
                Some("light") => "light",
                Some("dark") => "dark",
                _ => "",
            },
            here: format!("{home}{path}").trim_end_matches('/').to_owned(),
            style: format!("{home}/files/{}", shared.assets.style.name),
            script: format!("{home}/files/{}", shared.assets.script.name),
            htmx: format!("{home}/files/{}", shared.assets.htmx.name),
            home,
            base: shared.base.clone(),
            user: None,
            phones: shared.phones.get().cloned(),
            once: format!("{:032x}", rand::random::<u128>()),
            repeated: uri.query().is_some_and(|query| query == REPEATED),
            seen: shared.fingerprint(),
            part: headers.contains_key(&HX_REQUEST),
        }
    }

    /// Where a form leads that was done now, or before.
    pub(super) fn onward(path: &str, before: bool) -> Redirect {
        if before {
            Redirect::to(&format!("{path}?{REPEATED}"))
        } else {
            Redirect::to(path)
        }
    }

    /// For somebody who reads this language, around nothing.
    #[cfg(test)]
    pub(super) fn in_language(language: Language) -> Self {
        Self {
            language,
            theme: "",
            home: String::new(),
            base: String::new(),
            here: String::new(),
            user: None,
            phones: None,
            style: String::new(),
            script: String::new(),
            htmx: String::new(),
            once: String::new(),
            repeated: false,
            seen: 0,
            part: false,
        }
    }

    /// One of two: every sentence stands in the template in both languages.
    pub(super) fn language(&self) -> Language {
        self.language
    }

    pub(super) fn say<'t>(&self, indonesian: &'t str, english: &'t str) -> &'t str {
        match self.language {
            Language::Indonesian => indonesian,
            Language::English => english,
        }
    }

    pub(super) fn tag(&self) -> &'static str {
        self.language.tag()
    }

    pub(super) fn is_admin(&self) -> bool {
        self.user
            .as_ref()
            .is_some_and(|user| user.role == UserRole::Admin)
    }

    /// Whether this user may change anything.
    pub(super) fn may_change(&self) -> bool {
        self.user
            .as_ref()
            .is_some_and(|user| user.role != UserRole::Viewer)
    }

    /// A moment of the API for the reader: the browser puts its own time in place.
    pub(super) fn when(&self, moment: &str) -> String {
        let form = self.say("%d-%m-%Y %H.%M.%S UTC", "%Y-%m-%d %H:%M:%S UTC");
        let at = moment.parse::<jiff::Timestamp>();
        at.map_or_else(|_| moment.to_owned(), |at| at.strftime(form).to_string())
    }

    /// A page.
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
                error!(%cause, "a page of the dashboard could not be made");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }
}

/// Made once for each request, by the guard.
impl FromRequestParts<Arc<Shared>> for Frame {
    type Rejection = Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        shared: &Arc<Shared>,
    ) -> Result<Self, Infallible> {
        let made = parts.extensions.get::<Self>().cloned();
        Ok(made.unwrap_or_else(|| Self::of(shared, &parts.headers, &parts.uri)))
    }
}

/// Where a browser is sent back to: a path of the dashboard, and nothing that leads away.
pub(super) fn back_to(shared: &Shared, asked: Option<&str>) -> String {
    let home = format!("{}/dashboard", shared.base);
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

/// All cookies of a request, as one text.
pub(super) fn cookies(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    let lines = headers.get_all(COOKIE).iter();
    lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
}
