//! Texts with a meaning for a database, a shell or a template, and malformed bodies.

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};
use waviro_link::{Contact, Content, Location};
use waviro_testing::samples::{GROUP, number};

use crate::test_app::TestApp;

const PERSON: &str = "6282386000001";

const HOSTILE: [&str; 12] = [
    "'; DROP TABLE messages; --",
    "\" OR \"\"=\"",
    "' OR '1'='1",
    "\\'; SELECT load_extension('/tmp/x'); --",
    "$1 ?1 :id @id %s {0} {{7*7}} ${jndi:ldap://x/}",
    "`id` $(id) | id; id && id",
    "<script>alert(1)</script>",
    "\u{202e}\u{200b}\u{feff}terbalik",
    "a\r\nSecretKey: x\r\n\r\nPOST /",
    "\u{1}\u{7f}\u{1b}[2J",
    "\u{10ffff}\u{fffd}\u{d7ff}\u{e000}",
    "👩‍👩‍👧‍👦 e\u{301} ﷽",
];

#[tokio::test]
async fn every_text_is_sent_unchanged_whatever_it_means_to_other_programs() {
    for text in HOSTILE {
        let app = TestApp::online().await;
        let contact = json!({"nohp": PERSON, "contact": {"name": text, "numbers": [PERSON]}});
        let place = json!({"nohp": PERSON, "latitude": 0.5, "longitude": 101, "pesan": text});
        let expected = [
            (
                "sendwa",
                json!({"nohp": PERSON, "pesan": text}),
                Content::Text(text.to_owned()),
            ),
            (
                "sendcontact",
                contact,
                Content::Contact(Contact {
                    name: text.to_owned(),
                    numbers: vec![number(PERSON)],
                }),
            ),
            (
                "sendlocation",
                place,
                Content::Location(Location {
                    latitude: 0.5,
                    longitude: 101.0,
                    name: Some(text.to_owned()),
                }),
            ),
        ];
        for (path, body, content) in expected {
            let answer = app.post(&format!("/api/{path}"), body.to_string()).await;
            let id = answer.message()["id"].as_str().unwrap().to_owned();
            // The text was stored in the database and must be equal when read for sending and for
            // the duplicate rule.
            let link = app.link();
            app.pass_until(async {
                while !link.sent().iter().any(|sent| sent.id.as_str() == id) {
                    tokio::task::yield_now().await;
                }
            })
            .await;
            assert_eq!(link.sent().last().unwrap().content, content, "{text:?}");
            let again = app.post(&format!("/api/{path}"), body.to_string()).await;
            assert_eq!(again.refusal(), (400, "duplicate_message"), "{text:?}");
        }
    }
}

#[tokio::test]
async fn no_field_that_selects_a_row_accepts_sql() {
    let app = TestApp::with(&[("limits.wrong_keys_per_minute", "1000")]).await;
    let before = app.post("/api/groups", "").await.body;
    for text in HOSTILE {
        let number = json!({"nohp": text, "pesan": "halo"});
        assert_eq!(
            app.sendwa(number).await.refusal(),
            (400, "invalid_number"),
            "{text:?}"
        );
        let group = json!({"groupid": text, "pesan": "halo"});
        assert_eq!(
            app.sendwa(group).await.refusal(),
            (400, "invalid_group"),
            "{text:?}"
        );
        let suffixed = json!({"groupid": format!("{GROUP}{text}"), "pesan": "halo"});
        assert_eq!(
            app.sendwa(suffixed).await.refusal(),
            (400, "invalid_group"),
            "{text:?}"
        );
        let asked = json!({"nohp": format!("{PERSON}{text}")}).to_string();
        let asked = app.post("/api/checknumber", asked).await;
        assert_eq!(asked.refusal(), (400, "invalid_number"), "{text:?}");
        // Some texts cannot be in a header, so they never reach the gateway.
        let Ok(key) = axum::http::HeaderValue::from_str(text) else {
            continue;
        };
        let request = Request::post("/api/getqr").header("SecretKey", key);
        let answer = app.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.refusal(), (400, "invalid_secret_key"), "{text:?}");
    }
    assert_eq!(app.link().sent(), []);
    assert_eq!(app.post("/api/groups", "").await.body, before);
}

