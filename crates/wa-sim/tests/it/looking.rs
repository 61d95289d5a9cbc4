//! The information of the control API for a person: wire log, waiting clients, ticks, quotes,
//! choices, files.

use futures::StreamExt as _;
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use waproto::buffa::MessageField;
use whatsapp_rust::pair_code::PairCodeOptions;
use whatsapp_rust::prelude::{Event, wa};
use whatsapp_rust::types::presence::ReceiptType;

use wa_sim::{Receipts, Sender, Sim, SimEvent};

use crate::client::{DEADLINE, TestClient, plain_http};

const SHOP: &str = "6281111111111";
const BUDI: &str = "6282222222222";
const TO_BUDI: &str = "6282222222222@s.whatsapp.net";

async fn ask(sim: &Sim, method: &str, path: &str, body: &Value) -> (StatusCode, Value) {
    let url = format!("{}/control/{path}", sim.http_url());
    let method = method.parse().expect("a method");
    let answer = plain_http().request(method, url).json(body).send().await;
    let answer = answer.expect("answered");
    (answer.status(), answer.json().await.unwrap_or_default())
}

async fn get(sim: &Sim, path: &str) -> Value {
    ask(sim, "GET", path, &json!({})).await.1
}

/// Reads server-sent events until `wanted` accepts an event.
async fn until(response: Response, mut wanted: impl FnMut(&Value) -> bool) -> Value {
    let mut stream = response.bytes_stream();
    let mut unread = String::new();
    let search = async {
        while let Some(Ok(part)) = stream.next().await {
            unread.push_str(&String::from_utf8_lossy(&part));
            while let Some(end) = unread.find("\n\n") {
                let event: String = unread.drain(..end + 2).collect();
                let data = event.trim_end().strip_prefix("data: ").unwrap_or("null");
                let event = serde_json::from_str(data).unwrap_or_default();
                if wanted(&event) {
                    return event;
                }
            }
        }
        panic!("the stream ended");
    };
    tokio::time::timeout(DEADLINE, search)
        .await
        .expect("in time")
}

#[tokio::test]
async fn what_goes_over_the_wire_can_be_read() {
    let sim = Sim::start().await.expect("starts");
    let (shop, budi) = (sim.phone(SHOP).await, sim.phone(BUDI).await);
    let (client, device) = TestClient::paired(&sim, &shop).await;
    client.send(TO_BUDI, "secret words", "WIRE-1").await;
    client.receipt("WIRE-1", ReceiptType::Read).await;

    let log = sim.wire();
    let first = log
        .iter()
        .find(|stanza| stanza.text.contains("<pair-device>"))
        .expect("how it was linked");
    assert_eq!(
        (first.device.as_str(), first.from),
        ("unpaired", Sender::Server)
    );
    let sent = log
        .iter()
        .find(|stanza| stanza.text.starts_with("<message") && stanza.text.contains("WIRE-1"))
        .expect("the message");
    assert_eq!(
        (sent.device.as_str(), sent.from),
        (device.id.as_str(), Sender::Device)
    );
    assert!(
        sent.text.contains("<enc") && sent.text.contains(" bytes "),
        "{}",
        sent.text
    );
    assert!(!sent.text.contains("secret words") && !sent.ignored);
    assert!(
        log.windows(2)
            .all(|pair| pair[0].number + 1 == pair[1].number)
    );

    // Over HTTP: the logged stanzas, then the new stanzas, each once.
    let url = format!("{}/control/wire", sim.http_url());
    let stream = plain_http().get(url).send().await.expect("answered");
    let id = budi.send_text(SHOP, "more").await.expect("sent");
    let mut numbers = Vec::new();
    until(stream, |stanza| {
        numbers.extend(stanza["number"].as_u64());
        stanza["from"] == "server"
            && stanza["text"]
                .as_str()
                .is_some_and(|text| text.contains(&id))
    })
    .await;
    assert_eq!(numbers.first(), Some(&log[0].number));
    assert!(
        numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]),
        "{numbers:?}"
    );
}

