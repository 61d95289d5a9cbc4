use serde_json::json;
use waviro_link::Number;

use super::*;
use crate::limits::TEXT_CAP;

#[test]
fn types_come_in_any_case_and_a_text_may_be_a_number() {
    for (kind, content, text) in [
        ("message", json!("a"), "a"),
        (" MESSAGE ", json!(" a\n"), " a\n"),
        ("Text", json!(15_000), "15000"),
        ("message", json!(1.5), "1.5"),
    ] {
        let item = one(&json!({"Type": kind, "CONTENT": content}));
        assert_eq!(item, Ok(text_item(text)), "{kind}");
    }
    let long = "\u{1f600}".repeat(TEXT_CAP);
    assert_eq!(
        one(&json!({"type": "message", "content": long})),
        Ok(text_item(&long))
    );
    let longer = json!({"type": "message", "content": long + "x"});
    assert_eq!(
        one(&longer),
        Err("its text is longer than 65536 characters".to_owned())
    );
}

#[test]
fn a_text_of_blanks_is_no_item_and_a_blank_caption_is_none() {
    for blank in [" \n", "\u{200b}", "\u{feff}\u{3164}", "\u{2066} \u{2800}"] {
        let empty = Err("its text is empty".to_owned());
        assert_eq!(one(&json!({"type": "message", "content": blank})), empty);
        assert_eq!(one(&json!(blank)), empty, "{blank:?}");
        let named = json!({"type": "location", "content": "0.52--101.4", "pesan": blank});
        assert_eq!(one(&named), Ok(location(0.52, -101.4, None)), "{blank:?}");
    }
}

#[test]
fn a_place_is_found_in_every_form_of_its_content() {
    for content in [
        json!([{"coordinate": "-6.2-106.8"}]),
        json!({"coordinate": "-6.2-106.8"}),
        json!("-6.2-106.8"),
        json!(["-6.2-106.8"]),
        json!("-6.2,106.8"),
        json!([-6.2, 106.8]),
        json!(["-6.2", "106.8"]),
        json!([[-6.2, 106.8]]),
        json!({"coordinate": [-6.2, 106.8]}),
        json!({"latitude": -6.2, "longitude": "106.8"}),
        json!([{"Latitude": "-6.2", "Longitude": 106.8}]),
        json!({"coordinate": {"latitude": "-6.2", "longitude": "106.8"}}),
    ] {
        let item = json!({"type": "location", "content": content});
        assert_eq!(one(&item), Ok(location(-6.2, 106.8, None)), "{content}");
    }
    let named = json!({"type": "location", "content": [{"coordinate": "0.52--101.4", "name": "Toko"}], "pesan": "no"});
    assert_eq!(one(&named), Ok(location(0.52, -101.4, Some("Toko"))));
    let beside = json!({"type": "location", "content": "0.52--101.4", "pesan": "Toko"});
    assert_eq!(one(&beside), Ok(location(0.52, -101.4, Some("Toko"))));
}

#[test]
fn files_are_urls_with_or_without_a_caption() {
    for (name, kind) in [
        ("audio", MediaKind::Audio),
        ("Image", MediaKind::Image),
        ("DOCUMENT", MediaKind::Document),
        ("video", MediaKind::Video),
    ] {
        let item = json!({"type": name, "content": " https://toko.example/a b.pdf "});
        assert_eq!(
            one(&item),
            Ok(file(kind, "https://toko.example/a%20b.pdf", None))
        );
    }
    for item in [
        json!({"type": "image", "content": "http://toko.example/a", "caption": "Baru"}),
        json!({"type": "image", "content": "http://toko.example/a", "pesan": "Baru", "caption": ""}),
        json!({"type": "image", "content": {"url": "http://toko.example/a", "caption": "Baru"}}),
        json!({"type": "image", "content": [{"mediaurl": "http://toko.example/a", "pesan": "Baru"}]}),
    ] {
        assert_eq!(
            one(&item),
            Ok(file(
                MediaKind::Image,
                "http://toko.example/a",
                Some("Baru")
            )),
            "{item}"
        );
    }
}

