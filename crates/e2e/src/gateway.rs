//! Runs the released gateway binary as a child process.

mod callers;

use std::ffi::OsString;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::process::{Child, Command};
use wa_sim::{Phone, Sim};

pub use callers::{Admin, Answer, Bot};

use crate::{durable, eventually};

/// The timeout of one request to `/readyz`.
const LOOK: Duration = Duration::from_secs(3);

/// A gateway with its own data folder. The folder survives a kill and a restart of the process.
pub struct Gateway {
    binary: PathBuf,
    folder: tempfile::TempDir,
    listen: String,
    metrics_listen: String,
    environment: Vec<(&'static str, OsString)>,
    /// The output file of `strace`, if the process is traced.
    trace: Option<PathBuf>,
    child: Option<Child>,
    http: reqwest::Client,
}

/// The server that the gateway uses as WhatsApp.
pub struct Server {
    /// The WebSocket URL.
    pub url: String,
    /// The server's public Noise key in base64.
    pub key: String,
    /// The PEM certificate of the authority behind the server's certificate. `None` if the URL is
    /// plain, or if the gateway should not trust the authority.
    pub authority: Option<String>,
}

impl Server {
    /// Describes this simulator, reached at `url`.
    #[must_use]
    pub fn of(sim: &Sim, url: &str) -> Self {
        Self {
            url: url.to_owned(),
            key: STANDARD.encode(sim.server_key()),
            authority: Some(sim.authority().to_owned()),
        }
    }
}

impl Gateway {
    /// Starts a gateway connected to `link_url`: the simulator's own address, or a proxy in front
    /// of the simulator.
    pub async fn start(sim: &Sim, link_url: &str) -> Self {
        Self::start_with(sim, link_url, "").await
    }

    /// Starts a gateway with the additional configuration lines `more`.
    pub async fn start_with(sim: &Sim, link_url: &str, more: &str) -> Self {
        Self::start_in(&Server::of(sim, link_url), more, Vec::new()).await
    }

