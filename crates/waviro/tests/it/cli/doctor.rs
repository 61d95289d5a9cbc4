//! `waviro doctor`

use super::process::{Folder, free_address};

#[test]
fn a_healthy_gateway_has_good_lines_alone() {
    let folder = Folder::new();
    let whatsapp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    folder.configure(&format!(
        "server.listen = \"{}\"\n[whatsapp]\nurl = \"ws://{}/ws/chat\"\nserver_key = \"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"\n",
        free_address(),
        whatsapp.local_addr().unwrap()
    ));
    let report = folder.ok(&["doctor"]);
    for check in ["port", "metrics", "data", "database", "clock", "whatsapp"] {
        let line = report.lines().find(|line| line[6..].starts_with(check));
        assert!(
            line.is_some_and(|line| line.starts_with("OK ") || line.starts_with("WARN")),
            "{check}: {report}"
        );
    }
}

#[test]
fn a_database_is_looked_at_and_left_as_it_is() {
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
    assert!(line().contains("the first start makes it"), "{}", line());
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
fn what_is_wrong_fails_and_says_what_to_do() {
    let folder = Folder::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = free_address();
    folder.configure(&format!(
        "server.listen = \"{}\"\n[whatsapp]\nurl = \"ws://{closed}/ws/chat\"\nserver_key = \"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"\n",
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
        let line = report
            .lines()
            .find(|line| line[6..].starts_with(check))
            .unwrap();
        assert!(
            line.starts_with("FAIL") && line.contains(says),
            "{check}: {report}"
        );
    }
}
