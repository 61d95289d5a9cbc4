//! What the pages load beside themselves.

use crate::asset::Asset;

/// The files.
pub(super) struct Assets {
    /// How every page looks.
    pub(super) style: Asset,
    /// What keeps a page true while it is open.
    pub(super) script: Asset,
    /// htmx 2.0.11 (0BSD), as its authors publish it.
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