    /// Starts a gateway with the additional configuration lines `more` and additional environment
    /// variables.
    pub async fn start_in(
        server: &Server,
        more: &str,
        environment: Vec<(&'static str, OsString)>,
    ) -> Self {
        let mut gateway = Self::prepare(server, more, environment);
        gateway.run().await;
        gateway
    }

    /// Prepares a gateway without starting the process.
    #[must_use]
    pub fn prepare(
        server: &Server,
        more: &str,
        environment: Vec<(&'static str, OsString)>,
    ) -> Self {
        Self::prepare_binary(binary(), server, more, environment)
    }

    /// Prepares a gateway from the torture binary without starting the process. The variables that
    /// `waviro-fault` names can end this process at a moment or switch a bug on.
    #[must_use]
    pub fn of_torture(
        server: &Server,
        more: &str,
        environment: Vec<(&'static str, OsString)>,
    ) -> Self {
        Self::prepare_binary(torture_binary(), server, more, environment)
    }

    fn prepare_binary(
        binary: &Path,
        server: &Server,
        more: &str,
        environment: Vec<(&'static str, OsString)>,
    ) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let listen = format!("127.0.0.1:{}", free_port());
        let metrics_listen = format!("127.0.0.1:{}", free_port());
        let ca_file = match &server.authority {
            None => String::new(),
            Some(authority) => {
                let file = folder.path().join("ca.pem");
                std::fs::write(&file, authority).expect("authority written");
                file.display().to_string()
            }
        };
        let (link_url, key) = (&server.url, &server.key);
        let config = format!(
            "data_dir = \"{}\"\n\
             server.listen = \"{listen}\"\n\
             server.metrics_listen = \"{metrics_listen}\"\n\
             whatsapp.url = \"{link_url}\"\n\
             whatsapp.server_key = \"{key}\"\n\
             whatsapp.ca_file = \"{ca_file}\"\n\
             outbound.allow = [\"127.0.0.0/8\"]\n\
             {more}\n",
            folder.path().join("data").display()
        );
        std::fs::write(folder.path().join("waviro.toml"), config).expect("config written");
        Self {
            binary: binary.to_owned(),
            folder,
            listen,
            metrics_listen,
            environment,
            trace: None,
            child: None,
            http: http_client(),
        }
    }

    /// Adds environment variables for the processes started from now on.
    pub fn add_environment(&mut self, more: Vec<(&'static str, OsString)>) {
        self.environment.extend(more);
    }

    /// Sets an environment variable for the processes started from now on; `None` removes the
    /// variable.
    pub fn set_env(&mut self, name: &'static str, value: Option<&str>) {
        self.environment.retain(|(known, _)| *known != name);
        self.environment
            .extend(value.map(|value| (name, value.into())));
    }

    /// Traces the processes started from now on with `strace`, which writes to `file`.
    pub fn trace_into(&mut self, file: PathBuf) {
        self.trace = Some(file);
    }

    /// Starts the process and waits until the gateway is ready.
    pub async fn run(&mut self) {
        self.start_process();
        self.wait_ready().await;
    }

    /// Starts the process without waiting.
    pub fn start_process(&mut self) {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log_path())
            .expect("log file");
        let mut command = match &self.trace {
            None => Command::new(&self.binary),
            Some(file) => {
                let mut command = Command::new("strace");
                // `strace` must be the parent of the gateway: attaching to a running process needs
                // rights that a container may not give.
                command.args(["-f", "-qq", "-s", "9000", "-e", durable::CALLS, "-o"]);
                command.arg(file).arg(&self.binary);
                command
            }
        };
        let child = command
            .arg("--config")
            .arg(self.config_path())
            .arg("serve")
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("log handle"))
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .expect("gateway starts");
        self.child = Some(child);
    }

    /// Waits until `/readyz` succeeds.
    async fn wait_ready(&self) {
        let url = format!("http://{}/readyz", self.listen);
        eventually("the gateway to be ready", async || {
            // A request to a process that died in between has no answer; the timeout lets the loop
            // retry.
            let look = self.http.get(&url).timeout(LOOK);
            match look.send().await {
                Ok(answer) if answer.status().is_success() => Ok(()),
                other => Err(format!("{other:?}\n{}", self.log())),
            }
        })
        .await;
    }

    /// Tries to run a second gateway on the same data with another port. Returns the error output
    /// of the second process, which must fail.
    pub async fn run_second(&self) -> String {
        let listen = format!("127.0.0.1:{}", free_port());
        let output = self.command(&["serve", "--listen", &listen]).output();
        let output = tokio::time::timeout(crate::PATIENCE, output)
            .await
            .expect("a second gateway ends")
            .expect("waviro runs");
        assert!(!output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// Sends SIGKILL, so the process cannot write anything more.
    pub async fn kill(&mut self) {
        self.end("-KILL").await;
    }

    /// Returns whether the process has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.child.is_none() || self.how_it_ended().is_some()
    }

    /// Returns the exit status if the process has ended by itself since the last call.
    pub fn how_it_ended(&mut self) -> Option<ExitStatus> {
        let child = self.child.as_mut()?;
        let status = child.try_wait().expect("a child can be asked")?;
        self.child = None;
        Some(status)
    }

    /// Sends SIGTERM and returns the time until the process ended.
    pub async fn stop(&mut self) -> Duration {
        let began = tokio::time::Instant::now();
        self.end("-TERM").await;
        began.elapsed()
    }

    async fn end(&mut self, signal: &str) {
        let id = self.pid().expect("a process id");
        let mut child = self.child.take().expect("gateway runs");
        // The process may have ended by itself in the meantime.
        let sent = Command::new("kill")
            .args([signal, &id.to_string()])
            .stderr(Stdio::null())
            .status();
        sent.await.expect("kill runs");
        child.wait().await.expect("reaped");
    }

    /// Returns the process id of the gateway, also under `strace`.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        let id = self.child.as_ref().and_then(Child::id)?;
        if self.trace.is_none() {
            return Some(id);
        }
        let watched = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
        watched.ok()?.split_whitespace().next()?.parse().ok()
    }

    /// The base URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.listen)
    }

    /// Fetches the metrics page.
    pub async fn metrics(&self) -> String {
        let url = format!("http://{}/metrics", self.metrics_listen);
        let page = self.http.get(url).send().await.expect("the metrics");
        let page = page.error_for_status().expect("the metrics");
        page.text().await.expect("a page")
    }

    /// Returns the gateway's complete log.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// The folder with the database, the keys and the log.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Runs a query in the gateway's database and returns the number in the first row. The
    /// connection is read only, because the gateway may be writing.
    pub async fn ask_database(&self, text: &'static str) -> i64 {
        use sqlx::{ConnectOptions as _, Connection as _, Row as _};
        let file = self.folder().join("data/waviro.db");
        let options = sqlx::sqlite::SqliteConnectOptions::new();
        let options = options.filename(file).read_only(true);
        let mut database = options.connect().await.expect("the gateway's database");
        let row = sqlx::query(text).fetch_one(&mut database).await;
        let row = row.expect("a row");
        database.close().await.expect("closed");
        row.get(0)
    }

    /// Returns whether SQLite's integrity check passes.
    pub async fn has_sound_database(&self) -> bool {
        let check = "SELECT COUNT(*) FROM pragma_integrity_check() WHERE integrity_check = 'ok'";
        self.ask_database(check).await == 1
    }

    /// Adds a bot with the command `waviro bot add`, as an operator does.
    pub async fn add_bot(&self, name: &str) -> Bot {
        let output = self.command(&["bot", "add", name]).output().await;
        let output = output.expect("waviro bot add runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{output:?}");
        let key = text
            .split_whitespace()
            .find(|word| {
                word.len() >= 43
                    && word
                        .bytes()
                        .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            })
            .unwrap_or_else(|| panic_with(&format!("no key in: {text}")));
        self.bot(key)
    }

    /// Runs `waviro doctor` and returns the lines of the report.
    pub async fn doctor(&self) -> Vec<String> {
        let output = self.command(&["doctor"]).output().await;
        let output = output.expect("waviro doctor runs");
        let report = String::from_utf8_lossy(&output.stdout);
        report.lines().map(ToOwned::to_owned).collect()
    }

    /// Creates an admin token with the command `waviro token add`, as an operator does.
    pub async fn admin(&self) -> Admin {
        let name = format!("ops-{}", free_port());
        let output = self.command(&["token", "add", &name]).output().await;
        let output = output.expect("waviro token add runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{output:?}");
        let token = text
            .split_whitespace()
            .find(|word| word.starts_with("wvt_"))
            .unwrap_or_else(|| panic_with(&format!("no token in: {text}")));
        Admin {
            http: self.http.clone(),
            url: self.url(),
            token: token.to_owned(),
        }
    }

    /// Returns the bot with this SecretKey.
    #[must_use]
    pub fn bot(&self, key: &str) -> Bot {
        Bot {
            key: key.to_owned(),
            http: self.http.clone(),
            url: self.url(),
        }
    }

    /// Adds a bot and links the bot to `phone` by QR code.
    pub async fn linked_bot(&self, name: &str, phone: &Phone) -> Bot {
        let bot = self.add_bot(name).await;
        bot.link(phone).await;
        bot
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.arg("--config").arg(self.config_path());
        command.args(arguments);
        command
    }

    fn config_path(&self) -> PathBuf {
        self.folder.path().join("waviro.toml")
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("gateway.log")
    }
}

/// Returns the path in `E2E_GATEWAY`, otherwise builds the gateway as for a release.
fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        #[expect(clippy::disallowed_methods, reason = "tests have no configuration")]
        let given = std::env::var("E2E_GATEWAY");
        given.map_or_else(|_| crate::package_binary("waviro"), PathBuf::from)
    })
}

/// Returns the path in `E2E_TORTURE_GATEWAY`, otherwise builds the binary whose moments and bugs
/// can be switched on.
fn torture_binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        #[expect(clippy::disallowed_methods, reason = "tests have no configuration")]
        let given = std::env::var("E2E_TORTURE_GATEWAY");
        given.map_or_else(|_| crate::torture_binary(), PathBuf::from)
    })
}

/// Returns a port that was free a moment ago.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}

/// Returns an HTTP client for loopback.
#[must_use]
pub fn http_client() -> reqwest::Client {
    // rustls needs a provider for the process even without TLS here; another test may already have
    // installed the same provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .timeout(Duration::from_mins(1))
        .no_proxy()
        // A test must see the redirect itself.
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .expect("an HTTP client")
}

#[expect(clippy::panic, reason = "this is how a test fails")]
fn panic_with(message: &str) -> ! {
    panic!("{message}")
}
