//! The static files of the pages.

use crate::asset::Asset;

pub(super) struct Assets {
    /// The stylesheet of all pages.
    pub(super) style: Asset,
    /// The script that updates an open page.
    pub(super) script: Asset,
    /// htmx 2.0.11 (0BSD), unmodified.
    pub(super) htmx: Asset,
}

impl Assets {
    pub(super) fn new() -> Self {
        Self {
            style: Asset::style(
                "dashboard",
                include_str!("../../assets/dashboard/dashboard.css"),
            ),
            script: Asset::script(
                "dashboard",
                include_str!("../../assets/dashboard/dashboard.js"),
            ),
            htmx: Asset::script("htmx", include_str!("../../assets/dashboard/htmx.js")),
        }
    }

    pub(super) fn all(&self) -> [&Asset; 3] {
        [&self.style, &self.script, &self.htmx]
    }
}
