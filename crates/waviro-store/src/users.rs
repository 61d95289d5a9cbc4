//! The users of the dashboard and their login sessions. The command line tool also writes to the
//! tables while a gateway runs.

use std::collections::HashMap;

use sqlx::any::AnyRow;
use sqlx::{Any, AnyConnection, Executor, Row};

use crate::clock::Millis;
use crate::names::Named;
use crate::row::narrow;
use crate::{Store, StoreError, bots};

/// The permissions of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserRole {
    /// All operations.
    Admin,
    /// Read and change the bots with these ids.
    Operator(Vec<i32>),
    /// Read all bots, without changes.
    Viewer,
}

/// An existing user, without the password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRow {
    pub id: i64,
    /// The name for the login.
    pub name: String,
    pub role: UserRole,
    pub created_at: Millis,
}

/// The result of adding a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AddUser {
    Added(UserRow),
    /// An existing user has a name that looks the same.
    NameTaken,
    /// The bot does not exist.
    NoSuchBot,
    /// Another user exists already, and the new user was required to be the first.
    NotFirst,
}

/// The result of changing a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeUser {
    Changed,
    /// The user does not exist.
    NoSuchUser,
    /// The bot does not exist.
    NoSuchBot,
    /// Without this user the gateway would have no admin.
    LastAdmin,
}

/// A change of a user; `None` leaves a field unchanged.
#[derive(Debug, Clone, Default)]
pub struct UserChange {
    /// The hash of a new password. A new password ends all sessions of the user.
    pub password: Option<String>,
    pub role: Option<UserRole>,
}

impl UserRole {
    /// The value stored in the row.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Operator(_) => "operator",
            Self::Viewer => "viewer",
        }
    }

    fn bots(&self) -> &[i32] {
        match self {
            Self::Operator(bots) => bots,
            Self::Admin | Self::Viewer => &[],
        }
    }
}

impl Store {
    /// Adds a user under the next id. With `first`, adds the user only if no other exists.
    pub async fn add_user(
        &self,
        name: &str,
        password: &str,
        role: UserRole,
        first: bool,
        now: Millis,
    ) -> Result<AddUser, StoreError> {
        let new = (name.to_owned(), password.to_owned(), role);
        self.write("add_user", new, move |(name, password, role), connection, _| {
            Box::pin(async move {
                if first && count(&mut *connection).await? > 0 {
                    return Ok(AddUser::NotFirst);
                }
                if Named::Users.is_taken(name, None, connection).await? {
                    return Ok(AddUser::NameTaken);
                }
                if !bots::exist(role.bots(), connection).await? {
                    return Ok(AddUser::NoSuchBot);
                }
                let row = sqlx::query(
                    "INSERT INTO users (id, name, password, role, created_at) \
                     VALUES ((SELECT COALESCE(MAX(id), 0) + 1 FROM users), $1, $2, $3, $4) RETURNING id, name, role, created_at",
                )
                .bind(name)
                .bind(password)
                .bind(role.word())
                .bind(now)
                .fetch_one(&mut *connection)
                .await?;
                give_bots(row.try_get(0)?, role.bots(), connection).await?;
                user(&row, role.bots().to_vec()).map(AddUser::Added)
            })
        })
        .await
    }

