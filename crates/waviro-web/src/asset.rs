//! Static files of web pages, embedded in the program. Each name contains a hash of the content, so
//! clients may cache the file for ever.

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

/// A stylesheet or a script.
#[derive(Debug, Clone)]
pub struct Asset {
    /// The file name. The hash in the name prevents an old file with a new page.
    pub name: String,
    kind: &'static str,
    text: &'static str,
}

impl Asset {
    /// Creates a stylesheet; the name begins with `of`.
    #[must_use]
    pub fn style(of: &str, text: &'static str) -> Self {
        Self::new(of, "css", "text/css; charset=utf-8", text)
    }

    /// Creates a script; the name begins with `of`.
    #[must_use]
    pub fn script(of: &str, text: &'static str) -> Self {
        Self::new(of, "js", "text/javascript; charset=utf-8", text)
    }

    fn new(of: &str, extension: &str, kind: &'static str, text: &'static str) -> Self {
        let hash = hex::encode(Sha256::digest(text));
        let name = format!("{of}.{}.{extension}", hash.get(..12).unwrap_or_default());
        Self { name, kind, text }
    }

    /// Returns the response with the file.
    #[must_use]
    pub fn respond(&self) -> Response {
        let headers = [
            (CONTENT_TYPE, self.kind),
            (CACHE_CONTROL, "public, max-age=31536000, immutable"),
        ];
        (headers, self.text).into_response()
    }
}
