//! Get QR code, Check number, and the answers for an unlinked bot.

use serde_json::{Value, json};

use super::{document, refuses, requires, waviro};
use crate::Check;
use crate::answer::Failure;
use crate::host::Ask;
use crate::run::Run;

pub(super) fn checks() -> Vec<Check> {
    vec![
        document(
            "getqr.linked",
            "a linked bot shows its number and name and no code",
            |run| {
                Box::pin(async {
                    let answer = run.host.post("getqr/").send().await?;
                    let message = answer.success()?;
                    let digits = |text: &str| {
                        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
                    };
                    let right = message["isAuthenticated"] == true
                        && message["number"].as_str().is_some_and(digits)
                        && message["name"]
                            .as_str()
                            .is_some_and(|name| !name.is_empty())
                        && message["qrcode"] == "";
                    right.then_some(()).ok_or_else(|| {
                    answer.wrong("{\"isAuthenticated\":true,\"number\":\"digits\",\"name\":\"…\",\"qrcode\":\"\"}")
                })
                })
            },
        ),
        document("checknumber.known", "a number on WhatsApp: true", |run| {
            Box::pin(async { says(run, json!({"nohp": run.to}), true).await })
        }),
        document(
            "checknumber.unknown",
            "a number that is not on WhatsApp: false",
            |run| Box::pin(async { says(run, json!({"nohp": run.nobody}), false).await }),
        ),
        waviro("checknumber.as-number", "nohp as a JSON number", |run| {
            Box::pin(async {
                let number: u64 = run.to.parse().unwrap_or_default();
                says(run, json!({"nohp": number}), true).await
            })
        }),
        document(
            "checknumber.requires",
            "without nohp, or with one null or empty: refused",
            |run| {
                Box::pin(async {
                    requires(run, "checknumber", &json!({"nohp": run.to}), &["nohp"]).await
                })
            },
        ),
        document(
            "checknumber.national",
            "08… and +62… are refused",
            |run| {
                Box::pin(async {
                    refuses(run, "checknumber", json!({"nohp": run.national()})).await?;
                    refuses(run, "checknumber", json!({"nohp": format!("+{}", run.to)})).await
                })
            },
        ),
        document(
            "unlinked.getqr",
            "an unlinked bot shows a code to scan",
            |run| {
                Box::pin(async {
                    let answer = unlinked(run, run.host.post("getqr"))?.send().await?;
                    let message = answer.success()?;
                    let code = message["qrcode"].as_str().unwrap_or_default();
                    let right = message["isAuthenticated"] == false
                        && code.starts_with("2@")
                        && code.contains(',');
                    right.then_some(()).ok_or_else(|| {
                        answer.wrong("{\"isAuthenticated\":false,\"qrcode\":\"2@…\"}")
                    })
                })
            },
        ),
        document(
            "unlinked.refuses",
            "an unlinked bot refuses to send, to list groups and to check numbers",
            |run| {
                Box::pin(async {
                    let text = json!({"nohp": run.to, "pesan": run.words("Test")});
                    let group = json!({"groupid": run.group, "pesan": run.words("Test")});
                    let place = json!({"nohp": run.to, "latitude": "1", "longitude": "2"});
                    let card = json!({"nohp": run.to, "contact": {"name": "Test", "numbers": ["628124000001"]}});
                    for (endpoint, body) in [
                        ("sendwa", text),
                        ("sendwatogroup", group),
                        ("sendlocation", place),
                        ("sendcontact", card),
                        ("groups", json!({})),
                        ("checknumber", json!({"nohp": run.to})),
                    ] {
                        unlinked(run, run.host.json(endpoint, &body))?
                            .send()
                            .await?
                            .refused()?;
                    }
                    Ok(())
                })
            },
        ),
    ]
}

async fn says(run: &Run, body: Value, expected: bool) -> Result<(), Failure> {
    let answer = run.host.json("checknumber", &body).send().await?;
    let right = *answer.success()? == Value::Bool(expected);
    right
        .then_some(())
        .ok_or_else(|| answer.wrong(&format!("message {expected}")))
}

/// Sends the same request with the key of the unlinked bot.
fn unlinked<'h>(run: &Run, ask: Ask<'h>) -> Result<Ask<'h>, Failure> {
    let key = run.unlinked_key.clone();
    key.map(|key| ask.key(Some(key))).ok_or_else(|| {
        Failure::Skipped("needs an unlinked bot; give its key with --unlinked-key".to_owned())
    })
}
