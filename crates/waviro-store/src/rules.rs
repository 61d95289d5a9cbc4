//! The keyword rules of the bots.

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};
use url::Url;

use crate::clock::Millis;
use crate::keyword::Rule;
use crate::sources::Sources;
use crate::{Store, StoreError, row, sql};

/// A stored rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleRow {
    /// The id, never reused.
    pub id: i64,
    /// The keyword as registered. An empty keyword matches the texts without another matching rule.
    pub keyword: String,
    /// The URL of the webhook.
    pub url: Url,
    /// The rule is checked against texts.
    pub enabled: bool,
    /// The rule is also checked against texts in groups.
    pub in_groups: bool,
    /// The rule's own timeout in seconds.
    pub timeout_s: Option<i64>,
    /// The cause if the gateway disabled the rule.
    pub off_cause: Option<String>,
    pub created_at: Millis,
    pub updated_at: Millis,
}

/// A rule to be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRule {
    /// The keyword as registered.
    pub keyword: String,
    /// The normalized keyword for comparison with texts, see [`crate::keyword::seen`].
    pub folded: String,
    /// The URL of the webhook.
    pub url: Url,
    /// The rule is checked against texts.
    pub enabled: bool,
    /// The rule is also checked against texts in groups.
    pub in_groups: bool,
    /// The rule's own timeout in seconds.
    pub timeout_s: Option<i64>,
}

/// A change of a rule; `None` leaves a field unchanged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuleChange {
    /// The keyword as registered, and the normalized keyword.
    pub keyword: Option<(String, String)>,
    /// The new URL; waiting deliveries follow.
    pub url: Option<Url>,
    /// Enables or disables the rule. Enabling deletes the cause set by the gateway.
    pub enabled: Option<bool>,
    /// The rule is also checked against texts in groups.
    pub in_groups: Option<bool>,
    /// The rule's own timeout; `Some(None)` removes the timeout.
    pub timeout_s: Option<Option<i64>>,
}

/// The result of adding or changing a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AddRule {
    /// The rule after the change.
    Done(RuleRow),
    /// The rule with this id has the same keyword.
    KeywordTaken(i64),
    /// The bot has [`MAX_RULES`] rules.
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

/// The maximum number of rules of a bot: each text is compared with all rules.
pub const MAX_RULES: usize = 500;

const COLUMNS: &str =
    "id, keyword, url, enabled, in_groups, timeout_s, off_cause, created_at, updated_at";

impl Store {
    /// Returns all rules of a bot, oldest first, including disabled rules.
    pub async fn rules(&self, bot_id: i32) -> Result<Vec<RuleRow>, StoreError> {
        let rows = self.sources(Sources::Rules, COLUMNS, bot_id).await?;
        rows.iter().map(rule).collect()
    }

    /// Returns a rule of a bot.
    pub async fn rule(&self, bot_id: i32, id: i64) -> Result<Option<RuleRow>, StoreError> {
        let row = Sources::Rules.row(COLUMNS, bot_id, id, &self.reads).await?;
        row.as_ref().map(rule).transpose()
    }

