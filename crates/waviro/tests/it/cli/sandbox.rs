//! `waviro sandbox`: the steps of a new user over the real protocol.

use std::net::SocketAddr;

use serde_json::Value;

use super::process::{Folder, Process, free_address};
use crate::wire::{post, raw};

/// A sandbox for one test.
pub struct Sandbox {
    process: Process,
    gateway: SocketAddr,
    sim: SocketAddr,
}

impl Sandbox {
    /// Starts a sandbox and waits for its data; also returns the output.
    async fn start(folder: &Folder, more: &[&str]) -> (Self, String) {
        let (gateway, sim) = (free_address(), free_address());
        let (listen, sim_address) = (gateway.to_string(), sim.to_string());
        let mut arguments = vec!["sandbox", "--listen", &listen, "--sim", &sim_address];
        arguments.extend(more);
        let mut process = folder.start(&arguments);
        let path = process.out_path();
        let ready = process.until("the sandbox to be ready", async || {
            let printed = std::fs::read_to_string(&path).unwrap();
            if printed.ends_with('\n') {
                Ok(printed)
            } else {
                Err(printed)
            }
        });
        let ready = ready.await;
        (
            Self {
                process,
                gateway,
                sim,
            },
            ready,
        )
    }

    pub async fn json(folder: &Folder, more: &[&str]) -> (Self, Value) {
        let mut arguments = vec!["--json"];
        arguments.extend(more);
        let (sandbox, line) = Self::start(folder, &arguments).await;
        assert_eq!(line.lines().count(), 1, "{line}");
        (sandbox, serde_json::from_str(&line).unwrap())
    }

    /// The base URL of the API.
    pub fn url(&self) -> String {
        format!("http://{}", self.gateway)
    }

    pub async fn stop(self) {
        self.process.stop().await;
    }

    /// Waits until the phone has the message with this id, and returns the message.
    pub async fn message(&mut self, number: &str, id: &str) -> Value {
        self.find(number, id, |message| message["id"] == id).await
    }

    async fn phone(&mut self, number: &str, text: &str) -> Value {
        let says = |message: &Value| {
            let shown = message["text"].as_str();
            shown.is_some_and(|shown| shown.starts_with(text))
        };
        self.find(number, text, says).await
    }

    async fn find(&mut self, number: &str, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        let (sim, path) = (self.sim, format!("/control/phones/{number}/messages"));
        self.process
            .until(&format!("{what} on the phone"), async || {
                let request =
                    format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
                let messages = body(&raw(sim, &request).await);
                let found = messages
                    .as_array()
                    .and_then(|all| all.iter().find(|message| is(message)));
                found.cloned().ok_or_else(|| messages.to_string())
            })
            .await
    }
}

/// Parses the JSON body of an HTTP answer.
fn body(answer: &str) -> Value {
    let (_, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    serde_json::from_str(body).unwrap_or_else(|_| panic!("no JSON: {answer}"))
}

#[tokio::test]
async fn the_printed_curl_line_sends_a_message_that_the_virtual_phone_shows() {
    let folder = Folder::new();
    let (mut sandbox, guide) = Sandbox::start(&folder, &[]).await;
    let lines: Vec<_> = guide
        .lines()
        .filter(|line| line.starts_with("curl"))
        .collect();
    let [line] = lines[..] else {
        panic!("exactly one line to paste: {guide}");
    };
    let output = std::process::Command::new("sh")
        .args(["-c", line])
        .output()
        .unwrap();
    let answer: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    assert_eq!(answer["success"], true, "{answer}");
    let shown = sandbox.phone("6281200000002", "Halo dari Waviro").await;
    assert_eq!(shown["id"], answer["message"]["id"]);
    sandbox.process.stop().await;
}

#[tokio::test]
async fn a_kept_sandbox_has_the_same_key_number_and_group_after_a_restart() {
    let folder = Folder::new();
    let (sandbox, first) = Sandbox::json(&folder, &["--data", "kept"]).await;
    assert_eq!(first["bots"][0]["name"], "toko");
    assert_eq!(first["phones"].as_array().unwrap().len(), 3);
    assert_eq!(first["groups"][0]["name"], "Pelanggan Toko");
    sandbox.process.stop().await;
    let (mut sandbox, second) = Sandbox::json(&folder, &["--data", "kept"]).await;
    for part in ["bots", "phones", "groups", "admin_token"] {
        assert_eq!(first[part], second[part]);
    }
    let key = second["bots"][0]["secret_key"].as_str().unwrap();
    let request = post(
        "/api/sendwa",
        key,
        r#"{"nohp":"6281200000003","pesan":"lagi"}"#,
    );
    assert_eq!(body(&raw(sandbox.gateway, &request).await)["success"], true);
    sandbox.phone("6281200000003", "lagi").await;
    sandbox.process.stop().await;
}

#[tokio::test]
async fn the_guides_second_curl_line_lists_the_bot_with_the_sandboxs_own_token() {
    let folder = Folder::new();
    let (sandbox, guide) = Sandbox::start(&folder, &[]).await;
    let line = guide.lines().find(|line| line.contains("/v1/bots"));
    let line = line.unwrap_or_else(|| panic!("no line to paste: {guide}"));
    let output = std::process::Command::new("sh")
        .args(["-c", line])
        .output()
        .unwrap();
    let answer: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    assert_eq!(answer["data"][0]["name"], "toko", "{answer}");
    assert_eq!(answer["data"][0]["health"]["healthy"], true, "{answer}");
    sandbox.stop().await;
}

#[tokio::test]
async fn an_empty_sandbox_has_a_bot_to_link_by_its_code() {
    let folder = Folder::new();
    let (mut sandbox, ready) = Sandbox::json(&folder, &["--empty"]).await;
    assert_eq!(ready["bots"][0]["number"], Value::Null);
    let key = ready["bots"][0]["secret_key"].as_str().unwrap();
    let answer = body(&raw(sandbox.gateway, &post("/api/getqr", key, "")).await);
    let code = serde_json::json!({"qr": answer["message"]["qrcode"]}).to_string();
    let scan = post("/control/phones/6281200000001/scan", "", &code);
    raw(sandbox.sim, &scan).await;
    let gateway = sandbox.gateway;
    sandbox
        .process
        .until("the bot to be linked", async || {
            let answer = body(&raw(gateway, &post("/api/getqr", key, "")).await);
            let linked = answer["message"]["isAuthenticated"] == true;
            linked.then_some(()).ok_or_else(|| answer.to_string())
        })
        .await;
    sandbox.process.stop().await;
}

#[test]
fn a_port_in_use_of_either_half_is_reported_with_its_flag() {
    let folder = Folder::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (taken, free) = (
        taken.local_addr().unwrap().to_string(),
        free_address().to_string(),
    );
    let gateway = folder.fails(&["sandbox", "--listen", &taken, "--sim", &free]);
    assert!(
        gateway.contains(&taken) && gateway.contains("--listen"),
        "{gateway}"
    );
    let sim = folder.fails(&["sandbox", "--listen", &free, "--sim", &taken]);
    assert!(sim.contains(&taken) && sim.contains("--sim"), "{sim}");
}

#[test]
fn a_sandbox_reads_nothing_of_a_real_gateway() {
    let folder = Folder::new();
    let refused = folder.fails(&["--config", "waviro.toml", "sandbox"]);
    assert!(refused.contains("--data DIR"), "{refused}");
}
