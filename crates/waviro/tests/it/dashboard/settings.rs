//! The page of a bot's settings: keys, behaviour and event subscriptions.

use axum::body::Body;
use axum::http::Request;
use serde_json::Value;
use waviro_store::UserRole;

use crate::pages::Visitor;
use crate::test_app::TestApp;

pub(super) const SETTINGS: &str = "/dashboard/bots/1/settings";

/// Returns whether the API accepts the key.
pub(super) async fn works(app: &TestApp, key: &str) -> bool {
    let request = Request::post("/api/getqr").header("SecretKey", key);
    let answer = app.send(request.body(Body::empty()).unwrap()).await;
    answer.body["success"] == Value::Bool(true)
}

#[tokio::test]
async fn keys_are_replaced_and_the_old_keys_end_as_the_page_says() {
    let app = TestApp::online().await;
    let admin = Visitor::admin(&app).await;
    let first = app.key.clone();
    let rotate = |seconds| [("do", "rotate-key"), ("overlap_s", seconds)];
    let page = admin.post(SETTINGS, &rotate("3600")).await;
    page.shown();
    page.has(&["shown only this once", "The old one works until"]);
    let second = page.value_of("fresh-key");
    assert!(works(&app, &first).await && works(&app, &second).await);
    let later = admin.page(SETTINGS).await;
    later.lacks(&[&second]);
    later.has(&["End the old key now", "less than a day"]);
    let end = admin.post(SETTINGS, &[("do", "end-key")]).await;
    let back = format!("{SETTINGS}?done=secret-key#secret-key");
    assert_eq!(end.leads_to(), back);
    assert!(!works(&app, &first).await && works(&app, &second).await);
    let page = admin.post(SETTINGS, &rotate("0")).await;
    page.has(&["The old one is dead."]);
    assert!(!works(&app, &second).await && works(&app, &page.value_of("fresh-key")).await);
    let long = admin.post(SETTINGS, &rotate("604801")).await;
    long.refused(422);
    long.has(&["at most 7 days"]);
    let before = admin.page(SETTINGS).await;
    let rotated = [("do", "rotate-webhook-key")];
    admin.post(SETTINGS, &rotated).await.leads_to();
    let sign = [("do", "rotate-signing-secret"), ("overlap_s", "3600")];
    admin.post(SETTINGS, &sign).await.leads_to();
    let after = admin.page(SETTINGS).await;
    assert_ne!(
        before.value_of("the-webhook-key"),
        after.value_of("the-webhook-key")
    );
    after.has(&["signs too until", &before.value_of("the-secret")]);
}

#[tokio::test]
async fn each_setting_has_its_own_form_and_a_refused_value_stays_in_the_field() {
    let app = TestApp::online().await;
    let admin = Visitor::admin(&app).await;
    for (fields, section) in [
        (vec![("do", "duplicate"), ("within_s", "60")], "duplicate"),
        (
            vec![
                ("do", "pacing"),
                ("per_minute", "20"),
                ("jitter", "12,5"),
                ("typing", "1"),
            ],
            "pacing",
        ),
        (
            vec![("do", "group-acks"), ("group_acks", "1")],
            "group-acks",
        ),
        (vec![("do", "grace"), ("grace_s", "5")], "grace"),
        (
            vec![("do", "allow"), ("allow", "10.0.0.5\r\n10.1.0.0/16:80")],
            "allow",
        ),
    ] {
        let page = admin.post(SETTINGS, &fields).await;
        let back = format!("{SETTINGS}?done={section}#{section}");
        assert_eq!(page.leads_to(), back);
    }
    let page = admin.page(&format!("{SETTINGS}?done=grace")).await;
    page.has(&["Saved. It holds already.", "10.0.0.5\n10.1.0.0/16:80"]);
    for (id, value) in [
        ("within", "60"),
        ("per-minute", "20"),
        ("jitter", "12.5"),
        ("grace-s", "5"),
    ] {
        assert_eq!(page.value_of(id), value, "{id}");
    }
    let settings = app.inner.bots().list()[0].settings();
    assert!(!settings.duplicate_rule.enabled && settings.pacing.typing && settings.group_acks);
    for (fields, says, id, value) in [
        (
            vec![("do", "pacing"), ("per_minute", "601"), ("jitter", "30")],
            "from 1 to 600",
            "per-minute",
            "601",
        ),
        (
            vec![("do", "pacing"), ("jitter", "banyak")],
            "0 to 100 percent",
            "jitter",
            "banyak",
        ),
        (
            vec![("do", "grace"), ("grace_s", "1.5")],
            "from 0 to 86400",
            "grace-s",
            "1.5",
        ),
        (
            vec![("do", "duplicate"), ("within_s", "0")],
            "from 1 to 31536000",
            "within",
            "0",
        ),
    ] {
        let page = admin.post(SETTINGS, &fields).await;
        page.refused(422);
        page.has(&[says, "invalid_field"]);
        assert_eq!(page.value_of(id), value);
    }
    let networks = [("do", "allow"), ("allow", "10.0.0.0/99")];
    let page = admin.post(SETTINGS, &networks).await;
    page.refused(422);
    page.has(&["10.0.0.0/99", "at most 64"]);
    // An empty field restores the default.
    let nothing = [("do", "grace"), ("grace_s", "")];
    admin.post(SETTINGS, &nothing).await.leads_to();
    let settings = app.inner.bots().list()[0].settings();
    assert_eq!(settings.grace_s, None);
}