#[tokio::test]
async fn what_a_stalled_device_says_is_in_the_log_as_ignored() {
    let sim = Sim::start().await.expect("starts");
    let shop = sim.phone(SHOP).await;
    sim.phone(BUDI).await;
    let (client, device) = TestClient::paired(&sim, &shop).await;
    client.send(TO_BUDI, "warm", "ST-0").await;
    client.ack("ST-0").await;
    sim.faults().stall(&device.id, true);
    client.send(TO_BUDI, "into the void", "ST-1").await;
    let ignored = async {
        while !sim
            .wire()
            .iter()
            .any(|stanza| stanza.ignored && stanza.text.contains("ST-1"))
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, ignored)
        .await
        .expect("is logged");
}

#[tokio::test]
async fn clients_that_wait_are_listed_until_they_are_linked() {
    let sim = Sim::start().await.expect("starts");
    let shop = sim.phone(SHOP).await;
    assert_eq!(get(&sim, "waiting").await, json!([]));
    let mut events = sim.events();
    let client = TestClient::start(&sim).await;
    client.qr().await;
    let waiting = get(&sim, "waiting").await;
    assert_eq!(waiting.as_array().map(Vec::len), Some(1), "{waiting}");
    assert_eq!(waiting[0]["code_for"], Value::Null);
    assert!(
        waiting[0]["qr_expires_s"]
            .as_u64()
            .is_some_and(|left| left > 100)
    );

    let options = PairCodeOptions {
        phone_number: SHOP.to_owned(),
        ..PairCodeOptions::default()
    };
    let code = client.client.pair_with_code(options).await.expect("a code");
    let waiting = get(&sim, "waiting").await;
    assert_eq!(waiting[0]["code_for"], json!(SHOP));
    assert!(
        waiting[0]["code_expires_s"]
            .as_u64()
            .is_some_and(|left| left > 100)
    );

    shop.enter_code(&code).await.expect("linked");
    client.connected().await;
    assert_eq!(get(&sim, "waiting").await, json!([]));
    let mut counts = Vec::new();
    while let Ok(event) = events.try_recv() {
        if let SimEvent::Waiting { count } = event {
            counts.push(count);
        }
    }
    assert_eq!(
        (counts.first(), counts.last()),
        (Some(&1), Some(&0)),
        "{counts:?}"
    );
}

#[tokio::test]
async fn one_device_is_replaced_or_logged_out_alone() {
    let sim = Sim::start().await.expect("starts");
    let shop = sim.phone(SHOP).await;
    let (first, one) = TestClient::paired(&sim, &shop).await;
    let (second, two) = TestClient::paired(&sim, &shop).await;
    let (_, replaced) = ask(
        &sim,
        "POST",
        &format!("devices/{}/replace", one.id),
        &json!({}),
    )
    .await;
    assert_eq!(replaced, json!({ "replaced": true }));
    let conflict = |event: &Event| matches!(event, Event::StreamReplaced(_)).then_some(());
    first.event("StreamReplaced", conflict).await;

    let (_, out) = ask(
        &sim,
        "POST",
        &format!("devices/{}/logout", two.id),
        &json!({}),
    )
    .await;
    assert_eq!(out, json!({ "logged_out": true }));
    let gone = |event: &Event| matches!(event, Event::LoggedOut(_)).then_some(());
    second.event("LoggedOut", gone).await;
    let left: Vec<_> = sim
        .devices()
        .await
        .into_iter()
        .map(|device| device.id)
        .collect();
    assert_eq!(left, [one.id]);
    for what in ["replace", "logout"] {
        let path = format!("devices/{}/{what}", two.id);
        assert_eq!(
            ask(&sim, "POST", &path, &json!({})).await.0,
            StatusCode::NOT_FOUND
        );
    }
}

