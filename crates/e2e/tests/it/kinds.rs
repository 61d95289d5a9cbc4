//! Every kind of message on the phone, sent to a person and to a group.

use serde_json::{Value, json};

use crate::{CUSTOMER, OWNER, Shop, shown};

/// Sends `fields` to the customer and to the group; returns both messages as shown by the
/// customer's phone.
async fn on_the_phone(shop: &Shop, group: &str, endpoint: &str, fields: &Value) -> [Value; 2] {
    let mut seen = Vec::new();
    for (path, field, to) in [
        (endpoint.to_owned(), "nohp", CUSTOMER),
        (format!("{endpoint}togroup"), "groupid", group),
    ] {
        let mut body = fields.clone();
        body[field] = json!(to);
        let answer = shop.bot.call(&format!("/api/{path}"), body).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        let message = shown(&shop.customer, &answer.id()).await;
        assert_eq!(message.from, OWNER);
        let chat = if field == "nohp" { OWNER } else { group };
        assert_eq!(message.chat, chat, "{path}");
        seen.push(serde_json::to_value(message).unwrap());
    }
    seen.try_into().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_places_and_contacts_reach_a_person_and_a_group_as_they_were_sent() {
    let shop = Shop::open().await;
    let group = shop.sim.create_group("Pelanggan", OWNER, &[CUSTOMER]).await;
    let group = group.id();

    let text = json!({"pesan": "Halo *semua* 👋\nbaris dua"});
    for message in on_the_phone(&shop, group, "sendwa", &text).await {
        assert_eq!(message["kind"], "text");
        assert_eq!(message["text"], text["pesan"]);
    }

    let place =
        json!({"latitude": "-6.175392", "longitude": "106.827153", "pesan": "Kantor Pusat"});
    for message in on_the_phone(&shop, group, "sendlocation", &place).await {
        assert_eq!(message["kind"], "location");
        assert_eq!(message["latitude"], -6.175_392);
        assert_eq!(message["longitude"], 106.827_153);
        assert_eq!(message["name"], "Kantor Pusat");
    }

    let card =
        json!({"contact": {"name": "Budi; Jr", "numbers": ["6281240000001", "6281250000002"]}});
    for message in on_the_phone(&shop, group, "sendcontact", &card).await {
        assert_eq!(message["kind"], "contact");
        assert_eq!(message["display_name"], "Budi; Jr");
        let vcard = message["vcard"].as_str().unwrap();
        assert!(vcard.contains("FN:Budi\\; Jr\n"), "{vcard}");
        for number in ["6281240000001", "6281250000002"] {
            assert!(
                vcard.contains(&format!("waid={number}:+{number}\n")),
                "{vcard}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_with_any_name_is_one_card_with_that_name() {
    let shop = Shop::open().await;
    for name in [
        "Budi\r\nTEL:+6281299999999",
        "Budi\nEND:VCARD\nBEGIN:VCARD\nFN:Lain",
        "Budi\rTEL;waid=6281299999999:+6281299999999",
        "a;b,c\\d:e\"f",
        "\\n\\;\\,",
        "END:VCARD",
        "Budi\u{2028}TEL:+1\u{85}TEL:+2\u{b}TEL:+3\u{c}TEL:+4",
        "=0D=0AEND:VCARD",
    ] {
        let body =
            json!({"nohp": CUSTOMER, "contact": {"name": name, "numbers": ["6281240000001"]}});
        let answer = shop.bot.call("/api/sendcontact", body).await;
        assert_eq!(answer.status, 200, "{name:?} {answer:?}");
        let message = shown(&shop.customer, &answer.id()).await;
        let message = serde_json::to_value(message).unwrap();
        assert_eq!(message["kind"], "contact");
        assert_eq!(message["display_name"], name);
        let vcard = message["vcard"].as_str().unwrap();
        // Splits the card as a reader would that accepts every kind of line end.
        let ends = [
            '\n', '\r', '\u{b}', '\u{c}', '\u{85}', '\u{2028}', '\u{2029}',
        ];
        let lines: Vec<&str> = vcard.split(ends).collect();
        let properties: Vec<&str> = lines
            .iter()
            .map(|line| line.split([':', ';']).next().unwrap())
            .collect();
        assert_eq!(
            properties,
            ["BEGIN", "VERSION", "N", "FN", "TEL", "END"],
            "{vcard:?}"
        );
        let shown_name = lines[3].strip_prefix("FN:").unwrap();
        assert_eq!(unescaped(shown_name), with_one_line_end(name), "{vcard:?}");
    }
}

/// Reverses the escaping of RFC 2426, section 4.
fn unescaped(text: &str) -> String {
    let (mut plain, mut letters) = (String::new(), text.chars());
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => match letters.next().unwrap() {
                'n' | 'N' => plain.push('\n'),
                other => plain.push(other),
            },
            _ => plain.push(letter),
        }
    }
    plain
}

/// Replaces every kind of line end by `\n`, the only line end in a card.
fn with_one_line_end(text: &str) -> String {
    text.replace("\r\n", "\n").replace(
        ['\r', '\u{b}', '\u{c}', '\u{85}', '\u{2028}', '\u{2029}'],
        "\n",
    )
}
