//! The command line, tested with the real binary.

#[cfg(feature = "sandbox")]
mod conform;
mod doctor;
mod log;
mod process;
#[cfg(feature = "sandbox")]
mod sandbox;
mod serve;
mod user;

use std::net::SocketAddr;
use std::time::Duration;

use process::{Folder, done, failed, free_address, terminate};

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
fn a_bot_is_added_listed_rekeyed_and_removed() {
    let folder = Folder::new();
    assert!(folder.ok(&["bot", "list"]).contains("waviro bot add"));
    assert!(
        !folder.path().join("data").exists(),
        "looking makes nothing"
    );
    let added = folder.ok(&["bot", "add", "toko"]);
    let key = key_in(&added);
    assert!(added.contains("/api/getqr"), "{added}");
    assert_eq!(folder.ok(&["bot", "list"]), "toko  not linked\n");
    let rotated = key_in(&folder.ok(&["bot", "key", "toko"]));
    assert_ne!(key, rotated);
    assert!(
        folder
            .fails(&["bot", "add", "toko"])
            .contains("choose another name")
    );
    assert!(
        folder
            .fails(&["bot", "key", "tiko"])
            .contains("waviro bot list")
    );
    folder.ok(&["bot", "remove", "toko", "--yes"]);
    assert!(
        folder
            .fails(&["bot", "remove", "toko", "--yes"])
            .contains("no bot with this name")
    );
    folder.ok(&["bot", "add", "toko"]);
}

#[test]
fn a_bot_is_removed_once_its_name_is_typed_or_a_script_says_so() {
    let folder = Folder::new();
    folder.ok(&["bot", "add", "kafé"]);
    let remove = ["bot", "remove", "kafé"];
    for typed in ["", "\n", "kafe\n", "y\n"] {
        let refused = failed(&folder.run_with_stdin(&remove, typed));
        assert!(
            refused.contains("nothing was removed"),
            "{typed:?} {refused}"
        );
        assert!(refused.contains("--yes"), "{refused}");
    }
    assert!(folder.ok(&["bot", "list"]).contains("kafé"));
    let removed = done(&folder.run_with_stdin(&remove, " kafe\u{301} \r\n"));
    assert!(removed.contains("removed"), "{removed}");
    assert!(!folder.ok(&["bot", "list"]).contains("kafé"));
}

#[tokio::test]
async fn keys_of_another_host_are_imported_from_stdin_and_shown_nowhere() {
    let folder = Folder::new();
    let address = free_address();
    let mut gateway = folder.serve(address);
    gateway.ready(address).await;
    let (own, other) = ("k3Jx9QpLm2Zt7VbN4wRy", "A7f0Kd92LmQ81zXcV5pT");
    let keys = format!("{own}\r\nYourSecretWebhookKey\r\n");
    let add = [
        "bot",
        "add",
        "toko",
        "--secret-key",
        "-",
        "--webhook-key",
        "-",
    ];
    let added = done(&folder.run_with_stdin(&add, &keys));
    assert!(added.contains("YourSecretWebhookKey"), "{added}");
    assert!(!added.contains(own), "{added}");
    let ask = async |key: &str| {
        let body = r#"{"nohp":"6282386000001"}"#;
        raw(address, &post("/api/checknumber", key, body)).await
    };
    let answer = ask(own).await;
    assert!(answer.contains("not_connected"), "{answer}");
    let set = ["bot", "key", "toko", "--set", "-"];
    let set = done(&folder.run_with_stdin(&set, &format!("{other}\n")));
    assert!(
        set.contains("stops working") && !set.contains(other),
        "{set}"
    );
    let answer = ask(other).await;
    assert!(answer.contains("not_connected"), "{answer}");
    // Changing the webhook key leaves the SecretKey unchanged.
    let webhook = ["bot", "key", "toko", "--webhook-key", "-"];
    let webhook = done(&folder.run_with_stdin(&webhook, "satu lagi\n"));
    assert!(!webhook.contains("SecretKey"), "{webhook}");
    let answer = ask(other).await;
    assert!(answer.contains("not_connected"), "{answer}");
    for (arguments, typed, says) in [
        (
            ["bot", "add", "dua", "--secret-key", "-"],
            "",
            "no SecretKey was given on stdin",
        ),
        (
            ["bot", "add", "dua", "--secret-key", "-"],
            "pendek\n",
            "16 to 128 characters",
        ),
        (
            ["bot", "add", "dua", "--secret-key", "-"],
            "aaaaaaaaaaaaaaaaaaaa\n",
            "hard to guess",
        ),
        (
            ["bot", "add", "dua", "--secret-key", "-"],
            "A7f0Kd92LmQ81zXcV5pT\n",
            "another bot has this SecretKey",
        ),
        (
            ["bot", "add", "dua", "--secret-key", own],
            "",
            "can read an argument",
        ),
        (
            ["bot", "key", "toko", "--set", own],
            "",
            "can read an argument",
        ),
        (
            ["bot", "key", "toko", "--webhook-key", own],
            "",
            "can read an argument",
        ),
    ] {
        let refused = failed(&folder.run_with_stdin(&arguments, typed));
        assert!(refused.contains(says), "{arguments:?} {refused}");
        assert!(!refused.contains(own), "{refused}");
    }
    assert_eq!(folder.ok(&["bot", "list"]).lines().count(), 1);
    let log = gateway.stop().await;
    assert!(!log.contains(own) && !log.contains(other), "{log}");
}

