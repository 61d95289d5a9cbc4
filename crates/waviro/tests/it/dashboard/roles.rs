//! The pages of viewers and operators, and the actions refused to both roles.

use axum::http::StatusCode;
use serde_json::json;
use waviro_store::UserRole;

use super::deliveries::{DELIVERIES, refused};
use super::messages::MESSAGES;
use super::rules::RULES;
use super::settings::{SETTINGS, works};
use crate::pages::Visitor;
use crate::test_app::TestApp;

#[tokio::test]
async fn a_viewer_looks_and_an_operator_sees_his_bots() {
    let app = TestApp::online().await;
    app.inner.bots().add("gudang").await.unwrap();
    let viewer = Visitor::new(&app, "lihat", UserRole::Viewer).await;
    let bots = viewer.page("/dashboard").await;
    bots.has(&["toko", "gudang"]);
    bots.lacks(&["method=\"post\" action=\"/dashboard\""]);
    let rename = [("do", "rename"), ("name", "baru")];
    let answer = viewer.post("/dashboard/bots/1", &rename).await;
    answer.refused(403);

    let operator = Visitor::new(&app, "kasir", UserRole::Operator(vec![1])).await;
    let bots = operator.page("/dashboard").await;
    bots.has(&["toko"]);
    bots.lacks(&["gudang"]);
    operator.get("/dashboard/bots/2").await.refused(404);
    let answer = operator.post("/dashboard/bots/1", &rename).await;
    answer.leads_to();
    let answer = operator.post("/dashboard", &[("name", "x")]).await;
    answer.refused(403);
}

#[tokio::test]
async fn a_viewer_is_shown_no_code_to_link_a_bot() {
    let app = TestApp::unlinked().await;
    let admin = Visitor::admin(&app).await;
    let link = "/dashboard/bots/1/link";
    admin.post(link, &[("do", "start")]).await;
    admin.page(link).await.has(&["qr.svg"]);
    let viewer = Visitor::new(&app, "lihat", UserRole::Viewer).await;
    for path in ["link", "link/qr.svg", "send"] {
        let page = viewer.get(&format!("/dashboard/bots/1/{path}")).await;
        page.refused(403);
        page.lacks(&["2@", "<form class"]);
    }
}

#[tokio::test]
async fn a_viewer_sees_everything_and_posts_nothing_again() {
    let (api, hooks) = refused().await;
    let viewer = Visitor::new(&api.app, "lihat", UserRole::Viewer).await;
    let message = format!("{MESSAGES}/A1");
    let delivery = format!("{DELIVERIES}/1");
    for path in [MESSAGES, DELIVERIES, &message, &delivery] {
        let page = viewer.page(path).await;
        let main = page.main();
        assert!(!main.contains("method=\"post\""), "{path}: {main}");
    }
    // The webhook key authenticates the gateway, so a viewer must not see the key.
    viewer.page(&delivery).await.has(&["whk_…"]);
    let operator = Visitor::new(&api.app, "kasir", UserRole::Operator(vec![1])).await;
    operator.page(&delivery).await.lacks(&["whk_…"]);
    for (path, fields) in [
        (
            DELIVERIES,
            vec![("do", "again"), ("state", "gone"), ("past", "day")],
        ),
        (&delivery, vec![("do", "again")]),
        (&delivery, vec![("do", "edited"), ("body", "{}")]),
    ] {
        let answer = viewer.post(path, &fields).await;
        answer.refused(403).has(&["You may only look."]);
    }
    assert_eq!(hooks.bodies().len(), 1);
}

#[tokio::test]
async fn an_operator_of_another_bot_finds_nothing() {
    let (api, _) = refused().await;
    api.post("/v1/bots", json!({"name": "dua"})).await.done();
    let operator = Visitor::new(&api.app, "kasir", UserRole::Operator(vec![2])).await;
    for path in [
        MESSAGES,
        DELIVERIES,
        "/dashboard/bots/1/messages/A1",
        "/dashboard/bots/1/deliveries/1",
        "/dashboard/bots/2/messages/A1",
        "/dashboard/bots/2/deliveries/1",
    ] {
        let page = operator.get(path).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{path}");
    }
    let again = [("do", "again")];
    let answer = operator.post(&format!("{DELIVERIES}/1"), &again).await;
    answer.refused(404);
    // An empty page explains the next step, with a working sample call.
    let page = operator.page("/dashboard/bots/2/messages").await;
    page.has(&["Nothing was sent yet", "/api/sendwa"]);
    let page = operator.page("/dashboard/bots/2/deliveries").await;
    page.has(&["notifyurl"]);
}

#[tokio::test]
async fn a_viewer_sees_no_form_and_no_secret_and_changes_nothing() {
    let app = TestApp::online().await;
    let admin = Visitor::admin(&app).await;
    let rule = [
        ("do", "add"),
        ("keyword", "harga"),
        ("url", "https://toko.example/"),
    ];
    admin.post(RULES, &rule).await.leads_to();
    let known = admin.page(SETTINGS).await;
    let viewer = Visitor::new(&app, "lihat", UserRole::Viewer).await;
    let one = format!("{RULES}/1");
    for path in [RULES, SETTINGS, &one] {
        let page = viewer.page(path).await;
        let main = page.main();
        assert!(!main.contains("<form"), "{path}: {main}");
        page.lacks(&[
            &known.value_of("the-webhook-key"),
            &known.value_of("the-secret"),
            "/dashboard/users",
        ]);
    }
    let settings = viewer.page(SETTINGS).await;
    settings.has(&["Behaviour", "Refused"]);
    for (path, fields) in [
        (RULES, vec![("do", "off"), ("rule", "1")]),
        (RULES, vec![("do", "really"), ("text", "harga")]),
        (&one, vec![("do", "remove")]),
        (SETTINGS, vec![("do", "rotate-key"), ("overlap_s", "0")]),
        (SETTINGS, vec![("do", "grace"), ("grace_s", "1")]),
    ] {
        let answer = viewer.post(path, &fields).await;
        answer.refused(403).has(&["You may only look."]);
    }
    assert!(works(&app, &app.key).await);
}

