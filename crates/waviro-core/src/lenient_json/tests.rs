//! Tests the accepted texts, the refused texts, and the faults.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn tolerant(text: &str) -> Value {
    let parsed = parse(text.as_bytes()).unwrap();
    assert!(parsed.tolerant, "{text}");
    parsed.value
}

#[test]
fn strict_json_stays_as_it_is_and_is_not_called_tolerant() {
    for text in [r#"{"a":"b\n\u00e9\\T"}"#, " [1, 2] ", "null", r#""ok""#] {
        let parsed = parse(text.as_bytes()).unwrap();
        assert!(!parsed.tolerant, "{text}");
        assert_eq!(parsed.value, serde_json::from_str::<Value>(text).unwrap());
    }
}

#[test]
fn common_mistakes_in_hand_built_json_are_repaired() {
    for (text, meant) in [
        ("{\"a\":\"b\",}", json!({"a": "b"})),
        ("{\"a\":[1,2,\n ],\r\n}", json!({"a": [1, 2]})),
        ("{\"a\":\"x,}\" , }", json!({"a": "x,}"})),
        ("{\"a\":\"b\r\nc\td\"}", json!({"a": "b\r\nc\td"})),
        ("{\"a\":\"b\u{1}\u{1b}\"}", json!({"a": "b\u{1}\u{1b}"})),
        (
            r#"{"a":"C:\Toko\x \' \u12 \"}"}"#,
            json!({"a": r#"C:\Toko\x \' \u12 "}"#}),
        ),
        ("{\"a\":\"b\\\nc\"}", json!({"a": "b\\\nc"})),
        ("\u{feff}{\"a\":1}", json!({"a": 1})),
        (" \u{feff}\u{feff} {\"a\":\"b\",}\0", json!({"a": "b"})),
        (
            "\u{a0}{\u{200b}\"a\":\u{3000}\"\u{a0}\"\u{b}}",
            json!({"a": "\u{a0}"}),
        ),
        (r#""{\"a\":\"b\"}""#, json!({"a": "b"})),
        (r#""[{\"a\":1},]""#, json!([{"a": 1}])),
    ] {
        assert_eq!(tolerant(text), meant, "{text}");
    }
}

#[test]
fn an_unescaped_quote_is_named_with_its_place() {
    for (text, line, column) in [
        (r#"{"pesan":"Halo "Budi" apa kabar"}"#, 1, 16),
        ("{\"a\":1,\n\"pesan\":\"ukuran 5\"\"}", 2, 18),
        (r#"{"pesan":"kata ", lalu "lain""}"#, 1, 16),
        (r#"{"pesan":"kata ","b" selesai"}"#, 1, 20),
        ("{\"a\":\"b\tc\",\"pesan\":\"é \"x\"\"}", 1, 23),
    ] {
        let fault = parse(text.as_bytes()).unwrap_err();
        let expected = Fault {
            line,
            column,
            cause: Cause::UnescapedQuote,
        };
        assert_eq!(fault, expected, "{text}");
    }
}

#[test]
fn other_faults_are_not_blamed_on_quotes() {
    for text in [
        "nonsense",
        r#"{"nohp":"1", pesan:"halo"}"#,
        r#"{"nohp":halo}"#,
        r#"{"nohp":"1"} trailing"#,
        "{'nohp':'1'}",
        r#"{"a":"\ud800"}"#,
        "{\"a\":\"b\0c\"}",
        "{\0\"\0a\0\"\0:\0\"\0b\0\"\0}\0",
    ] {
        let fault = parse(text.as_bytes()).unwrap_err();
        assert_eq!(fault.cause, Cause::Other, "{text}");
    }
    for text in ["{", r#"{"a":"b"#, r#"{"a":["b""#, r#"{"a":"b\"#] {
        let fault = parse(text.as_bytes()).unwrap_err();
        assert_eq!(fault.cause, Cause::EndsEarly, "{text}");
        assert_eq!(fault.column, text.len() + 1, "{text}");
    }
    let latin = parse(b"{\"a\":\"caf\xe9\"}").unwrap_err();
    assert_eq!((latin.line, latin.column), (1, 10));
}

#[test]
fn an_object_with_numbers_for_keys_is_a_list_in_their_order() {
    let numbered = json!({"10": "c", "0": "a", "2": "b"});
    assert_eq!(list(numbered).unwrap(), ["a", "b", "c"]);
    assert_eq!(list(json!(["a"])).unwrap(), ["a"]);
    for other in [
        json!({}),
        json!({"0": 1, "a": 2}),
        json!({"": 1}),
        json!("a"),
    ] {
        assert_eq!(list(other.clone()), Err(other));
    }
}

proptest! {
    #[test]
    fn any_bytes_are_a_value_or_a_fault(text in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&text);
        let _ = leading_object(&text, true);
    }

    #[test]
    fn any_text_concatenated_into_json_is_read_unchanged(text in "[^\"\\\\\\x00]{0,40}") {
        let glued = format!("{{\"a\":\"{text}\",}}");
        prop_assert_eq!(tolerant(&glued), json!({"a": text}));
    }

    #[test]
    fn tokens_in_any_order_never_panic(tokens in prop::collection::vec(prop::sample::select(vec![
        "{", "}", "[", "]", ",", ":", "\"", "\\", "\\u", "\n", "a", "é", "\u{feff}", "1", " ",
    ]), 0..40)) {
        let text = tokens.concat();
        if let Err(fault) = parse(text.as_bytes()) {
            prop_assert!(fault.line >= 1 && fault.column >= 1);
        }
    }
}
