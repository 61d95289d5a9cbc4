//! `/api/sendlocation`

use serde_json::{Value, json};
use waviro_link::{Content, Location};

use crate::test_app::TestApp;

fn at(latitude: impl Into<Value>, longitude: impl Into<Value>) -> Value {
    json!({"nohp": "6282386000001", "latitude": latitude.into(), "longitude": longitude.into()})
}

#[tokio::test]
async fn a_place_goes_out_with_its_name() {
    let app = TestApp::online().await;
    let mut body = at("0.525960", "101.426866");
    body["pesan"] = json!("Kantor Pusat");
    let answer = app.post("/api/sendlocation", body.to_string()).await;
    assert_eq!(answer.message()["type"], "chat");
    let sent = app.first_sent().await;
    let place = Location {
        latitude: 0.52596,
        longitude: 101.426_866,
        name: Some("Kantor Pusat".to_owned()),
    };
    assert_eq!(sent.content, Content::Location(place));
}

#[tokio::test]
async fn coordinates_as_text_or_as_numbers() {
    for (latitude, longitude) in [
        (json!(-6.2), json!(106.8)),
        (json!(" -6.2 "), json!("+106.8")),
        (json!(90), json!(-180)),
        (json!("0"), json!(0)),
    ] {
        let app = TestApp::online().await;
        let body = at(latitude, longitude).to_string();
        app.post("/api/sendlocation", body).await.message();
    }
}

#[tokio::test]
async fn an_invalid_coordinate_is_refused_with_the_field() {
    let app = TestApp::online().await;
    for (latitude, longitude, code, field) in [
        (json!("0,52"), json!(1), "invalid_coordinate", "latitude"),
        (json!("90.0001"), json!(1), "invalid_coordinate", "latitude"),
        (json!("NaN"), json!(1), "invalid_coordinate", "latitude"),
        (json!(true), json!(1), "invalid_coordinate", "latitude"),
        (json!([0]), json!(1), "invalid_coordinate", "latitude"),
        (json!(1), json!("-180.1"), "invalid_coordinate", "longitude"),
        (json!(1), json!("inf"), "invalid_coordinate", "longitude"),
        (
            json!(1),
            json!("101.4 E"),
            "invalid_coordinate",
            "longitude",
        ),
        (json!(""), json!(1), "missing_field", "latitude"),
        (json!(1), Value::Null, "missing_field", "longitude"),
    ] {
        let body = at(latitude, longitude).to_string();
        let answer = app.post("/api/sendlocation", body.clone()).await;
        assert_eq!(answer.refusal_and_field(), (400, code, field), "{body}");
    }
}
