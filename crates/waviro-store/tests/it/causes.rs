//! A database of release 0.1.0, which stored the causes of failures as texts alone.

use std::path::Path;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AnyConnection, Connection, Executor, SqlSafeStr};
use waviro_link::Nack;
use waviro_store::{AttemptCause, MessageCause, ReplyOutcome, Store};

/// The first migration after release 0.1.0.
const CAUSES: i64 = 31;

const MESSAGES: [(&str, MessageCause); 15] = [
    ("nack: 463", MessageCause::Nack(Nack::FirstMessage)),
    ("nack: 499", MessageCause::Nack(Nack::Other(499))),
    ("nack: odd", MessageCause::Nack(Nack::Other(0))),
    ("refused: 404 item-not-found", MessageCause::Refused(404)),
    ("refused: 403 ", MessageCause::Refused(403)),
    ("refused: the file is gone", MessageCause::Unsendable),
    ("expired: not sent within 24 hours", MessageCause::Expired),
    ("logged_out: LoggedOut", MessageCause::LoggedOut),
    ("banned: ", MessageCause::Banned),
    ("bot_removed", MessageCause::BotRemoved),
    ("link_ended", MessageCause::NotLinked),
    ("pairing_failed", MessageCause::NotLinked),
    ("linking", MessageCause::NotLinked),
    ("logged_out", MessageCause::Unknown),
    ("", MessageCause::Unknown),
];

const ATTEMPTS: [(&str, AttemptCause); 8] = [
    ("status 503", AttemptCause::Status(503)),
    ("refused: 10.0.0.1 is not public", AttemptCause::Refused),
    ("no complete answer within 15 s", AttemptCause::TimedOut),
    ("unreachable: connection refused", AttemptCause::Unreachable),
    ("unreachable: status 410", AttemptCause::AnswerGone),
    (
        "no HTTP client: too many open files",
        AttemptCause::NoClient,
    ),
    ("redirected to the answer", AttemptCause::Redirected),
    ("something", AttemptCause::Unknown),
];

const NOTES: [(&str, ReplyOutcome); 18] = [
    ("sent 2 messages", ReplyOutcome::Sent),
    (
        "sent 2 messages; the answer is not strict JSON and was read all the same",
        ReplyOutcome::Sent,
    ),
    (
        "sent 1 messages; left out: item 2: no text",
        ReplyOutcome::SentInPart,
    ),
    ("nothing sent: item 1: no text", ReplyOutcome::AllLeftOut),
    ("nothing sent: the answer is empty", ReplyOutcome::Empty),
    ("nothing sent: the reply is empty", ReplyOutcome::Empty),
    (
        "nothing sent: the answer is not JSON",
        ReplyOutcome::Unreadable,
    ),
    (
        "nothing sent: the answer holds no reply: {…} is expected",
        ReplyOutcome::Unreadable,
    ),
    (
        "nothing sent: success is not true: tutup",
        ReplyOutcome::Unsuccessful,
    ),
    (
        "nothing sent: posted again by hand, and an answer was sent before",
        ReplyOutcome::RepliedBefore,
    ),
    (
        "nothing sent: the bot is not linked (unlinked)",
        ReplyOutcome::NotLinked,
    ),
    (
        "nothing sent: the bot was removed",
        ReplyOutcome::BotRemoved,
    ),
    (
        "nothing sent: the database failed: locked",
        ReplyOutcome::NotStored,
    ),
    ("its rule is off or was deleted", ReplyOutcome::Cancelled),
    (
        "its subscription is off or was deleted",
        ReplyOutcome::Cancelled,
    ),
    ("the rule was deleted", ReplyOutcome::Cancelled),
    ("the subscription was deleted", ReplyOutcome::Cancelled),
    ("something", ReplyOutcome::Unknown),
];

/// Creates the schema of release 0.1.0.
async fn create(connection: &mut AnyConnection) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().flatten().collect();
    files.sort_by_key(std::fs::DirEntry::file_name);
    let migrations = files.into_iter().filter_map(|file| {
        let name = file.file_name().into_string().unwrap();
        let (version, name) = name.strip_suffix(".sql")?.split_once('_')?;
        let version: i64 = version.parse().unwrap();
        let text = std::fs::read_to_string(file.path()).unwrap();
        let text = sqlx::AssertSqlSafe(text).into_sql_str();
        let name = name.to_owned().into();
        let kind = MigrationType::Simple;
        (version < CAUSES).then(|| Migration::new(version, name, kind, text, false))
    });
    let migrations = Migrator::with_migrations(migrations.collect());
    migrations.run(connection).await.unwrap();
}

