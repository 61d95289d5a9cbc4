//! Names unique among existing rows. Names that look the same to a reader count as equal.

use sqlx::AnyConnection;

use crate::error::StoreError;
use crate::invisible::skeleton;

/// A table with unique names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    Bots,
    Tokens,
    Users,
}

impl Named {
    fn current_names(self) -> &'static str {
        match self {
            Self::Bots => "SELECT slot, name FROM bots WHERE removed_at IS NULL",
            Self::Tokens => "SELECT id, name FROM tokens WHERE revoked_at IS NULL",
            Self::Users => "SELECT id, name FROM users WHERE removed_at IS NULL",
        }
    }

    /// Returns `true` if an existing row other than `except` has a name that looks like `name`. SQL
    /// compares bytes, so the comparison happens here. A gateway has hundreds of names at most, and
    /// names are rarely set.
    pub(super) async fn is_taken(
        self,
        name: &str,
        except: Option<i64>,
        connection: &mut AnyConnection,
    ) -> Result<bool, StoreError> {
        let wanted = skeleton(name);
        let rows: Vec<(i64, String)> = sqlx::query_as(self.current_names())
            .fetch_all(connection)
            .await?;
        let is_other = |id| Some(id) != except;
        let mut others = rows.into_iter().filter(|(id, _)| is_other(*id));
        Ok(others.any(|(_, known)| skeleton(&known) == wanted))
    }
}
