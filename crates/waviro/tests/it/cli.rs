//! The command line, tested with the real binary.

mod bot;
#[cfg(feature = "sandbox")]
mod conform;
mod doctor;
mod log;
mod process;
#[cfg(feature = "sandbox")]
mod sandbox;
mod serve;
mod token;
mod user;

use std::time::Duration;

use process::{Folder, free_address, terminate};

use crate::wire::{post, raw};

/// Finds a SecretKey in the text: 256 bits in hex.
fn key_in(text: &str) -> String {
    let words = text.split_whitespace();
    let key = words
        .into_iter()
        .find(|word| word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit()));
    key.unwrap_or_else(|| panic!("no key in: {text}"))
        .to_owned()
}

#[test]
#[cfg(feature = "sandbox")]
fn the_help_says_what_there_is() {
    insta::assert_snapshot!(waviro::cli::help());
}

#[test]
fn keys_and_messages_are_readable_by_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    folder.ok(&["migrate"]);
    let mode = |path: &str| {
        std::fs::metadata(folder.path().join(path))
            .unwrap()
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!((mode("data"), mode("data/waviro.db")), (0o700, 0o600));
}

#[tokio::test]
async fn the_request_log_shows_which_bodies_are_not_strict_json() {
    let folder = Folder::new();
    let address = free_address();
    let mut gateway = folder.serve(address);
    gateway.ready(address).await;
    let key = key_in(&folder.ok(&["bot", "add", "toko"]));
    for body in [
        r#"{"nohp":"6282386000001"}"#,
        r#"{"nohp":"6282386000001",}"#,
        "nohp=6282386000001",
    ] {
        let answer = raw(address, &post("/api/checknumber", &key, body)).await;
        assert!(answer.contains("not_connected"), "{answer}");
    }
    let log = gateway.stop().await;
    let lines: Vec<_> = log
        .lines()
        .filter(|line| line.contains("not strict JSON"))
        .collect();
    assert_eq!(lines.len(), 2, "{log}");
    for (line, word) in lines.iter().zip(["tolerant", "form"]) {
        assert!(line.contains(word) && line.contains("toko"), "{line}");
    }
    assert!(!log.contains("6282386000001"), "{log}");
}

#[tokio::test]
async fn sigterm_ends_a_gateway_within_five_seconds_and_in_order() {
    let folder = Folder::new();
    let address = free_address();
    let mut gateway = folder.serve(address);
    gateway.ready(address).await;
    let began = tokio::time::Instant::now();
    let log = gateway.stop().await;
    assert!(began.elapsed() < Duration::from_secs(5), "{log}");
    assert!(
        log.contains("stopping") && log.contains("gateway stopped"),
        "{log}"
    );
}

#[tokio::test]
async fn a_port_in_use_is_reported_with_the_flag_that_changes_it() {
    let folder = Folder::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let failure = folder.fails(&["serve", "--listen", &address]);
    assert!(
        failure.contains(&address) && failure.contains("--listen"),
        "{failure}"
    );
}

#[test]
fn a_wrong_setting_names_key_source_and_a_good_value() {
    let folder = Folder::new();
    folder.configure("server.lissten = \"127.0.0.1:1\"\n");
    let unknown = folder.fails(&["bot", "list"]);
    assert!(
        unknown.contains("server.lissten: unknown key (from ") && unknown.contains("waviro.toml"),
        "{unknown}"
    );
    folder.configure("");
    let wrong = folder.fails_with(&["bot", "list"], ("WAVIRO_OUTBOUND__TIMEOUT_S", "soon"));
    assert!(wrong.contains("outbound.timeout_s: `soon`"), "{wrong}");
    assert!(
        wrong.contains("WAVIRO_OUTBOUND__TIMEOUT_S") && wrong.contains("a good value: 15"),
        "{wrong}"
    );
    let flag = folder.fails(&["serve", "--listen", "nine"]);
    assert!(
        flag.contains("server.listen") && flag.contains("the flag --listen"),
        "{flag}"
    );
    let missing = folder.fails(&["--config", "nothing.toml", "bot", "list"]);
    assert!(
        missing.contains("nothing.toml") && missing.contains("--config"),
        "{missing}"
    );
}