/// Numbers beyond the range and other encodings are refused as missing or malformed fields.
#[tokio::test]
async fn huge_json_numbers_and_other_encodings_are_400() {
    let app = TestApp::online().await;
    let utf16 = |text: &str, mark: &[u8], bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
        mark.iter()
            .copied()
            .chain(text.encode_utf16().flat_map(bytes))
            .collect()
    };
    let good = r#"{"nohp":"6282386000001","pesan":"halo"}"#;
    let with = |nohp: &str| format!(r#"{{"nohp":{nohp},"pesan":"halo"}}"#).into_bytes();
    for (body, code) in [
        (with("1e400"), "invalid_body"),
        (with("-1e400"), "invalid_body"),
        (with(&"9".repeat(100_000)), "invalid_body"),
        (with("1e15"), "invalid_number"),
        (with("-6282386000001"), "invalid_number"),
        (with("6282386000001.0"), "invalid_number"),
        (with("18446744073709551616"), "invalid_number"),
        (with("true"), "invalid_number"),
        (with("NaN"), "invalid_body"),
        (with("Infinity"), "invalid_body"),
        (with(r#""\ud800""#), "invalid_body"),
        (with(r#""\udc00\ud800""#), "invalid_body"),
        (with(r#""\u0000""#), "invalid_number"),
        (utf16(good, b"\xff\xfe", u16::to_le_bytes), "invalid_body"),
        (utf16(good, b"\xfe\xff", u16::to_be_bytes), "invalid_body"),
        (utf16(good, b"", u16::to_le_bytes), "invalid_body"),
        (b"\xef\xbb\xbf\xef\xbb\xbf{}".to_vec(), "missing_field"),
        (b"\xef\xbb\xbf".to_vec(), "missing_field"),
        (
            b"{\"nohp\":\"6282386000001\",\"pesan\":\"\xc0\x80\"}".to_vec(),
            "invalid_body",
        ),
        (
            b"{\"nohp\":\"6282386000001\",\"pesan\":\"\xed\xa0\x80\"}".to_vec(),
            "invalid_body",
        ),
        (
            br#"{"nohp":"6282386000001","pesan":"\u0000"}"#.to_vec(),
            "invalid_text",
        ),
        (
            b"{\"nohp\":\"6282386000001\",\"pesan\":\"a\0b\"}".to_vec(),
            "invalid_body",
        ),
        (
            br#"{"nohp":"6282386000001","pesan":{"a":[]}}"#.to_vec(),
            "invalid_text",
        ),
    ] {
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        let answer = app.post("/api/sendwa", body).await;
        assert_eq!(answer.refusal(), (400, code), "{shown}");
    }
    assert_eq!(app.link().sent(), []);
}

#[tokio::test]
async fn ten_thousand_levels_are_400_in_the_body_and_in_a_text_that_holds_a_contact() {
    let app = TestApp::online().await;
    for level in ["[", r#"{"a":"#] {
        let deep = level.repeat(10_000);
        let whole = app.post("/api/sendcontact", deep.clone()).await;
        assert_eq!(whole.refusal(), (400, "invalid_body"));
        let inside = format!(r#"{{"nohp":"{PERSON}","contact":{deep}"#);
        let answer = app.post("/api/sendcontact", inside).await;
        assert_eq!(answer.refusal(), (400, "invalid_body"));
        let as_text = json!({"nohp": PERSON, "contact": deep}).to_string();
        let answer = app.post("/api/sendcontact", as_text).await;
        assert_eq!(answer.refusal(), (400, "invalid_contact"));
    }
}

#[tokio::test]
async fn invalid_angles_are_refused() {
    let app = TestApp::online().await;
    for angle in [
        json!("nan"),
        json!("inf"),
        json!("-infinity"),
        json!("1e309"),
        json!("0,5"),
        json!("0x1"),
        json!("٣"),
        json!("90.0000001"),
        json!(1e300),
        json!(true),
        json!([0.5]),
        json!({"a": 1}),
    ] {
        let body = json!({"nohp": PERSON, "latitude": angle, "longitude": "0"});
        let answer = app.post("/api/sendlocation", body.to_string()).await;
        assert_eq!(answer.refusal(), (400, "invalid_coordinate"), "{body}");
        assert_eq!(answer.field(), "latitude");
    }
    assert_eq!(app.link().sent(), Vec::new());
    let _: &Value = app
        .post(
            "/api/sendlocation",
            json!({"nohp": PERSON, "latitude": " -90 ", "longitude": 180}).to_string(),
        )
        .await
        .message();
}
