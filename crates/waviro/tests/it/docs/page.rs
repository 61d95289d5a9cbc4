//! `/docs`: the page for people.

use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::Value;
use waviro_testing::engine::{TestEngine, until};
use waviro_testing::hooks::{Hooks, deliveries, rule, webhook_key};
use waviro_testing::samples::inbound;

use super::{english, get};
use crate::test_app::{Answer, TestApp};

fn text(answer: &Answer) -> &str {
    answer.body.as_str().unwrap()
}

#[tokio::test]
async fn the_page_shows_every_endpoint_with_the_host_that_was_asked() {
    let app = TestApp::online().await;
    let answer = get(
        &app,
        "/docs",
        &[("Host", "wa.example.com"), ("X-Forwarded-Proto", "https")],
    )
    .await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["content-type"], "text/html; charset=utf-8");
    for endpoint in english().endpoints() {
        let url = format!("https://wa.example.com/api/{}", endpoint.name);
        assert!(text(&answer).contains(&url), "{}", endpoint.name);
        for refusal in &endpoint.refusals {
            assert!(text(&answer).contains(refusal.code()), "{}", refusal.code());
        }
    }
}

#[tokio::test]
async fn the_page_has_the_readers_language_and_a_choice() {
    let app = TestApp::online().await;
    for (path, accept, language) in [
        ("/docs", "", "id"),
        ("/docs", "en-GB,en;q=0.9", "en"),
        ("/docs?lang=id", "en", "id"),
        ("/docs/?x=1&lang=en", "id", "en"),
        ("/docs?lang=de&lang=en", "", "en"),
        ("/docs?lang=%00", "", "id"),
    ] {
        let answer = get(&app, path, &[("Accept-Language", accept)]).await;
        assert!(
            text(&answer).contains(&format!("<html lang=\"{language}\">")),
            "{path}"
        );
        assert_eq!(answer.headers["content-language"], language);
    }
}

#[tokio::test]
async fn a_hostile_host_does_not_reach_the_page() {
    let app = TestApp::online().await;
    let hostile = "\"><script>alert(1)</script>";
    for header in ["Host", "X-Forwarded-Host", "X-Forwarded-Proto"] {
        for path in ["/docs", "/docs/openapi.json", "/docs/postman.json"] {
            let answer = get(&app, path, &[(header, hostile)]).await;
            assert_eq!(answer.status, 200);
            assert!(
                !answer.body.to_string().contains("alert(1)"),
                "{header} {path}"
            );
        }
    }
}

#[tokio::test]
async fn the_page_and_its_files_are_found_from_every_path_that_it_is_served_at() {
    let app = TestApp::with(&[("server.base_path", "/bot1")]).await;
    for at in ["/docs", "/docs/", "/bot1/docs", "/bot1/docs/"] {
        let answer = get(&app, at, &[("Host", "bot.example")]).await;
        let page = url::Url::parse(&format!("http://bot.example{at}")).unwrap();
        let links: Vec<&str> = ["href=\"", "src=\""]
            .into_iter()
            .flat_map(|before| text(&answer).split(before).skip(1))
            .filter_map(|after| after.split('"').next())
            .filter(|link| link.contains("docs.") || link.contains(".json"))
            .collect();
        assert!(links.len() >= 4, "{links:?}");
        for link in links {
            let url = page.join(link).unwrap();
            let path = format!("{}?{}", url.path(), url.query().unwrap_or_default());
            assert_eq!(get(&app, &path, &[]).await.status, 200, "{at} {link}");
        }
        let base = at.trim_end_matches('/').trim_end_matches("/docs");
        assert!(text(&answer).contains(&format!("http://bot.example{base}/api/sendwa")));
    }
}