#[tokio::test]
async fn the_retention_times_are_shown_to_every_user() {
    let app = TestApp::with(&[("retention.media_days", "7")]).await;
    let viewer = Visitor::new(&app, "lihat", UserRole::Viewer).await;
    let page = viewer.page(SETTINGS).await;
    page.has(&[
        "Files received</dt><dd>7 days",
        "Deliveries</dt><dd>30 days",
    ]);
}

#[tokio::test]
async fn events_are_subscribed_to_switched_and_unsubscribed() {
    let app = TestApp::online().await;
    let admin = Visitor::admin(&app).await;
    let url = ("url", "https://toko.example/events.php");
    let none = admin.post(SETTINGS, &[("do", "subscribe"), url]).await;
    none.refused(422);
    none.has(&["at least one kind"]);
    assert_eq!(none.value_of("event-url"), url.1);
    let some = [
        ("do", "subscribe"),
        url,
        ("kind", "message.received"),
        ("kind", "bot.state"),
    ];
    let back = format!("{SETTINGS}?done=subscriptions#subscriptions");
    assert_eq!(admin.post(SETTINGS, &some).await.leads_to(), back);
    let page = admin.page(SETTINGS).await;
    page.has(&[url.1, "Message received, Bot&#39;s state"]);
    for (word, shows) in [
        ("subscription-off", "subscription-on"),
        ("subscription-on", "subscription-off"),
    ] {
        let fields = [("do", word), ("subscription", "1")];
        admin.post(SETTINGS, &fields).await.leads_to();
        admin.page(SETTINGS).await.has(&[shows]);
    }
    let end = [("do", "unsubscribe"), ("subscription", "1")];
    admin.post(SETTINGS, &end).await.leads_to();
    admin.page(SETTINGS).await.has(&["None yet."]);
    let again = admin.post(SETTINGS, &end).await;
    again.refused(404);
    again.has(&["no longer stored"]);
}

#[tokio::test]
async fn keys_in_use_by_programs_are_imported_and_never_shown_after_a_refusal() {
    let app = TestApp::online().await;
    let admin = Visitor::admin(&app).await;
    let own = "k3Jx9QpLm2Zt7VbN4wRy";
    let take = |key| {
        [
            ("do", "rotate-key"),
            ("overlap_s", "0"),
            ("secret_key", key),
        ]
    };
    let guessable = admin.post(SETTINGS, &take("SecretKeyToko2024")).await;
    guessable.refused(422);
    guessable.has(&["A SecretKey has 16 to 128 letters"]);
    guessable.lacks(&["SecretKeyToko2024"]);
    admin.post(SETTINGS, &take(own)).await.shown();
    assert!(works(&app, own).await && !works(&app, &app.key).await);
    let webhook = [
        ("do", "rotate-webhook-key"),
        ("webhook_key", "rahasia toko"),
    ];
    admin.post(SETTINGS, &webhook).await.leads_to();
    let page = admin.page(SETTINGS).await;
    assert_eq!(page.value_of("the-webhook-key"), "rahasia toko");
    page.lacks(&[own]);
    // A new bot can be added with existing keys.
    let new = "A7f0Kd92LmQ81zXcV5pT";
    let form = |key| {
        [
            ("name", "pindahan"),
            ("secret_key", key),
            ("webhook_key", "satu"),
        ]
    };
    let taken = admin.post("/dashboard", &form(own)).await;
    taken.refused(409);
    taken.has(&["Another bot has that SecretKey"]);
    taken.lacks(&[own]);
    let made = admin.post("/dashboard", &form(new)).await;
    assert_eq!(made.value_of("key"), new);
    assert!(works(&app, new).await);
    let page = admin.page("/dashboard/bots/2/settings").await;
    assert_eq!(page.value_of("the-webhook-key"), "satu");
}
