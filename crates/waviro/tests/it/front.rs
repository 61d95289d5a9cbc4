//! The rig of the door: the whole gateway over a fake link, asked through its real router.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use waviro::app::App;
use waviro::clock::{Clock, Millis};
use waviro::config::{Config, Flag};
use waviro_link::fake::{FakeConnector, FakeLink};
use waviro_link::{Group, Number};

/// Where the manual clock starts: the document's own example.
pub const START: Millis = 1_678_849_330_000;

/// The bot's own number.
pub const OWN: &str = "6281200000001";

/// A group that the bot is in.
pub const GROUP: &str = "120363000000000001";

/// A gateway with one bot.
pub struct Front {
    pub app: App,
    pub clock: Clock,
    pub connector: Arc<FakeConnector>,
    pub key: String,
    pub stopping: CancellationToken,
    folder: tempfile::TempDir,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Front {
    /// The bot is online.
    pub async fn online() -> Self {
        Self::with(&[]).await
    }

    /// The bot was never linked.
    pub async fn unlinked() -> Self {
        Self::over(FakeConnector::unlinked(), Clock::manual(START), &[]).await
    }

    /// Online, with other settings.
    pub async fn with(settings: &[(&'static str, &str)]) -> Self {
        Self::over(
            FakeConnector::online(number(OWN)),
            Clock::manual(START),
            settings,
        )
        .await
    }

    /// Online, by the real time of day.
    pub async fn live(settings: &[(&'static str, &str)]) -> Self {
        Self::over(
            FakeConnector::online(number(OWN)),
            Clock::system(),
            settings,
        )
        .await
    }

    async fn over(
        connector: FakeConnector,
        clock: Clock,
        settings: &[(&'static str, &str)],
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut flags = vec![flag("data_dir", folder.path().to_str().unwrap())];
        flags.extend(settings.iter().map(|(key, value)| flag(key, value)));
        let config = Config::embedded(&flags).unwrap();
        let connector = Arc::new(connector);
        let stopping = CancellationToken::new();
        let app = App::start(
            &config,
            connector.clone(),
            clock.clone(),
            None,
            stopping.clone(),
        );
        let app = app.await.unwrap();
        let (_, key) = app.bots().add("toko").await.unwrap();
        let front = Self {
            app,
            clock,
            connector,
            key: key.reveal().to_owned(),
            stopping,
            folder,
        };
        front.link().set_groups(vec![group(GROUP, "Pelanggan")]);
        front
    }

    /// The other end of the bot's link.
    pub fn link(&self) -> Arc<FakeLink> {
        let slot = self.app.bots().list().first().unwrap().slot();
        self.connector.link(slot).unwrap()
    }

    /// A POST with the bot's key and a JSON body.
    pub async fn post(&self, path: &str, body: impl Into<Body>) -> Answer {
        let request = Request::post(path).header("SecretKey", &self.key);
        self.send(request.body(body.into()).unwrap()).await
    }

    /// `/api/sendwa` with these fields.
    pub async fn sendwa(&self, fields: Value) -> Answer {
        self.post("/api/sendwa", fields.to_string()).await
    }

    /// Any request.
    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.app.router().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: serde_json::from_str(&text).unwrap_or(Value::String(text)),
        }
    }

    /// Where the gateway keeps its data.
    pub fn data_dir(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// The first message that went out over the link.
    pub async fn first_sent(&self) -> waviro_link::Outgoing {
        let link = self.link();
        self.pass_until(async {
            while link.sent().is_empty() {
                tokio::task::yield_now().await;
            }
        })
        .await;
        link.sent().remove(0)
    }

    /// Moves the clock on until `asked` has its answer.
    pub async fn pass_until<T>(&self, asked: impl Future<Output = T>) -> T {
        tokio::pin!(asked);
        let pass = async {
            loop {
                self.clock.advance(Duration::from_secs(1));
                tokio::task::yield_now().await;
            }
        };
        let answered = async {
            tokio::select! {
                answer = asked => answer,
                () = pass => unreachable!(),
            }
        };
        let within = Duration::from_secs(20);
        tokio::time::timeout(within, answered)
            .await
            .expect("an answer")
    }
}

impl Answer {
    /// Status and code of a refusal, which must have the API's shape.
    pub fn refusal(&self) -> (u16, &str) {
        assert_eq!(self.body["success"], false, "{self:?}");
        let sentence = self.body["errorMessage"].as_str().unwrap();
        assert!(sentence.ends_with('.') && sentence.len() > 20, "{self:?}");
        (self.status.as_u16(), self.body["code"].as_str().unwrap())
    }

    /// The field to blame.
    pub fn field(&self) -> &str {
        self.body["field"].as_str().unwrap_or_default()
    }

    /// The `message` of a success.
    pub fn message(&self) -> &Value {
        assert_eq!(
            (self.status, &self.body["success"]),
            (StatusCode::OK, &Value::Bool(true)),
            "{self:?}"
        );
        &self.body["message"]
    }
}

pub fn number(text: &str) -> Number {
    text.parse().unwrap()
}

fn flag(key: &'static str, value: &str) -> Flag {
    Flag {
        flag: "the test",
        key,
        value: value.to_owned(),
    }
}

/// A group that was made an hour before the clock starts.
pub fn group(id: &str, name: &str) -> Group {
    let made = Duration::from_secs((START / 1000 - 3600).unsigned_abs());
    Group {
        id: id.parse().unwrap(),
        name: name.to_owned(),
        created: Some(std::time::UNIX_EPOCH + made),
    }
}
