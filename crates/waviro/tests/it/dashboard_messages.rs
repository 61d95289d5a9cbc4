//! The dashboard's messages and deliveries: what the pages show, and what their forms do.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};
use url::form_urlencoded;
use waviro_link::{Content, InboundKind, Location, ReceiptLevel};

use super::front::{Answer, GROUP};
use super::v1::Desk;
use super::webhooks::rig::{Hooks, inbound};

const MESSAGES: &str = "/dashboard/bots/1/messages";
const DELIVERIES: &str = "/dashboard/bots/1/deliveries";
const BUDI: &str = "6281300000001";
const SITI: &str = "6281300000002";

/// What somebody writes who wants to be more than a customer.
const HOSTILE: &str = r#"<script>alert(1)</script><img src=x onerror=alert(2)> " ' & {{ 7 * 7 }}"#;

/// Somebody who is logged in.
struct Browser<'d> {
    desk: &'d Desk,
    cookie: String,
}

impl<'d> Browser<'d> {
    /// A new user of this role, logged in by the form.
    async fn of(desk: &'d Desk, role: Value) -> Self {
        let name = role["role"].as_str().unwrap().to_owned();
        let mut user = role;
        user["name"] = name.clone().into();
        user["password"] = "kata sandi yang panjang".into();
        desk.post("/v1/users", user).await.done();
        let request = Request::post("/dashboard/login")
            .header("Sec-Fetch-Site", "same-origin")
            .body(Body::from(format!(
                "name={name}&password=kata+sandi+yang+panjang"
            )));
        let answer = desk.front.send(request.unwrap()).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{answer:?}");
        let cookies = answer.headers.get_all("set-cookie").iter();
        let session = cookies
            .filter_map(|cookie| cookie.to_str().unwrap().split(';').next())
            .find(|cookie| cookie.starts_with("waviro_session="));
        let cookie = format!("{}; waviro_lang=en", session.unwrap());
        Self { desk, cookie }
    }

    async fn admin(desk: &'d Desk) -> Self {
        Self::of(desk, json!({"role": "admin"})).await
    }

    async fn get(&self, path: &str) -> Answer {
        let request = Request::get(path).header("Cookie", &self.cookie);
        self.desk
            .front
            .send(request.body(Body::empty()).unwrap())
            .await
    }

    /// The page, which must be there.
    async fn page(&self, path: &str) -> String {
        let answer = self.get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {answer:?}");
        text(answer)
    }

    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        let request = Request::post(path)
            .header("Cookie", &self.cookie)
            .header("Sec-Fetch-Site", "same-origin");
        self.desk
            .front
            .send(request.body(Body::from(body)).unwrap())
            .await
    }
}

fn text(answer: Answer) -> String {
    match answer.body {
        Value::String(text) => text,
        other => panic!("no page: {other}"),
    }
}

async fn send(desk: &Desk, body: Value) -> String {
    let sent = desk.front_post("/v1/bots/1/messages", body).await;
    assert_eq!(sent.status, 202, "{sent:?}");
    sent.body["id"].as_str().unwrap().to_owned()
}

/// Until the API says so of what is at this path.
async fn until(desk: &Desk, path: &str, field: &str, value: Value) {
    let asked = async {
        while desk.get_unheld(path).await[field] != value {
            tokio::task::yield_now().await;
        }
    };
    desk.front.pass_until(asked).await;
}

/// The ids of the messages that a page leads to, in its order.
fn listed(page: &str) -> Vec<String> {
    let link = format!("href=\"{MESSAGES}/");
    let links = page.split(&link).skip(1);
    links
        .map(|rest| rest.split('"').next().unwrap().to_owned())
        .collect()
}