#[test]
fn a_contact_is_a_name_with_numbers_or_the_url_of_a_card() {
    let number: Number = "628123456789".parse().unwrap();
    let card = Item::Ready(Content::Contact(Contact {
        name: "Toko".to_owned(),
        numbers: vec![number],
    }));
    for content in [
        json!({"name": "Toko", "numbers": ["628123456789"]}),
        json!({"name": "Toko", "numbers": " 628123456789 "}),
        json!({"name": "Toko", "numbers": 628_123_456_789_u64}),
        json!([{"Name": "Toko", "Numbers": [628_123_456_789_u64]}]),
        json!(r#"{"name":"Toko","numbers":["628123456789"]}"#),
    ] {
        for name in ["contact", "vcard"] {
            let item = json!({"type": name, "content": content});
            assert_eq!(one(&item), Ok(card.clone()), "{content}");
        }
    }
    let item = json!({"type": "contact", "content": "https://toko.example/a.vcf"});
    let url = "https://toko.example/a.vcf".parse().unwrap();
    assert_eq!(one(&item), Ok(Item::Card { url }));
}

#[test]
fn each_invalid_item_is_skipped_with_its_reason_and_the_others_are_sent() {
    let many: Vec<String> = (0..51).map(|at| format!("6281234567{at:02}")).collect();
    let bad = [
        (json!(null), "no object"),
        (json!(["a"]), "no object"),
        (json!({"content": "a"}), "no type"),
        (json!({"type": 3, "content": "a"}), "no type"),
        (
            json!({"type": "sticker", "content": "a"}),
            "\"sticker\" is none of message",
        ),
        (json!({"type": "message"}), "no content"),
        (json!({"type": "message", "content": null}), "no content"),
        (
            json!({"type": "message", "content": []}),
            "content is empty",
        ),
        (
            json!({"type": "message", "content": " \n"}),
            "text is empty",
        ),
        (json!({"type": "message", "content": "a\0"}), "NUL"),
        (json!({"type": "message", "content": true}), "no text"),
        (json!({"type": "message", "content": {"a": 1}}), "no text"),
        (
            json!({"type": "location", "content": "Jakarta"}),
            "write it like",
        ),
        (
            json!({"type": "location", "content": "106.8--6.2"}),
            "latitude is beyond",
        ),
        (
            json!({"type": "location", "content": [6.2, 181]}),
            "longitude is beyond",
        ),
        (json!({"type": "location", "content": {}}), "no coordinate"),
        (
            json!({"type": "location", "content": {"latitude": "x", "longitude": 1}}),
            "no number",
        ),
        (json!({"type": "location", "content": 6.2}), "no coordinate"),
        (
            json!({"type": "image", "content": "/a.png"}),
            "starts with http",
        ),
        (
            json!({"type": "image", "content": "file:///etc/passwd"}),
            "starts with http",
        ),
        (json!({"type": "image", "content": 1}), "no URL"),
        (json!({"type": "image", "content": {}}), "no URL"),
        (
            json!({"type": "image", "content": format!("http://a/{}", "a".repeat(2048))}),
            "longer than 2048",
        ),
        (
            json!({"type": "image", "content": "http://a/", "caption": "\0"}),
            "NUL",
        ),
        (
            json!({"type": "contact", "content": {"numbers": ["628123456789"]}}),
            "no name",
        ),
        (
            json!({"type": "contact", "content": {"name": "", "numbers": ["628123456789"]}}),
            "name is empty",
        ),
        (
            json!({"type": "contact", "content": {"name": "a"}}),
            "has 0 numbers",
        ),
        (
            json!({"type": "contact", "content": {"name": "a", "numbers": many}}),
            "has 51 numbers",
        ),
        (
            json!({"type": "contact", "content": {"name": "a", "numbers": ["08123456789"]}}),
            "country code",
        ),
        (
            json!({"type": "contact", "content": "Toko"}),
            "starts with http",
        ),
        (json!({"type": "contact", "content": 1}), "neither a name"),
    ];
    let good = json!({"type": "message", "content": "a"});
    for (item, reason) in bad {
        let parsed = read(&json!({"success": true, "message": [good, item, good]})).unwrap();
        assert_eq!(parsed.items, [text_item("a"), text_item("a")]);
        let [skipped] = parsed.skipped.as_slice() else {
            panic!("{item}: {:?}", parsed.skipped);
        };
        assert_eq!(skipped.position, 2, "{item}");
        assert!(skipped.why.contains(reason), "{item}: {}", skipped.why);
    }
}

#[test]
fn a_list_as_content_is_one_item_each() {
    let answer = json!({"success": true, "message": [
        {"type": "message", "content": ["a", "b"]},
        {"type": "image", "content": ["http://a/1", "x", "http://a/2"], "caption": "c"},
    ]});
    let parsed = read(&answer).unwrap();
    assert_eq!(
        parsed.items,
        [
            text_item("a"),
            text_item("b"),
            file(MediaKind::Image, "http://a/1", Some("c")),
            file(MediaKind::Image, "http://a/2", Some("c")),
        ]
    );
    assert_eq!(
        parsed
            .skipped
            .iter()
            .map(|skipped| skipped.position)
            .collect::<Vec<_>>(),
        [2]
    );
}

#[test]
fn fifty_items_are_sent_and_the_rest_is_reported_once() {
    let item = json!({"type": "message", "content": "a"});
    for (count, skipped) in [(50, 0), (51, 1), (20_000, 1)] {
        let parsed = read(&json!({"success": true, "message": vec![item.clone(); count]})).unwrap();
        assert_eq!((parsed.items.len(), parsed.skipped.len()), (50, skipped));
        if let Some(one) = parsed.skipped.first() {
            assert_eq!(one.position, 51);
            assert!(
                one.why.contains(&format!("{} in all", count - 50)),
                "{}",
                one.why
            );
        }
    }
    let list = json!({"type": "message", "content": vec!["a"; 60]});
    let parsed = read(&json!({"success": true, "message": [list, item]})).unwrap();
    assert_eq!((parsed.items.len(), parsed.skipped.len()), (50, 2));
    let bad = parse(
        &[
            b"{\"success\":1,\"message\":[".as_slice(),
            b"0,".repeat(100_000).as_slice(),
            b"0]}",
        ]
        .concat(),
    );
    let bad = bad.unwrap();
    assert_eq!((bad.items.len(), bad.skipped.len()), (0, 51));
}
