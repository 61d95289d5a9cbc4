//! The dashboard over HTTP: the ways in, what stands around every page, and that its templates speak both languages.

use std::fs;
use std::path::Path;
use std::time::Duration;

use axum::http::{HeaderMap, Method, StatusCode};
use waviro::store::UserRole;

use crate::pages::{PASSWORD, Pages};

#[tokio::test]
async fn the_first_user_is_made_by_the_link_once() {
    let pages = Pages::empty().await;
    let (status, headers, _) = pages.get("/dashboard", "").await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    assert_eq!(headers["location"], "/dashboard/setup");
    let (status, _, page) = pages.get("/dashboard/setup?token=wrong", "").await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(!page.contains("<form method=\"post\" action=\"/dashboard/setup\""));

    let link = pages.first_link().await.unwrap();
    let token = link.split_once("token=").unwrap().1.to_owned();
    let (status, _, page) = pages.get(&link, "").await;
    assert_eq!(status, StatusCode::OK);
    assert!(page.contains(&token));
    let fields = |token, password, again| {
        [
            ("token", token),
            ("name", "ani"),
            ("password", password),
            ("again", again),
        ]
    };
    for (token, password, again, status) in [
        ("wrong", PASSWORD, PASSWORD, StatusCode::FORBIDDEN),
        (&*token, PASSWORD, "lain", StatusCode::UNPROCESSABLE_ENTITY),
        (
            &*token,
            "pendek",
            "pendek",
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
    ] {
        let form = fields(token, password, again);
        let (answered, _, _) = pages.post("/dashboard/setup", &form, "").await;
        assert_eq!(answered, status);
    }
    let form = fields(&token, PASSWORD, PASSWORD);
    let (status, headers, _) = pages.post("/dashboard/setup", &form, "").await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    let cookie = cookie(&headers);
    let (status, _, page) = pages.get("/dashboard", &cookie).await;
    assert_eq!(status, StatusCode::OK);
    assert!(page.contains("ani"));

    // The link opens nothing any more.
    assert!(pages.first_link().await.is_none());
    let (status, headers, _) = pages.post("/dashboard/setup", &form, "").await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    assert_eq!(headers["location"], "/dashboard/login");
    assert!(!headers.contains_key("set-cookie"));
    let (status, headers, _) = pages.get(&link, "").await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    assert_eq!(headers["location"], "/dashboard/login");
}

/// What a browser would send back.
fn cookie(headers: &HeaderMap) -> String {
    let set = headers["set-cookie"].to_str().unwrap();
    assert!(set.contains("HttpOnly") && set.contains("SameSite=Lax"));
    set.split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn who_logs_in_comes_back_to_where_they_wanted_to_be_and_nowhere_else() {
    let pages = Pages::with_admin().await;
    let (status, headers, _) = pages.get("/dashboard/bots/1?x=1", "").await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    let wanted = "/dashboard/login?to=%2Fdashboard%2Fbots%2F1%3Fx%3D1";
    assert_eq!(headers["location"], wanted);
    for (to, back) in [
        ("/dashboard/bots/1?x=1", "/dashboard/bots/1?x=1"),
        ("/dashboard", "/dashboard"),
        ("https://evil.example/", "/dashboard"),
        ("//evil.example", "/dashboard"),
        ("/dashboardevil", "/dashboard"),
        ("/dashboard/\\evil", "/dashboard"),
        ("/dashboard/\r\nSet-Cookie: a=b", "/dashboard"),
    ] {
        let form = [("name", "admin"), ("password", PASSWORD), ("to", to)];
        let (status, headers, _) = pages.post("/dashboard/login", &form, "").await;
        assert_eq!(status, StatusCode::SEE_OTHER);
        assert_eq!(headers["location"], back, "{to}");
    }
}

#[tokio::test]
async fn wrong_passwords_are_counted_and_a_session_ends_when_it_is_left() {
    let pages = Pages::with_admin().await;
    let wrong = [("name", "admin"), ("password", "salah salah salah")];
    for _ in 0..10 {
        let (status, _, page) = pages.post("/dashboard/login", &wrong, "").await;
        assert_eq!(status, StatusCode::FORBIDDEN);
        assert!(!page.contains("salah salah"), "a password is never shown");
    }
    let (status, _, _) = pages.post("/dashboard/login", &wrong, "").await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    // A right one is not looked at either, until a minute is over.
    let right = [("name", "admin"), ("password", PASSWORD)];
    let (status, _, _) = pages.post("/dashboard/login", &right, "").await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    pages.front.clock.advance(Duration::from_mins(1));
    let (status, headers, _) = pages.post("/dashboard/login", &right, "").await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    let cookie = cookie(&headers);
    assert_eq!(pages.get("/dashboard", &cookie).await.0, StatusCode::OK);
    pages.post("/dashboard/logout", &[], &cookie).await;
    assert_eq!(
        pages.get("/dashboard", &cookie).await.0,
        StatusCode::SEE_OTHER
    );
}

#[tokio::test]
async fn a_form_of_another_site_does_nothing() {
    let pages = Pages::with_admin().await;
    let admin = pages.cookie("admin").await;
    for header in [
        None,
        Some(("sec-fetch-site", "cross-site")),
        Some(("origin", "https://evil.example")),
    ] {
        let headers = header.into_iter().collect::<Vec<_>>();
        let (status, _, _) = pages
            .send(Method::POST, "/dashboard", "name=asing", &admin, &headers)
            .await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{header:?}");
    }
    assert_eq!(pages.front.app.bots().list().len(), 1);
}

#[tokio::test]
async fn every_page_has_its_guards() {
    let pages = Pages::with_admin().await;
    let admin = pages.cookie("admin").await;
    for path in [
        "/dashboard",
        "/dashboard/bots/1",
        "/dashboard/nothing",
        "/dashboard/login",
    ] {
        let (_, headers, page) = pages.get(path, &admin).await;
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'"), "{path}");
        assert!(!policy.contains("unsafe"), "{path}");
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert_eq!(headers["cache-control"], "no-store");
        assert!(
            !page.contains("<script>") && !page.contains(" style="),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_hostile_name_stays_a_name() {
    let pages = Pages::with_admin().await;
    let admin = pages.cookie("admin").await;
    let evil = "\"><script>alert(1)</script>";
    let form = [("name", evil)];
    let (status, _, page) = pages.post("/dashboard", &form, &admin).await;
    assert_eq!(status, StatusCode::CREATED);
    assert!(!page.contains("<script>alert"), "{page}");
    let (_, _, page) = pages.get("/dashboard", &admin).await;
    assert!(page.contains("&#60;script&#62;alert"), "{page}");
    assert!(!page.contains("<script>alert"));
}

#[tokio::test]
async fn a_viewer_looks_and_an_operator_sees_his_bots() {
    let pages = Pages::with_admin().await;
    pages.add_bot("gudang").await;
    let viewer = pages.user("lihat", UserRole::Viewer).await;
    let (status, _, page) = pages.get("/dashboard", &viewer).await;
    assert_eq!(status, StatusCode::OK);
    assert!(page.contains("toko") && page.contains("gudang"));
    assert!(!page.contains("method=\"post\" action=\"/dashboard\""));
    let rename = [("do", "rename"), ("name", "baru")];
    let (status, _, _) = pages.post("/dashboard/bots/1", &rename, &viewer).await;
    assert_eq!(status, StatusCode::FORBIDDEN);

    let operator = pages.user("kasir", UserRole::Operator(vec![1])).await;
    let (_, _, page) = pages.get("/dashboard", &operator).await;
    assert!(page.contains("toko") && !page.contains("gudang"));
    assert_eq!(
        pages.get("/dashboard/bots/2", &operator).await.0,
        StatusCode::NOT_FOUND
    );
    let (status, _, _) = pages.post("/dashboard/bots/1", &rename, &operator).await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    let (status, _, _) = pages.post("/dashboard", &[("name", "x")], &operator).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_viewer_is_shown_no_code_that_would_make_him_the_bot() {
    let pages = Pages::unlinked().await;
    let admin = pages.user("admin", UserRole::Admin).await;
    let start = [("do", "start")];
    pages.post("/dashboard/bots/1/link", &start, &admin).await;
    let (status, _, page) = pages.get("/dashboard/bots/1/link", &admin).await;
    assert_eq!(status, StatusCode::OK);
    assert!(page.contains("qr.svg"));
    let viewer = pages.user("lihat", UserRole::Viewer).await;
    for path in ["link", "link/qr.svg", "send"] {
        let path = format!("/dashboard/bots/1/{path}");
        let (status, _, page) = pages.get(&path, &viewer).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{path}");
        assert!(
            !page.contains("2@") && !page.contains("<form class"),
            "{page}"
        );
    }
}

#[tokio::test]
async fn nobody_is_kept_out_by_what_others_try() {
    let pages = Pages::with_admin().await;
    for n in 0..20 {
        let wrong = [("name", "orang lain"), ("password", "salah salah salah")];
        pages.post("/dashboard/login", &wrong, "").await;
        let token = format!("Bearer wvt_{n:064}");
        let headers = [("authorization", token.as_str())];
        pages.send(Method::GET, "/v1/bots", "", "", &headers).await;
    }
    let right = [("name", "admin"), ("password", PASSWORD)];
    let (status, _, _) = pages.post("/dashboard/login", &right, "").await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    // A stolen session is no way to guess the password.
    let admin = pages.cookie("admin").await;
    let change = |old| {
        [
            ("old", old),
            ("password", "kata sandi baru"),
            ("again", "kata sandi baru"),
        ]
    };
    for _ in 0..10 {
        pages
            .post("/dashboard/me", &change("salah salah"), &admin)
            .await;
    }
    let (status, _, _) = pages.post("/dashboard/me", &change(PASSWORD), &admin).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn a_number_as_it_is_written_at_home_is_sent_to() {
    let pages = Pages::with_admin().await;
    let admin = pages.cookie("admin").await;
    let form = [("kind", "text"), ("to", "0813-0000-0001"), ("text", "halo")];
    let (status, _, page) = pages.post("/dashboard/bots/1/send", &form, &admin).await;
    assert_eq!(status, StatusCode::OK, "{page}");
    assert!(
        page.contains("&#34;nohp&#34;: &#34;6281300000001&#34;"),
        "{page}"
    );
}

#[tokio::test]
async fn an_address_that_is_none_is_a_page_that_says_so() {
    let pages = Pages::with_admin().await;
    let admin = pages.cookie("admin").await;
    for path in ["bots/toko", "bots/99999999999", "users/abc", "?q=a&q=b"] {
        let (status, headers, page) = pages.get(&format!("/dashboard/{path}"), &admin).await;
        assert!(
            status.is_client_error() || status.is_redirection(),
            "{path}"
        );
        if status.is_client_error() {
            let kind = headers["content-type"].to_str().unwrap();
            assert!(
                kind.starts_with("text/html") && page.contains("<h1>"),
                "{path}"
            );
        }
    }
    let typed = [("do", "remove"), ("name", "tokoh")];
    let (status, _, page) = pages.post("/dashboard/bots/1", &typed, &admin).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.contains("other_name"));
    let odd = [("name", "a\u{0}b"), ("password", PASSWORD)];
    let (status, _, _) = pages.post("/dashboard/login", &odd, "").await;
    assert_eq!(status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn language_and_theme_are_remembered() {
    let pages = Pages::with_admin().await;
    let (_, _, page) = pages.get("/dashboard/login", "waviro_lang=en").await;
    assert!(page.contains("<html lang=\"en\"") && page.contains("Log in"));
    let (_, _, page) = pages.get("/dashboard/login", "").await;
    assert!(page.contains("<html lang=\"id\"") && page.contains("Masuk"));
    let (_, _, page) = pages.get("/dashboard/login", "waviro_theme=dark").await;
    assert!(page.contains("data-theme=\"dark\""));
    let form = [("lang", "en"), ("to", "/dashboard/login")];
    let (status, headers, _) = pages.post("/dashboard/look", &form, "").await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    assert_eq!(headers["location"], "/dashboard/login");
    assert!(
        headers["set-cookie"]
            .to_str()
            .unwrap()
            .starts_with("waviro_lang=en;")
    );
}

/// Words of one language alone: what stands in a template outside of what it says in both.
fn literal_words(template: &str) -> Vec<String> {
    let mut rest = String::new();
    let mut left = template;
    // What the template engine reads.
    while let Some(at) = left.find('{') {
        let (before, after) = left.split_at(at);
        rest.push_str(before);
        let end = match after.get(..2) {
            Some("{{") => after.find("}}"),
            Some("{%") => after.find("%}"),
            Some("{#") => after.find("#}"),
            _ => None,
        };
        left = end.map_or_else(|| &after[1..], |end| &after[end + 2..]);
    }
    rest.push_str(left);
    let mut words = Vec::new();
    let mut text = rest.as_str();
    while let Some(open) = text.find('<') {
        words.push(text[..open].to_owned());
        let close = text[open..].find('>').map_or(text.len(), |at| open + at);
        let tag = &text[open..close];
        for name in ["placeholder", "title", "alt", "aria-label"] {
            if let Some((_, value)) = tag.split_once(&format!(" {name}=\"")) {
                words.push(value.split('"').next().unwrap_or_default().to_owned());
            }
        }
        text = text.get(close + 1..).unwrap_or_default();
    }
    words.push(text.to_owned());
    for words in &mut words {
        // What a block puts into a tag of the page around it.
        for here in [" aria-current=\"page\"", " aria-current=\"true\""] {
            *words = words.replace(here, "");
        }
    }
    words.retain(|words| words.chars().any(char::is_alphabetic));
    words
}

/// Names, examples and code, which are the same in both.
const THE_SAME: [&str; 9] = [
    "waviro user password",
    "waviro user add admin",
    "penawaran#Jhon Doe#jhon@example.com",
    "penawaran#",
    "Waviro",
    "HTTP",
    "POST",
    "ack",
    "ms",
];

#[test]
fn every_sentence_of_a_template_stands_there_in_both_languages() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates/dashboard");
    let mut templates = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        templates += 1;
        for words in literal_words(&text) {
            let mut left = words.clone();
            for same in THE_SAME {
                left = left.replace(same, "");
            }
            let left = left.trim();
            let example = !left.contains(' ') && left.contains(['.', '/', ':', '-', '_'])
                || left.chars().all(|one| !one.is_lowercase());
            assert!(example, "{}: {words:?}", path.display());
        }
    }
    assert!(templates >= 9);
    assert_eq!(literal_words("<p>{{ say(\"a\") }} kata</p>"), [" kata"]);
    assert_eq!(literal_words("<input placeholder=\"kata\">"), ["kata"]);
}
