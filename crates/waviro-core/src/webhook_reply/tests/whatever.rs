use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn any_json() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(vec![
        "success",
        "message",
        "reply",
        "type",
        "content",
        "location",
        "coordinate",
        "contact",
        "1-2",
        "true",
    ]);
    let text = prop_oneof![word.prop_map(ToOwned::to_owned), any::<String>()];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::hash_map(text.clone(), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Generates an item together with the JSON from a webhook.
fn good() -> impl Strategy<Value = (Item, Value)> {
    let says = |text: &String| !text.trim().is_empty() && !text.contains('\0');
    let said = any::<String>().prop_filter("says nothing", says);
    let text = said.clone().prop_map(|text| {
        (
            text_item(&text),
            json!({"type": "message", "content": text}),
        )
    });
    let place =
        (-90.0..=90.0_f64, -180.0..=180.0_f64, any::<bool>()).prop_map(|(north, east, listed)| {
            let content = json!({"coordinate": format!("{north}-{east}")});
            let content = if listed { json!([content]) } else { content };
            (
                location(north, east, None),
                json!({"type": "location", "content": content}),
            )
        });
    let kinds = [
        ("audio", MediaKind::Audio),
        ("image", MediaKind::Image),
        ("document", MediaKind::Document),
        ("video", MediaKind::Video),
    ];
    let media = (
        prop::sample::select(kinds.to_vec()),
        "[a-z]{1,9}",
        prop::option::of(said.clone()),
    )
        .prop_map(|((name, kind), path, caption)| {
            let url = format!("https://toko.example/{path}");
            let item = json!({"type": name.to_uppercase(), "content": url, "caption": caption});
            (file(kind, &url, caption.as_deref()), item)
        });
    let contact =
        (said, prop::collection::vec("62[0-9]{9}", 1..=50)).prop_map(|(name, numbers)| {
            let item = json!({"type": "contact", "content": {"name": name, "numbers": numbers}});
            let numbers = numbers
                .iter()
                .map(|number| number.parse().unwrap())
                .collect();
            (
                Item::Ready(Content::Contact(Contact { name, numbers })),
                item,
            )
        });
    prop_oneof![text, place, media, contact]
}

proptest! {
    #[test]
    fn any_bytes_are_a_reply_or_an_error(body in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse(&body);
    }

    #[test]
    fn any_json_gives_only_valid_items(answer in any_json(), success in any::<bool>()) {
        for answer in [answer.clone(), json!({"success": success, "message": answer})] {
            if let Ok(parsed) = read(&answer) {
                prop_assert!(parsed.items.len() <= MAX_ITEMS);
                prop_assert!(!parsed.items.is_empty() || !parsed.skipped.is_empty());
                for item in parsed.items {
                    match item {
                        Item::Ready(Content::Text(text)) => prop_assert!(!text.trim().is_empty() && !text.contains('\0')),
                        Item::Ready(Content::Location(place)) => prop_assert!(place.latitude.abs() <= 90.0 && place.longitude.abs() <= 180.0),
                        Item::Ready(Content::Media(media)) => prop_assert!(false, "{media:?}"),
                        Item::File { url, .. } | Item::Card { url } => prop_assert!(["http", "https"].contains(&url.scheme())),
                        Item::Ready(Content::Contact(card)) => prop_assert!(!card.name.trim().is_empty() && !card.numbers.is_empty()),
                    }
                }
            }
        }
    }

    #[test]
    fn a_valid_answer_is_parsed_item_by_item(reply in prop::collection::vec(good(), 1..20), around in 0..4_u8, junk in "(<br />\n<b>Notice</b>: [a-z $]{0,9})?\u{feff}?[ \n]{0,3}") {
        let (items, written): (Vec<Item>, Vec<Value>) = reply.into_iter().unzip();
        let (answer, junk) = match around {
            0 => (json!({"success": true, "message": {"reply": written}}), junk.as_str()),
            1 => (json!({"success": 1, "message": written}), junk.as_str()),
            2 => (json!({"success": "true", "reply": written}), junk.as_str()),
            _ => (json!(written), ""),
        };
        let parsed = parse(format!("{junk}{answer}").as_bytes());
        prop_assert_eq!(parsed, Ok(Parsed { items, skipped: Vec::new(), tolerant: false }));
    }
}
