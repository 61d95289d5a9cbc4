//! `/api/sendwa`

use serde_json::{Value, json};
use waviro_link::{Chat, Content, OfflineCause, Status, UnlinkedCause};
use waviro_testing::samples::{OWN, number};

use crate::test_app::{START, TestApp};

fn text(nohp: impl Into<Value>, pesan: &str) -> Value {
    json!({"nohp": nohp.into(), "pesan": pesan})
}

#[tokio::test]
async fn an_accepted_text_is_answered_as_the_document_shows() {
    let app = TestApp::online().await;
    let answer = app.sendwa(text("6282386000001", "Test kirim text")).await;
    let message = answer.message();
    let id = message["id"].as_str().unwrap();
    assert!(id.len() == 20 && id.starts_with("3EB0"), "{id}");
    assert!(
        id[4..]
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'A'..=b'F').contains(&b)),
        "{id}"
    );
    let expected = json!({
        "id": id, "status": 0, "type": "text", "timestamp": START / 1000,
        "from": format!("{OWN}@c.us"), "to": "6282386000001@c.us",
    });
    assert_eq!(message, &expected);
    assert_eq!(
        answer.body.as_object().unwrap().len(),
        2,
        "success and message, no more"
    );
    assert!(
        answer.headers["content-type"]
            .to_str()
            .unwrap()
            .starts_with("application/json")
    );
}

