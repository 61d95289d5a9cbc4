//! Measures how much slower the gateway is on a large database. The same figures are taken on an
//! database with a page of rows, on a database with many rows, and while retention removes a tenth
//! of the rows.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _};
use tokio::time::Instant;

use crate::measure::{Process, Spread};
use crate::stage::Stage;
use crate::{closed_loop, steady};

/// The highest allowed ratio of a figure to the same figure on the small database.
const MARK: f64 = 1.5;

/// Requests per list and page.
const TIMES: usize = 40;

/// Rows per transaction while filling the database.
const TOGETHER: u64 = 200_000;

/// The first number of a filled row, above all numbers that the gateway has assigned. Older rows
/// get lower numbers, as in the gateway.
const FIRST: u64 = 1_000_000;

/// Rows of each bot in the small database: a full page of each list.
const FEW: u64 = 2_000;

/// Starts of the gateway on each database; the middle one counts.
const STARTS: usize = 5;

/// The load beside retention, and the rows that the load adds: see [`INSERTS`], in which four of
/// ten rows are messages.
const SENT_A_SECOND: u64 = 100;
const ADDED_A_SECOND: u64 = SENT_A_SECOND * 10 / 4;

/// How long retention is watched.
const KEEPING_UP: Duration = Duration::from_mins(1);

/// Rows that retention removes from the filled ones, by the day that the filling gave them.
const OLD: [&str; 5] = [
    "SELECT COUNT(*) FROM messages WHERE settled_at < (SELECT MAX(accepted_at) FROM messages) - 30 * 86400000",
    "SELECT COUNT(*) FROM inbound WHERE received_at < (SELECT MAX(accepted_at) FROM messages) - 30 * 86400000",
    "SELECT COUNT(*) FROM deliveries WHERE created_at < (SELECT MAX(accepted_at) FROM messages) - 30 * 86400000",
    "SELECT COUNT(*) FROM attempts WHERE at < (SELECT MAX(accepted_at) FROM messages) - 30 * 86400000",
    "SELECT COUNT(*) FROM events WHERE at < (SELECT MAX(accepted_at) FROM messages) - 30 * 86400000",
];

const PASSWORD: &str = "kata sandi yang panjang";

const DAY: u64 = 86_400_000;

/// The measured lists and pages, with their names in the output.
const ASKED: [(&str, &str); 11] = [
    ("bots", "/v1/bots?limit=100"),
    ("messages", "/v1/bots/1/messages"),
    ("messages that failed", "/v1/bots/1/messages?state=failed"),
    (
        "messages with a chat",
        "/v1/bots/1/messages?chat=6281300000000",
    ),
    ("messages received", "/v1/bots/1/messages?direction=in"),
    ("deliveries", "/v1/bots/1/deliveries"),
    (
        "deliveries that are gone",
        "/v1/bots/1/deliveries?state=gone",
    ),
    ("dashboard: bots", "/dashboard"),
    ("dashboard: messages", "/dashboard/bots/1/messages"),
    ("dashboard: deliveries", "/dashboard/bots/1/deliveries"),
    ("metrics", "/metrics"),
];

/// The figures of one measurement in milliseconds; for rates, in microseconds per answer.
struct Figures(Vec<(String, f64)>);

