//! Webhooks and events: written with their inbound message or change, answered, replied to.

use std::collections::HashSet;

use sqlx::{AnyConnection, Row};
use tokio::sync::mpsc;
use url::Url;
use waviro_link::Chat;

use super::attempt::Attempt;
use super::due::{DeliveryKind, DeliveryOutcome, Due, LEASE, PARKED, Work, endpoint_of};
use super::reply_note::ReplyNote;
use crate::clock::Millis;
use crate::command::{Command, Replying, submit};
use crate::counts::Counters;
use crate::journal::{self, Tried};
use crate::messages::{self, Committed, Insertion, NewMessageRow};
use crate::{Store, StoreError, row, sql};

/// A webhook or an event to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// The bot id.
    pub bot_id: i32,
    /// The id of the message, or of the other subject of an event.
    pub subject: String,
    /// The chat for the webhook reply; `None` for an event.
    pub chat: Option<Chat>,
    /// The id of the rule or the subscription.
    pub source: i64,
    /// The webhook id, the same for all attempts. The endpoint uses the id to detect duplicates.
    pub webhook_id: String,
    pub url: Url,
    pub body: String,
    /// The line: deliveries of one line are posted one after the other. `None` if the order does
    /// not matter.
    pub line: Option<String>,
}

/// The data for an attempt at a webhook or an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// The current URL of the rule or subscription. The URL may have changed since the delivery was
    /// claimed.
    pub url: Url,
    pub body: String,
    /// The webhook id, the same for all attempts.
    pub webhook_id: String,
    /// The stored response of the endpoint. With a stored response, nothing is posted again.
    pub answer: Option<String>,
    /// The URL of the response, if the endpoint accepted the post and redirected to its response.
    /// With a stored URL, nothing is posted again.
    pub answer_at: Option<Url>,
    /// The own timeout of the rule or subscription in seconds.
    pub timeout_s: Option<i64>,
    /// The rule or subscription is disabled or deleted: nothing is posted.
    pub cancelled: bool,
    /// A webhook reply was sent to the chat before. The reply to a replay is then only recorded.
    pub replied: bool,
}

/// The response of an endpoint that accepted a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WebhookAnswer {
    /// The body of a 2xx response.
    Body(String),
    /// The URL of a redirect.
    Location(Url),
}

impl Hook {
    fn kind(&self) -> DeliveryKind {
        match self.chat {
            Some(_) => DeliveryKind::Keyword,
            None => DeliveryKind::Event,
        }
    }
}

impl Store {
    /// Returns the data for an attempt; `None` if the row does not exist.
    pub async fn webhook(&self, delivery: i64) -> Result<Option<Webhook>, StoreError> {
        let row = sqlx::query(
            "SELECT COALESCE(d.body, ''), COALESCE(d.webhook_id, ''), CASE WHEN d.stage = 1 THEN d.answer END, \
             CASE WHEN d.stage = 2 THEN d.answer END, \
             COALESCE(r.timeout_s, s.timeout_s), \
             CASE WHEN COALESCE(r.enabled, s.enabled, 0) = 0 OR r.deleted_at IS NOT NULL OR s.deleted_at IS NOT NULL THEN 1 ELSE 0 END, \
             CASE WHEN d.replied_at IS NULL THEN 0 ELSE 1 END, COALESCE(r.url, s.url, d.url) \
             FROM deliveries d LEFT JOIN rules r ON d.kind = 'keyword' AND r.id = d.source \
             LEFT JOIN subscriptions s ON d.kind = 'event' AND s.id = d.source WHERE d.id = $1",
        )
        .bind(delivery)
        .fetch_optional(&self.reads)
        .await?;
        row.map(|row| {
            let (cancelled, replied): (i64, i64) = (row.try_get(5)?, row.try_get(6)?);
            let url: String = row.try_get(7)?;
            let answer_at: Option<String> = row.try_get(3)?;
            Ok(Webhook {
                url: row::url(&url, "a delivery")?,
                body: row.try_get(0)?,
                webhook_id: row.try_get(1)?,
                answer: row.try_get(2)?,
                answer_at: answer_at.and_then(|url| Url::parse(&url).ok()),
                timeout_s: row.try_get(4)?,
                cancelled: cancelled != 0,
                replied: replied != 0,
            })
        })
        .transpose()
    }

    /// Stores the response to a webhook, so that nothing is posted again even if the reply fails.
    /// Stage 1 stores the response itself, stage 2 the URL of the response.
    pub async fn answered(
        &self,
        due: &Due,
        attempt: Attempt,
        received: WebhookAnswer,
    ) -> Result<(), StoreError> {
        let delivery = due.id;
        let (stage, answer) = match received {
            WebhookAnswer::Body(answer) => (1_i64, answer),
            WebhookAnswer::Location(url) => (2, url.into()),
        };
        let input = (attempt, answer.replace('\0', "\u{fffd}"));
        self.write("answered", input, move |(attempt, answer), connection, counters| {
            Box::pin(async move {
                sqlx::query(
                    "UPDATE deliveries SET stage = $1, attempts = 0, held = 0, answer = $2 WHERE id = $3",
                )
                .bind(stage)
                .bind(answer)
                .bind(delivery)
                .execute(&mut *connection)
                .await?;
                let tried = Tried::new(delivery, 0, attempt);
                journal::insert(&[tried], connection, counters).await
            })
        })
        .await
    }