#[tokio::test]
async fn the_text_is_sent_unchanged_under_the_id_of_the_response() {
    let app = TestApp::online().await;
    let pesan = " *Halo* 👋\r\nbaris dua\t\u{202e} ";
    let answer = app.sendwa(text("6282386000001", pesan)).await;
    let link = app.link();
    app.pass_until(async {
        while link.sent().is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let sent = link.sent().remove(0);
    assert_eq!(answer.message()["id"], sent.id.as_str());
    assert_eq!(sent.content, Content::Text(pesan.to_owned()));
    assert_eq!(sent.to, Chat::Person(number("6282386000001")));
}

#[tokio::test]
async fn nohp_as_a_json_number() {
    let app = TestApp::online().await;
    let answer = app.sendwa(text(6_282_386_000_001_u64, "halo")).await;
    assert_eq!(answer.message()["to"], "6282386000001@c.us");
    for wrong in [
        "6.282386000001e12",
        "6282386000001.0",
        "-6282386000001",
        "62823860000011111111111",
        "1e400",
    ] {
        let body = format!(r#"{{"nohp":{wrong},"pesan":"halo"}}"#);
        let answer = app.post("/api/sendwa", body).await;
        assert!(
            matches!(answer.refusal(), (400, "invalid_number" | "invalid_body")),
            "{wrong} {answer:?}"
        );
    }
}

#[tokio::test]
async fn blanks_around_nohp_are_trimmed() {
    let app = TestApp::online().await;
    let answer = app.sendwa(text(" 6282386000001\n", "halo")).await;
    assert_eq!(answer.message()["to"], "6282386000001@c.us");
}

#[tokio::test]
async fn a_number_in_another_form_is_refused_with_the_form_it_should_have() {
    let app = TestApp::online().await;
    for (wrong, right) in [
        ("082386000001", "6282386000001"),
        ("+6282386000001", "6282386000001"),
        ("62 823-8600-0001", "6282386000001"),
        ("(0823) 8600-0001", "6282386000001"),
        ("006282386000001", "6282386000001"),
        ("6282386000001@c.us", "6282386000001"),
        ("0823.8600.0001", "6282386000001"),
    ] {
        let answer = app.sendwa(text(wrong, "halo")).await;
        assert_eq!(
            answer.refusal_and_field(),
            (400, "invalid_number", "nohp"),
            "{wrong}"
        );
        assert!(
            answer.body["errorMessage"]
                .as_str()
                .unwrap()
                .contains(right),
            "{wrong} {answer:?}"
        );
    }
    for wrong in [
        "6.28120000002E+12",
        "6281200000002.0",
        "081200000002/081200000003",
    ] {
        let answer = app.sendwa(text(wrong, "halo")).await;
        assert_eq!(answer.refusal(), (400, "invalid_number"), "{wrong}");
        let says = answer.body["errorMessage"].as_str().unwrap();
        assert!(
            says.contains("6282386000001"),
            "the form, by the usual example: {says}"
        );
    }
    for wrong in [
        json!("halo"),
        json!("628"),
        json!("6282386000001111"),
        json!(true),
        json!([]),
        json!({}),
        json!("٦٢٨٢٣٨٦٠٠٠"),
    ] {
        let answer = app.sendwa(text(wrong.clone(), "halo")).await;
        assert_eq!(
            answer.refusal_and_field(),
            (400, "invalid_number", "nohp"),
            "{wrong}"
        );
    }
}

#[tokio::test]
async fn an_incomplete_body_is_400_and_names_the_field() {
    let app = TestApp::online().await;
    for (body, field) in [
        (json!({}), "nohp"),
        (json!({"pesan": "halo"}), "nohp"),
        (json!({"nohp": null, "pesan": "halo"}), "nohp"),
        (json!({"nohp": "", "pesan": "halo"}), "nohp"),
        (json!({"nohp": "6282386000001"}), "pesan"),
        (json!({"nohp": "6282386000001", "pesan": ""}), "pesan"),
        (json!({"nohp": "6282386000001", "pesan": null}), "pesan"),
        (json!({"nohp": "6282386000001", "pesan": " \n"}), "pesan"),
    ] {
        let answer = app.sendwa(body.clone()).await;
        assert_eq!(
            answer.refusal_and_field(),
            (400, "missing_field", field),
            "{body}"
        );
    }
    for pesan in [json!(5), json!(["halo"]), json!("a\0b")] {
        let answer = app
            .sendwa(json!({"nohp": "6282386000001", "pesan": pesan}))
            .await;
        assert_eq!(answer.refusal_and_field(), (400, "invalid_text", "pesan"));
    }
}

#[tokio::test]
async fn a_text_may_have_65536_characters_however_they_are_escaped() {
    let app = TestApp::online().await;
    let (nohp, length) = ("6282386000001", 65_536);
    for body in [
        text(nohp, &"é".repeat(length)).to_string(),
        text(nohp, &"\u{1}".repeat(length)).to_string(),
        format!(
            r#"{{"nohp":"{nohp}","pesan":"{}"}}"#,
            r"\ud83d\ude00".repeat(length)
        ),
        json!(format!(
            r#"{{"nohp":"{nohp}","pesan":"{}"}}"#,
            r"\uD83D\uDE01".repeat(length)
        ))
        .to_string(),
        format!("nohp={nohp}&pesan={}", "%F0%9F%98%82".repeat(length)),
    ] {
        assert_eq!(app.post("/api/sendwa", body).await.message()["status"], 0);
    }
    let answer = app.sendwa(text("6282386000001", &"é".repeat(65_537))).await;
    assert_eq!(answer.refusal_and_field(), (400, "text_too_long", "pesan"));
}

#[tokio::test]
async fn an_empty_or_null_notifyurl_is_none() {
    let app = TestApp::online().await;
    for (at, url) in [json!(""), json!(null), json!("  ")]
        .into_iter()
        .enumerate()
    {
        let body =
            json!({"nohp": "6282386000001", "pesan": format!("halo {at}"), "notifyurl": url});
        assert_eq!(app.sendwa(body).await.message()["status"], 0);
    }
}

#[tokio::test]
async fn a_notifyurl_that_can_not_be_called_is_refused_before_anything_is_sent() {
    let app = TestApp::online().await;
    for url in [
        json!("halo"),
        json!("/notify"),
        json!("//example.com/x"),
        json!("ftp://example.com/"),
        json!("javascript:alert(1)"),
        json!("https://me:secret@example.com/"),
        json!("http://127.0.0.1/"),
        json!("http://2130706433/"),
        json!("http://[::ffff:127.0.0.1]/"),
        json!("http://localhost:3000/"),
        json!("http://169.254.169.254/latest/meta-data/"),
        json!(5),
        json!(["https://example.com/"]),
    ] {
        let body = json!({"nohp": "6282386000001", "pesan": "halo", "notifyurl": url});
        let answer = app.sendwa(body).await;
        assert_eq!(
            answer.refusal_and_field(),
            (400, "invalid_url", "notifyurl"),
            "{url}"
        );
    }
    let private =
        json!({"nohp": "6282386000001", "pesan": "halo", "notifyurl": "http://10.0.0.5:8000/x"});
    let sentence = app.sendwa(private.clone()).await.body["errorMessage"].to_string();
    assert!(
        sentence.contains("10.0.0.5/32") && sentence.contains("outbound.allow"),
        "{sentence}"
    );
    assert!(app.link().sent().is_empty());
    let allowed = TestApp::with(&[("outbound.allow", "10.0.0.5/32:8000")]).await;
    assert_eq!(allowed.sendwa(private).await.message()["status"], 0);
}

#[tokio::test]
async fn groupid_alone_sends_to_the_group_and_beside_nohp_to_the_person() {
    let app = TestApp::online().await;
    let group = json!({"groupid": "120363000000000001@g.us", "pesan": "halo"});
    let answer = app.sendwa(group).await;
    assert_eq!(
        (&answer.message()["to"], &answer.message()["type"]),
        (&json!("120363000000000001@g.us"), &json!("chat"))
    );
    let both = json!({"nohp": "6282386000001", "groupid": "120363000000000001", "pesan": "halo"});
    assert_eq!(app.sendwa(both).await.message()["to"], "6282386000001@c.us");
    let blank = json!({"nohp": "", "groupid": "120363000000000001", "pesan": "hai"});
    assert_eq!(
        app.sendwa(blank).await.message()["to"],
        "120363000000000001@g.us"
    );
    for wrong in [
        json!("x"),
        json!("120363@c.us"),
        json!(120_363_000_000_000_001_u64),
        json!([]),
    ] {
        let answer = app.sendwa(json!({"groupid": wrong, "pesan": "halo"})).await;
        assert_eq!(
            answer.refusal_and_field(),
            (400, "invalid_group", "groupid"),
            "{wrong}"
        );
    }
}

#[tokio::test]
async fn the_same_text_twice_running_is_refused() {
    let app = TestApp::online().await;
    let one = text("6282386000001", "halo");
    assert_eq!(app.sendwa(one.clone()).await.message()["status"], 0);
    assert_eq!(
        app.sendwa(one.clone()).await.refusal(),
        (400, "duplicate_message")
    );
    assert_eq!(
        app.sendwa(text("6282386000002", "halo")).await.message()["status"],
        0
    );
    assert_eq!(
        app.sendwa(text("6282386000001", "hai")).await.message()["status"],
        0
    );
    assert_eq!(app.sendwa(one).await.message()["status"], 0);
}

#[tokio::test]
async fn of_many_identical_requests_at_once_exactly_one_wins() {
    let app = TestApp::online().await;
    let asked = (0..20).map(|_| app.sendwa(text("6282386000001", "halo")));
    let answers = futures::future::join_all(asked).await;
    assert_eq!(
        answers
            .iter()
            .filter(|answer| answer.status.is_success())
            .count(),
        1
    );
}

#[tokio::test]
async fn a_number_that_is_not_on_whatsapp_is_400() {
    let app = TestApp::online().await;
    app.link().unregister(number("6282386000009"));
    let answer = app.sendwa(text("6282386000009", "halo")).await;
    assert_eq!(answer.refusal_and_field(), (400, "invalid_number", "nohp"));
}

#[tokio::test]
async fn a_bot_that_is_not_connected_refuses_at_once_and_says_why() {
    let app = TestApp::unlinked().await;
    let answer = app.sendwa(text("6282386000001", "halo")).await;
    assert_eq!(answer.refusal(), (400, "not_connected"));
    assert!(
        answer.body["errorMessage"]
            .as_str()
            .unwrap()
            .contains("/api/getqr"),
        "{answer:?}"
    );
    let app = TestApp::online().await;
    let mut shown = Vec::new();
    for status in [
        Status::Unlinked(UnlinkedCause::LoggedOut("removed".to_owned())),
        Status::Unlinked(UnlinkedCause::CodesUsedUp),
        Status::Linking { qr: None },
        Status::Replaced,
        Status::Banned {
            reason: "spam".to_owned(),
            until: None,
        },
        Status::PasskeyAsked,
        Status::ClientOutdated,
    ] {
        app.link().set_status(status);
        let answer = app.sendwa(text("6282386000001", "halo")).await;
        assert_eq!(answer.refusal(), (400, "not_connected"));
        shown.push(answer.body["errorMessage"].as_str().unwrap().to_owned());
    }
    insta::assert_snapshot!(shown.join("\n"));
}

#[tokio::test]
async fn a_bad_body_is_refused_as_such_even_while_the_bot_is_not_connected() {
    let app = TestApp::unlinked().await;
    assert_eq!(
        app.sendwa(text("082386000001", "halo")).await.refusal(),
        (400, "invalid_number")
    );
}

#[tokio::test]
async fn a_bot_that_reconnects_accepts_within_its_grace_time_and_not_after_it() {
    let app = TestApp::online().await;
    assert_eq!(
        app.sendwa(text("6282386000001", "satu")).await.message()["status"],
        0
    );
    app.link().set_status(Status::Reconnecting {
        cause: OfflineCause::Ended("test".to_owned()),
    });
    app.clock.advance(std::time::Duration::from_secs(59));
    assert_eq!(
        app.sendwa(text("6282386000001", "dua")).await.message()["status"],
        0
    );
    app.clock.advance(std::time::Duration::from_secs(2));
    assert_eq!(
        app.sendwa(text("6282386000001", "tiga")).await.refusal(),
        (400, "not_connected")
    );
}