/// The query behind a link with this text before its end.
fn older(page: &str) -> Option<String> {
    let link = page.split(r#"rel="next" href="?"#).nth(1)?;
    let query = link.split('"').next()?;
    Some(query.replace("&#38;", "&"))
}

#[tokio::test]
async fn a_search_finds_by_id_by_number_and_by_text() {
    let desk = Desk::online().await;
    let admin = Browser::admin(&desk).await;
    let one = send(&desk, json!({"to": BUDI, "text": "Harga beras 20000000"})).await;
    let two = send(&desk, json!({"to": SITI, "text": "Kopi ÉNAK"})).await;
    let link = desk.front.link();
    link.inbound(vec![inbound("A1", BUDI, "berapa harga?")])
        .await
        .unwrap();
    until(&desk, "/v1/bots/1/messages/A1", "state", json!("received")).await;

    for (query, found) in [
        ("", vec![&two, &one]),
        (&format!("?q={one}"), vec![&one]),
        ("?q=6281300000002", vec![&two]),
        ("?q=%2B62+813-0000-0002", vec![&two]),
        ("?q=081300000002", vec![&two]),
        ("?q=kopi+%C3%A9", vec![&two]),
        // Digits that are nobody's number may be an order's.
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
    assert!(page.contains("Budi"));
    // An id is found wherever it is.
    assert_eq!(
        listed(&admin.page(&format!("{MESSAGES}?q=A1")).await),
        ["A1"]
    );
    // What was looked for stands in the form again, and in no address that is not encoded.
    let page = admin
        .page(&format!("{MESSAGES}?q=%22%3E%3Cscript%3E"))
        .await;
    assert!(!page.contains("<script>") && page.contains("&#60;script&#62;"));
}

#[tokio::test]
async fn pages_lead_through_all_messages_and_back_to_the_newest() {
    let desk = Desk::online().await;
    let admin = Browser::admin(&desk).await;
    let link = desk.front.link();
    let all: Vec<_> = (0..120)
        .map(|n| inbound(&format!("A{n:03}"), BUDI, &format!("pesan {n}")))
        .collect();
    link.inbound(all).await.unwrap();
    until(
        &desk,
        "/v1/bots/1/messages/A119",
        "state",
        json!("received"),
    )
    .await;
    let (mut seen, mut query) = (BTreeSet::new(), "direction=in".to_owned());
    for rows in [50, 50, 20] {
        let page = admin.page(&format!("{MESSAGES}?{query}")).await;
        let ids = listed(&page);
        assert_eq!(ids.len(), rows);
        seen.extend(ids);
        assert_eq!(page.contains("To the newest"), seen.len() > 50);
        match older(&page) {
            Some(next) => query = next,
            None => assert_eq!(seen.len(), 120),
        }
    }
}

#[tokio::test]
async fn what_strangers_write_is_shown_to_the_letter_and_never_run() {
    let desk = Desk::online().await;
    let admin = Browser::admin(&desk).await;
    let link = desk.front.link();
    let mut text = inbound("A1/../../x?y#z", BUDI, HOSTILE);
    text.push_name = HOSTILE.to_owned();
    let mut place = inbound("A2", BUDI, "");
    place.kind = InboundKind::Location(Location {
        latitude: -6.2,
        longitude: 106.8,
        name: Some(HOSTILE.to_owned()),
    });
    link.inbound(vec![text, place]).await.unwrap();
    until(&desk, "/v1/bots/1/messages/A2", "state", json!("received")).await;
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
        assert!(page.contains("&#60;script&#62;alert(1)"), "{page}");
        assert!(
            !page.contains("<script>alert") && !page.contains("<img src=x"),
            "{page}"
        );
    }
}

#[tokio::test]
async fn a_message_shows_its_course_and_each_callback_that_failed_with_its_cause() {
    let desk = Desk::with(&[("outbound.allow", "127.0.0.0/8")]).await;
    let admin = Browser::admin(&desk).await;
    let hooks = Hooks::start().await;
    hooks.answer(500, HOSTILE);
    let notify = hooks.url("notify");
    let id = send(
        &desk,
        json!({"to": BUDI, "text": "halo", "notify_url": notify.as_str()}),
    )
    .await;
    let at = format!("/v1/bots/1/messages/{id}");
    until(&desk, &at, "state", json!("sent")).await;
    desk.front.clock.advance(Duration::from_millis(1234));
    let link = desk.front.link();
    link.receipt(&id.parse().unwrap(), ReceiptLevel::Read)
        .await
        .unwrap();
    until(&desk, &at, "state", json!("read")).await;
    until(
        &desk,
        "/v1/bots/1/deliveries/1",
        "state",
        json!("delivered"),
    )
    .await;
    let page = admin.page(&format!("{MESSAGES}/{id}")).await;
    let mut rest = page.as_str();
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
    assert!(
        page.contains("status 500. Your program failed on this."),
        "{page}"
    );
    assert!(page.contains(&format!("{DELIVERIES}/1")) && page.contains("Status callback ack 1"));
    assert!(page.contains(notify.as_str()));

    let page = admin.page(&format!("{DELIVERIES}/1")).await;
    for shown in [
        "Answered 500",
        "Answered 200",
        "127.0.0.1",
        "webhook-id: ",
        "&#60;script&#62;alert(1)",
        &format!("{MESSAGES}/{id}"),
    ] {
        assert!(page.contains(shown), "{shown}: {page}");
    }
    assert!(!page.contains("<script>alert"));
    // A callback posts its message's ack, whatever somebody writes.
    assert!(!page.contains("<textarea"));
}

#[tokio::test]
async fn why_a_message_failed_is_said_in_words() {
    let desk = Desk::online().await;
    let admin = Browser::admin(&desk).await;
    let link = desk.front.link();
    link.keep_silent();
    let id = send(
        &desk,
        json!({"to": GROUP, "location": {"latitude": -6.2, "longitude": 106.8, "name": "Toko"}}),
    )
    .await;
    let sent = desk.front.first_sent().await;
    assert!(matches!(sent.content, Content::Location(_)));
    let page = admin.page(&format!("{MESSAGES}/{id}")).await;
    assert!(page.contains("-6.2, 106.8") && page.contains("Group 120363000000000001"));
    let id = send(&desk, json!({"to": BUDI, "text": "halo"})).await;
    link.nack(&id.parse().unwrap(), "463").await;
    until(
        &desk,
        &format!("/v1/bots/1/messages/{id}"),
        "state",
        json!("failed"),
    )
    .await;
    let page = admin.page(&format!("{MESSAGES}/{id}")).await;
    assert!(
        page.contains("WhatsApp refused this message.") && page.contains("nack: 463"),
        "{page}"
    );
    assert_eq!(
        listed(&admin.page(&format!("{MESSAGES}?state=failed")).await),
        [id]
    );
}

/// A gateway whose only webhook was refused, and its endpoint.
async fn refused() -> (Desk, Hooks) {
    let desk = Desk::with(&[("outbound.allow", "127.0.0.0/8")]).await;
    let hooks = Hooks::start().await;
    let body = json!({"url": hooks.url("hook").as_str()});
    desk.post("/v1/bots/1/rules", body).await.done();
    hooks.answer(410, "");
    let link = desk.front.link();
    link.inbound(vec![inbound("A1", BUDI, "halo")])
        .await
        .unwrap();
    until(&desk, "/v1/bots/1/deliveries/1", "state", json!("gone")).await;
    (desk, hooks)
}

#[tokio::test]
async fn a_delivery_is_posted_again_as_it_was_with_another_body_and_with_its_like() {
    let (desk, hooks) = refused().await;
    let admin = Browser::admin(&desk).await;
    let one = format!("{DELIVERIES}/1");
    // Its rule is off.
    let answer = admin.post(&one, &[("do", "again")]).await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
    assert!(text(answer).contains("Its rule or subscription is off"));
    let on = json!({"enabled": true});
    desk.patch("/v1/bots/1/rules/1", on).await.done();

    let answer = admin.post(&one, &[("do", "again")]).await;
    assert_eq!(
        (answer.status, answer.headers["location"].to_str().unwrap()),
        (StatusCode::SEE_OTHER, one.as_str())
    );
    until(
        &desk,
        "/v1/bots/1/deliveries/1",
        "state",
        json!("delivered"),
    )
    .await;
    assert_eq!(hooks.bodies()[0], hooks.bodies()[1]);

    let answer = admin.post(&one, &[("do", "edited"), ("body", "{no")]).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    let page = text(answer);
    assert!(
        page.contains("The body must be valid JSON.") && page.contains(">{no</textarea>"),
        "{page}"
    );
    let answer = admin
        .post(&one, &[("do", "edited"), ("body", "{\"data\":\r\n[]}")])
        .await;
    assert_eq!(answer.headers["location"], format!("{DELIVERIES}/2"));
    until(
        &desk,
        "/v1/bots/1/deliveries/2",
        "state",
        json!("delivered"),
    )
    .await;
    assert_eq!(hooks.bodies()[2], "{\"data\":\n[]}");
    assert!(
        admin
            .page(&format!("{DELIVERIES}/2"))
            .await
            .contains(&format!("href=\"{one}\""))
    );

    let fields = [
        ("do", "again"),
        ("state", "delivered"),
        ("kind", "keyword"),
        ("past", "day"),
    ];
    let answer = admin.post(DELIVERIES, &fields).await;
    assert_eq!(answer.status, StatusCode::OK);
    // Of a delivery and its copy one is under way at a time.
    let page = text(answer);
    assert!(
        page.contains("Posted again: 1.") && page.contains("Left out: 1"),
        "{page}"
    );
    desk.front.pass_until(hooks.wait_for(4)).await;
    let nobody = [("do", "again"), ("state", "given_up"), ("past", "hour")];
    assert!(text(admin.post(DELIVERIES, &nobody).await).contains("Posted again: 0."));
    assert_eq!(
        admin.post(DELIVERIES, &[("do", "x")]).await.status,
        StatusCode::BAD_REQUEST
    );
}

#[tokio::test]
async fn endpoints_in_trouble_stand_above_the_deliveries_and_are_switched_on_there() {
    let desk = Desk::with(&[("outbound.allow", "127.0.0.0/8")]).await;
    let admin = Browser::admin(&desk).await;
    let hooks = Hooks::start().await;
    let body = json!({"url": hooks.url("hook").as_str()});
    desk.post("/v1/bots/1/rules", body).await.done();
    hooks.answer(500, "");
    let link = desk.front.link();
    link.inbound(vec![inbound("A1", BUDI, "halo")])
        .await
        .unwrap();
    // The clock stands: nothing is tried again by itself.
    while desk.get_unheld("/v1/endpoints").await["data"][0]["waiting"] != 1 {
        tokio::task::yield_now().await;
    }
    let endpoint = hooks.url("").to_string();
    let endpoint = endpoint.trim_end_matches('/');
    let page = admin.page(DELIVERIES).await;
    assert!(
        page.contains(endpoint) && page.contains("Failing since") && page.contains("Next try"),
        "{page}"
    );
    assert!(page.contains("Will be tried again"));
    let operator = Browser::of(&desk, json!({"role": "operator", "bots": [1]})).await;
    assert!(!operator.page(DELIVERIES).await.contains("Failing since"));
    let fields = [("do", "on"), ("endpoint", endpoint)];
    assert_eq!(
        operator.post(DELIVERIES, &fields).await.status,
        StatusCode::FORBIDDEN
    );
    let answer = admin.post(DELIVERIES, &fields).await;
    assert!(text(answer).contains("posted now: 1."));
    desk.front.pass_until(hooks.wait_for(2)).await;
    let narrowed = |query: &str| format!("{DELIVERIES}?{query}");
    for (query, there) in [
        ("kind=keyword&past=day", true),
        ("kind=callback", false),
        ("subject=A1", true),
        ("subject=A2", false),
    ] {
        let page = admin.page(&narrowed(query)).await;
        assert_eq!(page.contains(&format!("{DELIVERIES}/1")), there, "{query}");
    }
}

#[tokio::test]
async fn a_viewer_sees_everything_and_posts_nothing_again() {
    let (desk, hooks) = refused().await;
    let viewer = Browser::of(&desk, json!({"role": "viewer"})).await;
    for path in [
        MESSAGES,
        DELIVERIES,
        "/dashboard/bots/1/messages/A1",
        "/dashboard/bots/1/deliveries/1",
    ] {
        let page = viewer.page(path).await;
        // Language and logging out are everybody's.
        let main = page.split_once("<main").unwrap().1;
        assert!(!main.contains("method=\"post\""), "{path}: {main}");
    }
    // Whoever has the webhook key can speak for the gateway.
    let delivery = "/dashboard/bots/1/deliveries/1";
    assert!(viewer.page(delivery).await.contains("whk_…"));
    let operator = Browser::of(&desk, json!({"role": "operator", "bots": [1]})).await;
    assert!(!operator.page(delivery).await.contains("whk_…"));
    for (path, fields) in [
        (
            DELIVERIES,
            vec![("do", "again"), ("state", "gone"), ("past", "day")],
        ),
        ("/dashboard/bots/1/deliveries/1", vec![("do", "again")]),
        (
            "/dashboard/bots/1/deliveries/1",
            vec![("do", "edited"), ("body", "{}")],
        ),
    ] {
        let answer = viewer.post(path, &fields).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path}");
        assert!(text(answer).contains("You may only look."));
    }
    assert_eq!(hooks.bodies().len(), 1);
}

#[tokio::test]
async fn an_operator_of_another_bot_finds_nothing() {
    let (desk, _) = refused().await;
    desk.post("/v1/bots", json!({"name": "dua"})).await.done();
    let operator = Browser::of(&desk, json!({"role": "operator", "bots": [2]})).await;
    for path in [
        MESSAGES,
        DELIVERIES,
        "/dashboard/bots/1/messages/A1",
        "/dashboard/bots/1/deliveries/1",
        "/dashboard/bots/2/messages/A1",
        "/dashboard/bots/2/deliveries/1",
    ] {
        assert_eq!(
            operator.get(path).await.status,
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
    let again = operator
        .post("/dashboard/bots/1/deliveries/1", &[("do", "again")])
        .await;
    assert_eq!(again.status, StatusCode::NOT_FOUND);
    let page = operator.page("/dashboard/bots/2/messages").await;
    // What there is to do, with a call that works here.
    assert!(
        page.contains("Nothing was sent yet") && page.contains("/api/sendwa"),
        "{page}"
    );
    assert!(
        operator
            .page("/dashboard/bots/2/deliveries")
            .await
            .contains("notifyurl")
    );
}
