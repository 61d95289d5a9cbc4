//! The command line, through the real binary.

#[cfg(feature = "sandbox")]
mod conform;
mod doctor;
mod process;
#[cfg(feature = "sandbox")]
mod sandbox;

use std::time::Duration;

use process::{Folder, free_address, terminate};

use crate::wire::{post, raw};

/// 256 bits in hex: what a SecretKey looks like.
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
    folder.ok(&["bot", "remove", "toko"]);
    assert!(
        folder
            .fails(&["bot", "remove", "toko"])
            .contains("no bot of that name")
    );
    folder.ok(&["bot", "add", "toko"]);
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
    folder.ok(&["bot", "remove", "toko"]);
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
async fn a_taken_port_names_the_flag_that_changes_it() {
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
        unknown.contains("server.lissten: no such key (from ") && unknown.contains("waviro.toml"),
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
    // The first signal's stop takes well below a second here, so both are sent before it can end.
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
