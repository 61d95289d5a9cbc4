//! `/api/checknumber`

use waviro_testing::samples::number;

use crate::test_app::TestApp;

#[tokio::test]
async fn a_number_is_on_whatsapp_or_not() {
    let app = TestApp::online().await;
    app.link().unregister(number("6282386000009"));
    assert_eq!(
        app.post("/api/checknumber", r#"{"nohp":"6282386000001"}"#)
            .await
            .message(),
        true
    );
    assert_eq!(
        app.post("/api/checknumber", r#"{"nohp":"6282386000009"}"#)
            .await
            .message(),
        false
    );
}

#[tokio::test]
async fn an_invalid_or_missing_number_is_400() {
    let app = TestApp::online().await;
    let missing = app.post("/api/checknumber", "{}").await;
    assert_eq!(
        (missing.refusal(), missing.field()),
        ((400, "missing_field"), "nohp")
    );
    let wrong = app
        .post("/api/checknumber", r#"{"nohp":"082386000001"}"#)
        .await;
    assert_eq!(
        (wrong.refusal(), wrong.field()),
        ((400, "invalid_number"), "nohp")
    );
}

#[tokio::test]
async fn an_unlinked_bot_can_not_look_numbers_up() {
    let app = TestApp::unlinked().await;
    let answer = app
        .post("/api/checknumber", r#"{"nohp":"6282386000001"}"#)
        .await;
    assert_eq!(answer.refusal(), (400, "not_connected"));
}
