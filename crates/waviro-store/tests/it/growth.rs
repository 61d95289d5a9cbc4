//! No page, write or job may need more steps on a larger database. SQLite counts the steps of each
//! statement, on a database with few rows and on a database with many.

use std::collections::BTreeMap;

use sqlx::any::AnyConnectOptions;
use sqlx::{AnyConnection, ConnectOptions, Executor};
use tokio::sync::mpsc;
use waviro_link::{Chat, Content, MessageId, Outgoing};
use waviro_store::{
    AckUpdate, AddBot, AttemptFailure, CommitFeeds, DeliveryAfter, DeliveryFilter, DeliveryKind,
    DeliveryOutcome, Due, LogFilter, MessageFailure, NewInboundRow, NewMessageRow, Replay,
    RetentionLimits, RuleChange, Store, SubscriptionChange, UserRole,
};
use waviro_testing::samples::picture;
use waviro_testing::samples::{START, number};

const DAY: i64 = 86_400_000;

/// Rows per table: few, and thirty times as many.
const FEW: i64 = 1_200;
const MANY: i64 = 36_000;

/// The allowed additional steps with thirty times as many rows. Index trees have one more level,
/// and a job takes 64 rows per transaction instead of 8 if the rows are found faster. A table scan
/// exceeds this limit, because a scan takes several steps per row.
const SLACK: u64 = 8_000;

/// Set in the process that runs only this test.
const ALONE: &str = "WAVIRO_TEST_GROWTH_ALONE";

/// The number of finished rows and of waiting rows.
#[derive(Clone, Copy)]
struct Size {
    kept: i64,
    waiting: i64,
}

/// All rows belong to one bot and one chat, so no index by bot or chat helps. Half of the finished
/// rows are older than their retention.
const FILL: &str = "
INSERT INTO messages (id, seq, bot, chat, kind, body, content_sha256, notify_url, ack, accepted_at, settled_at, reminded)
WITH RECURSIVE n (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM n WHERE n < KEPT)
SELECT printf('3EB0%016X', n), n, 1, '6281000000001@c.us', 'text', '{\"text\":\"pesan\"}', printf('%064d', n), NULL,
CASE WHEN n % 2 = 0 THEN 3 ELSE -1 END, AT + n, AT + n, 1 FROM n;
INSERT INTO messages (id, seq, bot, chat, kind, body, content_sha256, notify_url, ack, accepted_at, settled_at, reminded)
WITH RECURSIVE n (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM n WHERE n < WAITING)
SELECT printf('3EB1%016X', n), KEPT + n, 1, '6281000000001@c.us', 'text', '{\"text\":\"pesan\"}', printf('%064d', n), 'http://one.example/n',
0, AT + n, NULL, 0 FROM n;
INSERT INTO receipts (message, member, level, at)
WITH RECURSIVE n (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM n WHERE n < KEPT)
SELECT printf('3EB0%016X', n), '6281000000009@c.us', 2, AT FROM n;
INSERT INTO inbound (bot, chat, sender, id, push_name, from_me, kind, body, at, received_at, media, media_handle)
WITH RECURSIVE n (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM n WHERE n < KEPT)
SELECT 1, '6281000000001@c.us', '6281000000001@c.us', 'I' || n, '', 0, 'text', 'halo', AT + n, AT + n,
CASE WHEN n % 2 = 0 THEN 'M' || n END, CASE WHEN n % 4 = 0 THEN 'h' END FROM n;
INSERT INTO deliveries (id, kind, bot, subject, source, webhook_id, url, lane, body, stage, attempts, run_at, leased, held, line, fate,
ended_at, replays, created_at)
WITH RECURSIVE n (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM n WHERE n < KEPT)
SELECT n, CASE n % 3 WHEN 0 THEN 'notify_ack' WHEN 1 THEN 'keyword' ELSE 'event' END, 1,
CASE n % 3 WHEN 0 THEN printf('3EB0%016X', n) ELSE 'S' END, 1, 'w' || n, 'http://one.example/n', 'http://one.example:80', '{}',
0, 0, AT, 0, 0, NULL, CASE n % 4 WHEN 0 THEN 'delivered' WHEN 1 THEN 'given_up' WHEN 2 THEN 'delivered' ELSE 'cancelled' END,
AT + n, 0, AT + n FROM n;
INSERT INTO deliveries (id, kind, bot, subject, chat, source, webhook_id, url, lane, body, stage, attempts, run_at, leased, held, line,
replays, created_at)
WITH RECURSIVE n (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM n WHERE n < WAITING)
SELECT KEPT + n, CASE n % 2 WHEN 0 THEN 'keyword' ELSE 'event' END, 1, 'S', '6281000000001@c.us', 1, 'w' || n, 'http://one.example/n',
'http://one.example:80', '{}', 0, 1, AT + 5000, 0, 0, NULL, 0, AT + n FROM n;
INSERT INTO attempts (id, delivery, at, stage, url, duration_ms, answer)
WITH RECURSIVE n (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM n WHERE n < KEPT)
SELECT n, n, AT, 0, 'http://one.example/n', 1, '' FROM n;
INSERT INTO events (id, bot, kind, subject, body, at)
WITH RECURSIVE n (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM n WHERE n < KEPT)
SELECT n, 1, 'message.ack', 'S', '{}', AT + n FROM n;
INSERT INTO idempotency (id, request_sha256, status, answer, created_at)
WITH RECURSIVE n (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM n WHERE n < KEPT)
SELECT 'K' || n, '', 200, '', AT + n FROM n;
INSERT INTO numbers (number, registered, checked_at)
WITH RECURSIVE n (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM n WHERE n < KEPT)
SELECT '6282' || n, 1, AT FROM n;
INSERT INTO sessions (sha256, user_id, created_at, expires_at)
WITH RECURSIVE n (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM n WHERE n < KEPT)
SELECT 's' || n, 7, AT, AT + 900 * 86400000 FROM n;
INSERT INTO rules (id, bot, keyword, folded, url, enabled, in_groups, created_at, updated_at) VALUES (1, 1, 'a', 'a', 'http://one.example/n', 1, 0, 0, 0);
INSERT INTO subscriptions (id, bot, url, kinds, enabled, created_at, updated_at) VALUES (1, 1, 'http://one.example/n', 'bot.state', 1, 0, 0);
INSERT INTO endpoints (lane, failing_since, last_error) VALUES ('http://one.example:80', 0, 'status 500');
";

