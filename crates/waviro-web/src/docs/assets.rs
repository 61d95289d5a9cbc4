//! The page's stylesheet and script.

use crate::asset::Asset;

/// Returns the stylesheet.
#[must_use]
pub fn style() -> Asset {
    Asset::style("docs", include_str!("../../assets/docs/docs.css"))
}

/// Returns the script. The page is complete without the script.
#[must_use]
pub fn script() -> Asset {
    Asset::script("docs", include_str!("../../assets/docs/docs.js"))
}
