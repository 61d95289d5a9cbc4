mod items;
mod whatever;

use serde_json::{Value, json};

use waviro_link::{Contact, Content, Location, MediaKind};

use super::*;

fn read(answer: &Value) -> Result<Parsed, NoReply> {
    parse(answer.to_string().as_bytes())
}

/// Returns the texts of an answer that has only texts.
fn texts(body: impl AsRef<[u8]>) -> Vec<String> {
    let parsed = parse(body.as_ref()).unwrap();
    assert_eq!(parsed.skipped, []);
    let texts = parsed.items.into_iter().map(|item| match item {
        Item::Ready(Content::Text(text)) => text,
        other => panic!("{other:?}"),
    });
    texts.collect()
}

/// Returns a line for each item and for each skipped item.
fn shown(answer: &str) -> String {
    let parsed = parse(answer.as_bytes()).unwrap();
    let items = parsed.items.iter().map(|item| match item {
        Item::File { kind, url, caption } => format!("{kind:?} {url} {caption:?}"),
        Item::Ready(content) => format!("{content:?}"),
        card @ Item::Card { .. } => format!("{card:?}"),
    });
    let skipped = parsed.skipped.iter().map(|skipped| format!("{skipped:?}"));
    items.chain(skipped).collect::<Vec<_>>().join("\n")
}

/// Returns the result for a single item.
fn one(item: &Value) -> Result<Item, String> {
    let mut parsed = read(&json!({"success": true, "message": [item]})).unwrap();
    match (parsed.items.pop(), parsed.skipped.pop()) {
        (Some(item), None) => Ok(item),
        (None, Some(skipped)) => Err(skipped.why),
        other => panic!("{other:?}"),
    }
}

fn text_item(text: &str) -> Item {
    Item::Ready(Content::Text(text.to_owned()))
}

fn location(latitude: f64, longitude: f64, name: Option<&str>) -> Item {
    Item::Ready(Content::Location(Location {
        latitude,
        longitude,
        name: name.map(ToOwned::to_owned),
    }))
}

fn file(kind: MediaKind, url: &str, caption: Option<&str>) -> Item {
    Item::File {
        kind,
        url: url.parse().unwrap(),
        caption: caption.map(ToOwned::to_owned),
    }
}

#[test]
fn the_documents_sample_answers_are_parsed_as_documented() {
    let three = r#"{
    "success": true,
    "message": {
        "reply": [
            {
                "type": "message",
                "content": "Webhook Response"
            },
            {
                "type": "message",
                "content": "Webhook Response"
            },
            {
                "type": "message",
                "content": "Webhook Response"
            }
        ]
    }
}"#;
    insta::assert_snapshot!("three_texts", shown(three));
    let kinds = r#"{
    "success": true,
    "message": {
        "reply": [
            {
                "type": "message",
                "content": "Webhook Response"
            },
            {
                "type": "location",
                "content": [
                    {
                        "coordinate": "{{latitude}}-{{longitude}}"
                    }    
                ]
            },
            {
                "type": "audio",
                "content": "https://yourdomain/your_audio_file.mp3"
            },
            {
                "type": "image",
                "content": "https://yourdomain/your_image_file.png"
            },
            {
                "type": "document",
                "content": "https://yourdomain/your_document_file.pdf"
            }
        ]
    }
}"#;
    let filled = kinds
        .replace("{{latitude}}", "0.507068")
        .replace("{{longitude}}", "101.447779");
    insta::assert_snapshot!("every_kind", shown(&filled));
    insta::assert_snapshot!("every_kind_as_it_stands", shown(kinds));
}

#[test]
fn the_documents_own_php_sample_is_understood() {
    let answer = r#"{"success":true,"message":[{"type":"message","content":"Masukkan pesan berhasil disini"}]}"#;
    assert_eq!(texts(answer), ["Masukkan pesan berhasil disini"]);
}

