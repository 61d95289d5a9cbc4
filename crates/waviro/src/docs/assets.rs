//! The page's stylesheet and script, under names that change with their content, so that they may be kept for ever.

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

/// A file that goes with the page.
#[derive(Debug, Clone)]
pub struct Asset {
    /// Below `/docs/`: the hash keeps an old one from being shown with a new page.
    pub name: String,
    kind: &'static str,
    text: &'static str,
}

/// How it looks.
#[must_use]
pub fn style() -> Asset {
    let text = include_str!("../../assets/docs/docs.css");
    Asset::new("css", "text/css; charset=utf-8", text)
}

/// What makes it handier; the page says everything without it.
#[must_use]
pub fn script() -> Asset {
    let text = include_str!("../../assets/docs/docs.js");
    Asset::new("js", "text/javascript; charset=utf-8", text)
}

impl Asset {
    fn new(extension: &str, kind: &'static str, text: &'static str) -> Self {
        let hash = hex::encode(Sha256::digest(text));
        let name = format!("docs.{}.{extension}", hash.get(..12).unwrap_or_default());
        Self { name, kind, text }
    }

    /// The file.
    pub fn respond(&self) -> Response {
        let headers = [
            (CONTENT_TYPE, self.kind),
            (CACHE_CONTROL, "public, max-age=31536000, immutable"),
        ];
        (headers, self.text).into_response()
    }
}
