//! The dashboard's pages for keyword rules, settings, users and one's own account, as a browser asks for them.

use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use serde_json::Value;
use tower::ServiceExt;
use url::form_urlencoded;
use waviro::store::{Store, UserRole};
use waviro::users::Users;

use crate::front::Front;
use crate::webhooks::rig::Hooks;

const PASSWORD: &str = "kata sandi yang panjang";

const RULES: &str = "/dashboard/bots/1/rules";

const SETTINGS: &str = "/dashboard/bots/1/settings";

/// A gateway with the bot `toko`, whose id is 1, and whoever may use the dashboard.
struct Pages {
    front: Front,
    users: Users,
}

/// Somebody who is logged in: the cookie.
struct Someone(String);

/// What came back.
#[derive(Debug)]
struct Page {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Pages {
    async fn open() -> Self {
        let front = Front::with(&[("outbound.allow", "127.0.0.0/8")]).await;
        let database = front.data_dir().join("waviro.db");
        let url = format!("sqlite:{}", database.display());
        let store = Store::open(&url).await.unwrap();
        let users = Users::new(store, front.clock.clone());
        Self { front, users }
    }

    /// A new user, logged in.
    async fn user(&self, name: &str, role: UserRole) -> Someone {
        let added = self.users.add(name, PASSWORD, role, false).await;
        let session = self.users.begin(added.unwrap().id).await.unwrap();
        Someone(format!("waviro_session={}", session.reveal()))
    }

    async fn admin(&self) -> Someone {
        self.user("admin", UserRole::Admin).await
    }

    async fn get(&self, who: &Someone, path: &str) -> Page {
        let request = Request::get(path).header("Cookie", &who.0);
        self.send(request.body(Body::empty()).unwrap()).await
    }

    /// A form of one of the dashboard's own pages.
    async fn post(&self, who: &Someone, path: &str, fields: &[(&str, &str)]) -> Page {
        let mut form = form_urlencoded::Serializer::new(String::new());
        let form = form.extend_pairs(fields).finish();
        let request = Request::builder()
            .method(Method::POST)
            .uri(path)
            .header("Cookie", &who.0)
            .header("Sec-Fetch-Site", "same-origin");
        self.send(request.body(Body::from(form)).unwrap()).await
    }

    async fn send(&self, mut request: Request<Body>) -> Page {
        let english = "en".parse().unwrap();
        request.headers_mut().insert("Accept-Language", english);
        let response = self.front.app.router().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, 1 << 22).await.unwrap();
        Page {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8(bytes.into()).unwrap(),
        }
    }

    /// What the bot's SecretKey opens.
    async fn works(&self, key: &str) -> bool {
        let request = Request::post("/api/getqr").header("SecretKey", key);
        let answer = self.front.send(request.body(Body::empty()).unwrap()).await;
        answer.body["success"] == Value::Bool(true)
    }
}

impl Page {
    /// Where a form that was taken sends the browser.
    fn leads_to(&self) -> &str {
        assert_eq!(self.status, StatusCode::SEE_OTHER, "{}", self.text);
        self.headers["location"].to_str().unwrap()
    }

    fn shown(&self) -> &str {
        assert_eq!(self.status, StatusCode::OK, "{}", self.text);
        &self.text
    }

    fn refused(&self, status: u16) -> &str {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        &self.text
    }

    fn has(&self, wanted: &[&str]) {
        for wanted in wanted {
            assert!(self.text.contains(wanted), "{wanted}: {}", self.text);
        }
    }

    fn lacks(&self, unwanted: &[&str]) {
        for unwanted in unwanted {
            assert!(!self.text.contains(unwanted), "{unwanted}: {}", self.text);
        }
    }

    /// The value of the readonly field with this id.
    fn value_of(&self, id: &str) -> String {
        let (_, rest) = self.text.split_once(&format!("id=\"{id}\"")).unwrap();
        let (_, rest) = rest.split_once("value=\"").unwrap();
        rest.split('"').next().unwrap().to_owned()
    }
}

