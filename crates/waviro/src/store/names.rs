//! Names that are unique among living rows, as a reader sees them.

use sqlx::{AnyConnection, AssertSqlSafe, Row};

use super::StoreError;
use crate::invisible::skeleton;

/// A table whose living rows have unique names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    Bots,
    Tokens,
    Users,
}

impl Named {
    fn living(self) -> &'static str {
        match self {
            Self::Bots => "SELECT slot, name FROM bots WHERE removed_at IS NULL",
            Self::Tokens => "SELECT id, name FROM tokens WHERE revoked_at IS NULL",
            Self::Users => "SELECT id, name FROM users WHERE removed_at IS NULL",
        }
    }

    /// Whether a living row other than `except` has a name that looks like `name`. SQL compares bytes, so the names are compared
    /// here. A gateway has hundreds of names at most, and a name is given rarely.
    pub(super) async fn is_taken(
        self,
        name: &str,
        except: Option<i64>,
        connection: &mut AnyConnection,
    ) -> Result<bool, StoreError> {
        let wanted = skeleton(name);
        let rows = sqlx::query(AssertSqlSafe(self.living()))
            .fetch_all(connection)
            .await?;
        for row in rows {
            let (id, known): (i64, String) = (row.try_get(0)?, row.try_get(1)?);
            if Some(id) != except && skeleton(&known) == wanted {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
