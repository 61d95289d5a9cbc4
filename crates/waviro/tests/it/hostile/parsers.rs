//! Property tests of the request parsers: no input causes a panic, and every accepted value has its
//! exact meaning.

use proptest::prelude::*;
use serde_json::{Value, json};
use url::Url;
use waviro_core::config::Outbound;
use waviro_core::net::Net;
use waviro_link::{GroupId, Number};
use waviro_store::clock::Clock;
use waviro_web::api::body::Fields;
use waviro_web::api::error::ApiError;

fn fields(value: &Value) -> Fields {
    Fields::parse(json!({ "x": value }).to_string().as_bytes()).unwrap()
}

fn net() -> Net {
    let nothing = Outbound {
        allow: Vec::new(),
        timeout_s: 1,
    };
    Net::new(&nothing, Clock::system()).unwrap()
}

/// Generates any JSON a few levels deep.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::hash_map(any::<String>(), inner, 0..8)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Generates texts similar to URLs.
fn almost_a_url() -> impl Strategy<Value = String> {
    let scheme = prop::sample::select(vec![
        "http",
        "https",
        "HTTP",
        "ftp",
        "file",
        "",
        "\\PC{1,4}",
    ]);
    let after = prop::sample::select(vec!["://", ":", ":/", ":\\\\", "//", ""]);
    let host = prop_oneof![
        "[0-9a-fx.]{1,20}",
        "[a-z.-]{1,20}",
        "\\[[0-9a-f:.%]{0,30}\\]",
        "[a-z:@\\\\]{0,10}127\\.0\\.0\\.1",
        "\\PC{0,20}",
    ];
    (scheme, after, host, "(:[0-9]{0,6})?", "\\PC{0,20}")
        .prop_map(|(scheme, after, host, port, rest)| format!("{scheme}{after}{host}{port}{rest}"))
}

proptest! {
    #[test]
    fn a_json_object_is_a_set_of_fields_and_no_other_json_value_is(value in any_json()) {
        let read = Fields::parse(value.to_string().as_bytes());
        match read {
            Ok(_) => prop_assert!(value.is_object()),
            Err(ApiError::BodyNotObject) => prop_assert!(!value.is_object()),
            Err(other) => prop_assert!(false, "{:?}", other),
        }
    }

    #[test]
    fn any_value_in_any_field_is_accepted_or_refused_with_the_field(value in any_json()) {
        let (fields, net) = (fields(&value), net());
        let blamed = [
            fields.text("x").err(),
            fields.number("x").err(),
            fields.numbers("x").err(),
            fields.group("x").err(),
            fields.degrees("x", 90.0).err(),
            fields.url("x", &net, &[]).err(),
            fields.object(["x", "X"]).err(),
        ];
        for error in blamed.into_iter().flatten() {
            let named = match &error {
                ApiError::MissingField(field)
                | ApiError::NotText { field }
                | ApiError::TextTooLong { field }
                | ApiError::InvalidNumber { field, .. }
                | ApiError::InvalidGroup { field }
                | ApiError::InvalidDegrees { field }
                | ApiError::NotAnObject { field }
                | ApiError::InvalidUrl { field, .. } => *field,
                _ => "another",
            };
            prop_assert_eq!(named, "x", "{:?}", error);
        }
    }

    #[test]
    fn a_text_is_accepted_unchanged(text in any::<String>()) {
        match fields(&json!(text)).text("x") {
            Ok(taken) => prop_assert_eq!(taken, text),
            Err(ApiError::MissingField(_)) => prop_assert!(text.trim().is_empty()),
            Err(ApiError::NotText { .. }) => prop_assert!(text.contains('\0')),
            Err(other) => prop_assert!(false, "{:?}", other),
        }
    }

    #[test]
    fn an_angle_in_range_is_accepted_to_its_last_digit_and_no_other_value(angle in prop_oneof![any::<f64>(), -200.0..200.0_f64]) {
        for text in [angle.to_string(), format!("{angle:e}")] {
            match fields(&json!(text)).degrees("x", 180.0) {
                Ok(taken) => prop_assert!(taken.to_bits() == angle.to_bits() && angle.abs() <= 180.0, "{}", text),
                Err(_) => prop_assert!(angle.is_nan() || angle.abs() > 180.0, "{}", text),
            }
        }
        // A JSON number may lose the last of 17 digits, which is less than the size of an atom on
        // the globe.
        match fields(&json!(angle)).degrees("x", 180.0) {
            Ok(taken) => prop_assert!((taken - angle).abs() <= 1e-13),
            Err(_) => prop_assert!(!angle.is_finite() || angle.abs() > 180.0 - 1e-13),
        }
    }

    #[test]
    fn no_text_is_parsed_as_an_angle_out_of_range(text in "[-+0-9.eEnaif ]{0,12}|\\PC{0,12}") {
        if let Ok(taken) = fields(&json!(text)).degrees("x", 90.0) {
            prop_assert!(taken.is_finite() && taken.abs() <= 90.0);
        }
    }

    #[test]
    fn a_group_is_digits_and_reads_the_same_with_its_server(text in "[0-9@gus. -]{0,30}|[0-9]{1,25}(-[0-9]{1,15})?|\\PC{0,30}") {
        match fields(&json!(text)).group("x") {
            Ok(Some(group)) => {
                let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
                prop_assert!(group.as_str().split('-').all(digits), "{}", group);
                prop_assert_eq!(group.as_str(), text.trim().trim_end_matches("@g.us"));
                prop_assert_eq!(&group.to_string().parse::<GroupId>().unwrap(), &group);
                prop_assert_eq!(format!("{group}@g.us").parse::<GroupId>().unwrap(), group);
            }
            Ok(None) => prop_assert!(text.trim().is_empty()),
            Err(error) => prop_assert!(matches!(error, ApiError::InvalidGroup { field: "x" }), "{:?}", error),
        }
    }

    #[test]
    fn whatever_the_digits_a_number_is_e164_or_refused_with_one_that_is(text in "[+0]{0,2}[0-9 ()-]{0,20}(@c\\.us)?") {
        match fields(&json!(text)).number("x") {
            Ok(Some(number)) => prop_assert_eq!(number.as_str(), text.trim()),
            Ok(None) => prop_assert!(text.trim().is_empty()),
            Err(ApiError::InvalidNumber { meant, .. }) => if let Some(meant) = meant {
                prop_assert_eq!(meant.to_string().parse::<Number>().unwrap(), meant);
            },
            Err(other) => prop_assert!(false, "{:?}", other),
        }
    }

    #[test]
    fn an_accepted_url_is_allowed_and_stays_allowed(text in almost_a_url()) {
        let net = net();
        match fields(&json!(text)).url("x", &net, &[]) {
            Ok(None) => prop_assert!(text.trim().is_empty()),
            Ok(Some(url)) => {
                prop_assert!(["http", "https"].contains(&url.scheme()));
                prop_assert!(url.host_str().is_some_and(|host| !host.is_empty()), "{}", url);
                prop_assert!(url.username().is_empty() && url.password().is_none(), "{}", url);
                // The URL is stored as text and parsed again before the call.
                let again = Url::parse(url.as_str()).unwrap();
                prop_assert!(net.check(&again, &[]).is_ok(), "{}", url);
                prop_assert_eq!(again, url);
            }
            Err(error) => prop_assert!(matches!(error, ApiError::InvalidUrl { field: "x", .. }), "{:?}", error),
        }
    }
}