#[tokio::test]
async fn a_rule_is_made_switched_edited_and_deleted_on_its_pages() {
    let pages = Pages::open().await;
    let admin = pages.admin().await;
    let empty = pages.get(&admin, RULES).await;
    empty.shown();
    empty.has(&["No keyword yet", "json_decode", "Add a keyword"]);
    empty.lacks(&["Try this text"]);
    let rule = [
        ("do", "add"),
        ("keyword", "<b>harga</b>"),
        ("url", "https://toko.example/hook.php"),
        ("timeout_s", "10"),
        ("groups", "1"),
    ];
    assert_eq!(pages.post(&admin, RULES, &rule).await.leads_to(), RULES);
    let list = pages.get(&admin, RULES).await;
    list.has(&[
        "https://toko.example/hook.php",
        "Private chats and groups",
        "10 s",
        "Try this text",
    ]);
    // What people type is text, wherever it stands.
    list.lacks(&["<b>harga</b>"]);
    let twice = pages.post(&admin, RULES, &rule).await;
    twice.refused(409);
    twice.has(&["Another rule has that keyword", "keyword_taken"]);
    assert!(twice.value_of("url").starts_with("https://toko"));
    for (fields, says) in [
        (vec![("url", "toko")], "begin with http"),
        (vec![("url", "http://10.0.0.1/")], "outbound.allow"),
        (
            vec![("url", "https://toko.example/"), ("timeout_s", "16")],
            "The deadline is",
        ),
        (
            vec![("url", "https://toko.example/"), ("timeout_s", "soon")],
            "The deadline is",
        ),
    ] {
        let fields = [vec![("do", "add"), ("keyword", "lain")], fields].concat();
        let page = pages.post(&admin, RULES, &fields).await;
        page.refused(422);
        page.has(&[says]);
    }
    let off = [("do", "off"), ("rule", "1")];
    assert_eq!(pages.post(&admin, RULES, &off).await.leads_to(), RULES);
    pages.get(&admin, RULES).await.has(&["Switch on"]);
    let on = [("do", "on"), ("rule", "1")];
    pages.post(&admin, RULES, &on).await.leads_to();
    let one = format!("{RULES}/1");
    let page = pages.get(&admin, &one).await;
    assert_eq!(page.value_of("timeout"), "10");
    let edit = [
        ("do", "change"),
        ("keyword", "katalog"),
        ("url", "https://toko.example/katalog.php"),
        ("timeout_s", ""),
    ];
    assert_eq!(pages.post(&admin, &one, &edit).await.leads_to(), RULES);
    let list = pages.get(&admin, RULES).await;
    list.has(&["katalog.php", "the gateway&#39;s deadline"]);
    list.lacks(&["Private chats and groups", "example/hook.php"]);
    let gone = [("do", "remove")];
    assert_eq!(pages.post(&admin, &one, &gone).await.leads_to(), RULES);
    pages.get(&admin, RULES).await.has(&["No keyword yet"]);
    assert_eq!(pages.get(&admin, &one).await.status, StatusCode::NOT_FOUND);
    let nothing = pages.post(&admin, RULES, &[("do", "dance")]).await;
    nothing.refused(400);
}

#[tokio::test]
async fn a_text_is_tried_and_the_webhook_is_only_asked_by_its_own_button() {
    let pages = Pages::open().await;
    let admin = pages.admin().await;
    let hooks = Hooks::start().await;
    let url = hooks.url("hook");
    let rule = [("do", "add"), ("keyword", "harga#"), ("url", url.as_str())];
    pages.post(&admin, RULES, &rule).await.leads_to();
    let text = [
        ("text", "Harga#<i>semua</i>"),
        ("from", "+62 823-8600-0000"),
    ];
    let with = |word| [vec![("do", word)], text.to_vec()].concat();
    let tried = pages.post(&admin, RULES, &with("try")).await;
    tried.shown();
    tried.has(&[
        "The keyword that wins:",
        "6282386000000",
        "webhook-signature",
    ]);
    tried.lacks(&["<i>semua</i>", "The webhook&#39;s answer"]);
    assert!(hooks.bodies().is_empty());
    hooks.answer(
        200,
        r#"{"success":true,"message":{"reply":[{"type":"message","content":"<u>Terima</u> kasih"},{"type":"tari"}]}}"#,
    );
    let asked = pages.post(&admin, RULES, &with("really")).await;
    asked.shown();
    asked.has(&["Taken by the webhook", "HTTP 200", "kasih", "Number 2:"]);
    asked.lacks(&["<u>Terima</u>"]);
    assert_eq!(hooks.bodies().len(), 1);
    assert!(pages.front.link().sent().is_empty());
    let none = [("do", "try"), ("text", "selamat pagi")];
    let none = pages.post(&admin, RULES, &none).await;
    none.has(&["No keyword takes it"]);
    let wrong = [("do", "try"), ("text", "harga"), ("from", "ibu")];
    let wrong = pages.post(&admin, RULES, &wrong).await;
    wrong.refused(422);
    wrong.has(&["The sender must be a number"]);
}

