//! The address of the database.

/// The address of the database, with all defaults filled in. No `Debug`, because the URL may
/// contain a password.
#[derive(Clone)]
pub struct DatabaseAt {
    /// `sqlite:…` or `postgres://…`.
    pub url: String,
    /// Permits a weaker `sslmode` for a PostgreSQL server on another machine.
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
