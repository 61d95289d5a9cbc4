//! The pages of messages: the list, the search, and the page of a message.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use waviro_link::{Content, InboundKind, Location, ReceiptLevel};
use waviro_testing::hooks::Hooks;
use waviro_testing::samples::GROUP;
use waviro_testing::samples::inbound;

use super::deliveries::DELIVERIES;
use crate::pages::{Page, Visitor};
use crate::v1::ApiTest;

pub(super) const MESSAGES: &str = "/dashboard/bots/1/messages";
const BUDI: &str = "6281300000001";
const SITI: &str = "6281300000002";

/// A customer's message that tries to attack the page.
const HOSTILE: &str = r#"<script>alert(1)</script><img src=x onerror=alert(2)> " ' & {{ 7 * 7 }}"#;

async fn send(api: &ApiTest, body: Value) -> String {
    let sent = api.post_unvalidated("/v1/bots/1/messages", body).await;
    assert_eq!(sent.status, 202, "{sent:?}");
    sent.body["id"].as_str().unwrap().to_owned()
}

/// Waits until the field of this API resource has the value.
pub(super) async fn until(api: &ApiTest, path: &str, field: &str, value: Value) {
    let asked = async {
        while api.get_unvalidated(path).await[field] != value {
            tokio::task::yield_now().await;
        }
    };
    api.app.pass_until(asked).await;
}

/// Returns the ids of the messages linked by a page, in order.
fn listed(page: &Page) -> Vec<String> {
    let link = format!("href=\"{MESSAGES}/");
    let links = page.text.split(&link).skip(1);
    links
        .map(|rest| rest.split('"').next().unwrap().to_owned())
        .collect()
}