#[tokio::test]
async fn keys_are_replaced_and_the_old_ones_die_as_the_page_says() {
    let pages = Pages::open().await;
    let admin = pages.admin().await;
    let first = pages.front.key.clone();
    let rotate = |seconds| [("do", "rotate-key"), ("overlap_s", seconds)];
    let page = pages.post(&admin, SETTINGS, &rotate("3600")).await;
    page.shown();
    page.has(&["shown only this once", "The old one works until"]);
    let second = page.value_of("fresh-key");
    assert!(pages.works(&first).await && pages.works(&second).await);
    let later = pages.get(&admin, SETTINGS).await;
    later.lacks(&[&second]);
    later.has(&["End the old key now", "less than a day"]);
    let end = pages.post(&admin, SETTINGS, &[("do", "end-key")]).await;
    let back = format!("{SETTINGS}?done=secret-key#secret-key");
    assert_eq!(end.leads_to(), back);
    assert!(!pages.works(&first).await && pages.works(&second).await);
    let page = pages.post(&admin, SETTINGS, &rotate("0")).await;
    page.has(&["The old one is dead."]);
    assert!(!pages.works(&second).await && pages.works(&page.value_of("fresh-key")).await);
    let long = pages.post(&admin, SETTINGS, &rotate("604801")).await;
    long.refused(422);
    long.has(&["7 days at most"]);
    let before = pages.get(&admin, SETTINGS).await;
    let rotated = [("do", "rotate-webhook-key")];
    pages.post(&admin, SETTINGS, &rotated).await.leads_to();
    let sign = [("do", "rotate-signing-secret"), ("overlap_s", "3600")];
    pages.post(&admin, SETTINGS, &sign).await.leads_to();
    let after = pages.get(&admin, SETTINGS).await;
    assert_ne!(
        before.value_of("the-webhook-key"),
        after.value_of("the-webhook-key")
    );
    after.has(&["signs too until", &before.value_of("the-secret")]);
}

#[tokio::test]
async fn each_setting_is_its_own_form_and_what_is_refused_stands_as_it_was_typed() {
    let pages = Pages::open().await;
    let admin = pages.admin().await;
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
        let page = pages.post(&admin, SETTINGS, &fields).await;
        let back = format!("{SETTINGS}?done={section}#{section}");
        assert_eq!(page.leads_to(), back);
    }
    let page = pages.get(&admin, &format!("{SETTINGS}?done=grace")).await;
    page.has(&["Saved. It holds already.", "10.0.0.5\n10.1.0.0/16:80"]);
    for (id, value) in [
        ("within", "60"),
        ("per-minute", "20"),
        ("jitter", "12.5"),
        ("grace-s", "5"),
    ] {
        assert_eq!(page.value_of(id), value, "{id}");
    }
    let settings = pages.front.app.bots().list()[0].settings();
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
        let page = pages.post(&admin, SETTINGS, &fields).await;
        page.refused(422);
        page.has(&[says, "invalid_field"]);
        assert_eq!(page.value_of(id), value);
    }
    let networks = [("do", "allow"), ("allow", "10.0.0.0/99")];
    let page = pages.post(&admin, SETTINGS, &networks).await;
    page.refused(422);
    page.has(&["10.0.0.0/99", "at most 64"]);
    // Nothing is the default again.
    let nothing = [("do", "grace"), ("grace_s", "")];
    pages.post(&admin, SETTINGS, &nothing).await.leads_to();
    let settings = pages.front.app.bots().list()[0].settings();
    assert_eq!(settings.grace_s, None);
}

