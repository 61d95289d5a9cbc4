//! Monitoring and stopping a gateway, tested with the real binary.

use std::net::SocketAddr;
use std::process::Command;

use super::process::{Folder, PINNED, Process, free_address};
use crate::wire::raw;

pub async fn get(address: SocketAddr, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
    raw(address, request).await
}

fn signal(process: &Process, name: &str) {
    let id = process.id().to_string();
    let sent = Command::new("kill").args([name, &id]).status();
    assert!(sent.unwrap().success());
}

/// Starts `waviro serve` with the SIGHUP setting from the `env` option `hangup`, independent of the
/// setting of the test process.
fn serve_with_hangup(folder: &Folder, hangup: &str, address: SocketAddr) -> Process {
    let serve = folder.command(&["serve", "--listen", &address.to_string()]);
    let mut command = Command::new("env");
    command.arg(hangup).arg(serve.get_program());
    command.args(serve.get_args()).current_dir(folder.path());
    folder.start_command(command, None)
}

#[tokio::test]
async fn sighup_ends_a_gateway_as_gracefully_as_sigterm() {
    let (folder, address) = (Folder::new(), free_address());
    let mut gateway = serve_with_hangup(&folder, "--default-signal=HUP", address);
    gateway.ready(address).await;
    signal(&gateway, "-HUP");
    let status = gateway.ended().await;
    assert!(status.success(), "{status:?} {}", gateway.log());
    let log = gateway.log();
    assert!(
        log.contains("SIGHUP") && log.contains("gateway stopped"),
        "{log}"
    );
}

#[tokio::test]
async fn a_gateway_under_nohup_outlives_its_terminal() {
    let (folder, address) = (Folder::new(), free_address());
    let mut gateway = serve_with_hangup(&folder, "--ignore-signal=HUP", address);
    gateway.ready(address).await;
    signal(&gateway, "-HUP");
    gateway.ready(address).await;
    let log = gateway.stop().await;
    assert!(!log.contains("SIGHUP") && log.contains("SIGTERM"), "{log}");
}

#[tokio::test]
async fn a_log_file_that_reaches_the_limit_of_file_sizes_does_not_end_the_gateway() {
    const LIMIT: u64 = 64 * 1024 * 1024;
    let (folder, address) = (Folder::new(), free_address());
    let log = folder.path().join("large.log");
    std::fs::File::create(&log).unwrap().set_len(LIMIT).unwrap();
    let serve = folder.command(&["serve", "--listen", &address.to_string()]);
    let mut command = Command::new("bash");
    // ulimit counts in units of 1,024 bytes.
    let script = format!("ulimit -f {}; exec \"$@\" 2>>large.log", LIMIT / 1024);
    command
        .args(["-c", &script, "bash"])
        .arg(serve.get_program());
    command.args(serve.get_args()).current_dir(folder.path());
    let mut gateway = folder.start_command(command, None);
    gateway.ready(address).await;
    gateway.stop().await;
    assert_eq!(std::fs::metadata(log).unwrap().len(), LIMIT);
}

#[tokio::test]
async fn the_metrics_are_served_on_their_own_address_and_nowhere_else() {
    let (folder, address, metrics) = (Folder::new(), free_address(), free_address());
    let mut gateway = folder.serve(address);
    gateway.ready(address).await;
    let answer = get(address, "/metrics").await;
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    assert!(answer.contains("server.metrics_listen"), "{answer}");
    gateway.stop().await;

    folder.configure(&format!("server.metrics_listen = \"{metrics}\"\n{PINNED}"));
    let mut gateway = folder.serve(address);
    gateway.ready(address).await;
    gateway.ready(metrics).await;
    let answer = get(metrics, "/metrics").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("waviro_store_commits_total"), "{answer}");
    assert!(
        get(metrics, "/api/sendwa")
            .await
            .starts_with("HTTP/1.1 404")
    );
    assert!(get(metrics, "/v1/bots").await.starts_with("HTTP/1.1 404"));
    assert!(get(address, "/metrics").await.starts_with("HTTP/1.1 404"));
    gateway.stop().await;
}

#[tokio::test]
async fn an_operator_may_serve_the_metrics_beside_the_api() {
    let (folder, address) = (Folder::new(), free_address());
    folder.configure(&format!("server.metrics_listen = \"{address}\"\n{PINNED}"));
    let mut gateway = folder.serve(address);
    gateway.ready(address).await;
    let answer = get(address, "/metrics").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    gateway.stop().await;
}

#[tokio::test]
async fn a_metrics_address_in_use_is_reported_with_its_key() {
    let folder = Folder::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let listen = free_address().to_string();
    let said = folder.fails(&["serve", "--listen", &listen, "--metrics-listen", &taken]);
    assert!(
        said.contains(&taken) && said.contains("server.metrics_listen"),
        "{said}"
    );
}

#[cfg(unix)]
#[tokio::test]
async fn files_that_others_could_read_are_the_owners_alone_after_the_start() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, address) = (Folder::new(), free_address());
    folder.ok(&["migrate"]);
    let data = folder.path().join("data");
    for name in ["links/deep", "media", "spool"] {
        std::fs::create_dir_all(data.join(name)).unwrap();
    }
    let files = [
        "links/1.db",
        "links/deep/file",
        "waviro.db.before",
        "links.txt",
    ];
    for name in files {
        std::fs::write(data.join(name), "x").unwrap();
    }
    // The target of a symbolic link does not belong to the gateway.
    let elsewhere = folder.path().join("elsewhere");
    std::fs::write(&elsewhere, "x").unwrap();
    std::os::unix::fs::symlink(&elsewhere, data.join("links/a-link")).unwrap();
    let set = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let all = ["", "waviro.db", "links", "media", "links/deep", "spool"];
    for name in all.iter().chain(&files) {
        let path = data.join(name);
        set(&path, if path.is_dir() { 0o755 } else { 0o644 });
    }
    set(&elsewhere, 0o644);
    // The doctor may find other faults: no WhatsApp server listens.
    let doctor = || {
        let output = folder.command(&["doctor"]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let report = doctor();
    let line = report.lines().find(|line| line[6..].starts_with("files"));
    let line = line.unwrap_or_else(|| panic!("{report}"));
    assert!(
        line.starts_with("WARN") && line.contains("10 are readable by other users"),
        "{line}"
    );

    let mut gateway = folder.serve(address);
    gateway.ready(address).await;
    let mode =
        |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for name in ["links", "media", "links/deep", "spool"] {
        assert_eq!(mode(&data.join(name)), 0o700, "{name}");
    }
    for name in [
        "waviro.db",
        "links/1.db",
        "links/deep/file",
        "waviro.db.before",
    ] {
        assert_eq!(mode(&data.join(name)), 0o600, "{name}");
    }
    assert_eq!(mode(&elsewhere), 0o644);
    // The gateway must not change a file of another program, or the folder of such a file: other
    // users may need access.
    assert_eq!((mode(&data.join("links.txt")), mode(&data)), (0o644, 0o755));
    let log = gateway.stop().await;
    assert!(log.contains("files=8") && log.contains("files=2"), "{log}");

    std::fs::remove_file(data.join("links.txt")).unwrap();
    let mut gateway = folder.serve(address);
    gateway.ready(address).await;
    assert_eq!(mode(&data), 0o700);
    let log = gateway.stop().await;
    assert!(log.contains("files=1"), "{log}");
    let report = doctor();
    assert!(report.contains("no other user of this machine"), "{report}");
}
