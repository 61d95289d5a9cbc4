//! Request bodies from real clients, and malformed bodies.

use axum::body::Body;
use axum::http::Request;
use bytes::Bytes;
use proptest::prelude::*;
use serde_json::json;
use waviro_link::Content;
use waviro_web::api::body::Fields;
use waviro_web::api::error::ApiError;

use crate::test_app::{Answer, TestApp};

const GOOD: &str = r#"{"nohp":"6282386000001"}"#;

#[tokio::test]
async fn json_whatever_the_content_type_says() {
    let app = TestApp::online().await;
    for content_type in [
        None,
        Some("application/json"),
        Some("application/json; charset=utf-8"),
        Some("application/x-www-form-urlencoded"),
        Some("text/plain"),
        Some("multipart/form-data; boundary=x"),
        Some("nonsense"),
    ] {
        let mut request = Request::post("/api/checknumber").header("SecretKey", &app.key);
        if let Some(content_type) = content_type {
            request = request.header("Content-Type", content_type);
        }
        let answer = app.send(request.body(Body::from(GOOD)).unwrap()).await;
        assert_eq!(answer.message(), true, "{content_type:?}");
    }
}

#[tokio::test]
async fn a_byte_order_mark_and_blanks_around_the_body_are_ignored() {
    let app = TestApp::online().await;
    for body in [
        format!("\u{feff}{GOOD}"),
        format!("\r\n {GOOD}\n\n"),
        format!("\u{feff} {GOOD}"),
    ] {
        assert_eq!(app.post("/api/checknumber", body).await.message(), true);
    }
}

#[tokio::test]
async fn an_empty_body_is_accepted_by_endpoints_without_fields() {
    let app = TestApp::online().await;
    for body in ["", "{}", " ", "nonsense"] {
        assert_eq!(
            app.post("/api/getqr", body).await.message()["isAuthenticated"],
            true,
            "{body}"
        );
    }
    let answer = app.post("/api/checknumber", "").await;
    assert_eq!(answer.refusal_and_field(), (400, "missing_field", "nohp"));
}

#[tokio::test]
async fn unknown_fields_are_ignored_and_the_last_of_two_counts() {
    let app = TestApp::online().await;
    let body = r#"{"nohp":"x","x":{"y":[1,null]},"nohp":"6282386000001"}"#;
    assert_eq!(app.post("/api/checknumber", body).await.message(), true);
}