#[tokio::test]
async fn a_phone_tells_what_is_unread_and_who_has_read_what_it_sent() {
    let sim = Sim::start().await.expect("starts");
    let (shop, budi) = (sim.phone(SHOP).await, sim.phone(BUDI).await);
    let habits = json!({ "receipts": "delivered" });
    ask(&sim, "PATCH", &format!("phones/{BUDI}"), &habits).await;
    shop.send_text(BUDI, "one").await.expect("sent");
    let id = shop.send_text(BUDI, "two").await.expect("sent");
    let unread = async || get(&sim, "phones").await[1]["unread"].clone();
    assert_eq!(unread().await, json!({ SHOP: 2 }));
    let last = async || get(&sim, &format!("phones/{SHOP}/messages?last=1")).await;
    let shown = last().await;
    assert_eq!(shown.as_array().map(Vec::len), Some(1));
    assert_eq!(
        (
            &shown[0]["id"],
            &shown[0]["delivered_to"],
            &shown[0]["read_by"]
        ),
        (&json!(id), &json!([BUDI]), &json!([]))
    );
    budi.read(SHOP).await;
    assert_eq!(unread().await, json!({}));
    assert_eq!(last().await[0]["read_by"], json!([BUDI]));
    // The receiver of a message has no ticks for the message.
    let got = get(&sim, &format!("phones/{BUDI}/messages")).await;
    assert!(got[0].get("read_by").is_none(), "{got}");
}

#[tokio::test]
async fn a_client_that_reads_gives_the_phone_its_ticks() {
    let sim = Sim::start().await.expect("starts");
    let (shop, budi) = (sim.phone(SHOP).await, sim.phone(BUDI).await);
    // The phone itself sends no receipt, so the tick must come from the client.
    shop.set_receipts(Receipts::None);
    let (client, _) = TestClient::paired(&sim, &shop).await;
    let mut events = sim.events();
    let id = budi.send_text(SHOP, "hello").await.expect("sent");
    client.text("hello").await;
    let ticked = async {
        loop {
            match events.recv().await.expect("reports") {
                SimEvent::Receipt { id: of, from, .. } if of == id && from.contains(':') => return,
                _ => {}
            }
        }
    };
    tokio::time::timeout(DEADLINE, ticked)
        .await
        .expect("in time");
    let shown = get(&sim, &format!("phones/{BUDI}/messages")).await;
    assert_eq!(shown[0]["delivered_to"], json!([SHOP]), "{shown}");
}

#[tokio::test]
async fn a_phone_shows_what_is_quoted() {
    let sim = Sim::start().await.expect("starts");
    let (shop, budi) = (sim.phone(SHOP).await, sim.phone(BUDI).await);
    let id = budi.send_text(SHOP, "is it open?").await.expect("sent");
    let reply = json!({ "to": BUDI, "text": "yes", "quote": id });
    ask(
        &sim,
        "POST",
        &format!("phones/{}/send", shop.number()),
        &reply,
    )
    .await;
    let shown = get(&sim, &format!("phones/{BUDI}/messages")).await;
    let quoted = json!({ "id": id, "from": BUDI, "kind": "text", "text": "is it open?" });
    assert_eq!(
        (&shown[1]["text"], &shown[1]["quoted"]),
        (&json!("yes"), &quoted)
    );
}

#[tokio::test]
async fn a_phone_shows_what_can_be_chosen_and_what_was() {
    use wa::message::buttons_message::{Button, button::ButtonText};
    let sim = Sim::start().await.expect("starts");
    let (shop, budi) = (sim.phone(SHOP).await, sim.phone(BUDI).await);
    let (client, _) = TestClient::paired(&sim, &shop).await;
    let button = Button {
        button_id: Some("row-1".to_owned()),
        button_text: MessageField::some(ButtonText {
            display_text: Some("Nasi goreng".to_owned()),
        }),
        ..Default::default()
    };
    let menu = wa::Message {
        buttons_message: MessageField::some(wa::message::ButtonsMessage {
            content_text: Some("What would you like?".to_owned()),
            buttons: vec![button],
            ..Default::default()
        }),
        ..Default::default()
    };
    client.send_message(TO_BUDI, menu, "MENU-1").await;
    let shown = budi
        .wait_for(DEADLINE, |message| message.id == "MENU-1")
        .await;
    let shown = shown.expect("arrives");
    assert_eq!(
        (shown.kind.as_str(), shown.text.as_str()),
        ("buttons", "What would you like?")
    );
    let options = json!([{ "id": "row-1", "title": "Nasi goreng", "description": null }]);
    assert_eq!(shown.fields["options"], options);

    for kind in ["buttons", "list", "template", "interactive"] {
        let answer = json!({ "to": kind, "id": "row-1", "title": "Nasi goreng" });
        let body = json!({ "to": SHOP, "answer": answer });
        let (_, sent) = ask(&sim, "POST", &format!("phones/{BUDI}/send"), &body).await;
        let chosen = shop
            .wait_for(DEADLINE, |message| json!(message.id) == sent["id"])
            .await;
        let chosen = chosen.expect("arrives");
        assert_eq!(
            (chosen.kind.as_str(), chosen.text.as_str()),
            ("answer", "Nasi goreng")
        );
        assert_eq!(chosen.fields["answer_to"], kind);
        assert_eq!(chosen.fields["answer_id"], "row-1");
    }
}