/// Creates a database of this size; returns the folder and the URL.
async fn filled(size: Size) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("a.db").display());
    let store = Store::open(&url).await.unwrap();
    let bot = store.add_bot("toko", "aa", None, START).await.unwrap();
    assert_eq!(bot, AddBot::Added(1));
    store.close().await;
    let mut connection = connect(&url).await;
    let text = FILL
        .replace("KEPT", &size.kept.to_string())
        .replace("WAITING", &size.waiting.to_string())
        .replace("AT +", &format!("{START} +"))
        .replace("AT,", &format!("{START},"))
        .replace("AT FROM", &format!("{START} FROM"));
    for statement in text.split(";\n").filter(|text| !text.trim().is_empty()) {
        let statement = sqlx::AssertSqlSafe(statement.to_owned());
        connection.execute(statement).await.unwrap();
    }
    let _ = waviro_steps::take();
    (folder, url)
}

async fn connect(url: &str) -> AnyConnection {
    let options: AnyConnectOptions = url.parse().unwrap();
    options.disable_statement_logging().connect().await.unwrap()
}

/// Calls every function of the store once, except searches, because searches have a deadline.
async fn everything(store: &Store) {
    reads(store).await;
    let due = writes(store).await;
    jobs(store, due).await;
}

async fn reads(store: &Store) {
    store.bots().await.unwrap();
    store.evidence(1).await.unwrap();
    store.pending(1, 0, 50).await.unwrap();
    store.last_sent(1, 50).await.unwrap();
    let all = LogFilter::default;
    let chat = Some("6281000000001@c.us".to_owned());
    let (since, until) = (Some(START + 10), Some(START + 100));
    let mut filters = vec![
        LogFilter { chat, ..all() },
        LogFilter { since, ..all() },
        LogFilter { until, ..all() },
        all(),
    ];
    filters.extend([-1, 0, 1, 2, 3].map(|ack| LogFilter {
        ack: Some(ack),
        ..all()
    }));
    for filter in filters {
        store.sent_log(1, &filter, None, 51).await.unwrap();
        store.inbound_log(1, &filter, None, 51).await.unwrap();
    }
    store.sent(1, "3EB00000000000000007").await.unwrap();
    store
        .message(&"3EB00000000000000007".parse().unwrap())
        .await
        .unwrap();
    store.members_with("3EB00000000000000007").await.unwrap();
    store.inbound(1, "I7").await.unwrap();
    store.replies_of(7).await.unwrap();
    store.media("M8").await.unwrap();
    store.known_media(&["M8".to_owned()]).await.unwrap();
    let asked = vec!["I7".parse().unwrap(), "I0".parse().unwrap()];
    store.unknown_inbound(1, asked).await.unwrap();
    let chats = [Chat::Person(number("6281000000001"))];
    store.last_activity(1, &chats).await.unwrap();
    let all = DeliveryFilter::default;
    let mut filters = vec![
        DeliveryFilter { since, ..all() },
        DeliveryFilter { until, ..all() },
        DeliveryFilter {
            subject: Some("S".to_owned()),
            ..all()
        },
        DeliveryFilter {
            endpoint: Some("http://one.example:80".to_owned()),
            ..all()
        },
        all(),
    ];
    let kinds = [
        DeliveryKind::Callback,
        DeliveryKind::Keyword,
        DeliveryKind::Event,
    ];
    filters.extend(kinds.map(|kind| DeliveryFilter {
        kind: Some(kind),
        ..all()
    }));
    // No delivery has the outcome `Gone`; the store must find this out without a scan.
    for outcome in [
        None,
        Some(DeliveryOutcome::Delivered),
        Some(DeliveryOutcome::GivenUp),
        Some(DeliveryOutcome::Gone),
    ] {
        filters.push(DeliveryFilter {
            outcome: Some(outcome),
            ..all()
        });
    }
    let after = Some(DeliveryAfter {
        created_at: START + 200,
        id: 200,
    });
    for filter in filters {
        store.deliveries(1, &filter, None, 51).await.unwrap();
        store.deliveries(1, &filter, after, 51).await.unwrap();
    }
    store.delivery(1, 7).await.unwrap();
    store.webhook(7).await.unwrap();
    store.attempts(7).await.unwrap();
    store.waiting_for().await.unwrap();
    store.endpoint_failures().await.unwrap();
    store.due_queues(START + DAY).await.unwrap();
    store.events_after(7, Some(1), 50).await.unwrap();
    store.events_after(7, None, 50).await.unwrap();
    store.kept("K7", START).await.unwrap();
    store.number(&number("6281000000001")).await.unwrap();
    store.rules(1).await.unwrap();
    store.subscriptions(1).await.unwrap();
}

