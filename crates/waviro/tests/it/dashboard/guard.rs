//! Protection of every page: refused forms from other sites, security headers, and the page for
//! unknown paths.

use axum::http::{Method, StatusCode};

use crate::pages::{PASSWORD, Pages};

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
    assert_eq!(pages.app.inner.bots().list().len(), 1);
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
async fn an_unknown_address_is_a_404_page() {
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
