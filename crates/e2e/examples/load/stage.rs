//! The simulator and the gateway as processes, bots linked, customers acquainted.

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

/// Customers of each bot: enough for many sessions a bot, few enough that making them takes seconds.
const CUSTOMERS: usize = 4;

/// Bots linked at a time.
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
    /// Starts both processes and makes `count` bots, none linked yet.
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

    /// Links bots until `count` of them are.
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

    /// Asks the simulator for something.
    pub async fn control(&self, path: &str, body: Value) -> Value {
        let asking = self.http.post(format!("{}{path}", self.control));
        let answer = asking.json(&body).send().await.unwrap();
        let status = answer.status();
        let body: Value = answer.json().await.unwrap();
        assert!(status.is_success(), "{path}: {body}");
        body
    }

    /// Makes a phone.
    pub async fn phone(&self, number: &str) {
        let wish = json!({"number": number, "name": number});
        self.control("/control/phones", wish).await;
    }

    /// Lets a phone scan a code.
    pub async fn scan(&self, number: &str, code: &str) {
        let path = format!("/control/phones/{number}/scan");
        self.control(&path, json!({"qr": code})).await;
    }

    /// A text from the first bot to a group.
    pub async fn to_group(&self, group: &str, text: &str) {
        let body = json!({"groupid": group, "pesan": text});
        let answer = self.bots[0].call("/api/sendwatogroup", body).await;
        assert!(answer.status.is_success(), "{answer:?}");
    }

    /// The simulator's WebSocket and key, for the bare client.
    pub async fn key(&self) -> Value {
        let key = self
            .http
            .get(format!("{}/control/key", self.control))
            .send()
            .await
            .unwrap();
        key.json().await.unwrap()
    }

    /// One message from each bot to each customer, so that every session exists before anything is measured.
    pub async fn acquaint(&self) {
        for _ in 0..CUSTOMERS {
            stream::iter(0..self.linked)
                .for_each_concurrent(AT_ONCE, |_| self.send_next())
                .await;
        }
        self.drained().await;
    }

    /// The next message of the next bot.
    pub async fn send_next(&self) {
        let n = self.turn.next();
        let bot = &self.bots[n % self.linked];
        let to = customer(n / self.linked);
        let body = json!({"nohp": to, "pesan": format!("pesan nomor {n}")});
        let answer = bot.call("/api/sendwa", body).await;
        assert!(answer.status.is_success(), "{answer:?}");
    }

    /// A request that the gateway answers from memory.
    pub async fn ask_nothing(&self) {
        let url = format!("{}/livez", self.gateway.url());
        let answer = self.http.get(url).send().await.unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
        answer.bytes().await.unwrap();
    }

    /// A file from the next bot to the next customer.
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

    /// Messages acked so far, as the gateway committed them.
    pub async fn acked(&self) -> u64 {
        self.counts().await.1
    }

    /// What the gateway counts.
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

    /// Makes a user of the dashboard; the cookie of its session, which outlives restarts.
    pub async fn logged_in(&mut self, password: &str) -> String {
        let admin = self.gateway.admin().await;
        admin.post("/v1/users", crate::rows::user(password)).await;
        let cookie = admin.log_in("ani", password).await.unwrap();
        self.admin = Some(admin);
        cookie
    }

    /// Asks for a list as the admin, or for a page as the user.
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

    /// Ends the gateway.
    pub async fn stop(&mut self) {
        self.gateway.stop().await;
    }

    /// Starts the gateway again and waits until it is ready.
    pub async fn start(&mut self) {
        self.gateway.run().await;
    }

    /// Waits until all bots are online.
    pub async fn all_online(&self) {
        for bot in &self.bots[..self.linked] {
            bot.wait_linked().await;
        }
    }

    /// The gateway's database.
    pub fn database(&self) -> std::path::PathBuf {
        self.gateway.folder().join("data/waviro.db")
    }

    /// A number that the database knows.
    pub async fn count(&self, text: &'static str) -> i64 {
        self.gateway.ask_database(text).await
    }

    /// Makes the gateway's disk slower, or as it is.
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

/// The gateway's page of metrics.
pub struct Metrics(String);

impl Metrics {
    /// A counter of the page; 0 where nothing was counted yet.
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

/// The n-th bot's number.
pub fn number_of(n: usize) -> String {
    format!("62811{n:07}")
}

/// The n-th customer's number, in turn.
pub fn customer(n: usize) -> String {
    format!("62899{:07}", n % CUSTOMERS)
}

/// The simulator on a port of its own; it says which. It stands for machines elsewhere: where a core is short it waits for
/// everybody who is measured.
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
