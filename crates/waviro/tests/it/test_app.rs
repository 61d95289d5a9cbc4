//! The test gateway: the whole gateway over a fake link, called through its real router.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use waviro::app::App;
use waviro_core::config::{Config, Flag};
use waviro_link::fake::{FakeConnector, FakeLink};
use waviro_store::clock::{Clock, Millis};
use waviro_testing::samples::{GROUP, OWN, group, number};

/// The start time of the manual clock: the time in the example of the API document.
pub const START: Millis = 1_678_849_330_000;

/// A gateway with one bot.
pub struct TestApp {
    pub inner: App,
    pub clock: Clock,
    pub connector: Arc<FakeConnector>,
    pub key: String,
    pub stopping: CancellationToken,
    folder: tempfile::TempDir,
}

/// A received answer.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Value,
}

impl TestApp {
    /// Starts a gateway with an online bot.
    pub async fn online() -> Self {
        Self::with(&[]).await
    }

    /// Starts a gateway with an unlinked bot.
    pub async fn unlinked() -> Self {
        Self::over(FakeConnector::unlinked(), Clock::manual(START), &[]).await
    }

    /// Starts a gateway with an online bot and other settings.
    pub async fn with(settings: &[(&'static str, &str)]) -> Self {
        Self::over(
            FakeConnector::online(number(OWN)),
            Clock::manual(START),
            settings,
        )
        .await
    }

    /// Starts a gateway with an online bot and the system clock.
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
        let app = Self {
            inner: app,
            clock,
            connector,
            key: key.reveal().to_owned(),
            stopping,
            folder,
        };
        app.link().set_groups(vec![group(GROUP, "Pelanggan")]);
        app
    }

    /// The fake link of the bot.
    pub fn link(&self) -> Arc<FakeLink> {
        let bot_id = self.inner.bots().list().first().unwrap().id();
        self.connector.link(bot_id).unwrap()
    }

    /// Sends a POST with the bot's key and a JSON body.
    pub async fn post(&self, path: &str, body: impl Into<Body>) -> Answer {
        let request = Request::post(path).header("SecretKey", &self.key);
        self.send(request.body(body.into()).unwrap()).await
    }

    /// Sends these fields to `/api/sendwa`.
    pub async fn sendwa(&self, fields: Value) -> Answer {
        self.post("/api/sendwa", fields.to_string()).await
    }

    /// Sends any request.
    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.inner.router().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: serde_json::from_str(&text).unwrap_or(Value::String(text)),
        }
    }

    /// The gateway's data folder.
    pub fn data_dir(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Waits for the first message sent over the link.
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

    /// Advances the clock until `asked` is ready.
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
    /// Expects the API's shape of a refusal; returns status and code.
    pub fn refusal(&self) -> (u16, &str) {
        assert_eq!(self.body["success"], false, "{self:?}");
        let sentence = self.body["errorMessage"].as_str().unwrap();
        assert!(sentence.ends_with('.') && sentence.len() > 20, "{self:?}");
        (self.status.as_u16(), self.body["code"].as_str().unwrap())
    }

    /// Expects a refusal; returns status, code and the named field.
    pub fn refusal_and_field(&self) -> (u16, &str, &str) {
        let (status, code) = self.refusal();
        (status, code, self.field())
    }

    /// The field named by a refusal or a problem.
    pub fn field(&self) -> &str {
        self.body["field"].as_str().unwrap_or_default()
    }

    /// Expects a success; returns the `message`.
    pub fn message(&self) -> &Value {
        assert_eq!(
            (self.status, &self.body["success"]),
            (StatusCode::OK, &Value::Bool(true)),
            "{self:?}"
        );
        &self.body["message"]
    }
}

fn flag(key: &'static str, value: &str) -> Flag {
    Flag {
        flag: "the test",
        key,
        value: value.to_owned(),
    }
}
