//! The error of every function of the store.

use waviro_link::ContentError;

/// The causes of a failed database operation. After an error, nothing of the command is in the
/// database. The exception is a commit that failed together with the PostgreSQL connection: the
/// outcome is unknown.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The command violates a constraint of the schema.
    #[error("the database refused the command: {0}")]
    Refused(String),
    /// The database, its disk or the connection failed.
    #[error("the database failed: {0}")]
    Failed(String),
    /// A stored value cannot be parsed, or a value cannot be stored.
    #[error("the database contains an unreadable value: {0}")]
    Unreadable(String),
    /// The writer's queue is full.
    #[error("the database is overloaded")]
    Busy,
    /// The connection would send the password to a PostgreSQL server on another machine without
    /// verifying the server's identity. The fields are the `sslmode` and the host.
    #[error(
        "{0} would send the database password to any server that answers for {1}, another machine; set sslmode=verify-full in \
         database.url (with sslrootcert=FILE if your own authority signed the certificate), or set \
         database.allow_unverified = true if no other machine uses the network between both"
    )]
    Unverified(String, String),
    #[error("the store is closed")]
    Closed,
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(refusal)
                if !matches!(refusal.kind(), sqlx::error::ErrorKind::Other) =>
            {
                Self::Refused(error.to_string())
            }
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => {
                Self::Unreadable(error.to_string())
            }
            _ => Self::Failed(error.to_string()),
        }
    }
}

impl From<ContentError> for StoreError {
    fn from(error: ContentError) -> Self {
        Self::Unreadable(error.to_string())
    }
}