#[test]
fn links_to_files_are_revoked_by_one_command() {
    let folder = Folder::new();
    let nothing = folder.ok(&["media", "rotate"]);
    assert!(nothing.contains("No links yet"), "{nothing}");
    assert!(!folder.path().join("data").exists(), "nothing was made");
    folder.ok(&["migrate"]);
    let revoked = folder.ok(&["media", "rotate"]);
    assert!(revoked.contains("are revoked"), "{revoked}");
}

#[test]
fn a_database_on_another_machine_gets_no_password_without_a_proof() {
    let folder = Folder::new();
    // The test opens no connection: the address is reserved for documentation.
    let cases = [
        ("?sslmode=disable", ""),
        ("?sslmode=prefer", ""),
        ("?sslmode=require", ""),
        ("?sslmode=verify-ca&sslrootcert=own.pem", ""),
        ("", "disable"),
        ("", "prefer"),
        ("?sslrootcert=own.pem", "require"),
    ];
    for (query, environment) in cases {
        let url = format!("postgres://me:rahasia@192.0.2.1/waviro{query}");
        for command in ["migrate", "doctor", "serve"] {
            let mut command = folder.command(&[command]);
            command
                .env("WAVIRO_DATABASE__URL", &url)
                .env("WAVIRO_SERVER__LISTEN", "127.0.0.1:0")
                .env("PGSSLMODE", environment);
            let output = command.output().unwrap();
            let said = format!("{output:?}");
            assert_eq!(output.status.code(), Some(1), "{said}");
            assert!(said.contains("verify-full"), "{said}");
            assert!(said.contains("192.0.2.1"), "{said}");
            assert!(!said.contains("rahasia"), "{said}");
        }
    }
}

#[test]
fn whatsapp_itself_is_never_pinned_and_a_key_that_proves_nothing_is_none() {
    let folder = Folder::new();
    let address = free_address().to_string();
    let key = "CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=";
    let zero = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    for (url, key, says) in [
        (
            "wss://web.whatsapp.com./ws/chat",
            key,
            "WhatsApp's own server",
        ),
        (
            "wss://WEB.WhatsApp.com:443/ws/chat",
            key,
            "WhatsApp's own server",
        ),
        (
            "wss://web.whatsapp.com@127.0.0.1:9/ws/chat",
            key,
            "user name",
        ),
        ("ws://127.0.0.1:9/ws/chat", zero, "not a usable key"),
    ] {
        folder.configure(&format!(
            "whatsapp.url = \"{url}\"\nwhatsapp.server_key = \"{key}\"\n"
        ));
        let refused = folder.fails(&["serve", "--listen", &address]);
        assert!(refused.contains(says), "{url} {refused}");
    }
}

#[test]
fn an_endpoint_without_tls_or_without_its_key_is_not_dialled() {
    let folder = Folder::new();
    folder.configure("whatsapp.url = \"ws://192.0.2.1/ws/chat\"\n");
    let address = free_address().to_string();
    let plain = folder.fails(&["serve", "--listen", &address]);
    assert!(plain.contains("wss://"), "{plain}");
    folder.configure("whatsapp.url = \"ws://127.0.0.1:9/ws/chat\"\n");
    let unpinned = folder.fails(&["serve", "--listen", &address]);
    assert!(unpinned.contains("whatsapp.server_key"), "{unpinned}");
}

#[test]
fn a_second_signal_ends_at_once() {
    // A stop after the first signal takes well below a second here, so both signals are sent before
    // the end.
    let folder = Folder::new();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let address = free_address();
        let mut gateway = folder.serve(address);
        gateway.ready(address).await;
        terminate(gateway.id());
        terminate(gateway.id());
        let status = gateway.ended().await;
        assert!(matches!(status.code(), Some(0 | 130)), "{status:?}");
    });
}
