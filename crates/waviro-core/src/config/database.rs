//! The configuration of the database.

use serde::Deserialize;

/// `[database]`
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// Empty for the default. May contain a password, so `Debug` omits the URL.
    #[serde(deserialize_with = "super::parse::database")]
    pub url: String,
    /// Permits a weaker `sslmode` for a PostgreSQL server on another machine.
    pub allow_unverified: bool,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = self.url.split_once("://").map_or("", |(scheme, _)| scheme);
        write!(f, "Database {{ url: {scheme}://… }}")
    }
}
