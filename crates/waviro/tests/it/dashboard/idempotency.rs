//! A repeated form (after a reload or a double click) is executed once.

use std::fs;
use std::path::Path;
use std::time::Duration;

use axum::http::StatusCode;
use waviro_store::UserRole;

use crate::pages::{PASSWORD, Pages};

/// The page's note about a repeated form.
const REPEATED: &str = "sudah dijalankan tadi dan tidak diulangi";

/// Returns the value of the first `once` field in the page, the form's idempotency key.
fn once(page: &str) -> String {
    value_after(page, "name=\"once\" value=\"")
}

fn value_after(page: &str, what: &str) -> String {
    let (_, rest) = page.split_once(what).unwrap_or_else(|| panic!("{page}"));
    rest.split('"').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_message_is_sent_once_however_often_its_form_is_posted() {
    let pages = Pages::with_admin().await;
    let admin = pages.cookie("admin").await;
    let path = "/dashboard/bots/1/send";
    let send = async |once: &str, text: &str| {
        let form = [
            ("once", once),
            ("kind", "text"),
            ("to", "6281300000001"),
            ("text", text),
        ];
        let (status, _, page) = pages.post(path, &form, &admin).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        let (_, rest) = page.split_once("id=\"sent\"").unwrap();
        let id = rest.split(['<', '>']).find(|part| part.starts_with("3EB0"));
        (id.unwrap().to_owned(), page)
    };
    let (_, _, page) = pages.get(path, &admin).await;
    let word = once(&page);
    let (first, page) = send(&word, "halo").await;
    assert!(page.contains("Diterima") && !page.contains(REPEATED));
    assert_ne!(once(&page), word, "the next page's form is another one");
    let (other, _) = send(&once(&page), "lain").await;
    assert_ne!(first, other);

    let (again, page) = send(&word, "halo").await;
    assert_eq!(again, first);
    assert!(page.contains(REPEATED));
    // A changed form, and a form from a new page, send another message.
    let (changed, _) = send(&word, "halo juga").await;
    let (anew, _) = send(&once(&page), "halo").await;
    let mut ids = vec![first, other, changed, anew];
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 4);
    let (_, _, list) = pages.get("/dashboard/bots/1/messages", &admin).await;
    assert!(ids.iter().all(|id| list.contains(id.as_str())));
    assert_eq!(list.matches("bots/1/messages/3EB0").count(), 4, "{list}");
}

#[tokio::test]
async fn a_key_is_replaced_once_and_shown_to_no_other_session() {
    let pages = Pages::with_admin().await;
    let admin = pages.cookie("admin").await;
    let path = "/dashboard/bots/1/settings";
    let (_, _, page) = pages.get(path, &admin).await;
    let word = once(&page);
    let form = [
        ("once", &*word),
        ("do", "rotate-key"),
        ("overlap_s", "3600"),
    ];
    let fresh = async |cookie: &str| {
        let (status, _, page) = pages.post(path, &form, cookie).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        value_after(&page, "id=\"fresh-key\" readonly value=\"")
    };
    let key = fresh(&admin).await;
    assert_eq!(fresh(&admin).await, key);
    // The same form from another session of the user replaces the key again and does not show the
    // first key.
    let elsewhere = pages.cookie("admin").await;
    assert_ne!(fresh(&elsewhere).await, key);
}

#[tokio::test]
async fn a_bot_a_user_and_a_rule_are_made_once() {
    let pages = Pages::with_admin().await;
    let admin = pages.cookie("admin").await;
    let make = async |path: &str, fields: &[(&str, &str)]| {
        let (_, _, page) = pages.get(path, &admin).await;
        let word = once(&page);
        let form = [&[("once", &*word)], fields].concat();
        let (first, _, _) = pages.post(path, &form, &admin).await;
        let (second, headers, page) = pages.post(path, &form, &admin).await;
        assert!(first.is_success() || first.is_redirection(), "{path}");
        assert_eq!(second, first, "{path}");
        let page = match headers.get("location") {
            Some(onward) => pages.get(onward.to_str().unwrap(), &admin).await.2,
            None => page,
        };
        assert!(page.contains(REPEATED), "{path}");
    };
    make("/dashboard", &[("name", "cabang")]).await;
    assert_eq!(pages.app.inner.bots().list().len(), 2);
    let user = [("name", "ani"), ("password", PASSWORD), ("role", "viewer")];
    make("/dashboard/users", &user).await;
    let rule = [
        ("do", "add"),
        ("keyword", "info"),
        ("url", "https://toko.example/info.php"),
    ];
    make("/dashboard/bots/1/rules", &rule).await;
    let (_, _, page) = pages.get("/dashboard/bots/1/rules", &admin).await;
    assert_eq!(page.matches("<code class=\"chip\">info</code>").count(), 1);
}

