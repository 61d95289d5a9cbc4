//! `waviro conform` as used by people: the binary tests the sandbox over the real protocol, and the
//! test checks the phone.

use std::process::Output;

use serde_json::Value;

use super::key_in;
use super::process::{Folder, done, failed, free_address};
use super::sandbox::Sandbox;

const ANI: &str = "6281200000002";

/// Returns the required arguments.
fn arguments(url: &str, ready: &Value) -> Vec<String> {
    let key = ready["bots"][0]["secret_key"].as_str().unwrap();
    let group = ready["groups"][0]["groupid"].as_str().unwrap();
    [
        "conform", "--url", url, "--key", key, "--to", ANI, "--group", group,
    ]
    .map(ToOwned::to_owned)
    .to_vec()
}

fn run(folder: &Folder, arguments: &[String], more: &[&str]) -> Output {
    let mut all: Vec<&str> = arguments.iter().map(String::as_str).collect();
    all.extend(more);
    folder.command(&all).output().unwrap()
}

/// Checks that the phone shows the message reported by the suite.
fn assert_shown(shown: &Value, sent: &Value) {
    let text = |field: &str| shown[field].as_str().unwrap_or_default();
    match sent["kind"].as_str().unwrap() {
        "text" => {
            assert_eq!(text("kind"), "text", "{shown}");
            assert_eq!(shown["text"], sent["text"]);
        }
        "media" => {
            assert_eq!(shown["kind"], sent["media"], "{shown}");
            assert_eq!(shown["sha256"], sent["sha256"], "{shown}");
            assert_eq!(shown["size"], sent["size"], "{shown}");
            assert_eq!(text("text"), sent["caption"], "{shown}");
        }
        "location" => {
            assert_eq!(text("kind"), "location", "{shown}");
            assert_eq!(shown["latitude"], sent["latitude"], "{shown}");
            assert_eq!(shown["longitude"], sent["longitude"], "{shown}");
            assert_eq!(text("name"), sent["name"], "{shown}");
        }
        "contact" => {
            assert_eq!(text("kind"), "contact", "{shown}");
            assert_eq!(shown["display_name"], sent["name"], "{shown}");
            for number in sent["numbers"].as_array().unwrap() {
                let number = number.as_str().unwrap();
                let waid = format!("waid={number}:+{number}\n");
                assert!(text("vcard").contains(&waid), "{shown}");
            }
            assert_eq!(
                text("vcard").matches("waid=").count(),
                sent["numbers"].as_array().unwrap().len()
            );
        }
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn the_sandbox_passes_and_every_message_is_on_the_phone_as_it_was_sent() {
    let folder = Folder::new();
    let (mut sandbox, ready) = Sandbox::json(&folder, &["--data", "kept"]).await;
    let unlinked = key_in(&folder.ok(&["--data-dir", "kept/gateway", "bot", "add", "cadangan"]));
    let arguments = arguments(&sandbox.url(), &ready);
    let files = ["--junit", "conform.xml", "--json", "conform.json"];
    let output = run(
        &folder,
        &arguments,
        &[&["--unlinked-key", unlinked.as_str()], &files[..]].concat(),
    );
    let table = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{table}");
    assert!(table.contains(" passed, 0 failed, 0 skipped, "), "{table}");

    let report = std::fs::read_to_string(folder.path().join("conform.json")).unwrap();
    let report: Value = serde_json::from_str(&report).unwrap();
    let sent = report["sent"].as_array().unwrap();
    assert!(sent.len() > 40, "{}", sent.len());
    for one in sent {
        let id = one["id"].as_str().unwrap();
        let shown = sandbox.message(ANI, id).await;
        assert_shown(&shown, one);
        let group = one["to"].as_str().unwrap().strip_suffix("@g.us");
        let chat = group.unwrap_or(ready["bots"][0]["number"].as_str().unwrap());
        assert_eq!(shown["chat"], chat, "{shown}");
        assert_eq!(shown["from"], ready["bots"][0]["number"], "{shown}");
    }

    let junit = std::fs::read_to_string(folder.path().join("conform.xml")).unwrap();
    let checks = report["checks"].as_array().unwrap().len();
    assert_eq!(junit.matches("<testcase ").count(), checks, "{junit}");
    assert!(junit.contains("failures=\"0\""), "{junit}");
    sandbox.stop().await;
}

#[tokio::test]
async fn a_failed_check_ends_with_1_and_a_run_without_checks_with_2() {
    let folder = Folder::new();
    let (sandbox, ready) = Sandbox::json(&folder, &[]).await;
    let one = arguments(&sandbox.url(), &ready);
    // The operator gives a number as unregistered, but the number is on WhatsApp.
    let wrong_nobody = [
        "--nobody",
        "6281200000003",
        "--only",
        "text.not-on",
        "--junit",
        "bad.xml",
    ];
    let output = run(&folder, &one, &wrong_nobody);
    let table = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{table}");
    for part in [
        "FAIL  text.not-on-whatsapp",
        "got 200",
        "0 passed, 1 failed",
        "promised by the document",
    ] {
        assert!(table.contains(part), "{part} in {table}");
    }
    let junit = std::fs::read_to_string(folder.path().join("bad.xml")).unwrap();
    assert!(
        junit.contains("failures=\"1\"") && junit.contains("got 200"),
        "{junit}"
    );
    let nowhere = arguments(&format!("http://{}", free_address()), &ready);
    let output = run(&folder, &nowhere, &[]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("no answer") && !said.contains(&one[4]),
        "{said}"
    );
    sandbox.stop().await;
}

#[tokio::test]
async fn keys_come_from_the_environment_or_stdin_so_that_no_process_sees_them() {
    let folder = Folder::new();
    let (sandbox, ready) = Sandbox::json(&folder, &[]).await;
    let all = arguments(&sandbox.url(), &ready);
    let (key, others) = (all[4].as_str(), [&all[..3], &all[5..]].concat());
    let others: Vec<&str> = others.iter().map(String::as_str).collect();
    let others = [&others[..], &["--only", "text.not-on"]].concat();
    let environment = folder
        .command(&others)
        .env("WAVIRO_CONFORM_KEY", key)
        .output()
        .unwrap();
    assert!(done(&environment).contains("1 passed"), "{environment:?}");
    let stdin = [&others[..], &["--key", "-"]].concat();
    let stdin = folder.run_with_stdin(&stdin, &format!("{key}\n"));
    assert!(done(&stdin).contains("1 passed"), "{stdin:?}");
    let both = [&others[..], &["--key", "-", "--unlinked-key", "-"]].concat();
    let one = failed(&folder.run_with_stdin(&both, &format!("{key}\n")));
    assert!(one.contains("unlinked bot was given on stdin"), "{one}");
    // The variables are not configuration keys, and the help does not show the values.
    let list = folder
        .command(&["bot", "list"])
        .env("WAVIRO_CONFORM_KEY", key)
        .env("WAVIRO_CONFORM_UNLINKED_KEY", key)
        .output()
        .unwrap();
    done(&list);
    let help = folder
        .command(&["conform", "--help"])
        .env("WAVIRO_CONFORM_KEY", key)
        .output()
        .unwrap();
    assert!(!done(&help).contains(key), "{help:?}");
    sandbox.stop().await;
}

#[test]
fn the_list_names_every_check_and_the_origin_of_its_promise() {
    let list = Folder::new().ok(&["conform", "--list"]);
    assert_eq!(list.lines().count(), waviro_conform::checks().len());
    assert!(
        list.contains("text.sample ") && list.contains(" document "),
        "{list}"
    );
}