fn row(id: u64) -> NewMessageRow {
    let message = Outgoing {
        id: MessageId::from_random(id.to_be_bytes()),
        to: Chat::Person(number("6281000000001")),
        content: Content::Text(id.to_string()),
    };
    let url = "http://one.example/n".parse().unwrap();
    NewMessageRow::new(1, message, Some(&url), START + DAY, 0)
}

async fn writes(store: &Store) -> Vec<Due> {
    let (lane, _told) = mpsc::unbounded_channel();
    let (deliveries, mut due) = mpsc::unbounded_channel();
    let feeds = CommitFeeds { lane, deliveries };
    let first = u64::MAX / 2;
    for id in first..first + 8 {
        store
            .accept(row(id), None, feeds.lane.clone())
            .await
            .unwrap();
        let id = MessageId::from_random(id.to_be_bytes());
        let updates = vec![(id, AckUpdate::Reached(2))];
        store
            .apply_acks(1, updates, START + DAY, &feeds)
            .await
            .unwrap();
    }
    let failure = MessageFailure::bot_removed();
    store
        .end_queue(1, i64::MAX, failure, 8, START + DAY, &feeds)
        .await
        .unwrap();
    let message = NewInboundRow::new(picture("new"), Vec::new());
    store
        .keep_inbound(1, vec![message], START + DAY)
        .await
        .unwrap();
    store
        .remember_number(&number("6281000000001"), true, START)
        .await
        .unwrap();
    let user = store.add_user("ani", "x", UserRole::Admin, true, START);
    user.await.unwrap();
    let mut owed = Vec::new();
    while let Ok(due) = due.try_recv() {
        owed.push(due);
    }
    owed
}