#[tokio::test]
async fn a_range_is_posted_again_once() {
    let pages = Pages::with_admin().await;
    let admin = pages.cookie("admin").await;
    let path = "/dashboard/bots/1/deliveries";
    let (_, _, page) = pages.get(path, &admin).await;
    let word = once(&page);
    let at = value_after(&page, "name=\"at\" value=\"");
    let form = [
        ("once", &*word),
        ("do", "again"),
        ("state", "given_up"),
        ("past", "day"),
        ("at", &*at),
    ];
    let (status, _, page) = pages.post(path, &form, &admin).await;
    assert_eq!(status, StatusCode::OK, "{page}");
    assert!(page.contains("Dikirim ulang:") && !page.contains(REPEATED));
    pages.app.clock.advance(Duration::from_mins(1));
    let (status, _, page) = pages.post(path, &form, &admin).await;
    assert_eq!(status, StatusCode::OK, "{page}");
    assert!(page.contains("Dikirim ulang:") && page.contains(REPEATED));
}

#[tokio::test]
async fn a_user_with_fewer_rights_than_before_does_not_see_the_first_response() {
    let pages = Pages::with_admin().await;
    let ani = pages.user("ani", UserRole::Admin).await;
    let (_, _, page) = pages.get("/dashboard", &ani).await;
    let word = once(&page);
    let form = [("once", &*word), ("name", "cabang")];
    let (status, _, page) = pages.post("/dashboard", &form, &ani).await;
    assert_eq!(status, StatusCode::CREATED);
    let key = value_after(&page, "id=\"key\" readonly value=\"");
    let users = pages.app.inner.users();
    let user = users.named("ani").await.unwrap().unwrap();
    let less = UserRole::Operator(vec![1]);
    users.change(user.id, None, Some(less)).await.unwrap();
    let (status, _, page) = pages.post("/dashboard", &form, &ani).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(!page.contains(&key));
}

/// The number of forms per template that may be repeated: the second execution has the same result,
/// or the form is a login or a test.
const MAY_REPEAT: [(&str, usize); 14] = [
    ("base.html", 2),
    ("bot.html", 2),
    ("deliveries.html", 1),
    ("link.html", 3),
    ("login.html", 1),
    ("me.html", 1),
    ("rule.html", 2),
    ("rules.html", 1),
    ("rules_try.html", 1),
    ("settings_events.html", 1),
    ("settings_keys.html", 1),
    ("settings_ways.html", 5),
    ("setup.html", 1),
    ("user.html", 3),
];

#[test]
fn every_other_form_has_a_nonce() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../waviro-web/templates/dashboard");
    let mut with = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let text = fs::read_to_string(entry.path()).unwrap();
        let name = entry.file_name().into_string().unwrap();
        let forms = text.split("<form").skip(1);
        let forms = forms.map(|rest| rest.split("</form>").next().unwrap());
        let posts = forms.filter(|form| form.split('>').next().unwrap().contains("\"post\""));
        let (has, lacks): (Vec<_>, Vec<_>) = posts
            .partition(|form| form.contains("name=\"once\" value=\"{{ context.form_nonce }}\""));
        let known = MAY_REPEAT.iter().find(|(known, _)| *known == name);
        assert_eq!(lacks.len(), known.map_or(0, |(_, count)| *count), "{name}");
        with += has.len();
    }
    assert_eq!(with, 14);
}

#[tokio::test]
async fn an_error_page_has_the_menu() {
    let pages = Pages::with_admin().await;
    let admin = pages.cookie("admin").await;
    for path in [
        "/dashboard/nowhere",
        "/dashboard/bots/99",
        "/dashboard/bots/x",
    ] {
        let (status, _, page) = pages.get(path, &admin).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        assert!(page.contains("action=\"/dashboard/logout\""), "{path}");
        // The page for a visitor without a login has no logout form.
        let (_, _, page) = pages.get(path, "").await;
        assert!(!page.contains("/dashboard/logout"), "{path}");
    }
}
