//! Actions of operators and customers beside the message load: bots, rules, subscriptions, tokens,
//! keys, replays, calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use wa_sim::{Drop, MediaKind, OutgoingMedia, Phone, PhoneSpec, Sim};

use super::load::Book;
use super::log::Log;
use super::receiver::{EndpointState, Manner, pause};
use crate::gateway::Admin;
use crate::oracle::Seen;
use crate::spawn;

/// The pause between two actions.
const BETWEEN: Duration = Duration::from_millis(30);

/// The maximum number of polls for the link state of a scanned bot.
const LINKED_WITHIN: usize = 50;

/// Longer than the gateway needs to store the identity of a linked bot. The gateway never stores
/// the identity of a bot deleted earlier.
const IDENTITY_WITHIN: Duration = Duration::from_secs(5);

/// The maximum number of polls until the gateway has switched off a rule or subscription whose
/// endpoint answers 410; six seconds.
const OFF_WITHIN: usize = 50;

/// Longer than the time after which the gateway reminds the sender of a waiting message.
const REMINDED: Duration = Duration::from_secs(12);

/// Executes the actions.
pub(super) struct Chores {
    pub(super) admin: Admin,
    pub(super) book: Arc<Book>,
    pub(super) sim: Arc<Sim>,
    pub(super) endpoints: EndpointState,
    pub(super) spare: Phone,
    pub(super) log: Log,
    pub(super) next: AtomicU64,
}

impl Chores {
    /// Repeats the action that leads to this write. Does nothing if the load alone leads to the
    /// write. Never returns.
    pub(super) async fn provoke(&self, write: &str) {
        loop {
            let n = self.next.fetch_add(1, Ordering::SeqCst);
            match write {
                "add_bot" | "rename_bot" | "remove_bot" | "bot_forgotten" | "set_bot_key"
                | "drop_previous_key" | "set_settings" | "rotate_signing" | "set_webhook_key"
                | "give_secrets" => self.keep_a_bot(n).await,
                "bot_linked" => self.link_a_bot(n).await,
                "add_rule" | "change_rule" | "delete_rule" | "keep" | "follow" => {
                    self.keep_a_rule(n).await;
                }
                "add_subscription" | "change_subscription" | "delete_subscription" => {
                    self.keep_a_subscription(n).await;
                }
                "add_user" | "change_user" | "remove_user" | "begin_session" | "end_session" => {
                    self.keep_a_user(n).await;
                }
                "add_token" | "use_token" | "revoke_token" => self.keep_a_token(n).await,
                "switch_rule_off" => self.rule_that_is_gone(n).await,
                "switch_subscription_off" => self.subscription_that_is_gone(n).await,
                "lose_stage" => self.write_to_nobody(n).await,
                "forget_number" => {
                    self.sim.faults().nack_next(1, 404);
                    self.write_to_nobody(n).await;
                }
                "remember_number" => {
                    let body = json!({"nohp": format!("62899{n:08}")});
                    let _ = self.book.bots[0].try_call("/api/checknumber", body).await;
                }
                "replay" | "replay_all" => self.replay_an_event().await,
                "put_off" | "endpoint_fails" | "endpoint_works" | "claim" | "release" => {
                    self.endpoints.behave(Manner::Fails);
                    pause(Duration::from_secs(2)).await;
                    self.endpoints.behave(Manner::Works);
                    pause(Duration::from_millis(500)).await;
                }
                "remind" => {
                    for device in self.sim.devices().await {
                        self.sim.faults().stall(&device.id, true);
                    }
                    pause(REMINDED).await;
                }
                "note_streamed" => {
                    let _ = self
                        .admin
                        .first_bytes("/v1/events?after=0", BETWEEN * 10)
                        .await;
                }
                "publish_events" => {
                    let _ = self.book.customers[0]
                        .call(&self.book.owners[0], false)
                        .await;
                }
                "download done" => self.picture(n).await,
                "came again" => self.write_to_who_is_away(n).await,
                _ => {}
            }
            pause(BETWEEN).await;
        }
    }

    /// Resets the faults that would otherwise stay.
    pub(super) async fn calm(&self) {
        self.endpoints.behave(Manner::Works);
        self.sim.faults().nack_next(0, 0);
        for device in self.sim.devices().await {
            self.sim.faults().stall(&device.id, false);
        }
    }

