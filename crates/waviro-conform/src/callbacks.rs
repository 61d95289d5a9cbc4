//! The callbacks to the `notifyurl` of a message, compared with the API document.

use serde::Deserialize;

use crate::callback_server::Call;
use crate::failure::Failure;
use crate::run::Run;

/// The expected callbacks of a message.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Callbacks {
    /// Acks that never decrease, from 1 at the least to this ack at the most.
    UpTo(i64),
    /// Like `UpTo(3)`. The suite answers the first callback with 500 and expects the same body
    /// again.
    Retry,
}

impl Callbacks {
    /// Prepares the callback server for callbacks to the notifyurl `name`.
    pub(crate) fn prepare(self, run: &Run, name: &str) {
        if matches!(self, Self::Retry) {
            run.server.refuse(name, 1);
        }
    }

    /// Waits until a callback reports the message as sent, and compares all callbacks with the API
    /// document.
    pub(crate) async fn wait(self, run: &Run, name: &str, id: &str) -> Result<(), Failure> {
        let most = match self {
            Self::UpTo(most) => most,
            Self::Retry => {
                let calls = run.server.wait(name, |calls| calls.len() >= 2).await;
                match &calls[..] {
                    [first, second, ..] if first.body == second.body => 3,
                    _ => return Err(wrong(&calls, "a retry of the call that got a 500")),
                }
            }
        };
        let sent = |calls: &[Call]| {
            calls
                .iter()
                .any(|call| call.ack(id).is_some_and(|ack| ack >= 1))
        };
        // A wrong call fails the check at once, without waiting for the missing calls.
        let enough =
            |calls: &[Call]| sent(calls) || calls.iter().any(|call| call.ack(id).is_none());
        let calls = run.server.wait(name, enough).await;
        if !calls.iter().all(Call::is_readable) {
            return Err(wrong(
                &calls,
                "a POST of application/json with its Content-Length, which PHP needs",
            ));
        }
        let acks: Option<Vec<i64>> = calls.iter().map(|call| call.ack(id)).collect();
        let Some(acks) = acks else {
            return Err(wrong(
                &calls,
                &format!("msgid {id:?} and ack, and nothing else"),
            ));
        };
        if !sent(&calls) {
            return Err(wrong(&calls, &format!("{{\"msgid\":\"{id}\",\"ack\":1}}")));
        }
        if !acks.is_sorted() {
            return Err(wrong(&calls, "acks that never decrease"));
        }
        if acks.iter().any(|ack| !(0..=most).contains(ack)) {
            return Err(wrong(&calls, &format!("acks from 0 to {most}")));
        }
        Ok(())
    }
}

fn wrong(calls: &[Call], expected: &str) -> Failure {
    let seen: Vec<String> = calls
        .iter()
        .map(|call| {
            let head: Vec<String> = ["content-type", "content-length", "transfer-encoding"]
                .into_iter()
                .filter_map(|name| {
                    Some(format!(
                        "{name}: {}",
                        call.headers.get(name)?.to_str().ok()?
                    ))
                })
                .collect();
            let body: String = String::from_utf8_lossy(&call.body)
                .chars()
                .take(200)
                .collect();
            format!("{} [{}] {body}", call.method, head.join(", "))
        })
        .collect();
    let seen = if seen.is_empty() {
        "no call".to_owned()
    } else {
        seen.join("; ")
    };
    Failure::new(format!(
        "notifyurl expected {expected}\n          got {seen}"
    ))
}
