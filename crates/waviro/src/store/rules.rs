//! The rules of the bots: which keyword is posted where.

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row};
use url::Url;

use super::deliveries::KEYWORD;
use super::{Store, StoreError};
use crate::clock::Millis;
use crate::keyword::Rule;

/// A rule as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleRow {
    /// Its id, never used again.
    pub id: i64,
    /// As registered; empty = takes what no other rule does.
    pub keyword: String,
    /// Where to.
    pub url: Url,
    /// Whether texts are held against it.
    pub enabled: bool,
    /// Whether texts in groups are, too.
    pub in_groups: bool,
    /// Its own deadline, seconds.
    pub timeout_s: Option<i64>,
    /// Why the gateway switched it off, if it did.
    pub off_cause: Option<String>,
    /// When it was made.
    pub created_at: Millis,
    /// When it was last changed.
    pub updated_at: Millis,
}

/// A rule about to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRule {
    /// As registered.
    pub keyword: String,
    /// What texts are held against, see [`crate::keyword::seen`].
    pub folded: String,
    /// Where to.
    pub url: Url,
    /// Whether texts are held against it.
    pub enabled: bool,
    /// Whether texts in groups are, too.
    pub in_groups: bool,
    /// Its own deadline, seconds.
    pub timeout_s: Option<i64>,
}

/// What becomes of a rule; `None` leaves it as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuleChange {
    /// As registered, and what texts are held against.
    pub keyword: Option<(String, String)>,
    /// Where to; what waits follows.
    pub url: Option<Url>,
    /// On or off. On forgets why the gateway switched it off.
    pub enabled: Option<bool>,
    /// In groups too.
    pub in_groups: Option<bool>,
    /// Its own deadline; `Some(None)` takes it away.
    pub timeout_s: Option<Option<i64>>,
}

/// What became of a new or changed rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AddRule {
    /// As it stands now.
    Done(RuleRow),
    /// This rule of that bot has that keyword.
    KeywordTaken(i64),
    /// The bot has [`MOST_RULES`].
    TooMany,
    /// The bot has no such rule.
    NoSuchRule,
}

impl Rule for RuleRow {
    fn keyword(&self) -> &str {
        &self.keyword
    }

    fn listens(&self, in_group: bool) -> bool {
        self.enabled && (self.in_groups || !in_group)
    }
}

/// The most rules of a bot: each text is held against all of them.
pub const MOST_RULES: usize = 500;

const COLUMNS: &str =
    "id, keyword, url, enabled, in_groups, timeout_s, off_cause, created_at, updated_at";

