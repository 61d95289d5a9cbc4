//! `/api/checknumber`

use serde_json::json;
use waviro_testing::samples::number;

use crate::test_app::TestApp;

#[tokio::test]
async fn a_number_is_on_whatsapp_or_not() {
    let app = TestApp::online().await;
    app.link().unregister(number("6282386000009"));
    for (nohp, expected) in [("6282386000001", true), ("6282386000009", false)] {
        let body = json!({"nohp": nohp}).to_string();
        let answer = app.post("/api/checknumber", body).await;
        assert_eq!(answer.message(), expected, "{nohp}");
    }
}

#[tokio::test]
async fn an_invalid_or_missing_number_is_400() {
    let app = TestApp::online().await;
    for (body, code) in [
        ("{}", "missing_field"),
        (r#"{"nohp":"082386000001"}"#, "invalid_number"),
    ] {
        let answer = app.post("/api/checknumber", body).await;
        assert_eq!(answer.refusal_and_field(), (400, code, "nohp"), "{body}");
    }
}

#[tokio::test]
async fn an_unlinked_bot_can_not_look_numbers_up() {
    let app = TestApp::unlinked().await;
    let answer = app
        .post("/api/checknumber", r#"{"nohp":"6282386000001"}"#)
        .await;
    assert_eq!(answer.refusal(), (400, "not_connected"));
}