/// Writes a row for each text.
async fn fill(connection: &mut AnyConnection) {
    let mut write = async |text: String| {
        let text = sqlx::AssertSqlSafe(text);
        connection.execute(text).await.unwrap();
    };
    for (n, (cause, _)) in MESSAGES.into_iter().enumerate() {
        write(format!(
            "INSERT INTO messages (id, seq, bot, chat, kind, body, content_sha256, ack, cause, accepted_at, reminded) \
             VALUES ('3EB0{n:016X}', {n}, 1, '6281000001@c.us', 'text', '{{\"text\":\"a\"}}', '', -1, '{cause}', 1, 1)"
        ))
        .await;
    }
    write(
        "INSERT INTO messages (id, seq, bot, chat, kind, body, content_sha256, ack, accepted_at, reminded) \
         VALUES ('SENT', 99, 1, '6281000001@c.us', 'text', '{\"text\":\"a\"}', '', 1, 1, 1)"
            .to_owned(),
    )
    .await;
    let delivery = "INSERT INTO deliveries (id, kind, bot, subject, url, lane, stage, attempts, run_at, leased, held, replays, created_at";
    let values =
        "'event', 1, 'S', 'http://one.example/', 'http://one.example:80', 0, 0, 1, 0, 0, 0, 1";
    for (n, (cause, _)) in ATTEMPTS.into_iter().enumerate() {
        write(format!(
            "{delivery}, last_error) VALUES ({n}, {values}, '{cause}')"
        ))
        .await;
        write(format!(
            "INSERT INTO attempts (id, delivery, at, stage, url, status, duration_ms, answer, cause) \
             VALUES ({n}, {n}, 1, 0, 'http://one.example/', 503, 1, '', '{cause}')"
        ))
        .await;
        write(format!(
            "INSERT INTO endpoints (lane, failing_since, last_error) VALUES ('http://{n}.example:80', 1, '{cause}')"
        ))
        .await;
    }
    for (n, (note, _)) in NOTES.into_iter().enumerate() {
        let id = 100 + n;
        write(format!(
            "{delivery}, note, fate, ended_at) VALUES ({id}, {values}, '{note}', 'delivered', 1)"
        ))
        .await;
    }
}

/// Tests that the texts of an older release get their codes, in an empty database at `url`.
pub async fn texts_of_an_older_release_get_their_codes(url: &str) {
    sqlx::any::install_default_drivers();
    let mut connection = AnyConnection::connect(url).await.unwrap();
    create(&mut connection).await;
    fill(&mut connection).await;
    connection.close().await.unwrap();
    let store = Store::open(url).await.unwrap();

    for (n, (text, cause)) in MESSAGES.into_iter().enumerate() {
        let id = format!("3EB0{n:016X}");
        let row = store.sent(1, &id).await.unwrap().unwrap();
        let failure = row.failure.unwrap();
        assert_eq!((failure.text.as_str(), failure.cause), (text, cause));
    }
    let sent = store.sent(1, "SENT").await.unwrap().unwrap();
    assert_eq!(sent.failure, None);
    let endpoint_failures = store.endpoint_failures().await.unwrap();
    for (n, (text, cause)) in ATTEMPTS.into_iter().enumerate() {
        let id = i64::try_from(n).unwrap();
        let attempt = store.attempts(id).await.unwrap()[0].attempt.clone();
        let last = store.delivery(1, id).await.unwrap().unwrap().last_error;
        let of_endpoint = endpoint_failures[n].last_error.clone();
        let causes = [attempt.failure.unwrap(), last.unwrap(), of_endpoint];
        for failure in causes {
            assert_eq!(failure.text, text);
            assert_eq!(failure.cause, cause, "{text}");
        }
    }
    for (n, (text, outcome)) in NOTES.into_iter().enumerate() {
        let id = 100 + i64::try_from(n).unwrap();
        let note = store.delivery(1, id).await.unwrap().unwrap().note.unwrap();
        assert_eq!((note.text.as_str(), note.outcome), (text, outcome));
    }
    store.close().await;
}

#[tokio::test]
async fn texts_of_an_older_release_get_their_codes_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}?mode=rwc", folder.path().join("a.db").display());
    texts_of_an_older_release_get_their_codes(&url).await;
}