#[tokio::test]
async fn the_policy_forbids_the_browser_other_hosts_and_inline_code() {
    let app = TestApp::online().await;
    let page = get(&app, "/docs", &[]).await;
    for part in [
        "<style",
        " style=",
        "onclick",
        "javascript:",
        "src=\"http",
        "href=\"http",
    ] {
        assert!(!text(&page).contains(part), "{part}");
    }
    assert_eq!(text(&page).matches("<script").count(), 1);
    let style = text(&page)
        .split('"')
        .find(|part| part.starts_with("docs/docs.") && part.contains("css"))
        .unwrap();
    let css = get(&app, &format!("/{style}"), &[]).await;
    assert!(!text(&css).contains("url(") && !text(&css).contains("@import"));
    assert!(
        css.headers["cache-control"]
            .to_str()
            .unwrap()
            .contains("immutable")
    );
    for path in [
        "/docs",
        "/docs/openapi.json",
        "/docs/postman.json",
        "/docs/nothing",
        &format!("/{style}"),
    ] {
        let headers = get(&app, path, &[]).await.headers;
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(
            policy.starts_with("default-src 'none'") && !policy.contains("unsafe"),
            "{policy}"
        );
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert_eq!(headers["referrer-policy"], "no-referrer");
    }
}

#[tokio::test]
async fn the_page_with_its_files_is_at_most_250_kib() {
    let app = TestApp::online().await;
    let mut bytes = 0;
    let page = get(&app, "/docs", &[]).await;
    bytes += text(&page).len();
    for part in text(&page)
        .split('"')
        .filter(|part| part.starts_with("docs/docs."))
    {
        bytes += text(&get(&app, &format!("/{part}"), &[]).await).len();
    }
    assert!(bytes <= 250 * 1024, "{bytes} bytes");
}

#[tokio::test]
async fn only_reading_is_allowed_and_what_is_not_there_is_a_404_page() {
    let app = TestApp::online().await;
    let ask = async |method: Method, path: &str| {
        let request = Request::builder().method(method).uri(path);
        app.send(request.body(Body::empty()).unwrap()).await
    };
    for path in [
        "/docs",
        "/docs/",
        "/docs/openapi.json",
        "/docs/postman.json",
        "/docs/nothing",
    ] {
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
            let answer = ask(method, path).await;
            assert_eq!(answer.status, 405, "{path}");
            assert_eq!(answer.headers["allow"], "GET,HEAD");
        }
    }
    let head = ask(Method::HEAD, "/docs").await;
    assert_eq!((head.status.as_u16(), text(&head)), (200, ""));
    for path in [
        "/docs/nothing",
        "/docs/docs.000000000000.css",
        "/docs/a/b",
        "/docs/%00",
        "/docs/..%2f",
    ] {
        let answer = ask(Method::GET, path).await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(text(&answer).contains("href=\"/docs\""), "{path}");
    }
    let api = ask(Method::GET, "/nothing").await;
    assert_eq!(api.refusal(), (404, "not_found"));
}

/// The documented payload and answer of a webhook match the gateway.
#[tokio::test]
async fn the_webhooks_payload_and_answer_are_those_of_the_gateway() {
    let gateway = TestEngine::online().await;
    let hooks = Hooks::start().await;
    rule(&gateway, "penawaran", &hooks.url("hook")).await;
    let here = hooks.url("berkas.pdf");
    hooks.answer(
        200,
        &english()
            .texts
            .webhook_reply
            .replace("https://yourdomain/your_document_file.pdf", here.as_str()),
    );
    let asked = inbound("A1", "6282386000001", "penawaran#Jhon Doe#jhon@example.com");
    gateway.link().inbound(vec![asked]).await.unwrap();
    let ended = until(
        || deliveries(&gateway),
        |ended| ended.iter().all(|(outcome, _)| outcome == "delivered"),
    )
    .await;
    // The host serves no files, so the file is left out and the other messages are sent.
    let note = "sent 2 messages; left out: a file of 127.0.0.1: the host answered with status 405";
    assert_eq!(ended[0].1, note);
    let posted = hooks.bodies().remove(0);
    let posted = posted.replace(&webhook_key(&gateway).await, "WEBHOOK_KEY");
    let (posted, shown): (Value, Value) = (
        serde_json::from_str(&posted).unwrap(),
        serde_json::from_str(&english().texts.webhook).unwrap(),
    );
    assert_eq!(posted, shown);
}