    pub async fn add_rule(
        &self,
        bot_id: i32,
        new: NewRule,
        now: Millis,
    ) -> Result<AddRule, StoreError> {
        self.write("add_rule", new, move |new, connection, _| {
            Box::pin(async move {
                if let Some(taken) = holder(bot_id, &new.folded, 0, connection).await? {
                    return Ok(AddRule::KeywordTaken(taken));
                }
                let full = Sources::Rules.are_full(bot_id, MAX_RULES, connection);
                if full.await? {
                    return Ok(AddRule::TooMany);
                }
                let row = sql::query(format!(
                    "INSERT INTO rules (id, bot, keyword, folded, url, enabled, in_groups, timeout_s, created_at, updated_at) \
                     VALUES ((SELECT COALESCE(MAX(id), 0) + 1 FROM rules), $1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING {COLUMNS}"
                ))
                .bind(i64::from(bot_id))
                .bind(&new.keyword)
                .bind(&new.folded)
                .bind(new.url.as_str())
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

    /// Changes a rule. Deliveries waiting for the old URL are moved to the new URL.
    pub async fn change_rule(
        &self,
        bot_id: i32,
        id: i64,
        change: RuleChange,
        now: Millis,
    ) -> Result<AddRule, StoreError> {
        let moved = change.url.is_some();
        let changed = self.write("change_rule", change, move |change, connection, _| {
            Box::pin(async move {
                let known = Sources::Rules.row(COLUMNS, bot_id, id, &mut *connection);
                let Some(mut new) = known.await?.as_ref().map(rule).transpose()? else {
                    return Ok(AddRule::NoSuchRule);
                };
                if let Some((keyword, folded)) = &change.keyword {
                    if let Some(taken) = holder(bot_id, folded, id, connection).await? {
                        return Ok(AddRule::KeywordTaken(taken));
                    }
                    sqlx::query("UPDATE rules SET keyword = $1, folded = $2 WHERE id = $3")
                        .bind(keyword)
                        .bind(folded)
                        .bind(id)
                        .execute(&mut *connection)
                        .await?;
                    new.keyword.clone_from(keyword);
                }
                if let Some(url) = &change.url {
                    new.url = url.clone();
                }
                if let Some(enabled) = change.enabled {
                    (new.enabled, new.off_cause) = (enabled, None);
                }
                new.in_groups = change.in_groups.unwrap_or(new.in_groups);
                new.timeout_s = change.timeout_s.unwrap_or(new.timeout_s);
                new.updated_at = now;
                sqlx::query(
                    "UPDATE rules SET url = $1, enabled = $2, in_groups = $3, timeout_s = $4, off_cause = $5, updated_at = $6 \
                     WHERE id = $7",
                )
                .bind(new.url.as_str())
                .bind(i64::from(new.enabled))
                .bind(i64::from(new.in_groups))
                .bind(new.timeout_s)
                .bind(&new.off_cause)
                .bind(now)
                .bind(id)
                .execute(connection)
                .await?;
                Ok(AddRule::Done(new))
            })
        });
        let changed = changed.await?;
        if moved && matches!(changed, AddRule::Done(_)) {
            self.follow(Sources::Rules, id, now).await?;
        }
        Ok(changed)
    }

    /// Disables the rule of a delivery, see [`Self::switch_source_off`].
    pub async fn switch_rule_off(
        &self,
        delivery: i64,
        tried: &Url,
        cause: String,
        now: Millis,
    ) -> Result<(), StoreError> {
        let (name, tried) = ("switch_rule_off", (tried, cause));
        self.switch_source_off(name, Sources::Rules, delivery, tried, now)
            .await
    }

    /// Deletes a rule and cancels its waiting deliveries. Returns `false` if the bot has no such
    /// rule.
    pub async fn delete_rule(&self, bot_id: i32, id: i64, now: Millis) -> Result<bool, StoreError> {
        self.delete_source("delete_rule", Sources::Rules, bot_id, id, now)
            .await
    }
}

/// Returns the id of a rule with the same keyword, other than `but`.
async fn holder(
    bot_id: i32,
    folded: &str,
    but: i64,
    connection: &mut AnyConnection,
) -> Result<Option<i64>, StoreError> {
    let holder = sqlx::query_scalar(
        "SELECT id FROM rules WHERE bot = $1 AND folded = $2 AND id <> $3 AND deleted_at IS NULL",
    )
    .bind(i64::from(bot_id))
    .bind(folded)
    .bind(but)
    .fetch_optional(connection);
    Ok(holder.await?)
}

fn rule(row: &AnyRow) -> Result<RuleRow, StoreError> {
    let (url, enabled, in_groups): (String, i64, i64) =
        (row.try_get(2)?, row.try_get(3)?, row.try_get(4)?);
    Ok(RuleRow {
        id: row.try_get(0)?,
        keyword: row.try_get(1)?,
        url: row::url(&url, "a rule")?,
        enabled: enabled != 0,
        in_groups: in_groups != 0,
        timeout_s: row.try_get(5)?,
        off_cause: row.try_get(6)?,
        created_at: row.try_get(7)?,
        updated_at: row.try_get(8)?,
    })
}