#[tokio::test]
async fn an_operator_has_its_own_bots_and_neither_networks_nor_users() {
    let app = TestApp::online().await;
    Visitor::admin(&app).await;
    let (other, _) = app.inner.bots().add("warung").await.unwrap();
    let role = UserRole::Operator(vec![other.id()]);
    let operator = Visitor::new(&app, "kasir", role).await;
    for path in [RULES, SETTINGS] {
        operator.get(path).await.refused(404);
        let fields = [("do", "end-key"), ("do", "try")];
        let answer = operator.post(path, &fields).await;
        assert!(!answer.status.is_success());
    }
    let own = format!("/dashboard/bots/{}/settings", other.id());
    let page = operator.page(&own).await;
    page.has(&["Show the key", "Only an admin may change this."]);
    page.lacks(&["id=\"networks\"", "/dashboard/users"]);
    let networks = [("do", "allow"), ("allow", "10.0.0.5")];
    let answer = operator.post(&own, &networks).await;
    answer.refused(403).has(&["Only for admins."]);
    for path in ["/dashboard/users", "/dashboard/users/1"] {
        operator.get(path).await.refused(403);
        let fields = [("do", "remove"), ("name", "admin")];
        operator.post(path, &fields).await.refused(403);
    }
}

#[tokio::test]
async fn each_form_of_a_viewer_is_refused_and_changes_nothing() {
    let app = TestApp::online().await;
    let admin = Visitor::admin(&app).await;
    let rule = [
        ("do", "add"),
        ("keyword", "harga"),
        ("url", "https://toko.example/"),
    ];
    admin.post(RULES, &rule).await.leads_to();
    let subscription = [
        ("do", "subscribe"),
        ("url", "https://toko.example/"),
        ("kind", "*"),
    ];
    admin.post(SETTINGS, &subscription).await.leads_to();
    let viewer = Visitor::new(&app, "lihat", UserRole::Viewer).await;
    let state = async || {
        let mut state = Vec::new();
        for path in [SETTINGS, RULES, "/dashboard", "/dashboard/users"] {
            let page = admin.page(path).await;
            // Each page has its own one-time word.
            let mut parts = page.main().split("name=\"once\" value=\"");
            state.extend(parts.next().map(ToOwned::to_owned));
            state.extend(parts.map(|part| part[32..].to_owned()));
        }
        state
    };
    let before = state().await;
    let one = format!("{RULES}/1");
    let link = "/dashboard/bots/1/link";
    let url = ("url", "https://toko.example/");
    for (path, fields) in [
        ("/dashboard", vec![("name", "baru")]),
        (
            "/dashboard/bots/1",
            vec![("do", "rename"), ("name", "baru")],
        ),
        (
            "/dashboard/bots/1",
            vec![("do", "remove"), ("name", "toko")],
        ),
        (link, vec![("do", "start")]),
        (link, vec![("do", "pair"), ("number", "6281200000001")]),
        (link, vec![("do", "logout")]),
        (
            "/dashboard/bots/1/send",
            vec![("kind", "text"), ("to", "6281300000001"), ("text", "Halo")],
        ),
        (RULES, vec![("do", "add"), ("keyword", "x"), url]),
        (RULES, vec![("do", "off"), ("rule", "1")]),
        (RULES, vec![("do", "try"), ("text", "harga")]),
        (&one, vec![("do", "change"), ("keyword", "x"), url]),
        (&one, vec![("do", "remove")]),
        (SETTINGS, vec![("do", "rotate-key")]),
        (SETTINGS, vec![("do", "end-key")]),
        (SETTINGS, vec![("do", "rotate-webhook-key")]),
        (SETTINGS, vec![("do", "rotate-signing-secret")]),
        (SETTINGS, vec![("do", "grace"), ("grace_s", "1")]),
        (SETTINGS, vec![("do", "subscribe"), ("kind", "*"), url]),
        (
            SETTINGS,
            vec![("do", "subscription-off"), ("subscription", "1")],
        ),
        (SETTINGS, vec![("do", "unsubscribe"), ("subscription", "1")]),
        (
            DELIVERIES,
            vec![("do", "again"), ("state", "gone"), ("past", "day")],
        ),
        (
            DELIVERIES,
            vec![("do", "on"), ("endpoint", "https://toko.example/")],
        ),
        (
            "/dashboard/users",
            vec![
                ("name", "baru"),
                ("password", "kata sandi panjang"),
                ("role", "admin"),
            ],
        ),
        (
            "/dashboard/users/1",
            vec![("do", "role"), ("role", "viewer")],
        ),
        (
            "/dashboard/users/1",
            vec![("do", "password"), ("password", "kata sandi panjang")],
        ),
    ] {
        for once in [None, Some(("once", "a word of a page"))] {
            let fields: Vec<_> = fields.iter().copied().chain(once).collect();
            viewer.post(path, &fields).await.refused(403);
        }
    }
    assert_eq!(state().await, before);
}
