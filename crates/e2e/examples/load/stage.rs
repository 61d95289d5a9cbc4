//! Starts the simulator and the gateway as processes, links bots, and creates the sessions with
//! customers.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use e2e::gateway::{Admin, Bot, Gateway, Server};
use e2e::package_binary;
use futures::{StreamExt, stream};
use serde_json::{Value, json};

use crate::Turn;
use crate::disk::SlowDisk;

/// Customers per bot: enough for several sessions per bot, few enough to create them in seconds.
const CUSTOMERS: usize = 4;

/// Bots to link concurrently.
const AT_ONCE: usize = 8;

pub struct Stage {
    sim: Child,
    control: String,
    gateway: Gateway,
    disk: SlowDisk,
    http: reqwest::Client,
    bots: Vec<Bot>,
    linked: usize,
    turn: Turn,
    admin: Option<Admin>,
}

impl Stage {
    /// Starts both processes and creates `count` bots without linking them.
    pub async fn set(count: usize) -> Self {
        let (sim, control) = start_simulator();
        let http = e2e::gateway::http_client();
        let key: Value = http
            .get(format!("{control}/control/key"))
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        let disk = SlowDisk::build();
        let server = Server {
            url: key["ws_url"].as_str().unwrap().to_owned(),
            key: key["server_key"].as_str().unwrap().to_owned(),
            authority: None,
        };
        let gateway = Gateway::start_in(&server, "log.level = \"warn\"", disk.environment()).await;
        let bots = stream::iter(0..count)
            .map(|n| {
                let gateway = &gateway;
                async move { gateway.add_bot(&format!("bot{n}")).await }
            })
            .buffered(AT_ONCE)
            .collect()
            .await;
        let stage = Self {
            sim,
            control,
            gateway,
            disk,
            http,
            bots,
            linked: 0,
            turn: Turn::default(),
            admin: None,
        };
        for n in 0..CUSTOMERS {
            stage.phone(&customer(n)).await;
        }
        stage
    }

    /// Links bots until `count` are linked.
    pub async fn link(&mut self, count: usize) {
        let stage = &*self;
        stream::iter(self.linked..count)
            .for_each_concurrent(AT_ONCE, |n| async move { stage.link_one(n).await })
            .await;
        self.linked = count;
    }

    async fn link_one(&self, n: usize) {
        let number = number_of(n);
        self.phone(&number).await;
        let code = e2e::eventually("a QR code", async || {
            let answer = self.bots[n].call("/api/getqr", json!({})).await;
            let code = answer.body["message"]["qrcode"].as_str();
            code.filter(|code| !code.is_empty())
                .map(ToOwned::to_owned)
                .ok_or(answer)
        })
        .await;
        self.scan(&number, &code).await;
        self.bots[n].wait_linked().await;
    }

    /// Calls the simulator's control API.
    pub async fn control(&self, path: &str, body: Value) -> Value {
        self.controlled(reqwest::Method::POST, path, body).await
    }

    /// Changes an object of the simulator.
    pub async fn change(&self, path: &str, body: Value) -> Value {
        self.controlled(reqwest::Method::PATCH, path, body).await
    }

    async fn controlled(&self, method: reqwest::Method, path: &str, body: Value) -> Value {
        let asking = self.http.request(method, format!("{}{path}", self.control));
        let answer = asking.json(&body).send().await.unwrap();
        let status = answer.status();
        let body: Value = answer.json().await.unwrap();
        assert!(status.is_success(), "{path}: {body}");
        body
    }

    /// Creates a phone.
    pub async fn phone(&self, number: &str) {
        let wish = json!({"number": number, "name": number});
        self.control("/control/phones", wish).await;
    }

    /// Lets a phone scan a QR code.
    pub async fn scan(&self, number: &str, code: &str) {
        let path = format!("/control/phones/{number}/scan");
        self.control(&path, json!({"qr": code})).await;
    }

    /// Sends a text from the first bot to a group.
    pub async fn to_group(&self, group: &str, text: &str) {
        let body = json!({"groupid": group, "pesan": text});
        let answer = self.bots[0].call("/api/sendwatogroup", body).await;
        assert!(answer.status.is_success(), "{answer:?}");
    }

    /// Returns the simulator's WebSocket URL and key for the bare client.
    pub async fn key(&self) -> Value {
        let key = self
            .http
            .get(format!("{}/control/key", self.control))
            .send()
            .await
            .unwrap();
        key.json().await.unwrap()
    }

    /// Sends one message from each bot to each customer, so that every session exists before the
    /// measurement.
    pub async fn acquaint(&self) {
        for _ in 0..CUSTOMERS {
            stream::iter(0..self.linked)
                .for_each_concurrent(AT_ONCE, |_| self.send_next())
                .await;
        }
        self.drained().await;
    }

    /// Sends the next message with the next bot.
    pub async fn send_next(&self) {
        let n = self.turn.next();
        let bot = &self.bots[n % self.linked];
        let to = customer(n / self.linked);
        let body = json!({"nohp": to, "pesan": format!("pesan nomor {n}")});
        let answer = bot.call("/api/sendwa", body).await;
        assert!(answer.status.is_success(), "{answer:?}");
    }