    /// Runs on its own task, because the caller may stop in the middle. The log needs the outcome
    /// of the request in any case.
    async fn write_to_nobody(&self, n: u64) {
        let book = Arc::clone(&self.book);
        let asking = spawn(async move { book.put(book.for_nobody(n)).await });
        asking.await.expect("a request goes on to its end");
    }

    async fn keep_a_bot(&self, n: u64) {
        let Some(bot) = self
            .made("/v1/bots", json!({"name": format!("coba{n}")}))
            .await
        else {
            return;
        };
        let at = |rest: &str| format!("/v1/bots/{bot}{rest}");
        self.call("PATCH", &at(""), Some(json!({"name": format!("coba{n}b")})))
            .await;
        let settings = json!({"pacing": {"per_minute": 20}});
        self.call("PATCH", &at("/settings"), Some(settings)).await;
        let overlap = || Some(json!({"overlap_s": 60}));
        self.call("POST", &at("/keys/rotate"), overlap()).await;
        self.call("DELETE", &at("/keys/previous"), None).await;
        self.call("GET", &at("/webhook-key"), None).await;
        self.call("POST", &at("/webhook-key/rotate"), None).await;
        self.call("POST", &at("/signing-secret/rotate"), overlap())
            .await;
        self.call("DELETE", &at(""), None).await;
    }

    async fn link_a_bot(&self, n: u64) {
        let Some(bot) = self
            .made("/v1/bots", json!({"name": format!("taut{n}")}))
            .await
        else {
            return;
        };
        let answer = self
            .call("POST", &format!("/v1/bots/{bot}/relink"), None)
            .await;
        if let Some(code) = answer["qrcode"].as_str() {
            let _ = self.spare.scan(code).await;
        }
        let at = format!("/v1/bots/{bot}");
        for _ in 0..LINKED_WITHIN {
            pause(BETWEEN * 4).await;
            let now = self.call("GET", &at, None).await;
            if now["state"] == "online" {
                // The gateway stores the identity a moment after the bot is online.
                pause(IDENTITY_WITHIN).await;
                break;
            }
        }
        self.call("DELETE", &at, None).await;
    }

    async fn keep_a_rule(&self, n: u64) {
        let rule = json!({"keyword": format!("aturan{n}"), "url": self.endpoints.hook()});
        let Some(rule) = self.made("/v1/bots/toko0/rules", rule).await else {
            return;
        };
        let at = format!("/v1/bots/toko0/rules/{rule}");
        let change = json!({"keyword": format!("ubah{n}")});
        self.call("PATCH", &at, Some(change)).await;
        self.call("DELETE", &at, None).await;
    }

    async fn keep_a_subscription(&self, n: u64) {
        let wish = json!({"url": self.endpoints.events(), "kinds": ["bot.state"]});
        let Some(id) = self.made("/v1/bots/toko0/subscriptions", wish).await else {
            return;
        };
        let at = format!("/v1/bots/toko0/subscriptions/{id}");
        self.call("PATCH", &at, Some(json!({"timeout_s": 1 + n % 9})))
            .await;
        self.call("DELETE", &at, None).await;
    }

    async fn keep_a_token(&self, n: u64) {
        let wish = json!({"name": format!("sementara{n}"), "role": "admin"});
        let made = self.call("POST", "/v1/tokens", Some(wish)).await;
        if let Some(token) = made["token"].as_str() {
            let _ = self
                .admin
                .with(token)
                .try_call("GET", "/v1/bots", None)
                .await;
        }
        if let Some(id) = made["id"].as_i64() {
            self.call("DELETE", &format!("/v1/tokens/{id}"), None).await;
        }
    }

    async fn keep_a_user(&self, n: u64) {
        let (name, password) = (format!("pengguna{n}"), "kata sandi yang panjang");
        let wish = json!({"name": name, "password": password, "role": "viewer"});
        let Some(user) = self.made("/v1/users", wish).await else {
            return;
        };
        if let Some(session) = self.admin.log_in(&name, password).await {
            self.admin.log_out(&session).await;
        }
        let at = format!("/v1/users/{user}");
        self.call("PATCH", &at, Some(json!({"role": "admin"})))
            .await;
        self.call("DELETE", &at, None).await;
    }