async fn jobs(store: &Store, due: Vec<Due>) {
    let now = START + DAY;
    for (n, due) in due.iter().enumerate() {
        let attempt = crate::store::attempt((n % 2 == 0).then(|| AttemptFailure::status(500)));
        store.put_off(due, attempt, now + 1, false).await.unwrap();
    }
    store.remind(now, 8, now).await.unwrap();
    let endpoint = "http://one.example:80";
    for due in store.claim(endpoint, 1, 8, now).await.unwrap() {
        let outcome = DeliveryOutcome::Delivered;
        store.end(&due, outcome, None, None, now).await.unwrap();
    }
    store.replay(1, 8, Replay::default(), now).await.unwrap();
    let filter = DeliveryFilter {
        outcome: Some(Some(DeliveryOutcome::GivenUp)),
        since: Some(START),
        until: Some(START + 100),
        ..DeliveryFilter::default()
    };
    store.replay_all(1, &filter, 0, 8, now).await.unwrap();
    store.endpoint_works(endpoint, true, START).await.unwrap();
    let url = || Some("http://two.example/n".parse().unwrap());
    let change = RuleChange {
        url: url(),
        ..RuleChange::default()
    };
    store.change_rule(1, 1, change, now).await.unwrap();
    let change = SubscriptionChange {
        url: url(),
        ..SubscriptionChange::default()
    };
    store.change_subscription(1, 1, change, now).await.unwrap();
    store.delete_rule(1, 1, now).await.unwrap();
    store.delete_subscription(1, 1, now).await.unwrap();
    store.forget_kept(START + 20, 8).await.unwrap();
    // Three sweeps: the first finds a hundred rows of each table, the second nothing, and the third
    // only files.
    for (rows, media) in [(100, 100), (100, 100), (100, 120)] {
        let kept = RetentionLimits {
            events: START + rows,
            deliveries: START + rows,
            inbound: START + rows,
            messages: START + rows,
            media: START + media,
        };
        let mut sweep = Some(store.begin_sweep(kept, now).await.unwrap());
        while let Some(from) = sweep {
            sweep = store.sweep(from).await.unwrap().1;
        }
    }
}

/// Returns the statements with more steps on the second database than on the first.
fn grown(few: &BTreeMap<String, u64>, many: &BTreeMap<String, u64>) -> Vec<String> {
    let grows = |(text, steps): (&String, &u64)| {
        let before = few.get(text).copied().unwrap_or(0);
        (*steps > before * 3 / 2 + SLACK).then(|| format!("{before} -> {steps}: {text}"))
    };
    many.iter().filter_map(grows).collect()
}

/// Returns the steps of all statements on a database of this size, including the opening if
/// `opening` is set.
async fn steps(size: Size, opening: bool) -> BTreeMap<String, u64> {
    let (_folder, url) = filled(size).await;
    let store = Store::open(&url).await.unwrap();
    if opening {
        store.release_all(START + DAY).await.unwrap();
    } else {
        let _ = waviro_steps::take();
    }
    everything(&store).await;
    store.close().await;
    waviro_steps::take()
}

/// Counts the steps. The counter covers the whole process, so no other test may run in this
/// process.
async fn count() {
    waviro_steps::watch();
    let few = Size {
        kept: FEW,
        waiting: 50,
    };
    let base = steps(few, true).await;
    let more_kept = Size { kept: MANY, ..few };
    let grew = grown(&base, &steps(more_kept, true).await);
    assert!(grew.is_empty(), "with more kept:\n{}", grew.join("\n"));
    // The opening counts waiting rows and may take longer.
    let long_queues = Size {
        waiting: 5_000,
        ..few
    };
    let grew = grown(&steps(few, false).await, &steps(long_queues, false).await);
    assert!(grew.is_empty(), "with more waiting:\n{}", grew.join("\n"));

    // Checks that the test can fail: a count over the finished rows is detected.
    let mut counted = Vec::new();
    for size in [few, more_kept] {
        let (_folder, url) = filled(size).await;
        let count = "SELECT COUNT(*) FROM messages WHERE ack = 3";
        connect(&url).await.fetch_one(count).await.unwrap();
        counted.push(waviro_steps::take());
    }
    let grew = grown(&counted[0], &counted[1]);
    assert!(grew.len() == 1 && grew[0].contains("COUNT(*)"), "{grew:?}");
}

/// Runs this test again in its own process.
#[expect(
    clippy::disallowed_methods,
    reason = "an environment variable marks the second process"
)]
#[tokio::test]
async fn nothing_costs_more_where_more_is_kept() {
    if std::env::var(ALONE).is_ok() {
        return count().await;
    }
    let mut alone = tokio::process::Command::new(std::env::current_exe().unwrap());
    let test = "growth::nothing_costs_more_where_more_is_kept";
    alone.args([test, "--exact", "--nocapture"]).env(ALONE, "1");
    let output = alone.output().await.unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{stdout}");
    assert!(stdout.contains("1 passed"), "{stdout}");
}
