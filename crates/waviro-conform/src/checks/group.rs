//! Sending to groups, and Get group lists.

use serde_json::{Value, json};

use super::{CARD, CARD_NAME, document, refuses, requires, waviro};
use crate::Check;
use crate::answer::Failure;
use crate::run::{Run, What, Whom};

/// A well-formed group id without the bot as a member.
const ELSEWHERE: &str = "120363999999999999";

pub(super) fn checks() -> Vec<Check> {
    vec![
        document(
            "group.text",
            "the sample of a text is answered as shown",
            |run| {
                Box::pin(async {
                    let text = run.words("Test kirim text");
                    let body = json!({"groupid": run.group, "pesan": text});
                    run.deliver("sendwatogroup", &body, Whom::Group, What::text(&text))
                        .await
                        .map(drop)
                })
            },
        ),
        waviro("group.address", "groupid with @g.us at its end", |run| {
            Box::pin(async {
                let text = run.words("Test kirim text");
                let body = json!({"groupid": format!("{}@g.us", run.group), "pesan": text});
                run.deliver("sendwatogroup", &body, Whom::Group, What::text(&text))
                    .await
                    .map(drop)
            })
        }),
        document(
            "group.media",
            "the sample of a file is sent as its kind",
            |run| {
                Box::pin(async {
                    for (name, kind) in [("daftar.pdf", "document"), ("foto.jpg", "image")] {
                        let (file, caption) =
                            (run.server.file(name)?, run.words("Test kirim text"));
                        let body =
                            json!({"groupid": run.group, "mediaurl": file.url, "pesan": caption});
                        run.deliver(
                            "sendmediatogroup",
                            &body,
                            Whom::Group,
                            What::file(&file, kind, &caption),
                        )
                        .await?;
                    }
                    Ok(())
                })
            },
        ),
        document(
            "group.media-too-large",
            "a file above 16 MB is refused",
            |run| {
                Box::pin(async {
                    let file = run.server.file("besar.pdf")?;
                    refuses(
                        run,
                        "sendmediatogroup",
                        json!({"groupid": run.group, "mediaurl": file.url}),
                    )
                    .await
                })
            },
        ),
        document(
            "group.location",
            "the sample of a location is answered as shown",
            |run| {
                Box::pin(async {
                    let name = run.words("Kantor Pusat");
                    let body = json!({"groupid": run.group, "latitude": "0.525960", "longitude": "101.426866", "pesan": name});
                    let place = What::place(0.525_960, 101.426_866, &name);
                    run.deliver("sendlocationtogroup", &body, Whom::Group, place)
                        .await
                        .map(drop)
                })
            },
        ),
        document(
            "group.contact",
            "a contact on the path in the document's text",
            |run| Box::pin(async { sends_card(run, "sendcontacttogroup").await }),
        ),
        document(
            "group.contact-on-sendcontact",
            "the PHP and curl samples post a contact to /api/sendcontact",
            |run| Box::pin(async { sends_card(run, "sendcontact").await }),
        ),
        document(
            "group.contact-on-sendlocation",
            "the raw sample posts a contact to /api/sendlocation",
            |run| Box::pin(async { sends_card(run, "sendlocation").await }),
        ),
        waviro(
            "group.both",
            "with both nohp and groupid, the path decides which is used",
            |run| {
                Box::pin(async {
                    for (endpoint, whom) in
                        [("sendwa", Whom::Person), ("sendwatogroup", Whom::Group)]
                    {
                        let text = run.words("Ke satu saja");
                        let body = json!({"nohp": run.to, "groupid": run.group, "pesan": text});
                        run.deliver(endpoint, &body, whom, What::text(&text))
                            .await?;
                    }
                    Ok(())
                })
            },
        ),
        document(
            "group.requires",
            "without one of the fields, or with one null or empty: refused",
            |run| {
                Box::pin(async {
                    let text = json!({"groupid": run.group, "pesan": run.words("Test")});
                    requires(run, "sendwatogroup", &text, &["groupid", "pesan"]).await?;
                    let place = json!({"groupid": run.group, "latitude": "1", "longitude": "2"});
                    requires(
                        run,
                        "sendlocationtogroup",
                        &place,
                        &["groupid", "latitude", "longitude"],
                    )
                    .await?;
                    let card = json!({"groupid": run.group, "contact": {"name": CARD_NAME, "numbers": CARD}});
                    requires(run, "sendcontacttogroup", &card, &["groupid", "contact"]).await?;
                    let file =
                        json!({"groupid": run.group, "mediaurl": "http://127.0.0.1:1/foto.jpg"});
                    requires(run, "sendmediatogroup", &file, &["groupid", "mediaurl"]).await
                })
            },
        ),
        document(
            "group.invalid",
            "an invalid group id, or the id of a group without the bot, is refused",
            |run| {
                Box::pin(async {
                    let contact = json!({"name": CARD_NAME, "numbers": CARD});
                    for group in [
                        json!("halo"),
                        json!("12 34"),
                        json!(ELSEWHERE),
                        json!(true),
                        json!([run.group]),
                    ] {
                        refuses(
                            run,
                            "sendwatogroup",
                            json!({"groupid": group, "pesan": run.words("Test")}),
                        )
                        .await?;
                        refuses(
                            run,
                            "sendlocationtogroup",
                            json!({"groupid": group, "latitude": "1", "longitude": "2"}),
                        )
                        .await?;
                        refuses(
                            run,
                            "sendcontacttogroup",
                            json!({"groupid": group, "contact": contact}),
                        )
                        .await?;
                    }
                    Ok(())
                })
            },
        ),
        document(
            "group.repeat",
            "the same message to the same group twice in a row is refused",
            |run| {
                Box::pin(async {
                    let text = run.words("Dua kali");
                    let body = json!({"groupid": run.group, "pesan": text});
                    run.deliver("sendwatogroup", &body, Whom::Group, What::text(&text))
                        .await?;
                    refuses(run, "sendwatogroup", body).await
                })
            },
        ),
        document(
            "groups.list",
            "each group is listed with its id, its name and the time of its last message",
            |run| Box::pin(async { lists(run).await }),
        ),
    ]
}

async fn sends_card(run: &Run, endpoint: &str) -> Result<(), Failure> {
    let name = run.words(CARD_NAME);
    let body = json!({"groupid": run.group, "contact": {"name": name, "numbers": CARD}});
    run.deliver(endpoint, &body, Whom::Group, What::card(&name, &CARD))
        .await
        .map(drop)
}

async fn lists(run: &Run) -> Result<(), Failure> {
    let answer = run.host.post("groups").send().await?;
    let expected =
        "a list of {\"groupid\":\"digits\",\"groupname\":\"…\",\"grouplastchat\":Unix seconds}";
    let groups = answer
        .success()?
        .as_array()
        .ok_or_else(|| answer.wrong(expected))?;
    let of_an_id = |byte: u8| byte.is_ascii_digit() || byte == b'-';
    let right = |group: &Value| {
        let id = group["groupid"].as_str().unwrap_or_default();
        !id.is_empty()
            && id.bytes().all(of_an_id)
            && group["groupname"].is_string()
            && group["grouplastchat"].as_i64().is_some_and(|at| at > 0)
    };
    if !groups.iter().all(right) {
        return Err(answer.wrong(expected));
    }
    let there = groups
        .iter()
        .any(|group| group["groupid"] == run.group.as_str());
    there
        .then_some(())
        .ok_or_else(|| answer.wrong(&format!("the group {} in the list", run.group)))
}