    /// Changes an existing user. A new password ends all sessions of the user, including the
    /// session of the request.
    pub async fn change_user(&self, id: i64, change: UserChange) -> Result<ChangeUser, StoreError> {
        self.write("change_user", change, move |change, connection, _| {
            Box::pin(async move {
                let Some(now) = word_of(id, connection).await? else {
                    return Ok(ChangeUser::NoSuchUser);
                };
                if let Some(role) = &change.role {
                    let demoted = now == "admin" && *role != UserRole::Admin;
                    if demoted && admins(connection).await? < 2 {
                        return Ok(ChangeUser::LastAdmin);
                    }
                    if !bots::exist(role.bots(), connection).await? {
                        return Ok(ChangeUser::NoSuchBot);
                    }
                    sqlx::query("UPDATE users SET role = $1 WHERE id = $2")
                        .bind(role.word())
                        .bind(id)
                        .execute(&mut *connection)
                        .await?;
                    sqlx::query("DELETE FROM user_bots WHERE user_id = $1")
                        .bind(id)
                        .execute(&mut *connection)
                        .await?;
                    give_bots(id, role.bots(), connection).await?;
                }
                if let Some(password) = &change.password {
                    sqlx::query("UPDATE users SET password = $1 WHERE id = $2")
                        .bind(password)
                        .bind(id)
                        .execute(&mut *connection)
                        .await?;
                    end_sessions(id, connection).await?;
                }
                Ok(ChangeUser::Changed)
            })
        })
        .await
    }

    /// Removes a user. The user's sessions stop working before the function returns.
    pub async fn remove_user(&self, id: i64, now: Millis) -> Result<ChangeUser, StoreError> {
        self.write("remove_user", (), move |(), connection, _| {
            Box::pin(async move {
                let Some(role) = word_of(id, connection).await? else {
                    return Ok(ChangeUser::NoSuchUser);
                };
                if role == "admin" && admins(connection).await? < 2 {
                    return Ok(ChangeUser::LastAdmin);
                }
                sqlx::query("UPDATE users SET removed_at = $1 WHERE id = $2")
                    .bind(now)
                    .bind(id)
                    .execute(&mut *connection)
                    .await?;
                end_sessions(id, connection).await?;
                Ok(ChangeUser::Changed)
            })
        })
        .await
    }

    /// Returns up to `limit` existing users with an id above `after`, by id.
    pub async fn users(&self, after: i64, limit: i64) -> Result<Vec<UserRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, name, role, created_at FROM users WHERE removed_at IS NULL AND id > $1 ORDER BY id LIMIT $2",
        )
        .bind(after)
        .bind(limit)
        .fetch_all(&self.reads)
        .await?;
        let last: i64 = rows.last().map_or(Ok(after), |row| row.try_get(0))?;
        let mut users = Vec::with_capacity(rows.len());
        let mut bots: HashMap<i64, Vec<i32>> = HashMap::new();
        let given: Vec<(i64, i64)> = sqlx::query_as(
            "SELECT user_id, bot FROM user_bots WHERE user_id > $1 AND user_id <= $2 ORDER BY user_id, bot",
        )
        .bind(after)
        .bind(last)
        .fetch_all(&self.reads)
        .await?;
        for (user, bot) in given {
            bots.entry(user).or_default().push(narrow(bot)?);
        }
        for row in &rows {
            let own = bots.remove(&row.try_get(0)?).unwrap_or_default();
            users.push(user(row, own)?);
        }
        Ok(users)
    }

    /// Returns an existing user.
    pub async fn user(&self, id: i64) -> Result<Option<UserRow>, StoreError> {
        let found = self.users(id - 1, 1).await?;
        Ok(found.into_iter().find(|user| user.id == id))
    }

    /// Returns the id and the password hash of the existing user with this name.
    pub async fn password_of(&self, name: &str) -> Result<Option<(i64, String)>, StoreError> {
        let text = "SELECT id, password FROM users WHERE name = $1 AND removed_at IS NULL";
        let query = sqlx::query_as(text).bind(name);
        Ok(query.fetch_optional(&self.reads).await?)
    }

    /// Returns `true` if at least one user exists.
    pub async fn has_users(&self) -> Result<bool, StoreError> {
        Ok(count(&self.reads).await? > 0)
    }

    /// Starts a session that expires at `until`. Expired sessions are deleted in the same
    /// transaction.
    pub async fn begin_session(
        &self,
        sha256: &str,
        user: i64,
        now: Millis,
        until: Millis,
    ) -> Result<(), StoreError> {
        let sha256 = sha256.to_owned();
        self.write("begin_session", sha256, move |sha256, connection, _| {
            Box::pin(async move {
                sqlx::query("DELETE FROM sessions WHERE expires_at <= $1")
                    .bind(now)
                    .execute(&mut *connection)
                    .await?;
                sqlx::query(
                    "INSERT INTO sessions (sha256, user_id, created_at, expires_at) VALUES ($1, $2, $3, $4)",
                )
                .bind(sha256)
                .bind(user)
                .bind(now)
                .bind(until)
                .execute(connection)
                .await?;
                Ok(())
            })
        })
        .await
    }

    /// Returns the user of the session with this hash.
    pub async fn session(&self, sha256: &str, now: Millis) -> Result<Option<UserRow>, StoreError> {
        let row = sqlx::query(
            "SELECT u.id, u.name, u.role, u.created_at FROM sessions s JOIN users u ON u.id = s.user_id \
             WHERE s.sha256 = $1 AND s.expires_at > $2 AND u.removed_at IS NULL",
        )
        .bind(sha256)
        .bind(now)
        .fetch_optional(&self.reads)
        .await?;
        let Some(row) = row else {
            return Ok(None);
        };
        let text = "SELECT bot FROM user_bots WHERE user_id = $1 ORDER BY bot";
        let bots: Vec<i64> = sqlx::query_scalar(text)
            .bind(row.try_get::<i64, _>(0)?)
            .fetch_all(&self.reads)
            .await?;
        let bots = bots.into_iter().map(narrow).collect::<Result<_, _>>()?;
        user(&row, bots).map(Some)
    }

    /// Ends a session.
    pub async fn end_session(&self, sha256: &str) -> Result<(), StoreError> {
        let sha256 = sha256.to_owned();
        let text = "DELETE FROM sessions WHERE sha256 = $1";
        self.change("end_session", text, move |query| query.bind(&sha256))
            .await
            .map(drop)
    }
}