pub async fn run(bots: usize, rows: u64, span: Duration) {
    println!(
        "{bots} bots, {rows} rows, {span:?} a phase; milliseconds (mark: {MARK}x of the small database)\n"
    );
    let mut stage = Stage::set(bots).await;
    stage.link(bots).await;
    stage.acquaint().await;
    let cookie = stage.logged_in(PASSWORD).await;
    stage.stop().await;
    // Lists and pages of the small database are full too: an empty list would take less time
    // because it shows nothing.
    fill(&stage, bots, bots as u64 * FEW, FIRST + rows, 1..29).await;
    let (mut stage, small) = measured(stage, &cookie, span).await;

    stage.stop().await;
    let began = Instant::now();
    fill(&stage, bots, rows, FIRST + rows * 2, 1..29).await;
    let size = size(&stage);
    println!(
        "filled in {:.0} s: {size:.2} GB\n",
        began.elapsed().as_secs_f64()
    );
    let (mut stage, filled) = measured(stage, &cookie, span).await;
    println!("{}", Compared("filled", &small, &filled));

    stage.stop().await;
    fill(&stage, bots, rows / 10, FIRST, 31..33).await;
    let (stage, swept) = measured(stage, &cookie, span).await;
    println!(
        "{}",
        Compared("while a tenth more is removed", &small, &swept)
    );
    let stage = Arc::new(stage);
    let before = old_rows(&stage).await;
    let began = Instant::now();
    let (answers, _) = steady(&stage, SENT_A_SECOND, KEEPING_UP).await;
    let removed = before - old_rows(&stage).await;
    let rate = removed as f64 / began.elapsed().as_secs_f64();
    println!(
        "retention at {SENT_A_SECOND} messages/s: {rate:.0} rows removed a second; the messages add {ADDED_A_SECOND} (mark: more)"
    );
    println!("answers beside it: {answers}");
}

/// Returns the number of rows that are old enough to be removed.
async fn old_rows(stage: &Stage) -> i64 {
    let mut rows = 0;
    for text in OLD {
        rows += stage.count(text).await;
    }
    rows
}

/// Starts the gateway and measures it.
async fn measured(mut stage: Stage, cookie: &str, span: Duration) -> (Stage, Figures) {
    let mut figures = Vec::new();
    let mut starts = Vec::with_capacity(STARTS);
    for n in 0..STARTS {
        if n > 0 {
            stage.stop().await;
        }
        let began = std::time::Instant::now();
        stage.start().await;
        starts.push(began.elapsed());
    }
    figures.push(("start".to_owned(), Spread::of(starts).at(0.5)));
    stage.all_online().await;
    let stage = Arc::new(stage);
    let gateway = Process(stage.gateway_pid());
    for clients in [1, 16] {
        let cpu = gateway.cpu();
        let phase = closed_loop(&stage, clients, span).await;
        let accepted = phase.rate * span.as_secs_f64();
        figures.push((format!("{clients} clients: p50"), phase.spread.at(0.5)));
        figures.push((format!("{clients} clients: p99"), phase.spread.at(0.99)));
        figures.push((format!("{clients} clients: 1/rate"), 1e3 / phase.rate));
        stage.drained().await;
        let cpu = (gateway.cpu() - cpu) / accepted;
        figures.push((format!("{clients} clients: CPU a message"), cpu * 1e3));
    }
    for (what, path) in ASKED {
        let mut took = Vec::with_capacity(TIMES);
        for _ in 0..TIMES {
            let began = std::time::Instant::now();
            stage.ask(path, cookie).await;
            took.push(began.elapsed());
        }
        figures.push((what.to_owned(), Spread::of(took).at(0.5)));
    }
    figures.push(("memory, MiB".to_owned(), gateway.memory()));
    let Ok(stage) = Arc::try_unwrap(stage) else {
        unreachable!("nothing else has it");
    };
    (stage, Figures(figures))
}

struct Compared<'f>(&'static str, &'f Figures, &'f Figures);

impl fmt::Display for Compared<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(what, Figures(small), Figures(grown)) = self;
        writeln!(f, "{:34} {:>9} {:>9}", "", "small", what)?;
        for ((name, before), (_, after)) in small.iter().zip(grown) {
            let ratio = after / before;
            let held = if ratio <= MARK { "" } else { "  not met" };
            writeln!(f, "{name:34} {before:9.2} {after:9.2} {ratio:6.2}x{held}")?;
        }
        Ok(())
    }
}

