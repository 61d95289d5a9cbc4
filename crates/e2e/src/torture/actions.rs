//! Actions of operators and customers beside the message load: rules, replays, calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use wa_sim::{Drop, MediaKind, OutgoingMedia, Sim};

use super::load::Participants;
use super::log::Log;
use super::receiver::{EndpointState, Manner, pause};
use crate::gateway::Admin;
use crate::oracle::Seen;
use crate::spawn;

/// The pause between two actions.
const BETWEEN: Duration = Duration::from_millis(30);

/// Executes the actions.
pub(super) struct Actions {
    pub(super) admin: Admin,
    pub(super) participants: Arc<Participants>,
    pub(super) sim: Arc<Sim>,
    pub(super) endpoints: EndpointState,
    pub(super) log: Log,
    pub(super) next: AtomicU64,
}

impl Actions {
    /// Repeats the action that leads to this write. Does nothing if the load alone leads to the
    /// write. Never returns.
    pub(super) async fn provoke(&self, write: &str) {
        loop {
            let n = self.next.fetch_add(1, Ordering::SeqCst);
            match write {
                "keep" | "follow" => self.change_a_rule(n).await,
                "lose_stage" => self.send_with_gone_notifyurl(n).await,
                "replay" => self.replay_an_event().await,
                "put_off" | "endpoint_works" | "claim" => {
                    self.endpoints.behave(Manner::Fails);
                    pause(Duration::from_secs(2)).await;
                    self.endpoints.behave(Manner::Works);
                    pause(Duration::from_millis(500)).await;
                }
                "publish_events" => {
                    let _ = self.participants.customers[0]
                        .call(&self.participants.owners[0], false)
                        .await;
                }
                "download done" => self.picture(n).await,
                "redelivery recorded" => self.write_while_disconnected(n).await,
                _ => {}
            }
            pause(BETWEEN).await;
        }
    }

    /// Resets the faults that would otherwise stay.
    pub(super) fn reset_faults(&self) {
        self.endpoints.behave(Manner::Works);
    }

    /// Runs on its own task, because the caller may stop in the middle. The log needs the outcome
    /// of the request in any case.
    async fn send_with_gone_notifyurl(&self, n: u64) {
        let participants = Arc::clone(&self.participants);
        let asking =
            spawn(async move { participants.put(participants.with_gone_notifyurl(n)).await });
        asking.await.expect("a request goes on to its end");
    }

    async fn change_a_rule(&self, n: u64) {
        let rule = json!({"keyword": format!("aturan{n}"), "url": self.endpoints.hook()});
        let Some(rule) = self.made("/v1/bots/toko0/rules", rule).await else {
            return;
        };
        let at = format!("/v1/bots/toko0/rules/{rule}");
        let change = json!({"keyword": format!("ubah{n}")});
        self.call("PATCH", &at, Some(change)).await;
        self.call("DELETE", &at, None).await;
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
    async fn write_while_disconnected(&self, n: u64) {
        for device in self.sim.devices().await {
            self.sim.drop_device(&device.id, Drop::Abrupt).await;
        }
        let _ = self.participants.customers[0]
            .send_text(&self.participants.owners[0], &format!("selagi putus {n}"))
            .await;
        pause(BETWEEN * 10).await;
    }

    /// Sends a picture from a customer; the event receiver downloads the picture.
    async fn picture(&self, n: u64) {
        let bytes: Vec<u8> = format!("gambar pelanggan {n}").into_bytes();
        let picture = OutgoingMedia::new(MediaKind::Image, bytes);
        let _ = self.participants.customers[0]
            .send(&self.participants.owners[0], picture)
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
                let request = self.participants.number();
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
