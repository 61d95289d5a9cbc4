//! The page's stylesheet and script.

use crate::asset::Asset;

/// How it looks.
#[must_use]
pub fn style() -> Asset {
    Asset::style("docs", include_str!("../../assets/docs/docs.css"))
}

/// What makes it handier; the page says everything without it.
#[must_use]
pub fn script() -> Asset {
    Asset::script("docs", include_str!("../../assets/docs/docs.js"))
}