/// Inserts rows like those of a busy shop, spread over the given days before today. Of ten rows,
/// four are messages, one is an inbound message, two are deliveries, two are attempts, and one is
/// an event.
async fn fill(stage: &Stage, bots: usize, rows: u64, first: u64, days: std::ops::Range<u64>) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now = now.as_millis() as u64;
    let (from, to) = (now - days.end * DAY, now - days.start * DAY);
    let options = SqliteConnectOptions::new().filename(stage.database());
    let mut database = options.connect().await.unwrap();
    let fast = "PRAGMA synchronous = OFF; PRAGMA cache_size = -1500000; PRAGMA wal_autocheckpoint = 100000;";
    database.execute(fast).await.unwrap();
    // A small database has fewer chats, so that each chat fills a page of a list.
    let chats = (rows / 250).clamp(20, 20_000);
    let chat = format!("('62813' || printf('%08d', n * 7919 % {chats}) || '@c.us')");
    let mut done = 0;
    while done < rows {
        let many = TOGETHER.min(rows - done);
        for (share, text) in INSERTS {
            let count = many * share / 10;
            let begin = first + done;
            let at = format!(
                "({from} + ((n - {begin}) * 10 / {share} + {done}) * {} / {})",
                to - from,
                rows.max(1)
            );
            let text = text
                .replace("NUMBERS", &format!(
                    "WITH RECURSIVE n (n) AS (VALUES ({begin}) UNION ALL SELECT n + 1 FROM n WHERE n + 1 < {begin} + {count})"
                ))
                .replace("BOT", &format!("n % {bots} + 1"))
                .replace("CHAT", &chat)
                .replace("AT", &at);
            database.execute(AssertSqlSafe(text)).await.unwrap();
        }
        done += many;
    }
    database
        .execute("PRAGMA wal_checkpoint(TRUNCATE)")
        .await
        .unwrap();
    database.close().await.unwrap();
}

/// The share of each table in ten rows, with its statement.
const INSERTS: [(u64, &str); 5] = [
    (
        4,
        "INSERT INTO messages (id, seq, bot, chat, kind, body, content_sha256, notify_url, ack, accepted_at, settled_at, reminded, \
         delivered_at) NUMBERS SELECT '3EB0' || hex(randomblob(8)), n, BOT, CHAT, 'text', \
         '{\"text\":\"Pesanan ' || n || ' atas nama pelanggan kami sudah siap diambil; totalnya Rp 120.000.\"}', \
         lower(hex(randomblob(32))), 'http://toko.example/n', CASE WHEN n % 100 = 0 THEN -1 ELSE 2 + n % 2 END, AT, AT + 900, 1, \
         AT + 2000 FROM n",
    ),
    (
        1,
        "INSERT INTO inbound (bot, chat, sender, id, push_name, from_me, kind, body, at, received_at) \
         NUMBERS SELECT BOT, CHAT, CHAT, hex(randomblob(10)), 'Pelanggan', 0, 'text', 'apakah pesanan saya sudah siap?', AT, AT FROM n",
    ),
    (
        2,
        "INSERT INTO deliveries (id, kind, bot, subject, url, lane, stage, attempts, run_at, leased, held, fate, ended_at, replays, \
         created_at) NUMBERS SELECT n, 'notify_ack', BOT, '3EB0' || hex(randomblob(8)), 'http://toko.example/n', \
         'http://toko.example:80', 4, 0, AT, 0, 0, 'delivered', AT + 3000, 0, AT FROM n",
    ),
    (
        2,
        "INSERT INTO attempts (id, delivery, at, stage, url, status, duration_ms, address, answer) \
         NUMBERS SELECT n, n, AT, 1, 'http://toko.example/n', 200, 31, '192.0.2.1', 'ok' FROM n",
    ),
    (
        1,
        "INSERT INTO events (id, bot, kind, subject, body, at) NUMBERS SELECT n, BOT, 'message.ack', '3EB0' || n, \
         '{\"id\":\"evt\",\"type\":\"message.ack\",\"data\":{\"ack\":2}}', AT FROM n",
    ),
];

fn size(stage: &Stage) -> f64 {
    let about = std::fs::metadata(stage.database()).unwrap();
    about.len() as f64 / 1e9
}

/// The request body for a dashboard user.
pub fn user(password: &str) -> serde_json::Value {
    json!({"name": "ani", "password": password, "role": "admin"})
}