#[tokio::test]
async fn a_file_that_could_run_is_only_saved() {
    let sim = Sim::start().await.expect("starts");
    sim.phone(SHOP).await;
    sim.phone(BUDI).await;
    let cases = [
        ("document", "text/html", "a\"; x=\r\n<b>.html", false),
        ("document", "application/pdf", "bill.pdf", false),
        ("image", "image/svg+xml", "", false),
        ("image", "IMAGE/SVG+XML; charset=utf-8", "", false),
        ("image", "text/html", "", false),
        ("image", "nonsense", "", false),
        ("image", "image/png", "", true),
        ("audio", "audio/ogg; codecs=opus", "", true),
    ];
    for (kind, mimetype, name, is_shown) in cases {
        let media =
            json!({ "kind": kind, "base64": "PHN2Zz4=", "mimetype": mimetype, "file_name": name });
        let body = json!({ "to": BUDI, "media": media });
        let (_, sent) = ask(&sim, "POST", &format!("phones/{SHOP}/send"), &body).await;
        let id = sent["id"].as_str().expect("sent");
        let url = format!("{}/control/phones/{BUDI}/media/{id}", sim.http_url());
        let file = plain_http().get(url).send().await.expect("answered");
        let header = |name: &str| file.headers()[name].to_str().expect("is text");
        let disposition = header("content-disposition");
        assert_eq!(
            disposition == "inline",
            is_shown,
            "{mimetype}: {disposition}"
        );
        assert!(is_shown || disposition.starts_with("attachment; filename*=UTF-8''"));
        assert_eq!(
            header("content-security-policy"),
            "default-src 'none'; sandbox"
        );
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("cross-origin-resource-policy"), "same-origin");
    }
}

#[tokio::test]
async fn what_a_page_of_another_origin_sends_is_refused() {
    let sim = Sim::start().await.expect("starts");
    let own = sim.http_url();
    for (origin, expected) in [
        (own.as_str(), StatusCode::CREATED),
        ("http://127.0.0.1:1", StatusCode::FORBIDDEN),
        ("https://evil.example", StatusCode::FORBIDDEN),
        ("null", StatusCode::FORBIDDEN),
    ] {
        let sent = plain_http()
            .post(format!("{own}/control/phones"))
            .header("origin", origin)
            .body(json!({ "number": SHOP }).to_string())
            .send()
            .await
            .expect("answered");
        assert_eq!(sent.status(), expected, "{origin}");
    }
}

#[tokio::test]
async fn what_changes_is_told_as_it_changes() {
    let sim = Sim::start().await.expect("starts");
    let mut events = sim.events();
    let shop = sim.phone(SHOP).await;
    shop.set_online(false);
    let group = sim.create_group("Team", SHOP, &[BUDI]).await;
    sim.rename_group(group.id(), "Others")
        .await
        .expect("renamed");
    let mut seen = Vec::new();
    while let Ok(event) = events.try_recv() {
        seen.push(event);
    }
    let (phone, group) = (SHOP.to_owned(), group.id().to_owned());
    for wanted in [
        SimEvent::PhoneAdded {
            phone: phone.clone(),
        },
        SimEvent::PhoneChanged { phone },
        SimEvent::GroupChanged { group },
    ] {
        assert!(seen.contains(&wanted), "{wanted:?} is not among {seen:?}");
    }
}