#[test]
fn a_token_expires_at_the_time_given_on_the_command_line() {
    let folder = Folder::new();
    let made = folder.ok(&["token", "add", "magang", "--expires", "90d"]);
    assert!(made.contains(" until 20"), "{made}");
    folder.ok(&["token", "add", "tetap"]);
    let list = folder.ok(&["token", "list"]);
    let lines: Vec<_> = list.lines().collect();
    assert!(
        lines[0].starts_with("magang  admin  never used  expires 20"),
        "{list}"
    );
    assert_eq!(lines[1], "tetap  admin  never used");
    for (when, says) in [
        ("besok", "write a duration such as"),
        ("90", "write a duration such as"),
        ("0d", "not in the future"),
        ("2020-01-01", "not in the future"),
        ("11w", ""),
        ("2999-01-01", "more than ten years"),
    ] {
        let output = folder
            .command(&["token", "add", when, "--expires", when])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.success(), says.is_empty(), "{when} {said}");
        assert!(said.contains(says), "{when} {said}");
    }
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
async fn a_bot_made_while_the_gateway_runs_works_at_once_and_a_removed_one_soon_does_not() {
    let folder = Folder::new();
    let address = free_address();
    let mut gateway = folder.serve(address);
    gateway.ready(address).await;
    let key = key_in(&folder.ok(&["bot", "add", "toko"]));
    let body = r#"{"nohp":"6282386000001"}"#;
    let answer = raw(address, &post("/api/checknumber", &key, body)).await;
    assert!(answer.contains("not_connected"), "{answer}");
    folder.ok(&["bot", "remove", "toko", "--yes"]);
    gateway
        .until("the key to be dead", async || {
            let answer = raw(address, &post("/api/checknumber", &key, body)).await;
            answer
                .contains("invalid_secret_key")
                .then_some(())
                .ok_or(answer)
        })
        .await;
    let log = gateway.stop().await;
    assert!(!log.contains(&key), "{log}");
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

/// Finds a token in the text: `wvt_` and 64 hex digits.
fn token_in(text: &str) -> String {
    let found = text
        .split_whitespace()
        .find(|word| word.starts_with("wvt_"));
    let token = found.unwrap_or_else(|| panic!("no token in: {text}"));
    token.to_owned()
}

async fn bots_seen(address: SocketAddr, token: &str) -> String {
    let request = format!(
        "GET /v1/bots HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
    );
    raw(address, &request).await
}

#[tokio::test]
async fn a_token_is_made_listed_and_revoked_while_the_gateway_runs() {
    let folder = Folder::new();
    assert!(folder.ok(&["token", "list"]).contains("waviro token add"));
    assert!(
        !folder.path().join("data").exists(),
        "looking makes nothing"
    );
    let address = free_address();
    let mut gateway = folder.serve(address);
    gateway.ready(address).await;
    folder.ok(&["bot", "add", "toko"]);
    let made = folder.ok(&["token", "add", "panel"]);
    let (admin, ours) = (
        token_in(&made),
        token_in(&folder.ok(&["token", "add", "kasir", "--bot", "toko"])),
    );
    assert!(made.contains("curl") && made.contains("/v1/bots"), "{made}");
    let taken = folder.fails(&["token", "add", "panel"]);
    assert!(taken.contains("choose another name"), "{taken}");
    let nobody = folder.fails(&["token", "add", "x", "--bot", "tiko"]);
    assert!(nobody.contains("waviro bot list"), "{nobody}");
    for token in [&admin, &ours] {
        gateway
            .until("the token to see the bot", async || {
                let answer = bots_seen(address, token).await;
                (answer.contains("200 OK") && answer.contains("\"toko\""))
                    .then_some(())
                    .ok_or(answer)
            })
            .await;
    }
    let list = folder.ok(&["token", "list"]);
    let lines: Vec<_> = list.lines().collect();
    assert!(lines[0].starts_with("panel  admin  last used 20"), "{list}");
    assert!(
        lines[1].starts_with("kasir  bot toko  last used 20"),
        "{list}"
    );
    folder.ok(&["token", "revoke", "kasir"]);
    assert!(bots_seen(address, &ours).await.contains("401 Unauthorized"));
    assert!(bots_seen(address, &admin).await.contains("200 OK"));
    assert_eq!(folder.ok(&["token", "list"]).lines().count(), 1);
    let again = folder.fails(&["token", "revoke", "kasir"]);
    assert!(again.contains("waviro token list"), "{again}");
    let log = gateway.stop().await;
    for secret in [&admin, &ours] {
        assert!(!log.contains(secret.trim_start_matches("wvt_")), "{log}");
    }
}

#[tokio::test]
async fn a_key_replaced_with_an_overlap_goes_on_working_and_one_without_does_not() {
    let folder = Folder::new();
    let address = free_address();
    let old = key_in(&folder.ok(&["bot", "add", "toko"]));
    let mut gateway = folder.serve(address);
    gateway.ready(address).await;
    let ask = async |key: &str| {
        let body = r#"{"nohp":"6282386000001"}"#;
        raw(address, &post("/api/checknumber", key, body)).await
    };
    let rotated = folder.ok(&["bot", "key", "toko", "--overlap", "600"]);
    assert!(rotated.contains("600 s"), "{rotated}");
    let fresh = key_in(&rotated);
    for key in [&fresh, &old] {
        let answer = ask(key).await;
        assert!(answer.contains("not_connected"), "{answer}");
    }
    let last = key_in(&folder.ok(&["bot", "key", "toko"]));
    for key in [&fresh, &old] {
        gateway
            .until("the key to be dead", async || {
                let answer = ask(key).await;
                let dead = answer.contains("invalid_secret_key") || answer.contains("too_many");
                dead.then_some(()).ok_or(answer)
            })
            .await;
    }
    let answer = ask(&last).await;
    assert!(answer.contains("not_connected"), "{answer}");
    gateway.stop().await;
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