    /// Queues the messages of a webhook reply in their order and ends the delivery, in one
    /// transaction. The duplicate rule does not apply. The changes are durable when the function
    /// returns.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if a message id is taken; then nothing was queued.
    pub async fn reply(
        &self,
        delivery: i64,
        rows: Vec<NewMessageRow>,
        note: ReplyNote,
        now: Millis,
        bot_lane: mpsc::UnboundedSender<Committed>,
    ) -> Result<(), StoreError> {
        submit(&self.writes, |answer| {
            Command::Replying(Replying {
                rows,
                delivery,
                note,
                now,
                bot_lane,
                first_seq: 0,
                answer,
            })
        })
        .await
    }
}

/// Writes webhooks and events. The first delivery of each line is leased to the caller; the other
/// deliveries wait for their line.
pub(crate) async fn insert(
    hooks: &[Hook],
    now: Millis,
    connection: &mut AnyConnection,
    counters: &mut Counters,
) -> Result<Vec<Due>, StoreError> {
    let mut taken = open_lines(hooks, connection).await?;
    let mut rows = Vec::with_capacity(hooks.len());
    for hook in hooks {
        counters.delivery += 1;
        let is_first = hook
            .line
            .as_ref()
            .is_none_or(|line| taken.insert(line.clone()));
        rows.push((counters.delivery, hook, is_first));
    }
    for (_, hook, _) in &rows {
        counters.waiting.open(&endpoint_of(&hook.url), 1);
    }
    for chunk in sql::cut(&rows) {
        let text = format!(
            "INSERT INTO deliveries (id, kind, bot, subject, chat, source, webhook_id, url, lane, body, stage, attempts, run_at, leased, \
             held, line, replays, created_at) VALUES {}",
            sql::tuples(chunk.len(), 18)
        );
        let mut query = sql::query(text);
        for (id, hook, is_first) in chunk {
            query = query
                .bind(*id)
                .bind(hook.kind().word())
                .bind(i64::from(hook.bot_id))
                .bind(&hook.subject)
                .bind(hook.chat.as_ref().map(Chat::address))
                .bind(hook.source)
                .bind(&hook.webhook_id)
                .bind(hook.url.as_str())
                .bind(endpoint_of(&hook.url))
                .bind(&hook.body)
                .bind(0_i64)
                .bind(0_i64)
                .bind(if *is_first { now + LEASE } else { PARKED })
                .bind(i64::from(*is_first))
                .bind(0_i64)
                .bind(&hook.line)
                .bind(0_i64)
                .bind(now);
        }
        query.execute(&mut *connection).await?;
    }
    let first = rows.into_iter().filter(|(_, _, is_first)| *is_first);
    Ok(first
        .map(|(id, hook, _)| Due {
            id,
            bot_id: hook.bot_id,
            url: hook.url.clone(),
            attempts: 0,
            work: match &hook.chat {
                Some(chat) => Work::Webhook { chat: chat.clone() },
                None => Work::Event,
            },
        })
        .collect())
}

/// Returns the lines of the hooks that have an open delivery.
async fn open_lines(
    hooks: &[Hook],
    connection: &mut AnyConnection,
) -> Result<HashSet<String>, StoreError> {
    let lines: Vec<&String> = hooks.iter().filter_map(|hook| hook.line.as_ref()).collect();
    let mut open = HashSet::new();
    for (listed, list) in sql::numbered(&lines, 1) {
        let text = format!(
            "SELECT DISTINCT line FROM deliveries WHERE ended_at IS NULL AND line IN ({listed})"
        );
        let query = sql::bind_all(sql::query(text), list);
        for row in query.fetch_all(&mut *connection).await? {
            open.insert(row.try_get(0)?);
        }
    }
    Ok(open)
}

/// Applies the webhook replies of one transaction.
pub(crate) async fn apply_replies(
    replies: &mut [Replying],
    connection: &mut AnyConnection,
    counters: &mut Counters,
) -> Result<(), StoreError> {
    for reply in replies {
        // After a connection lost at a commit, the outcome is unknown. An ended delivery must not
        // get a second reply.
        let open = "SELECT lane FROM deliveries WHERE id = $1 AND ended_at IS NULL";
        let open = sqlx::query_scalar(open).bind(reply.delivery);
        let open: Option<String> = open.fetch_optional(&mut *connection).await?;
        let Some(endpoint) = open else {
            reply.rows.clear();
            continue;
        };
        counters.waiting.open(&endpoint, -1);
        reply.first_seq = counters.seq + 1;
        counters.seq += i64::try_from(reply.rows.len()).unwrap_or(i64::MAX);
        let insertions: Vec<Insertion<'_>> = (reply.rows.iter().zip(reply.first_seq..))
            .map(|(row, seq)| Insertion {
                row,
                seq,
                unless_repeated: false,
            })
            .collect();
        for rows in sql::cut(&insertions) {
            messages::insert(rows, connection, counters).await?;
        }
        let ids: Vec<&str> = reply.rows.iter().map(NewMessageRow::id).collect();
        for (listed, list) in sql::numbered(&ids, 2) {
            let text = format!("UPDATE messages SET reply_of = $1 WHERE id IN ({listed})");
            let query = sql::query(text).bind(reply.delivery);
            let query = sql::bind_all(query, list);
            query.execute(&mut *connection).await?;
        }
        sqlx::query(
            "UPDATE deliveries SET leased = 0, fate = $1, note = $2, note_code = $3, ended_at = $4, replied_at = $4 WHERE id = $5",
        )
        .bind(DeliveryOutcome::Delivered.word())
        .bind(&reply.note.text)
        .bind(reply.note.outcome.code())
        .bind(reply.now)
        .bind(reply.delivery)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}
