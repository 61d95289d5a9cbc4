//! `waviro doctor`

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use wa_sim::Sim;

use super::process::{Folder, free_address};

#[test]
fn a_healthy_gateway_has_only_good_lines_and_each_step_of_the_dial_has_its_own() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let sim = runtime.block_on(Sim::start()).unwrap();
    let folder = Folder::new();
    configure(&folder, &sim.ws_url(), &STANDARD.encode(sim.server_key()));
    let report = folder.ok(&["doctor"]);
    for check in [
        "port",
        "metrics",
        "data",
        "database",
        "clock",
        "whatsapp  DNS: ",
        "whatsapp  TCP: ",
        "whatsapp  Upgrade: ",
        "whatsapp  Noise: ",
    ] {
        let line = report.lines().find(|line| line[6..].starts_with(check));
        assert!(
            line.is_some_and(|line| line.starts_with("OK ") || line.starts_with("WARN")),
            "{check}: {report}"
        );
    }
}

fn configure(folder: &Folder, url: &str, key: &str) {
    folder.configure(&format!(
        "server.listen = \"{}\"\n[whatsapp]\nurl = \"{url}\"\nserver_key = \"{key}\"\n",
        free_address(),
    ));
}

/// Runs `waviro doctor` with a failing WhatsApp check and returns the last line.
fn failed_step(folder: &Folder) -> String {
    let output = folder.command(&["doctor"]).output().unwrap();
    let report = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{report}");
    let last = report.lines().last().unwrap().to_owned();
    assert!(last.starts_with("FAIL  whatsapp  "), "{report}");
    last
}

#[test]
fn the_first_step_of_the_dial_that_fails_is_named_with_its_remedy() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let sim = runtime.block_on(Sim::start()).unwrap();
    let folder = Folder::new();
    let key = STANDARD.encode(sim.server_key());
    let (http, closed) = (sim.http_url(), free_address());
    let elsewhere = http.replace("http://", "ws://");
    for (url, key, step, remedy) in [
        (format!("ws://{closed}/ws/chat"), &*key, "TCP: ", "firewall"),
        (
            format!("wss://localhost:{closed}/ws/chat", closed = closed.port()),
            &*key,
            "TCP: ",
            "firewall",
        ),
        (
            format!("{elsewhere}/control/key"),
            &*key,
            "Upgrade: ",
            "whatsapp.url",
        ),
        (
            sim.ws_url(),
            "CQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            "Noise: ",
            "whatsapp.server_key",
        ),
    ] {
        configure(&folder, &url, key);
        let line = failed_step(&folder);
        assert!(
            line.contains(step) && line.contains(remedy),
            "{url}: {line}"
        );
    }
}

#[test]
fn the_doctor_reads_a_database_without_a_change() {
    let folder = Folder::new();
    let line = || {
        let output = folder.command(&["doctor"]).output().unwrap();
        let report = String::from_utf8(output.stdout).unwrap();
        let mut lines = report.lines();
        lines
            .find(|line| line.contains("database "))
            .unwrap()
            .to_owned()
    };
    assert!(line().contains("the first start creates it"), "{}", line());
    let file = folder.path().join("data/waviro.db");
    assert!(!file.exists());
    folder.ok(&["migrate"]);
    assert!(line().contains("up to date"), "{}", line());
    let version = |version: i64| {
        let url = format!("sqlite:{}", file.display());
        let change = format!(
            "UPDATE _sqlx_migrations SET version = {version} WHERE version = (SELECT MAX(version) FROM _sqlx_migrations)"
        );
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            use sqlx::{AssertSqlSafe, ConnectOptions, Executor};
            sqlx::any::install_default_drivers();
            let options: sqlx::any::AnyConnectOptions = url.parse().unwrap();
            let mut connection = options.connect().await.unwrap();
            connection.execute(AssertSqlSafe(change)).await.unwrap();
        });
    };
    version(1000);
    assert!(
        line().starts_with("FAIL") && line().contains("newer version"),
        "{}",
        line()
    );
    assert!(folder.fails(&["bot", "list"]).contains("newer version"));
}

#[test]
fn a_failed_check_of_the_doctor_says_what_to_do() {
    let folder = Folder::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = free_address();
    folder.configure(&format!(
        "server.listen = \"{}\"\n[whatsapp]\nurl = \"ws://{closed}/ws/chat\"\nserver_key = \"CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=\"\n",
        taken.local_addr().unwrap()
    ));
    std::fs::write(folder.path().join("data"), "in the way").unwrap();
    let output = folder.command(&["doctor"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let report = String::from_utf8(output.stdout).unwrap();
    for (check, says) in [
        ("port", "server.listen"),
        ("data", "data_dir"),
        ("database", "database.url"),
        ("whatsapp", "firewall"),
    ] {
        // In the steps of the connection, the last line is the failed step.
        let lines = report.lines();
        let line = lines.rev().find(|line| line[6..].starts_with(check));
        let line = line.unwrap();
        assert!(
            line.starts_with("FAIL") && line.contains(says),
            "{check}: {report}"
        );
    }
}
