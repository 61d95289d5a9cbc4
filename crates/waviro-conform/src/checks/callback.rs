//! Callbacks to `notifyurl`.

use serde_json::json;

use super::{CARD, CARD_NAME, document, waviro};
use crate::Check;
use crate::answer::Failure;
use crate::callback_server::Call;
use crate::run::{Run, What, Whom};

pub(super) fn checks() -> Vec<Check> {
    vec![
        document(
            "callback.text",
            "the notifyurl of a text receives ack 1 (sent)",
            |run| {
                Box::pin(async {
                    let id = text(run, "text").await?;
                    received(run, "text", &id, 3).await
                })
            },
        ),
        document(
            "callback.media",
            "the notifyurl of a file receives ack 1 too",
            |run| {
                Box::pin(async {
                    let (file, caption) = (run.server.file("foto.jpg")?, run.words("Foto"));
                    let url = run.server.notify_url("media")?;
                    let body = json!({"nohp": run.to, "mediaurl": file.url, "pesan": caption, "notifyurl": url});
                    let photo = What::file(&file, "image", &caption);
                    let id = run.deliver("sendmedia", &body, Whom::Person, photo).await?;
                    received(run, "media", &id, 3).await
                })
            },
        ),
        document(
            "callback.contact",
            "the notifyurl of a contact receives ack 1 too",
            |run| {
                Box::pin(async {
                    let (name, url) = (run.words(CARD_NAME), run.server.notify_url("contact")?);
                    let contact = json!({"name": name, "numbers": CARD});
                    let body = json!({"nohp": run.to, "contact": contact, "notifyurl": url});
                    let card = What::card(&name, &CARD);
                    let id = run
                        .deliver("sendcontact", &body, Whom::Person, card)
                        .await?;
                    received(run, "contact", &id, 3).await
                })
            },
        ),
        document(
            "callback.group",
            "for a group the notifyurl receives no ack above 1",
            |run| {
                Box::pin(async {
                    let (text, url) = (
                        run.words("Test kirim text"),
                        run.server.notify_url("group")?,
                    );
                    let body = json!({"groupid": run.group, "pesan": text, "notifyurl": url});
                    let sent = What::text(&text);
                    let id = run
                        .deliver("sendwatogroup", &body, Whom::Group, sent)
                        .await?;
                    received(run, "group", &id, 1).await?;
                    another(run, "group-after").await?;
                    received(run, "group", &id, 1).await
                })
            },
        ),
        waviro("callback.order", "acks never decrease", |run| {
            Box::pin(async {
                let id = text(run, "order").await?;
                received(run, "order", &id, 3).await?;
                another(run, "order-after").await?;
                received(run, "order", &id, 3).await
            })
        }),
        waviro(
            "callback.again",
            "a failed callback is retried with the same body",
            |run| {
                Box::pin(async {
                    run.server.refuse("again", 1);
                    let id = text(run, "again").await?;
                    let calls = run.server.wait("again", |calls| calls.len() >= 2).await;
                    match &calls[..] {
                        [first, second, ..] if first.body == second.body => {
                            received(run, "again", &id, 3).await
                        }
                        _ => Err(wrong(&calls, "a retry of the call that got a 500")),
                    }
                })
            },
        ),
    ]
}

/// Sends a text with the notifyurl `name` and returns the message id.
async fn text(run: &Run, name: &str) -> Result<String, Failure> {
    let (text, url) = (run.words("Test kirim text"), run.server.notify_url(name)?);
    let body = json!({"nohp": run.to, "pesan": text, "notifyurl": url});
    run.deliver("sendwa", &body, Whom::Person, What::text(&text))
        .await
}

/// Sends another text and waits for its callback. Late callbacks for the previous text have arrived
/// by then.
async fn another(run: &Run, name: &str) -> Result<(), Failure> {
    let id = text(run, name).await?;
    received(run, name, &id, 3).await
}

/// Waits until a callback reports the message as sent, and compares all calls with the API
/// document.
async fn received(run: &Run, name: &str, id: &str, most: i64) -> Result<(), Failure> {
    let sent = |calls: &[Call]| {
        calls
            .iter()
            .any(|call| call.ack(id).is_some_and(|ack| ack >= 1))
    };
    // A wrong call fails the check at once, without waiting for the missing calls.
    let enough = |calls: &[Call]| sent(calls) || calls.iter().any(|call| call.ack(id).is_none());
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
