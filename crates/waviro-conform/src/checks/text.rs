//! Send text message.

use serde_json::json;

use super::{document, refuses, requires, waviro};
use crate::Check;
use crate::run::{What, Whom};

pub(super) fn checks() -> Vec<Check> {
    vec![
        document("text.sample", "the sample is answered as shown", |run| {
            Box::pin(async { run.text(&run.words("Test kirim text")).await.map(drop) })
        }),
        waviro("text.number-as-number", "nohp as a JSON number", |run| {
            Box::pin(async {
                let text = run.words("Test kirim text");
                let number: u64 = run.to.parse().unwrap_or_default();
                let body = json!({"nohp": number, "pesan": text});
                run.deliver("sendwa", &body, Whom::Person, What::text(&text))
                    .await
                    .map(drop)
            })
        }),
        document(
            "text.as-written",
            "letters, special characters, emoji and line breaks arrive unchanged",
            |run| {
                Box::pin(async {
                    let text = run
                        .words("Halo *Ibu* <b>&amp; \\ \"Bapak\" 👋🏽\nbaris dua\tاردو 中文 %s ${x}");
                    run.text(&text).await.map(drop)
                })
            },
        ),
        waviro("text.long", "a text of 60,000 characters", |run| {
            Box::pin(async {
                let text = run.words(&"panjang ".repeat(7_500));
                run.text(&text).await.map(drop)
            })
        }),
        document(
            "text.no-notifyurl",
            "without notifyurl, or with notifyurl empty or null: no callback",
            |run| {
                Box::pin(async {
                    for url in [json!(""), json!(null)] {
                        let text = run.words("Test kirim text");
                        let body = json!({"nohp": run.to, "pesan": text, "notifyurl": url});
                        run.deliver("sendwa", &body, Whom::Person, What::text(&text))
                            .await?;
                    }
                    Ok(())
                })
            },
        ),
        document(
            "text.requires",
            "without nohp or pesan, or with one null or empty: refused",
            |run| {
                Box::pin(async {
                    let body = json!({"nohp": run.to, "pesan": run.words("Test")});
                    requires(run, "sendwa", &body, &["nohp", "pesan"]).await
                })
            },
        ),
        document(
            "text.national-number",
            "08… and +62… are refused",
            |run| {
                Box::pin(async {
                    for number in [run.national(), format!("+{}", run.to)] {
                        refuses(
                            run,
                            "sendwa",
                            json!({"nohp": number, "pesan": run.words("Test")}),
                        )
                        .await?;
                    }
                    Ok(())
                })
            },
        ),
        waviro(
            "text.no-number",
            "a value that is not a phone number is refused",
            |run| {
                Box::pin(async {
                    let (country, rest) = run.to.split_at(3);
                    let (spaced, dashed) =
                        (format!("{country} {rest}"), format!("{country}-{rest}"));
                    for number in [
                        json!("halo"),
                        json!(spaced),
                        json!(dashed),
                        json!("1"),
                        json!("6".repeat(30)),
                        json!(-1),
                        json!(6.5),
                        json!([run.to]),
                        json!({}),
                        json!(true),
                    ] {
                        refuses(
                            run,
                            "sendwa",
                            json!({"nohp": number, "pesan": run.words("Test")}),
                        )
                        .await?;
                    }
                    Ok(())
                })
            },
        ),
        document(
            "text.not-on-whatsapp",
            "a number that is not on WhatsApp is refused",
            |run| {
                Box::pin(async {
                    refuses(
                        run,
                        "sendwa",
                        json!({"nohp": run.nobody, "pesan": run.words("Test")}),
                    )
                    .await
                })
            },
        ),
        document(
            "text.repeat",
            "the same text to the same number twice in a row is refused",
            |run| {
                Box::pin(async {
                    let text = run.words("Dua kali");
                    run.text(&text).await?;
                    refuses(run, "sendwa", json!({"nohp": run.to, "pesan": text})).await
                })
            },
        ),
        document(
            "text.repeat-later",
            "after another text, the same text is accepted",
            |run| {
                Box::pin(async {
                    let text = run.words("Lagi");
                    run.text(&text).await?;
                    run.text(&run.words("Di antaranya")).await?;
                    run.text(&text).await.map(drop)
                })
            },
        ),
        document(
            "text.repeat-elsewhere",
            "the same text to a group right after is accepted",
            |run| {
                Box::pin(async {
                    let text = run.words("Ke mana saja");
                    run.text(&text).await?;
                    let body = json!({"groupid": run.group, "pesan": text});
                    run.deliver("sendwatogroup", &body, Whom::Group, What::text(&text))
                        .await
                        .map(drop)
                })
            },
        ),
        waviro(
            "text.repeat-at-once",
            "of four equal requests at the same time exactly one is accepted",
            |run| {
                Box::pin(async {
                    let text = run.words("Serentak");
                    let body = json!({"nohp": run.to, "pesan": text});
                    run.wait_for_pace().await;
                    let ask = || run.host.json("sendwa", &body).send();
                    let answers =
                        futures::future::try_join_all([ask(), ask(), ask(), ask()]).await?;
                    let (taken, refused): (Vec<_>, Vec<_>) =
                        answers.iter().partition(|answer| answer.success().is_ok());
                    for answer in &refused {
                        answer.refused()?;
                    }
                    match taken[..] {
                        [taken] => run.held(taken, Whom::Person, What::text(&text)).map(drop),
                        [] => Err(answers[0].wrong("one of the four accepted")),
                        [_, second, ..] => Err(second.wrong("only one of the four accepted")),
                    }
                })
            },
        ),
    ]
}