/// Returns the query of the link to older messages.
fn older(page: &Page) -> Option<String> {
    let link = page.text.split(r#"rel="next" href="?"#).nth(1)?;
    let query = link.split('"').next()?;
    Some(query.replace("&#38;", "&"))
}

#[tokio::test]
async fn a_search_finds_by_id_by_number_and_by_text() {
    let api = ApiTest::online().await;
    let admin = Visitor::admin(&api.app).await;
    let one = send(&api, json!({"to": BUDI, "text": "Harga beras 20000000"})).await;
    let two = send(&api, json!({"to": SITI, "text": "Kopi ÉNAK"})).await;
    let link = api.app.link();
    link.inbound(vec![inbound("A1", BUDI, "berapa harga?")])
        .await
        .unwrap();
    until(&api, "/v1/bots/1/messages/A1", "state", json!("received")).await;

    for (query, found) in [
        ("", vec![&two, &one]),
        (&format!("?q={one}"), vec![&one]),
        ("?q=6281300000002", vec![&two]),
        ("?q=%2B62+813-0000-0002", vec![&two]),
        ("?q=081300000002", vec![&two]),
        ("?q=kopi+%C3%A9", vec![&two]),
        // Digits that are not a phone number may be an order number in a text.
        ("?q=20000000", vec![&one]),
        ("?q=nothing+of+the+kind", vec![]),
        ("?state=failed", vec![]),
    ] {
        let page = admin.page(&format!("{MESSAGES}{query}")).await;
        assert_eq!(
            listed(&page),
            found.into_iter().cloned().collect::<Vec<_>>(),
            "{query}"
        );
    }
    let page = admin
        .page(&format!("{MESSAGES}?direction=in&q=HARGA"))
        .await;
    assert_eq!(listed(&page), ["A1"]);
    page.has(&["Budi"]);
    // An id is found in both directions.
    assert_eq!(
        listed(&admin.page(&format!("{MESSAGES}?q=A1")).await),
        ["A1"]
    );
    // The search text appears in the form, escaped, and in no unencoded address.
    let page = admin
        .page(&format!("{MESSAGES}?q=%22%3E%3Cscript%3E"))
        .await;
    page.lacks(&["<script>"]).has(&["&#60;script&#62;"]);
}

#[tokio::test]
async fn pages_lead_through_all_messages_and_back_to_the_newest() {
    let api = ApiTest::online().await;
    let admin = Visitor::admin(&api.app).await;
    let link = api.app.link();
    let all: Vec<_> = (0..120)
        .map(|n| inbound(&format!("A{n:03}"), BUDI, &format!("pesan {n}")))
        .collect();
    link.inbound(all).await.unwrap();
    until(&api, "/v1/bots/1/messages/A119", "state", json!("received")).await;
    let (mut seen, mut query) = (BTreeSet::new(), "direction=in".to_owned());
    for rows in [50, 50, 20] {
        let page = admin.page(&format!("{MESSAGES}?{query}")).await;
        let ids = listed(&page);
        assert_eq!(ids.len(), rows);
        seen.extend(ids);
        assert_eq!(page.text.contains("To the newest"), seen.len() > 50);
        match older(&page) {
            Some(next) => query = next,
            None => assert_eq!(seen.len(), 120),
        }
    }
}

#[tokio::test]
async fn texts_of_strangers_are_shown_unchanged_and_never_executed() {
    let api = ApiTest::online().await;
    let admin = Visitor::admin(&api.app).await;
    let link = api.app.link();
    let mut text = inbound("A1/../../x?y#z", BUDI, HOSTILE);
    text.push_name = HOSTILE.to_owned();
    let mut place = inbound("A2", BUDI, "");
    place.kind = InboundKind::Location(Location {
        latitude: -6.2,
        longitude: 106.8,
        name: Some(HOSTILE.to_owned()),
    });
    link.inbound(vec![text, place]).await.unwrap();
    until(&api, "/v1/bots/1/messages/A2", "state", json!("received")).await;
    let list = admin.page(&format!("{MESSAGES}?direction=in")).await;
    let odd = "A1%2F..%2F..%2Fx%3Fy%23z";
    assert_eq!(
        listed(&list).into_iter().collect::<BTreeSet<_>>(),
        BTreeSet::from(["A2".to_owned(), odd.to_owned()])
    );
    for page in [
        list,
        admin.page(&format!("{MESSAGES}/{odd}")).await,
        admin.page(&format!("{MESSAGES}/A2")).await,
    ] {
        page.has(&["&#60;script&#62;alert(1)"]);
        page.lacks(&["<script>alert", "<img src=x"]);
    }
}

#[tokio::test]
async fn a_message_shows_its_course_and_each_callback_that_failed_with_its_cause() {
    let api = ApiTest::with(&[("outbound.allow", "127.0.0.0/8")]).await;
    let admin = Visitor::admin(&api.app).await;
    let hooks = Hooks::start().await;
    hooks.answer(500, HOSTILE);
    let notify = hooks.url("notify");
    let id = send(
        &api,
        json!({"to": BUDI, "text": "halo", "notify_url": notify.as_str()}),
    )
    .await;
    let at = format!("/v1/bots/1/messages/{id}");
    until(&api, &at, "state", json!("sent")).await;
    api.app.clock.advance(Duration::from_millis(1234));
    let link = api.app.link();
    link.receipt(&id.parse().unwrap(), ReceiptLevel::Read)
        .await
        .unwrap();
    until(&api, &at, "state", json!("read")).await;
    until(&api, "/v1/bots/1/deliveries/1", "state", json!("delivered")).await;
    let page = admin.page(&format!("{MESSAGES}/{id}")).await;
    let mut rest = page.text.as_str();
    for step in ["Accepted by the gateway", "WhatsApp took it"] {
        rest = rest
            .split_once(step)
            .unwrap_or_else(|| panic!("{step}: {rest}"))
            .1;
    }
    assert!(
        rest.contains("<strong>Read</strong>") && rest.contains(" ms</span>"),
        "{rest}"
    );
    let delivery = format!("{DELIVERIES}/1");
    page.has(&[
        "status 500. Your program failed on this request.",
        &delivery,
        "Status callback ack 1",
        notify.as_str(),
    ]);

    let page = admin.page(&delivery).await;
    page.has(&[
        "Answered 500",
        "Answered 200",
        "127.0.0.1",
        "webhook-id: ",
        "&#60;script&#62;alert(1)",
        &format!("{MESSAGES}/{id}"),
    ]);
    page.lacks(&["<script>alert"]);
    // A callback posts the ack of its message, so its page has no form for a reply.
    page.lacks(&["<textarea"]);
}

#[tokio::test]
async fn the_cause_of_a_failed_message_is_shown_as_a_sentence() {
    let api = ApiTest::online().await;
    let admin = Visitor::admin(&api.app).await;
    let link = api.app.link();
    link.keep_silent();
    let id = send(
        &api,
        json!({"to": GROUP, "location": {"latitude": -6.2, "longitude": 106.8, "name": "Toko"}}),
    )
    .await;
    let sent = api.app.first_sent().await;
    assert!(matches!(sent.content, Content::Location(_)));
    let page = admin.page(&format!("{MESSAGES}/{id}")).await;
    page.has(&["-6.2, 106.8", "Group 120363000000000001"]);
    let id = send(&api, json!({"to": BUDI, "text": "halo"})).await;
    link.nack(&id.parse().unwrap(), "463").await;
    until(
        &api,
        &format!("/v1/bots/1/messages/{id}"),
        "state",
        json!("failed"),
    )
    .await;
    let page = admin.page(&format!("{MESSAGES}/{id}")).await;
    page.has(&[
        "WhatsApp refused this message, code 463.",
        "let customers write first",
        "Refused by WhatsApp (463), ack -1",
        "nack: 463",
    ]);
    let list = admin.page(&format!("{MESSAGES}?state=failed")).await;
    list.has(&["Refused by WhatsApp (463)"]);
    assert_eq!(listed(&list), [id]);
}