#[tokio::test]
async fn events_are_subscribed_to_switched_and_unsubscribed() {
    let pages = Pages::open().await;
    let admin = pages.admin().await;
    let url = ("url", "https://toko.example/events.php");
    let none = pages
        .post(&admin, SETTINGS, &[("do", "subscribe"), url])
        .await;
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
    assert_eq!(pages.post(&admin, SETTINGS, &some).await.leads_to(), back);
    let page = pages.get(&admin, SETTINGS).await;
    page.has(&[url.1, "Message received, Bot&#39;s state"]);
    for (word, shows) in [
        ("subscription-off", "subscription-on"),
        ("subscription-on", "subscription-off"),
    ] {
        let fields = [("do", word), ("subscription", "1")];
        pages.post(&admin, SETTINGS, &fields).await.leads_to();
        pages.get(&admin, SETTINGS).await.has(&[shows]);
    }
    let end = [("do", "unsubscribe"), ("subscription", "1")];
    pages.post(&admin, SETTINGS, &end).await.leads_to();
    pages.get(&admin, SETTINGS).await.has(&["None yet."]);
    let again = pages.post(&admin, SETTINGS, &end).await;
    again.refused(404);
    again.has(&["no longer kept"]);
}

#[tokio::test]
async fn a_viewer_sees_no_form_and_no_secret_and_changes_nothing() {
    let pages = Pages::open().await;
    let admin = pages.admin().await;
    let rule = [
        ("do", "add"),
        ("keyword", "harga"),
        ("url", "https://toko.example/"),
    ];
    pages.post(&admin, RULES, &rule).await.leads_to();
    let known = pages.get(&admin, SETTINGS).await;
    let viewer = pages.user("lihat", UserRole::Viewer).await;
    let one = format!("{RULES}/1");
    for path in [RULES, SETTINGS, &one] {
        let page = pages.get(&viewer, path).await;
        page.shown();
        // Those of the bar are about the reader alone.
        let (_, main) = page.text.split_once("<main").unwrap();
        assert!(!main.contains("<form"), "{path}: {main}");
        page.lacks(&[
            &known.value_of("the-webhook-key"),
            &known.value_of("the-secret"),
            "/dashboard/users",
        ]);
    }
    pages
        .get(&viewer, SETTINGS)
        .await
        .has(&["Behaviour", "Refused"]);
    for (path, fields) in [
        (RULES, vec![("do", "off"), ("rule", "1")]),
        (RULES, vec![("do", "really"), ("text", "harga")]),
        (&one, vec![("do", "remove")]),
        (SETTINGS, vec![("do", "rotate-key"), ("overlap_s", "0")]),
        (SETTINGS, vec![("do", "grace"), ("grace_s", "1")]),
    ] {
        let page = pages.post(&viewer, path, &fields).await;
        page.refused(403);
        page.has(&["You may only look."]);
    }
    assert!(pages.works(&pages.front.key).await);
}

#[tokio::test]
async fn an_operator_has_its_own_bots_and_neither_networks_nor_users() {
    let pages = Pages::open().await;
    pages.admin().await;
    let (other, _) = pages.front.app.bots().add("warung").await.unwrap();
    let operator = pages
        .user("kasir", UserRole::Operator(vec![other.slot()]))
        .await;
    for path in [RULES, SETTINGS] {
        pages.get(&operator, path).await.refused(404);
        let page = pages.post(&operator, path, &[("do", "end-key"), ("do", "try")]);
        assert!(!page.await.status.is_success());
    }
    let own = format!("/dashboard/bots/{}/settings", other.slot());
    let page = pages.get(&operator, &own).await;
    page.shown();
    page.has(&["Show the key", "Only an admin may change this."]);
    page.lacks(&["id=\"networks\"", "/dashboard/users"]);
    let networks = [("do", "allow"), ("allow", "10.0.0.5")];
    let page = pages.post(&operator, &own, &networks).await;
    page.refused(403);
    page.has(&["Only for admins."]);
    for path in ["/dashboard/users", "/dashboard/users/1"] {
        pages.get(&operator, path).await.refused(403);
        let fields = [("do", "remove"), ("name", "admin")];
        pages.post(&operator, path, &fields).await.refused(403);
    }
}