    /// Adds a rule whose endpoint answers 410.
    async fn rule_that_is_gone(&self, n: u64) {
        let word = format!("tutup{n}");
        let rule = json!({"keyword": word, "url": self.endpoints.gone()});
        let Some(rule) = self.made("/v1/bots/toko0/rules", rule).await else {
            return;
        };
        let _ = self.book.customers[0]
            .send_text(&self.book.owners[0], &word)
            .await;
        let at = format!("/v1/bots/toko0/rules/{rule}");
        self.wait_until_off(&at).await;
        self.call("DELETE", &at, None).await;
    }

    async fn subscription_that_is_gone(&self, n: u64) {
        let wish = json!({"url": self.endpoints.gone(), "kinds": ["message.received"]});
        let Some(id) = self.made("/v1/bots/toko0/subscriptions", wish).await else {
            return;
        };
        let _ = self.book.customers[0]
            .send_text(&self.book.owners[0], &format!("halo {n}"))
            .await;
        let at = format!("/v1/bots/toko0/subscriptions/{id}");
        self.wait_until_off(&at).await;
        self.call("DELETE", &at, None).await;
    }

    /// Waits until the gateway switches the rule or the subscription off. The deletion of a rule
    /// cancels the delivery to the endpoint that answers 410, and a slow machine needs seconds for
    /// the delivery.
    async fn wait_until_off(&self, at: &str) {
        for _ in 0..OFF_WITHIN {
            pause(BETWEEN * 4).await;
            if self.call("GET", at, None).await["enabled"] != true {
                break;
            }
        }
    }

    /// Replays a delivered event, first alone and then as part of a time range.
    async fn replay_an_event(&self) {
        let list = "/v1/bots/toko0/deliveries?kind=event&state=delivered&limit=1";
        let list = self.call("GET", list, None).await;
        let Some(event) = list["data"].get(0) else {
            return;
        };
        let at = format!("/v1/bots/toko0/deliveries/{}/replay", event["id"]);
        self.call("POST", &at, None).await;
        let range = json!({
            "kind": "event", "state": "delivered", "since": event["created_at"], "until": "2100-01-01T00:00:00Z",
        });
        self.call("POST", "/v1/bots/toko0/deliveries/replay", Some(range))
            .await;
    }

    /// Sends a message to a bot whose devices are disconnected. WhatsApp delivers the message at
    /// the next login.
    async fn write_to_who_is_away(&self, n: u64) {
        for device in self.sim.devices().await {
            self.sim.drop_device(&device.id, Drop::Abrupt).await;
        }
        let _ = self.book.customers[0]
            .send_text(&self.book.owners[0], &format!("selagi putus {n}"))
            .await;
        pause(BETWEEN * 10).await;
    }

    /// Sends a picture from a customer; the event receiver downloads the picture.
    async fn picture(&self, n: u64) {
        let bytes: Vec<u8> = format!("gambar pelanggan {n}").into_bytes();
        let picture = OutgoingMedia::new(MediaKind::Image, bytes);
        let _ = self.book.customers[0]
            .send(&self.book.owners[0], picture)
            .await;
        pause(BETWEEN * 10).await;
    }

    /// Creates a resource and returns its id.
    async fn made(&self, path: &str, body: Value) -> Option<i64> {
        let answer = self.call("POST", path, Some(body)).await;
        let made = answer.get("bot").unwrap_or(&answer);
        made["id"].as_i64()
    }

    /// Calls the API and returns the body of the answer, or null if the gateway is down. A status
    /// 500 is logged, because none of the actions may cause one.
    async fn call(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        match self.admin.try_call(method, path, body).await {
            Ok((500, _)) => {
                let request = self.book.number();
                self.log.see(Seen::Requested {
                    request,
                    face: format!("{method} {path}"),
                    phones: Vec::new(),
                    notify: false,
                });
                self.log.see(Seen::Refused {
                    request,
                    status: 500,
                });
                Value::Null
            }
            Ok((_, body)) => body,
            Err(_) => Value::Null,
        }
    }
}

/// Adds a phone for linking temporary bots.
pub(super) async fn spare(sim: &Sim) -> Phone {
    sim.add_phone(PhoneSpec::new("628129999999", "Cadangan"))
        .await
}