#[tokio::test]
async fn hostile_bodies_are_400_with_a_sentence() {
    let app = TestApp::online().await;
    let deep = "[".repeat(100_000);
    let nested = format!("{}1{}", r#"{"a":"#.repeat(5_000), "}".repeat(5_000));
    let bodies: [Bytes; 15] = [
        deep.into(),
        nested.into(),
        "[1]".into(),
        "null".into(),
        "\"x\"".into(),
        "\"nohp=6282386000001\"".into(),
        "nohp: 6282386000001".into(),
        "{'nohp':'6282386000001'}".into(),
        "{\"nohp\":\"628\0\"}".into(),
        Bytes::from_static(b"nohp=6282386000001&pesan=caf%E9"),
        Bytes::from_static(b"{\"nohp\":\"\xff\xfe\"}"),
        Bytes::from_static(b"\xff\xfe{\0}\0"),
        r#"{"nohp":"\ud800"}"#.into(),
        r#"{"nohp":082386000001}"#.into(),
        format!("{GOOD} trailing").into(),
    ];
    for body in bodies {
        let answer = app.post("/api/checknumber", body.clone()).await;
        let shown = String::from_utf8_lossy(&body[..body.len().min(40)]).into_owned();
        assert_eq!(answer.refusal(), (400, "invalid_body"), "{shown}");
    }
}

#[tokio::test]
async fn common_mistakes_in_hand_built_bodies_are_repaired() {
    let app = TestApp::online().await;
    let nohp = "\"nohp\":\"6282386000001\"";
    for (pesan, meant) in [
        ("a\nb", "a\nb"),
        ("c\r\nd\te", "c\r\nd\te"),
        ("\u{b}f\u{1b}", "\u{b}f\u{1b}"),
        ("C:\\Toko\\Data", "C:\\Toko\\Data"),
        ("it\\'s 50\\% \\u12", "it\\'s 50\\% \\u12"),
        ("{[,}],\\\"x\\\" ,", "{[,}],\"x\" ,"),
    ] {
        let body = format!("\u{feff}{{{nohp},\"pesan\":\"{pesan}\", }}\n");
        let accepted = app.post("/api/sendwa", body).await;
        assert_eq!(text_of(&app, &accepted).await, meant);
    }
    let card =
        r#"{"nohp":"6282386000001","contact":{"name":"A	ni","numbers":["628124000001",],},}"#;
    let answer = app.post("/api/sendcontact", card).await;
    assert_eq!(answer.message()["type"], "vcard");
}

#[tokio::test]
async fn a_body_that_was_encoded_twice_is_read() {
    let app = TestApp::online().await;
    let once = json!({"nohp": "6282386000001", "pesan": "dua \"kali\"\n"}).to_string();
    let twice = json!(once).to_string();
    let accepted = app.post("/api/sendwa", twice).await;
    assert_eq!(text_of(&app, &accepted).await, "dua \"kali\"\n");
}

#[tokio::test]
async fn a_form_is_read_as_fields_whatever_the_content_type_says() {
    let app = TestApp::online().await;
    let urlencoded = "nohp=6282386000001&pesan=Halo+Budi%0A%26+%22Ani%22+%F0%9F%98%80";
    let multipart = "--XyZ\r\nContent-Disposition: form-data; name=\"nohp\"\r\n\r\n6282386000001\r\n--XyZ\r\n\
        Content-Disposition: form-data; name=\"pesan\"\r\n\r\nHalo\r\n\"dunia\" & é\r\n--XyZ--\r\n";
    for (content_type, body, meant) in [
        (
            Some("application/x-www-form-urlencoded"),
            urlencoded,
            "Halo Budi\n& \"Ani\" 😀",
        ),
        (
            Some("application/json"),
            &format!("{urlencoded}1"),
            "Halo Budi\n& \"Ani\" 😀1",
        ),
        (None, &format!("{urlencoded}2"), "Halo Budi\n& \"Ani\" 😀2"),
        (
            Some("multipart/form-data; boundary=XyZ"),
            multipart,
            "Halo\r\n\"dunia\" & é",
        ),
        (
            Some("application/json"),
            &multipart.replace("Halo", "Hai"),
            "Hai\r\n\"dunia\" & é",
        ),
    ] {
        let mut request = Request::post("/api/sendwa").header("SecretKey", &app.key);
        if let Some(content_type) = content_type {
            request = request.header("Content-Type", content_type);
        }
        let answer = app
            .send(request.body(Body::from(body.to_owned())).unwrap())
            .await;
        assert_eq!(answer.message()["status"], 0, "{content_type:?}");
        assert_eq!(text_of(&app, &answer).await, meant);
    }
    let card = "nohp=6282386000001&contact[name]=Ani&contact[numbers][0]=628124000001&contact%5Bnumbers%5D%5B1%5D=628124000002";
    let answer = app.post("/api/sendcontact", card).await;
    assert_eq!(answer.message()["type"], "vcard");
    let missing = app.post("/api/sendwa", "nohp=6282386000001&pesan=").await;
    assert_eq!(missing.refusal_and_field(), (400, "missing_field", "pesan"));
}

#[tokio::test]
async fn an_unescaped_quote_is_refused_with_its_place_and_the_right_way_to_build_json() {
    let app = TestApp::online().await;
    let body = "{\"nohp\":\"6282386000001\",\n\"pesan\":\"Halo \"Budi\",\tapa kabar\"}";
    for (language, place) in [("id", "baris 2, kolom 15"), ("en", "line 2, column 15")] {
        let request = Request::post("/api/sendwa")
            .header("SecretKey", &app.key)
            .header("Accept-Language", language)
            .body(Body::from(body));
        let answer = app.send(request.unwrap()).await;
        assert_eq!(answer.refusal(), (400, "invalid_body"));
        let sentence = answer.body["errorMessage"].as_str().unwrap();
        for part in [place, "json_encode", "json.Marshal"] {
            assert!(sentence.contains(part), "{sentence}");
        }
    }
    assert_eq!(app.link().sent(), []);
}

/// Waits until an accepted message is sent, and returns its text.
async fn text_of(app: &TestApp, accepted: &Answer) -> String {
    let id = accepted.message()["id"].as_str().unwrap().to_owned();
    let link = app.link();
    let sent = || link.sent().into_iter().find(|sent| sent.id.as_str() == id);
    app.pass_until(async {
        while sent().is_none() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    match sent().unwrap().content {
        Content::Text(text) => text,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_body_above_the_cap_is_413_with_and_without_its_length() {
    let app = TestApp::with(&[("limits.body_kib", "1")]).await;
    let large = format!(r#"{{"nohp":"6282386000001","x":"{}"}}"#, "a".repeat(1024));
    let counted = Request::post("/api/checknumber")
        .header("SecretKey", &app.key)
        .header("Content-Length", large.len());
    let answer = app
        .send(counted.body(Body::from(large.clone())).unwrap())
        .await;
    assert_eq!(answer.refusal(), (413, "body_too_large"));
    let chunks = large
        .into_bytes()
        .chunks(100)
        .map(|chunk| Ok::<_, std::io::Error>(chunk.to_vec()))
        .collect::<Vec<_>>();
    let streamed = Body::from_stream(futures::stream::iter(chunks));
    assert_eq!(
        app.post("/api/checknumber", streamed).await.refusal(),
        (413, "body_too_large")
    );
}

#[tokio::test]
async fn an_interrupted_body_is_400() {
    let app = TestApp::online().await;
    let broken = Body::from_stream(futures::stream::iter([
        Ok("{\"nohp\":"),
        Err(std::io::Error::other("gone")),
    ]));
    assert_eq!(
        app.post("/api/checknumber", broken).await.refusal(),
        (400, "body_incomplete")
    );
}

proptest! {
    #[test]
    fn any_bytes_are_fields_or_a_refusal(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Fields::parse(&body);
    }

    #[test]
    fn any_json_object_yields_a_number_of_digits_or_blames_the_field(value in "\\PC{0,30}|[0-9+() -]{0,20}") {
        let body = serde_json::json!({"nohp": value}).to_string();
        match Fields::parse(body.as_bytes()).unwrap().number("nohp") {
            Ok(Some(number)) => {
                prop_assert_eq!(number.as_str(), value.trim());
                prop_assert!((7..=15).contains(&number.as_str().len()));
            }
            Ok(None) => prop_assert!(value.trim().is_empty()),
            Err(ApiError::InvalidNumber { field, .. }) => prop_assert_eq!(field, "nohp"),
            Err(other) => prop_assert!(false, "{:?}", other),
        }
    }

    #[test]
    fn a_whole_json_number_is_read_digit_by_digit(digits in 1_000_000_u64..999_999_999_999_999) {
        let body = format!("{{\"nohp\":{digits}}}");
        let number = Fields::parse(body.as_bytes()).unwrap().number("nohp").unwrap().unwrap();
        prop_assert_eq!(number.to_string(), digits.to_string());
    }
}