#[test]
fn a_reply_is_found_in_every_envelope_that_people_write() {
    let item = r#"{"type":"message","content":"a"}"#;
    for answer in [
        format!(r#"{{"success":true,"message":{{"reply":[{item}]}}}}"#),
        format!(r#"{{"success":true,"message":{{"reply":{item}}}}}"#),
        format!(r#"{{"success":true,"message":{{"Reply":[{item}]}}}}"#),
        format!(r#"{{"success":true,"message":[{item}]}}"#),
        format!(r#"{{"success":true,"message":{item}}}"#),
        format!(r#"{{"success":true,"reply":[{item}]}}"#),
        format!(r#"{{"success":true,"reply":{item}}}"#),
        format!(r#"{{"success":true,"message":"ok","reply":[{item}]}}"#),
        format!(r#"{{"Success":true,"MESSAGE":[{item}]}}"#),
        format!(r#"{{"message":{{"reply":[{item}]}}}}"#),
        format!(r#"{{"message":[{item}]}}"#),
        format!(r#"{{"reply":[{item}]}}"#),
        format!("[{item}]"),
        item.to_owned(),
        r#"{"success":true,"type":"message","content":"a"}"#.to_owned(),
        r#"{"success":true,"message":"a"}"#.to_owned(),
        r#"{"success":true,"message":{"reply":"a"}}"#.to_owned(),
        r#"{"success":true,"message":["a"]}"#.to_owned(),
    ] {
        assert_eq!(texts(&answer), ["a"], "{answer}");
    }
}

#[test]
fn success_is_accepted_in_several_forms() {
    let answer = |success: Value| read(&json!({"success": success, "message": "a"}));
    for success in [
        json!(true),
        json!("true"),
        json!(" TRUE"),
        json!(1),
        json!(1.0),
        json!("1"),
    ] {
        assert!(answer(success.clone()).is_ok(), "{success}");
    }
    for success in [
        json!(false),
        json!("false"),
        json!(0),
        json!(""),
        json!(null),
        json!([]),
        json!("no"),
    ] {
        let said = Some("a".to_owned());
        assert_eq!(
            answer(success.clone()),
            Err(NoReply::Unsuccessful { said }),
            "{success}"
        );
    }
}

#[test]
fn a_refusal_keeps_the_beginning_of_its_words() {
    let refused = parse(br#"{"success":false,"message":"Unauthorized"}"#).unwrap_err();
    assert_eq!(refused.to_string(), "success is not true: Unauthorized");
    let refused =
        read(&json!({"success": false, "errorMessage": "\u{e9}".repeat(900)})).unwrap_err();
    assert_eq!(
        refused,
        NoReply::Unsuccessful {
            said: Some("\u{e9}".repeat(200))
        }
    );
    let refused =
        parse(br#"{"success":false,"message":{"reply":[{"type":"message","content":"a"}]}}"#);
    assert_eq!(refused.unwrap_err().to_string(), "success is not true");
}

#[test]
fn an_answer_without_a_reply_has_a_reason() {
    for (body, why) in [
        ("", NoReply::Blank),
        (" \r\n\u{feff} ", NoReply::Blank),
        ("ok", NoReply::NotJson),
        (
            "<!DOCTYPE html><style>a{b:c}</style><p>{}",
            NoReply::NotJson,
        ),
        (r#"{"success":true,"message":[{"type""#, NoReply::NotJson),
        (r#""ok""#, NoReply::NoEnvelope),
        ("null", NoReply::NoEnvelope),
        ("42", NoReply::NoEnvelope),
        ("{}", NoReply::NoEnvelope),
        (r#"{"success":true}"#, NoReply::NoEnvelope),
        (r#"{"success":true,"message":null}"#, NoReply::NoEnvelope),
        (
            r#"{"success":true,"message":{"id":1}}"#,
            NoReply::NoEnvelope,
        ),
        (r#"{"success":true,"message":[]}"#, NoReply::Empty),
        (r#"{"success":true,"message":{"reply":[]}}"#, NoReply::Empty),
        ("[]", NoReply::Empty),
    ] {
        assert_eq!(parse(body.as_bytes()), Err(why), "{body}");
    }
}

#[test]
fn a_message_without_success_is_not_sent_as_text() {
    for body in [
        r#"{"message":"Data saved"}"#,
        r#"{"status":"ok","message":"Success"}"#,
        r#"{"message":["ok"]}"#,
        r#"["ok"]"#,
    ] {
        assert_eq!(parse(body.as_bytes()), Err(NoReply::NoEnvelope), "{body}");
    }
}

#[test]
fn output_of_php_and_hosts_around_the_json_is_ignored() {
    let json = r#"{"success":true,"message":[{"type":"message","content":"a {b} <c>"}]}"#;
    for body in [
        format!("\u{feff}{json}"),
        format!("\u{feff}\u{feff} \r\n{json}\n\n"),
        format!(
            "<br />\n<b>Warning</b>:  Undefined array key \"x\" in <b>/srv/a.php</b> on line <b>3</b><br />\n{json}"
        ),
        format!("\nNotice: Undefined index: {{name}} in C:\\a.php on line 3\n\u{feff}{json}"),
        format!("{json}\n<!-- counted by the host --><script>a={{}}</script>"),
        format!("<b>Notice</b>[1]{json}<br />\n<b>Warning</b>"),
    ] {
        assert_eq!(texts(&body), ["a {b} <c>"], "{body}");
    }
    let mut latin = b"Peringatan: caf\xe9\n".to_vec();
    latin.extend_from_slice(json.as_bytes());
    assert_eq!(texts(&latin), ["a {b} <c>"]);
}

#[test]
fn a_piece_of_a_broken_answer_is_not_sent_as_the_whole() {
    for body in [
        r#"{"success":false,"message":{"reply":[{"type":"message","content":"a"}]}"#,
        r#"{"success":false,"data":{"type":"message","content":"a"}"#,
        r#"x {"type":"message","content":"a"}"#,
        r#"{"success":true,"message":"a"} and more"#,
    ] {
        assert_eq!(parse(body.as_bytes()), Err(NoReply::NotJson), "{body}");
    }
}

#[test]
fn common_mistakes_in_hand_built_replies_are_repaired() {
    for (body, meant) in [
        (
            "{\"success\":true,\"message\":[{\"type\":\"message\",\"content\":\"a\nb\tc\\T\",},],}",
            "a\nb\tc\\T",
        ),
        (
            "<b>Notice</b>: x\n\u{feff}{\"success\":true,\"message\":\"a\nb\",}<br>",
            "a\nb",
        ),
    ] {
        assert_eq!(texts(body), [meant], "{body}");
        assert!(parse(body.as_bytes()).unwrap().tolerant, "{body}");
    }
    let strict = r#"{"success":true,"message":"a"}"#;
    assert!(!parse(strict.as_bytes()).unwrap().tolerant);
}

#[test]
fn an_unescaped_quote_is_named_with_the_right_way_to_build_json() {
    let body = "{\"success\":true,\n\"message\":\"Halo \"Budi\"\"}";
    let refused = parse(body.as_bytes()).unwrap_err().to_string();
    for part in ["line 2, column 17", "json_encode", "json.Marshal"] {
        assert!(refused.contains(part), "{refused}");
    }
}

#[test]
fn a_reply_that_was_encoded_twice_is_read_and_a_text_of_json_stays_a_text() {
    let reply = json!([{"type": "message", "content": "a"}]);
    for answer in [
        json!(json!({"success": true, "message": reply}).to_string()),
        json!(json!(reply).to_string()),
        json!({"success": true, "message": reply.to_string()}),
        json!({"success": true, "message": json!({"reply": reply}).to_string()}),
        json!({"success": true, "message": {"reply": reply.to_string()}}),
        json!({"success": true, "reply": reply[0].to_string()}),
    ] {
        assert_eq!(texts(answer.to_string()), ["a"], "{answer}");
    }
    for text in ["{\"a\":1}", "[1,2]", "[]", "{", "[halo]"] {
        assert_eq!(
            texts(json!({"success": true, "message": text}).to_string()),
            [text]
        );
        let item = json!({"type": "message", "content": text});
        assert_eq!(one(&item), Ok(text_item(text)));
    }
    let place = json!({"type": "location", "content": "[{\"coordinate\":\"1-2\"}]"});
    assert_eq!(one(&place), Ok(location(1.0, 2.0, None)));
}

#[test]
fn an_object_with_numbers_for_keys_is_a_list_wherever_a_list_is_meant() {
    let reply = json!({
        "10": {"type": "message", "content": "c"},
        "0": {"type": "message", "content": {"0": "a", "2": "b"}},
    });
    for answer in [
        json!({"success": true, "message": {"reply": reply}}),
        json!({"success": true, "message": reply}),
        json!({"success": true, "reply": reply}),
        reply.clone(),
    ] {
        assert_eq!(texts(answer.to_string()), ["a", "b", "c"], "{answer}");
    }
    let place = json!({"type": "location", "content": {"0": {"coordinate": "1-2"}}});
    assert_eq!(one(&place), Ok(location(1.0, 2.0, None)));
    let numbers = json!({"1": "628123456789", "3": "628123456780"});
    let card = json!({"type": "contact", "content": {"name": "Toko", "numbers": numbers}});
    assert!(
        matches!(one(&card), Ok(Item::Ready(Content::Contact(card))) if card.numbers.len() == 2)
    );
}
