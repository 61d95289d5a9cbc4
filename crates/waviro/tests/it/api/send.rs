//! The common part of the send paths: the body decides the recipient and the kind of message.

use serde_json::{Value, json};
use waviro_testing::samples::GROUP;

use crate::test_app::TestApp;

const PERSON: &str = "6282386000001";

/// Joins the fields of `one` and `other`.
fn with(one: &Value, other: &Value) -> Value {
    let mut fields = one.as_object().unwrap().clone();
    fields.extend(other.as_object().unwrap().clone());
    Value::Object(fields)
}

fn own(path: &str) -> Value {
    match path {
        "sendwa" | "sendwatogroup" => json!({"pesan": "Halo"}),
        "sendlocation" | "sendlocationtogroup" => {
            json!({"latitude": "0.525960", "longitude": "101.426866"})
        }
        _ => card(),
    }
}

fn card() -> Value {
    json!({"contact": {"name": "Test", "numbers": ["6281240000001", "6281250000002"]}})
}

const PATHS: [&str; 6] = [
    "sendwa",
    "sendlocation",
    "sendcontact",
    "sendwatogroup",
    "sendlocationtogroup",
    "sendcontacttogroup",
];

#[tokio::test]
async fn every_path_accepts_a_person_or_a_group_and_prefers_its_own_kind() {
    let app = TestApp::online().await;
    let person = json!({ "nohp": PERSON });
    let group = json!({ "groupid": GROUP });
    for path in PATHS {
        let to_person = format!("{PERSON}@c.us");
        let to_group = format!("{GROUP}@g.us");
        let own_to = if path.ends_with("togroup") {
            &to_group
        } else {
            &to_person
        };
        for (whom, expected) in [
            (person.clone(), &to_person),
            (group.clone(), &to_group),
            (with(&person, &group), own_to),
        ] {
            // A different text before each message, so that the duplicate rule accepts the message.
            let app = &app;
            let between = with(&whom, &json!({"pesan": format!("{path} {whom}")}));
            app.post("/api/sendwa", between.to_string()).await;
            app.post("/api/sendwatogroup", between.to_string()).await;
            let body = with(&whom, &own(path)).to_string();
            let answer = app.post(&format!("/api/{path}"), body).await;
            assert_eq!(&answer.message()["to"], expected, "{path} {whom}");
        }
        let nobody = app
            .post(&format!("/api/{path}"), own(path).to_string())
            .await;
        assert_eq!(nobody.refusal(), (400, "missing_field"), "{path}");
        let field = if path.ends_with("togroup") {
            "groupid"
        } else {
            "nohp"
        };
        assert_eq!(nobody.body["field"], field);
    }
}

#[tokio::test]
async fn every_path_accepts_a_contact_and_only_a_location_takes_precedence() {
    for path in PATHS {
        let app = TestApp::online().await;
        let to = json!({ "nohp": PERSON });
        let answer = app
            .post(&format!("/api/{path}"), with(&to, &card()).to_string())
            .await;
        assert_eq!(answer.message()["type"], "vcard", "{path}");
        let both = with(&with(&to, &card()), &own(path));
        let answer = app.post(&format!("/api/{path}"), both.to_string()).await;
        if path.starts_with("sendlocation") {
            assert_eq!(answer.message()["type"], "chat", "{path}");
        } else {
            assert_eq!(answer.refusal(), (400, "duplicate_message"), "{path}");
        }
        let nothing = app.post(&format!("/api/{path}"), to.to_string()).await;
        assert_eq!(nothing.refusal(), (400, "missing_field"), "{path}");
    }
}

#[tokio::test]
async fn the_same_contact_or_place_right_after_is_a_duplicate() {
    let app = TestApp::online().await;
    for path in PATHS {
        let body = with(&json!({"nohp": PERSON, "groupid": GROUP}), &own(path)).to_string();
        let path = format!("/api/{path}");
        app.post(&path, body.clone()).await.message();
        let again = app.post(&path, body).await;
        assert_eq!(again.refusal(), (400, "duplicate_message"), "{path}");
    }
}

/// Texts that are invisible on a phone.
const BLANKS: [&str; 6] = [
    " \n\t",
    "\u{a0}\u{3000}",
    "\u{200b}\u{feff}",
    "\u{202e}\u{2066} ",
    "\u{3164}\u{2800}",
    "\u{fe0f}\u{e0020}",
];

#[tokio::test]
async fn a_text_of_blanks_is_refused_on_every_path_and_as_the_name_of_a_card() {
    let app = TestApp::online().await;
    for blank in BLANKS {
        for path in ["sendwa", "sendwatogroup"] {
            let body = json!({"nohp": PERSON, "groupid": GROUP, "pesan": blank});
            let answer = app.post(&format!("/api/{path}"), body.to_string()).await;
            let refused = (answer.refusal(), answer.field());
            assert_eq!(
                refused,
                ((400, "missing_field"), "pesan"),
                "{path} {blank:?}"
            );
        }
        for path in ["sendcontact", "sendcontacttogroup", "sendwa"] {
            let card = json!({"name": blank, "numbers": [PERSON]});
            let body = json!({"nohp": PERSON, "groupid": GROUP, "contact": card});
            let answer = app.post(&format!("/api/{path}"), body.to_string()).await;
            let refused = (answer.refusal(), answer.field());
            let expected = ((400, "missing_field"), "contact.name");
            assert_eq!(refused, expected, "{path} {blank:?}");
        }
        // A location needs no text, so a blank text is dropped. All these locations are therefore
        // equal.
        let place = json!({"nohp": PERSON, "latitude": 1, "longitude": 2, "pesan": blank});
        let answer = app.post("/api/sendlocation", place.to_string()).await;
        if blank == BLANKS[0] {
            answer.message();
        } else {
            assert_eq!(answer.refusal(), (400, "duplicate_message"), "{blank:?}");
        }
    }
}
