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

/// The address of the database, with all defaults filled in. No `Debug`, because the URL may
/// contain a password.
#[derive(Clone)]
pub struct DatabaseAt {
    /// `sqlite:…` or `postgres://…`.
    pub url: String,
    /// As [`Database::allow_unverified`].
    pub allow_unverified: bool,
}

impl From<&str> for DatabaseAt {
    fn from(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            allow_unverified: false,
        }
    }
}

impl From<&String> for DatabaseAt {
    fn from(url: &String) -> Self {
        url.as_str().into()
    }
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = self.url.split_once("://").map_or("", |(scheme, _)| scheme);
        write!(f, "Database {{ url: {scheme}://… }}")
    }
}
