//! The common behaviour of all `/api` endpoints: paths, methods, languages, the shape of a refusal.

mod auth;
mod body;
mod checknumber;
mod getqr;
mod groups;
mod listener;
mod send;
mod sendcontact;
mod sendlocation;
mod sendmedia;
mod sendwa;

use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::json;

use super::test_app::TestApp;

const ENDPOINTS: [&str; 11] = [
    "sendwa",
    "sendmedia",
    "sendlocation",
    "sendcontact",
    "sendwatogroup",
    "sendmediatogroup",
    "sendlocationtogroup",
    "sendcontacttogroup",
    "groups",
    "getqr",
    "checknumber",
];

#[tokio::test]
async fn a_path_works_with_and_without_a_trailing_slash_and_below_the_base_path() {
    let app = TestApp::with(&[("server.base_path", "/bot1/")]).await;
    for base in ["", "/bot1"] {
        for slash in ["", "/"] {
            let path = format!("{base}/api/checknumber{slash}");
            let answer = app.post(&path, r#"{"nohp":"6282386000001"}"#).await;
            assert_eq!(answer.message(), true, "{path}");
        }
    }
    let other = app.post("/bot2/api/checknumber", "{}").await;
    assert_eq!(other.refusal(), (404, "not_found"));
}

#[tokio::test]
async fn another_method_than_post_is_405_in_the_apis_shape_and_never_a_redirect() {
    let app = TestApp::online().await;
    for endpoint in ENDPOINTS {
        for method in [
            Method::GET,
            Method::PUT,
            Method::DELETE,
            Method::PATCH,
            Method::OPTIONS,
        ] {
            for slash in ["", "/"] {
                let uri = format!("/api/{endpoint}{slash}");
                let request = Request::builder()
                    .method(&method)
                    .uri(&uri)
                    .header("SecretKey", &app.key);
                let answer = app.send(request.body(Body::empty()).unwrap()).await;
                assert_eq!(
                    answer.refusal(),
                    (405, "method_not_allowed"),
                    "{method} {uri}"
                );
                assert_eq!(answer.headers["allow"], "POST");
            }
        }
    }
}

#[tokio::test]
async fn an_unknown_path_is_404_in_the_apis_shape() {
    let app = TestApp::online().await;
    for path in [
        "/",
        "/api",
        "/api/",
        "/api/sendwa/x",
        "/api/SendWA",
        "/api/%00",
        "/api/sendwa%2f",
        "/nothing",
    ] {
        assert_eq!(
            app.post(path, "{}").await.refusal(),
            (404, "not_found"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn every_refusal_is_one_sentence_in_the_callers_language() {
    let app = TestApp::online().await;
    let link = app.link();
    link.unregister(waviro_testing::samples::number("6282386000009"));
    let ok = json!({"nohp": "6282386000001", "pesan": "halo"});
    assert_eq!(app.sendwa(ok.clone()).await.message()["status"], 0);
    let with = |key: &str, value: serde_json::Value| {
        let mut fields = ok.clone();
        fields[key] = value;
        fields.to_string()
    };
    let bodies = [
        ok.to_string(),
        "{".to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        with("nohp", json!("082386000001")),
        with("nohp", json!("halo")),
        with("nohp", json!("6282386000009")),
        with("nohp", json!("")),
        with("pesan", json!("  ")),
        with("pesan", json!(["halo"])),
        with("pesan", json!("a".repeat(65_537))),
        with("notifyurl", json!("halo")),
        with("notifyurl", json!("ftp://example.com/")),
        with("notifyurl", json!("https://me:secret@example.com/")),
        with("notifyurl", json!("http://192.168.1.5/hook")),
        with("notifyurl", json!("https://example.com:6667/hook")),
        with(
            "notifyurl",
            json!(format!("https://example.com/{}", "a".repeat(2048))),
        ),
        json!({"groupid": "x", "pesan": "halo"}).to_string(),
        r#"{"nohp":"6282386000001","pesan":"Halo "Budi""}"#.to_owned(),
        "nohp: 6282386000001".to_owned(),
        "nohp=6282386000001&pesan=caf%E9".to_owned(),
        "a".repeat(1100 * 1024),
    ];
    let mut shown = Vec::new();
    for body in bodies {
        for language in ["id", "en-GB,en;q=0.8,id;q=0.5"] {
            let request = Request::post("/api/sendwa")
                .header("SecretKey", &app.key)
                .header("Accept-Language", language)
                .body(Body::from(body.clone()));
            let answer = app.send(request.unwrap()).await;
            answer.refusal();
            shown.push(format!("{} {}", answer.status.as_u16(), answer.body));
        }
    }
    insta::assert_snapshot!(shown.join("\n"));
}

#[tokio::test]
async fn livez_and_readyz_are_outside_the_api() {
    let app = TestApp::online().await;
    for (path, says) in [("/livez", "alive\n"), ("/readyz", "ready\n")] {
        let answer = app
            .send(Request::get(path).body(Body::empty()).unwrap())
            .await;
        assert_eq!(
            (answer.status.as_u16(), &answer.body),
            (200, &json!(says)),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_gateway_whose_database_is_gone_is_alive_and_not_ready() {
    let app = TestApp::online().await;
    let router = app.inner.router();
    app.inner.stop().await;
    let ask = async |path: &str| {
        let request = Request::get(path).body(Body::empty()).unwrap();
        tower::ServiceExt::oneshot(router.clone(), request)
            .await
            .unwrap()
            .status()
            .as_u16()
    };
    assert_eq!(ask("/livez").await, 200);
    assert_eq!(ask("/readyz").await, 503);
}

#[tokio::test]
async fn every_answer_carries_an_id_to_find_it_in_the_log() {
    let app = TestApp::online().await;
    let (one, other) = (
        app.post("/api/getqr", "").await,
        app.post("/nothing", "").await,
    );
    assert_ne!(one.headers["x-request-id"], other.headers["x-request-id"]);
}
