//! `waviro bot`

use super::key_in;
use super::process::{Folder, done, failed, free_address};
use crate::wire::{post, raw};

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
