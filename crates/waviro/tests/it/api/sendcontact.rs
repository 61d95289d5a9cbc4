//! `/api/sendcontact`

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};
use waviro_link::{Contact, Content};
use waviro_testing::samples::number;

use crate::test_app::TestApp;

fn to_ani(field: &str, card: &Value) -> String {
    json!({"nohp": "6282386000001", field: card}).to_string()
}

#[tokio::test]
async fn a_contact_as_an_object_or_as_the_text_of_one_with_one_number_or_many() {
    let card = json!({"name": "Test", "numbers": ["6281240000001", 6_281_250_000_002_u64]});
    for (field, sent, count) in [
        ("contact", card.clone(), 2),
        ("Contact", card.clone(), 2),
        ("contact", json!(card.to_string()), 2),
        (
            "contact",
            json!({"name": card["name"], "numbers": {"0": card["numbers"][0], "2": card["numbers"][1]}}),
            2,
        ),
        (
            "contact",
            json!({"name": card["name"], "numbers": card["numbers"].to_string()}),
            2,
        ),
        (
            "contact",
            json!({"name": "Test", "numbers": "6281240000001"}),
            1,
        ),
    ] {
        let app = TestApp::online().await;
        let answer = app.post("/api/sendcontact", to_ani(field, &sent)).await;
        assert_eq!(answer.message()["type"], "vcard");
        let numbers = ["6281240000001", "6281250000002"];
        let expected = Contact {
            name: "Test".to_owned(),
            numbers: numbers[..count].iter().map(|text| number(text)).collect(),
        };
        assert_eq!(app.first_sent().await.content, Content::Contact(expected));
    }
}

#[tokio::test]
async fn an_incomplete_contact_is_refused_and_the_part_is_named() {
    let app = TestApp::online().await;
    let many: Vec<String> = (0..51).map(|n| format!("62812400000{n:02}")).collect();
    for (card, code, field) in [
        (
            json!({"numbers": ["6281240000001"]}),
            "missing_field",
            "contact.name",
        ),
        (
            json!({"name": " ", "numbers": ["6281240000001"]}),
            "missing_field",
            "contact.name",
        ),
        (
            json!({"name": 5, "numbers": ["6281240000001"]}),
            "invalid_text",
            "contact.name",
        ),
        (json!({"name": "Test"}), "missing_field", "contact.numbers"),
        (
            json!({"name": "Test", "numbers": []}),
            "missing_field",
            "contact.numbers",
        ),
        (
            json!({"name": "Test", "numbers": [""]}),
            "missing_field",
            "contact.numbers",
        ),
        (
            json!({"name": "Test", "numbers": ["0812400001"]}),
            "invalid_number",
            "contact.numbers",
        ),
        (
            json!({"name": "Test", "numbers": [["6281240000001"]]}),
            "invalid_number",
            "contact.numbers",
        ),
        (
            json!({"name": "Test", "numbers": many}),
            "invalid_contact",
            "contact.numbers",
        ),
        (json!("Test"), "invalid_contact", "contact"),
        (json!(["Test"]), "invalid_contact", "contact"),
        (json!(null), "missing_field", "contact"),
        (json!(""), "missing_field", "contact"),
    ] {
        let answer = app.post("/api/sendcontact", to_ani("contact", &card)).await;
        assert_eq!(answer.refusal_and_field(), (400, code, field), "{card}");
    }
}

#[tokio::test]
async fn a_contact_without_a_recipient_is_refused_with_both_fields_for_a_recipient() {
    let app = TestApp::online().await;
    let body = json!({"contact": {"name": "Test", "numbers": ["6281240000001"]}}).to_string();
    for (language, says) in [
        ("id", "Data tidak lengkap: nohp atau groupid wajib diisi."),
        ("en", "Incomplete data: nohp or groupid is required."),
    ] {
        let request = Request::post("/api/sendcontact")
            .header("SecretKey", &app.key)
            .header("Accept-Language", language)
            .body(Body::from(body.clone()));
        let answer = app.send(request.unwrap()).await;
        assert_eq!(answer.refusal(), (400, "missing_field"));
        assert_eq!(
            (answer.field(), &answer.body["errorMessage"]),
            ("nohp", &json!(says))
        );
    }
    // Every other path accepts only one kind of recipient, and the refusal names the field.
    for (path, field) in [("sendcontacttogroup", "groupid"), ("sendwa", "nohp")] {
        let answer = app.post(&format!("/api/{path}"), body.clone()).await;
        let says = format!("Data tidak lengkap: {field} wajib diisi.");
        assert_eq!(
            (answer.field(), &answer.body["errorMessage"]),
            (field, &json!(says))
        );
    }
}
