//! Tests the store's contract on a temporary PostgreSQL server.

use std::path::{Path, PathBuf};
use std::process::Command;

use waviro_store::Store;

use crate::causes::texts_of_an_older_release_get_their_codes;
use crate::store::{counts_as_the_rows_do, keeps_its_contract};

/// A running server, stopped on drop.
struct Server {
    bin: PathBuf,
    folder: tempfile::TempDir,
    port: u16,
}

impl Server {
    fn start() -> Self {
        let bin =
            bin().expect("no PostgreSQL here: apt-get install postgresql, or run scripts/test");
        let folder = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let server = Self { bin, folder, port };
        if is_root() {
            // PostgreSQL refuses to run as root.
            assert!(
                Command::new("chown")
                    .arg("postgres")
                    .arg(server.folder.path())
                    .status()
                    .unwrap()
                    .success()
            );
        }
        server.run(
            "initdb",
            &["-A", "trust", "-U", "postgres", "-D", &server.data()],
        );
        let options = format!(
            "-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={} -c fsync=off",
            server.folder.path().display()
        );
        let log = server.folder.path().join("log").display().to_string();
        server.run(
            "pg_ctl",
            &[
                "-w",
                "-D",
                &server.data(),
                "-o",
                &options,
                "-l",
                &log,
                "start",
            ],
        );
        server
    }

    fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    fn data(&self) -> String {
        self.folder.path().join("data").display().to_string()
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let path = self.bin.join(program);
        let mut command = if is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(path);
            command
        } else {
            Command::new(path)
        };
        let output = command
            .args(arguments)
            .current_dir(self.folder.path())
            .stdin(std::process::Stdio::null());
        // A server started by pg_ctl keeps inherited pipes open, so its output goes to /dev/null.
        let status = output
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .status();
        assert!(status.unwrap().success(), "{program}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.run("pg_ctl", &["-D", &self.data(), "-m", "immediate", "stop"]);
    }
}

fn bin() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut folders: Vec<PathBuf> = versions
        .flatten()
        .map(|version| version.path().join("bin"))
        .collect();
    folders.push(Path::new("/usr/bin").to_owned());
    folders
        .into_iter()
        .find(|folder| folder.join("initdb").exists())
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout == b"0\n"
}

#[tokio::test]
async fn texts_of_an_older_release_get_their_codes_on_postgresql() {
    let server = Server::start();
    texts_of_an_older_release_get_their_codes(&server.url()).await;
}

#[tokio::test]
async fn the_store_keeps_its_contract_on_postgresql() {
    let server = Server::start();
    let store = Store::open(&server.url()).await.unwrap();
    keeps_its_contract(&store).await;
    counts_as_the_rows_do(&store, &server.url()).await;
    store.close().await;
}