    /// Sends a request that the gateway answers from memory.
    pub async fn ask_nothing(&self) {
        let url = format!("{}/livez", self.gateway.url());
        let answer = self.http.get(url).send().await.unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
        answer.bytes().await.unwrap();
    }

    /// Sends a file from the next bot to the next customer.
    pub async fn send_file(&self, url: &str) {
        let n = self.turn.next();
        let bot = &self.bots[n % self.linked];
        let body = json!({"nohp": customer(n / self.linked), "mediaurl": url, "pesan": format!("berkas {n}")});
        let answer = bot.call("/api/sendmedia", body).await;
        assert!(answer.status.is_success(), "{answer:?}");
    }

    /// Waits until every accepted message is acked.
    pub async fn drained(&self) {
        let mut last = (0, 0);
        for _ in 0..2400 {
            last = self.counts().await;
            if last.0 == last.1 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        assert_eq!(last.0, last.1, "accepted and acked after a minute");
    }

    /// Returns the number of acks committed by the gateway.
    pub async fn acked(&self) -> u64 {
        self.counts().await.1
    }

    pub async fn metrics(&self) -> Metrics {
        Metrics(self.gateway.metrics().await)
    }

    async fn counts(&self) -> (u64, u64) {
        let page = self.metrics().await;
        (
            page.count("waviro_messages_offered_total{outcome=\"accepted\"}"),
            page.count("waviro_server_acks_total{verdict=\"accepted\"}"),
        )
    }

    /// Creates a dashboard user and returns its session cookie, which survives restarts.
    pub async fn logged_in(&mut self, password: &str) -> String {
        let admin = self.gateway.admin().await;
        admin.post("/v1/users", crate::rows::user(password)).await;
        let cookie = admin.log_in("ani", password).await.unwrap();
        self.admin = Some(admin);
        cookie
    }

    /// Requests a list as the admin or a page as the user.
    pub async fn ask(&self, path: &str, cookie: &str) {
        if path.starts_with("/v1/") {
            self.admin.as_ref().unwrap().get(path).await;
            return;
        }
        if path == "/metrics" {
            self.gateway.metrics().await;
            return;
        }
        let url = format!("{}{path}", self.gateway.url());
        let answer = self.http.get(url).header("cookie", cookie).send().await;
        let answer = answer.unwrap();
        assert!(answer.status().is_success(), "{path}: {answer:?}");
        answer.bytes().await.unwrap();
    }

    pub async fn stop(&mut self) {
        self.gateway.stop().await;
    }

    /// Starts the gateway again and waits until the gateway is ready.
    pub async fn start(&mut self) {
        self.gateway.run().await;
    }

    pub async fn all_online(&self) {
        for bot in &self.bots[..self.linked] {
            bot.wait_linked().await;
        }
    }

    pub fn database(&self) -> std::path::PathBuf {
        self.gateway.folder().join("data/waviro.db")
    }

    /// Runs a query and returns the number in the first row.
    pub async fn count(&self, text: &'static str) -> i64 {
        self.gateway.ask_database(text).await
    }

    /// Makes the gateway's disk slow, or normal again.
    pub fn slow_disk(&self, yes: bool) {
        self.disk.slow(yes);
    }

    pub fn simulator_pid(&self) -> u32 {
        self.sim.id()
    }

    pub fn gateway_pid(&self) -> u32 {
        self.gateway.pid().unwrap()
    }

    pub fn folder(&self) -> &Path {
        self.gateway.folder()
    }
}

/// The gateway's metrics page.
pub struct Metrics(String);

impl Metrics {
    /// Returns a counter of the page; 0 if the counter is missing.
    pub fn count(&self, name: &str) -> u64 {
        let line = self.0.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.rsplit(' ').next()?.parse().ok())
            .unwrap_or(0)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = self.sim.kill();
        let _ = self.sim.wait();
    }
}

/// Returns the number of the n-th bot.
pub fn number_of(n: usize) -> String {
    format!("62811{n:07}")
}

/// Returns the number of the n-th customer, cyclically.
pub fn customer(n: usize) -> String {
    format!("62899{:07}", n % CUSTOMERS)
}

/// Starts the simulator and reads its port from the output. The simulator stands for remote
/// machines, so it runs with low priority and does not take processor time from the measured
/// processes.
fn start_simulator() -> (Child, String) {
    let mut child = Command::new("nice")
        .args(["-n", "19"])
        .arg(package_binary("wa-sim"))
        .args(["--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let url = loop {
        let line = lines.next().unwrap().unwrap();
        if let Some(start) = line.find("http://127.0.0.1:") {
            let rest = &line[start..];
            let end = rest[17..]
                .find(|c: char| !c.is_ascii_digit())
                .map_or(rest.len(), |end| end + 17);
            break rest[..end].to_owned();
        }
    };
    std::thread::spawn(move || lines.for_each(drop));
    (child, url)
}