#[tokio::test]
async fn an_admin_makes_changes_and_removes_users_and_the_last_admin_stays() {
    let pages = Pages::open().await;
    let admin = pages.admin().await;
    let users = "/dashboard/users";
    pages.get(&admin, users).await.has(&["(you)", "Add a user"]);
    let budi = [
        ("name", "budi"),
        ("password", PASSWORD),
        ("role", "operator"),
        ("bot", "1"),
    ];
    assert_eq!(pages.post(&admin, users, &budi).await.leads_to(), users);
    pages.get(&admin, users).await.has(&["budi", "toko"]);
    let twice = pages.post(&admin, users, &budi).await;
    twice.refused(409);
    twice.has(&["That name is taken"]);
    let short = [("name", "x"), ("password", "pendek"), ("role", "viewer")];
    let short = pages.post(&admin, users, &short).await;
    short.refused(422);
    short.has(&["at least 10 characters"]);
    short.lacks(&["pendek"]);
    // A box that was ticked for another role counts for nothing.
    let viewer = [("do", "role"), ("role", "viewer"), ("bot", "1")];
    let two = format!("{users}/2");
    assert_eq!(pages.post(&admin, &two, &viewer).await.leads_to(), users);
    let known = pages.users.one(2).await.unwrap().unwrap();
    assert_eq!(known.role, UserRole::Viewer);
    let session = pages.users.begin(2).await.unwrap();
    let budi = Someone(format!("waviro_session={}", session.reveal()));
    pages.get(&budi, RULES).await.shown();
    let renew = [("do", "password"), ("password", "kata sandi yang baru")];
    pages.post(&admin, &two, &renew).await.leads_to();
    let out = pages.get(&budi, RULES).await;
    assert!(out.leads_to().starts_with("/dashboard/login"));
    let wrong = [("do", "remove"), ("name", "bud")];
    let kept = pages.post(&admin, &two, &wrong).await;
    kept.refused(422);
    kept.has(&["nothing was removed"]);
    assert!(pages.users.one(2).await.unwrap().is_some());
    let right = [("do", "remove"), ("name", "budi")];
    assert_eq!(pages.post(&admin, &two, &right).await.leads_to(), users);
    assert!(pages.users.one(2).await.unwrap().is_none());
    let one = format!("{users}/1");
    let page = pages.get(&admin, &one).await;
    page.has(&["This is the last admin"]);
    page.lacks(&["Remove the user", "name=\"role\""]);
    for fields in [
        [("do", "remove"), ("name", "admin")],
        [("do", "role"), ("role", "viewer")],
    ] {
        let page = pages.post(&admin, &one, &fields).await;
        page.refused(409);
        page.has(&["make somebody else an admin first"]);
    }
}

#[tokio::test]
async fn ones_own_password_takes_the_old_one_and_ends_the_other_sessions() {
    let pages = Pages::open().await;
    let here = pages.user("ani", UserRole::Viewer).await;
    let id = pages.users.named("ani").await.unwrap().unwrap().id;
    let session = pages.users.begin(id).await.unwrap();
    let there = Someone(format!("waviro_session={}", session.reveal()));
    let me = "/dashboard/me";
    pages.get(&here, me).await.has(&["ani", "Old password"]);
    let new = "kata sandi yang baru";
    let form = |old, password, again| [("old", old), ("password", password), ("again", again)];
    for (fields, status, says) in [
        (form("salah sekali", new, new), 403, "old password is wrong"),
        (form("", new, new), 403, "old password is wrong"),
        (form(PASSWORD, new, "lain"), 422, "passwords differ"),
        (form(PASSWORD, "pendek", "pendek"), 422, "at least 10"),
    ] {
        let page = pages.post(&here, me, &fields).await;
        page.refused(status);
        page.has(&[says]);
    }
    pages.get(&there, me).await.shown();
    let done = pages.post(&here, me, &form(PASSWORD, new, new)).await;
    assert_eq!(done.leads_to(), "/dashboard/me?done=password");
    let cookie = done.headers["set-cookie"].to_str().unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"));
    let fresh = Someone(cookie.split(';').next().unwrap().to_owned());
    let page = pages.get(&fresh, done.leads_to()).await;
    page.has(&["All other sessions have ended."]);
    for old in [&here, &there] {
        let out = pages.get(old, me).await;
        assert!(out.leads_to().starts_with("/dashboard/login"));
    }
    assert!(pages.users.knows("ani", PASSWORD).await.unwrap().is_none());
    assert_eq!(pages.users.knows("ani", new).await.unwrap(), Some(id));
    // Wrong tries are counted as those at the door are.
    let mut last = StatusCode::OK;
    for _ in 0..12 {
        last = pages
            .post(&fresh, me, &form("salah", new, new))
            .await
            .status;
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
}
