//! Runs the binary in a separate folder for each test.

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use tokio::process::Child;
use waviro_store::clock::Clock;

use crate::wire::raw;

const BINARY: &str = env!("CARGO_BIN_EXE_waviro");

/// The configuration of a simulator's key. No server listens on this port.
pub const PINNED: &str = "whatsapp.url = \"ws://127.0.0.1:9/ws/chat\"\n\
                      whatsapp.server_key = \"CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=\"\n";

/// Expects success and returns the output.
pub fn done(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Expects exit code 1 and returns the error output.
pub fn failed(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub struct Folder(tempfile::TempDir);

impl Folder {
    pub fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.configure(PINNED);
        folder
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes `waviro.toml`.
    pub fn configure(&self, text: &str) {
        std::fs::write(
            self.path().join("waviro.toml"),
            format!("data_dir = \"data\"\n{text}"),
        )
        .unwrap();
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command
            .args(arguments)
            .current_dir(self.path())
            .stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs the command, expects success and returns the output.
    pub fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs the command, expects a failure and returns the error output.
    pub fn fails(&self, arguments: &[&str]) -> String {
        failed(&self.run(arguments))
    }

    /// Runs the command with `typed` on stdin.
    pub fn run_with_stdin(&self, arguments: &[&str], typed: &str) -> Output {
        let mut command = self.command(arguments);
        let command = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // A command that refuses before reading has already closed stdin.
        let _ = stdin.write_all(typed.as_bytes());
        drop(stdin);
        child.wait_with_output().unwrap()
    }

    pub fn fails_with(&self, arguments: &[&str], (name, value): (&str, &str)) -> String {
        failed(&self.command(arguments).env(name, value).output().unwrap())
    }

    /// Starts `waviro serve` with the log in a file.
    pub fn serve(&self, address: SocketAddr) -> Process {
        self.start(&["serve", "--listen", &address.to_string()])
    }

    /// Starts a long-running command.
    pub fn start(&self, arguments: &[&str]) -> Process {
        self.start_command(self.command(arguments), None)
    }

    /// Starts `waviro serve` with the given stdout and stderr.
    pub fn serve_into(&self, address: SocketAddr, (out, err): (Stdio, Stdio)) -> Process {
        let command = self.command(&["serve", "--listen", &address.to_string()]);
        self.start_command(command, Some((out, err)))
    }

    /// Starts a prepared command; `into` replaces the output files.
    pub fn start_command(&self, command: Command, into: Option<(Stdio, Stdio)>) -> Process {
        let log = tempfile::NamedTempFile::new_in(self.path()).unwrap();
        let out = tempfile::NamedTempFile::new_in(self.path()).unwrap();
        let (stdout, stderr) = into.unwrap_or_else(|| {
            let (out, log) = (out.reopen().unwrap(), log.reopen().unwrap());
            (out.into(), log.into())
        });
        let mut command = tokio::process::Command::from(command);
        command.stderr(stderr).stdout(stdout).kill_on_drop(true);
        Process {
            child: command.spawn().unwrap(),
            log,
            out,
        }
    }
}

/// A process that is killed on drop.
pub struct Process {
    child: Child,
    log: tempfile::NamedTempFile,
    #[cfg_attr(
        not(feature = "sandbox"),
        expect(dead_code, reason = "only the sandbox prints what a test reads")
    )]
    out: tempfile::NamedTempFile,
}

impl Process {
    pub fn id(&self) -> u32 {
        self.child.id().unwrap()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log.path()).unwrap()
    }

    /// The path of the file with the stdout.
    #[cfg(feature = "sandbox")]
    pub fn out_path(&self) -> std::path::PathBuf {
        self.out.path().to_owned()
    }

    /// Repeats `ask` until success, for at most 30 s and only while the process lives.
    pub async fn until<T>(
        &mut self,
        what: &str,
        mut ask: impl AsyncFnMut() -> Result<T, String>,
    ) -> T {
        let began = tokio::time::Instant::now();
        loop {
            let last = match ask().await {
                Ok(found) => return found,
                Err(last) => last,
            };
            let ended = self.child.try_wait().unwrap();
            assert!(
                ended.is_none(),
                "ended ({ended:?}) before {what}: {}",
                self.log()
            );
            assert!(
                began.elapsed() < Duration::from_secs(30),
                "waited for {what}; last: {last}; log: {}",
                self.log()
            );
            Clock::system().sleep(Duration::from_millis(20)).await;
        }
    }

    pub async fn ready(&mut self, address: SocketAddr) {
        self.until("the gateway to be ready", async || {
            if tokio::net::TcpStream::connect(address).await.is_err() {
                return Err("nobody listens".to_owned());
            }
            let answer = raw(
                address,
                "GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
            )
            .await;
            answer.contains("200 OK").then_some(()).ok_or(answer)
        })
        .await;
    }

    /// Sends SIGTERM, expects exit code 0 and returns the log.
    pub async fn stop(mut self) -> String {
        terminate(self.id());
        let status = self.ended().await;
        assert!(status.success(), "{status:?} {}", self.log());
        self.log()
    }

    pub async fn ended(&mut self) -> ExitStatus {
        let ended = tokio::time::timeout(Duration::from_secs(10), self.child.wait()).await;
        ended
            .unwrap_or_else(|_| panic!("does not end: {}", self.log()))
            .unwrap()
    }
}

pub fn terminate(id: u32) {
    assert!(
        Command::new("kill")
            .args(["-TERM", &id.to_string()])
            .status()
            .unwrap()
            .success()
    );
}

/// Returns an address that was free a moment ago.
pub fn free_address() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}