fn user(row: &AnyRow, bots: Vec<i32>) -> Result<UserRow, StoreError> {
    let word: String = row.try_get(2)?;
    let role = match word.as_str() {
        "admin" => UserRole::Admin,
        "operator" => UserRole::Operator(bots),
        "viewer" => UserRole::Viewer,
        other => return Err(StoreError::Unreadable(format!("a user's role {other}"))),
    };
    Ok(UserRow {
        id: row.try_get(0)?,
        name: row.try_get(1)?,
        role,
        created_at: row.try_get(3)?,
    })
}

/// Returns the number of existing users.
async fn count<'c>(connection: impl Executor<'c, Database = Any>) -> Result<i64, StoreError> {
    let count = sqlx::query_scalar("SELECT COUNT(*) FROM users WHERE removed_at IS NULL");
    Ok(count.fetch_one(connection).await?)
}

async fn word_of(id: i64, connection: &mut AnyConnection) -> Result<Option<String>, StoreError> {
    let word = sqlx::query_scalar("SELECT role FROM users WHERE id = $1 AND removed_at IS NULL");
    Ok(word.bind(id).fetch_optional(connection).await?)
}

async fn admins(connection: &mut AnyConnection) -> Result<i64, StoreError> {
    let text = "SELECT COUNT(*) FROM users WHERE role = 'admin' AND removed_at IS NULL";
    Ok(sqlx::query_scalar(text).fetch_one(connection).await?)
}

async fn give_bots(
    user: i64,
    bots: &[i32],
    connection: &mut AnyConnection,
) -> Result<(), StoreError> {
    for bot_id in bots {
        sqlx::query(
            "INSERT INTO user_bots (user_id, bot) VALUES ($1, $2) ON CONFLICT (user_id, bot) DO NOTHING",
        )
        .bind(user)
        .bind(i64::from(*bot_id))
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

async fn end_sessions(user: i64, connection: &mut AnyConnection) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM sessions WHERE user_id = $1")
        .bind(user)
        .execute(connection)
        .await?;
    Ok(())
}
