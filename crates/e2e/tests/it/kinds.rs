//! Every kind of message, to a person and to a group, as the phone shows it.

use serde_json::{Value, json};

use crate::{CUSTOMER, OWNER, Shop, shown};

/// Sends `fields` to the path's person and to the group's path, and shows what the customer's phone made of both.
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