impl Store {
    /// The rules of a bot, oldest first, those that are off among them.
    pub async fn rules(&self, slot: i32) -> Result<Vec<RuleRow>, StoreError> {
        let rows = sqlx::query(AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM rules WHERE bot = $1 AND deleted_at IS NULL ORDER BY id"
        )))
        .bind(i64::from(slot))
        .fetch_all(&self.reads)
        .await?;
        rows.iter().map(rule).collect()
    }

    /// One rule of a bot.
    pub async fn rule(&self, slot: i32, id: i64) -> Result<Option<RuleRow>, StoreError> {
        let row = sqlx::query(AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM rules WHERE id = $1 AND bot = $2 AND deleted_at IS NULL"
        )))
        .bind(id)
        .bind(i64::from(slot))
        .fetch_optional(&self.reads)
        .await?;
        row.as_ref().map(rule).transpose()
    }

    /// Makes a rule.
    pub async fn add_rule(
        &self,
        slot: i32,
        new: NewRule,
        now: Millis,
    ) -> Result<AddRule, StoreError> {
        self.write("add_rule", move |connection, _| {
            let new = new.clone();
            Box::pin(async move {
                if let Some(taken) = holder(slot, &new.folded, 0, connection).await? {
                    return Ok(AddRule::KeywordTaken(taken));
                }
                let count = sqlx::query(
                    "SELECT COUNT(*) FROM rules WHERE bot = $1 AND deleted_at IS NULL",
                )
                .bind(i64::from(slot))
                .fetch_one(&mut *connection)
                .await?;
                if count.try_get::<i64, _>(0)? >= i64::try_from(MOST_RULES).unwrap_or(i64::MAX) {
                    return Ok(AddRule::TooMany);
                }
                let row = sqlx::query(AssertSqlSafe(format!(
                    "INSERT INTO rules (id, bot, keyword, folded, url, enabled, in_groups, timeout_s, created_at, updated_at) \
                     VALUES ((SELECT COALESCE(MAX(id), 0) + 1 FROM rules), $1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING {COLUMNS}"
                )))
                .bind(i64::from(slot))
                .bind(new.keyword)
                .bind(new.folded)
                .bind(new.url.to_string())
                .bind(i64::from(new.enabled))
                .bind(i64::from(new.in_groups))
                .bind(new.timeout_s)
                .bind(now)
                .bind(now)
                .fetch_one(connection)
                .await?;
                rule(&row).map(AddRule::Done)
            })
        })
        .await
    }

    /// Changes a rule. What waits for its old URL goes to the new one.
    pub async fn change_rule(
        &self,
        slot: i32,
        id: i64,
        change: RuleChange,
        now: Millis,
    ) -> Result<AddRule, StoreError> {
        let moved = change.url.is_some();
        let changed = self.write("change_rule", move |connection, _| {
            let change = change.clone();
            Box::pin(async move {
                let row = sqlx::query(AssertSqlSafe(format!(
                    "SELECT {COLUMNS} FROM rules WHERE id = $1 AND bot = $2 AND deleted_at IS NULL"
                )))
                .bind(id)
                .bind(i64::from(slot))
                .fetch_optional(&mut *connection)
                .await?;
                let Some(mut new) = row.as_ref().map(rule).transpose()? else {
                    return Ok(AddRule::NoSuchRule);
                };
                if let Some((keyword, folded)) = change.keyword {
                    if let Some(taken) = holder(slot, &folded, id, connection).await? {
                        return Ok(AddRule::KeywordTaken(taken));
                    }
                    sqlx::query("UPDATE rules SET keyword = $1, folded = $2 WHERE id = $3")
                        .bind(keyword.clone())
                        .bind(folded)
                        .bind(id)
                        .execute(&mut *connection)
                        .await?;
                    new.keyword = keyword;
                }
                if let Some(url) = change.url {
                    new.url = url;
                }
                if let Some(enabled) = change.enabled {
                    new.enabled = enabled;
                    new.off_cause = None;
                }
                new.in_groups = change.in_groups.unwrap_or(new.in_groups);
                new.timeout_s = change.timeout_s.unwrap_or(new.timeout_s);
                new.updated_at = now;
                sqlx::query(
                    "UPDATE rules SET url = $1, enabled = $2, in_groups = $3, timeout_s = $4, off_cause = $5, updated_at = $6 \
                     WHERE id = $7",
                )
                .bind(new.url.to_string())
                .bind(i64::from(new.enabled))
                .bind(i64::from(new.in_groups))
                .bind(new.timeout_s)
                .bind(new.off_cause.clone())
                .bind(now)
                .bind(id)
                .execute(connection)
                .await?;
                Ok(AddRule::Done(new))
            })
        });
        let changed = changed.await?;
        if moved && matches!(changed, AddRule::Done(_)) {
            self.follow(KEYWORD, id, now).await?;
        }
        Ok(changed)
    }

    /// Switches a rule off and says why; no one else's wish is undone: a rule that is off already stays as it is.
    pub async fn switch_rule_off(
        &self,
        delivery: i64,
        tried: &Url,
        cause: String,
        now: Millis,
    ) -> Result<(), StoreError> {
        let tried = tried.to_string();
        self.write("switch_rule_off", move |connection, _| {
            let (cause, tried) = (cause.clone(), tried.clone());
            Box::pin(async move {
                sqlx::query(
                    "UPDATE rules SET enabled = 0, off_cause = $1, updated_at = $2 WHERE enabled = 1 AND url = $3 \
                     AND id = (SELECT source FROM deliveries WHERE id = $4 AND kind = 'keyword')",
                )
                .bind(cause)
                .bind(now)
                .bind(tried)
                .bind(delivery)
                .execute(connection)
                .await?;
                Ok(())
            })
        })
        .await
    }

    /// Deletes a rule; what waits for it ends as cancelled. `false` where the bot has no such rule.
    pub async fn delete_rule(&self, slot: i32, id: i64, now: Millis) -> Result<bool, StoreError> {
        let deleted = self.write("delete_rule", move |connection, _| {
            Box::pin(async move {
                let done = sqlx::query(
                    "UPDATE rules SET deleted_at = $1 WHERE id = $2 AND bot = $3 AND deleted_at IS NULL",
                )
                .bind(now)
                .bind(id)
                .bind(i64::from(slot))
                .execute(connection)
                .await?;
                Ok(done.rows_affected() > 0)
            })
        });
        let deleted = deleted.await?;
        if deleted {
            self.follow(KEYWORD, id, now).await?;
        }
        Ok(deleted)
    }
}

/// The rule of that bot, other than `but`, that has this keyword.
async fn holder(
    slot: i32,
    folded: &str,
    but: i64,
    connection: &mut AnyConnection,
) -> Result<Option<i64>, StoreError> {
    let row = sqlx::query(
        "SELECT id FROM rules WHERE bot = $1 AND folded = $2 AND id <> $3 AND deleted_at IS NULL",
    )
    .bind(i64::from(slot))
    .bind(folded.to_owned())
    .bind(but)
    .fetch_optional(connection)
    .await?;
    row.map(|row| Ok(row.try_get(0)?)).transpose()
}

fn rule(row: &AnyRow) -> Result<RuleRow, StoreError> {
    let (url, enabled, in_groups): (String, i64, i64) =
        (row.try_get(2)?, row.try_get(3)?, row.try_get(4)?);
    Ok(RuleRow {
        id: row.try_get(0)?,
        keyword: row.try_get(1)?,
        url: Url::parse(&url).map_err(|_| StoreError::Unreadable("a rule's URL".to_owned()))?,
        enabled: enabled != 0,
        in_groups: in_groups != 0,
        timeout_s: row.try_get(5)?,
        off_cause: row.try_get(6)?,
        created_at: row.try_get(7)?,
        updated_at: row.try_get(8)?,
    })
}
