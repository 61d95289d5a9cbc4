//! Messages of phones other than texts, read by a linked client.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::StatusCode;
use serde_json::{Value, json};
use whatsapp_rust::download::Downloadable;
use whatsapp_rust::prelude::wa;

use wa_sim::{MediaKind, Outgoing, OutgoingMedia, Phone, SendError, Sim};

use crate::client::{DEADLINE, TestClient, plain_http};

const SHOP: &str = "6281111111111";
const BUDI: &str = "6282222222222";

async fn budi_and_the_shops_client(sim: &Sim) -> (Phone, TestClient) {
    let budi = sim.phone(BUDI).await;
    let (client, _) = TestClient::paired(sim, &sim.phone(SHOP).await).await;
    (budi, client)
}

async fn downloaded(client: &TestClient, file: &impl Downloadable) -> Vec<u8> {
    let bytes = client.client.download(file).await;
    bytes.expect("the client downloads and decrypts")
}

#[tokio::test]
async fn a_phones_files_reach_the_client_whole_with_what_their_kind_says() {
    let sim = Sim::start().await.expect("starts");
    let (budi, client) = budi_and_the_shops_client(&sim).await;

    let image = OutgoingMedia::new(MediaKind::Image, &b"an image"[..]).caption("look");
    let id = budi.send(SHOP, image).await.expect("sent");
    let message = client.message(&id).await;
    let image = message.image_message.as_option().expect("an image");
    assert_eq!(downloaded(&client, image).await, b"an image");
    assert_eq!(image.caption.as_deref(), Some("look"));
    assert_eq!(image.mimetype.as_deref(), Some("image/jpeg"));
    assert_eq!(image.file_length, Some(8));

    let data = vec![5; 3 << 20];
    let video = OutgoingMedia::new(MediaKind::Video, data.clone()).mimetype("video/webm");
    let id = budi.send(SHOP, video).await.expect("sent");
    let message = client.message(&id).await;
    let video = message.video_message.as_option().expect("a video");
    assert_eq!(downloaded(&client, video).await, data);
    assert_eq!(video.mimetype.as_deref(), Some("video/webm"));
    assert!(video.streaming_sidecar.is_some());

    let audio = OutgoingMedia::new(MediaKind::Audio, &b"a voice"[..]).voice(true);
    let id = budi.send(SHOP, audio).await.expect("sent");
    let message = client.message(&id).await;
    let audio = message.audio_message.as_option().expect("audio");
    assert_eq!(downloaded(&client, audio).await, b"a voice");
    assert_eq!(audio.ptt, Some(true));

    let bill = || OutgoingMedia::new(MediaKind::Document, &b"a bill"[..]).file_name("bill.pdf");
    let id = budi.send(SHOP, bill()).await.expect("sent");
    let message = client.message(&id).await;
    let document = message.document_message.as_option().expect("a document");
    assert_eq!(downloaded(&client, document).await, b"a bill");
    assert_eq!(document.file_name.as_deref(), Some("bill.pdf"));
    // A document with a caption is wrapped, as on real phones.
    let id = budi.send(SHOP, bill().caption("pay")).await.expect("sent");
    let message = client.message(&id).await;
    let wrapper = message.document_with_caption_message.as_option();
    let inner = wrapper.and_then(|wrapper| wrapper.message.as_option());
    let document = inner.and_then(|inner| inner.document_message.as_option());
    let document = document.expect("a document inside");
    assert_eq!(document.caption.as_deref(), Some("pay"));
    assert_eq!(downloaded(&client, document).await, b"a bill");

    let sticker = OutgoingMedia::new(MediaKind::Sticker, &b"a sticker"[..]);
    let id = budi.send(SHOP, sticker).await.expect("sent");
    let message = client.message(&id).await;
    let sticker = message.sticker_message.as_option().expect("a sticker");
    assert_eq!(downloaded(&client, sticker).await, b"a sticker");
    // The sender's own phone shows the message too, with the same fields.
    let own = budi.wait_for(DEADLINE, |shown| shown.id == id).await;
    assert_eq!(own.expect("shown").fields["size"], json!(9));
    assert_eq!(budi.media(&id).await.as_deref(), Some(&b"a sticker"[..]));
}

#[tokio::test]
async fn places_and_contacts_reach_the_client() {
    let sim = Sim::start().await.expect("starts");
    let (budi, client) = budi_and_the_shops_client(&sim).await;
    let place = Outgoing::Location {
        latitude: -6.175,
        longitude: 106.827,
        name: Some("Monas".to_owned()),
    };
    let id = budi.send(SHOP, place).await.expect("sent");
    let message = client.message(&id).await;
    let place = message.location_message.as_option().expect("a place");
    assert_eq!(place.degrees_latitude, Some(-6.175));
    assert_eq!(place.name.as_deref(), Some("Monas"));

    let card = Outgoing::Contact {
        name: "Cici\r\nEND:VCARD".to_owned(),
        numbers: vec!["+62 833-33".to_owned()],
    };
    let id = budi.send(SHOP, card).await.expect("sent");
    let message = client.message(&id).await;
    let card = message.contact_message.as_option().expect("a card");
    let vcard = card.vcard.clone().unwrap_or_default();
    assert!(vcard.contains("waid=6283333:+6283333\n"), "{vcard}");
    let ends = vcard.lines().filter(|line| *line == "END:VCARD").count();
    assert_eq!(ends, 1, "{vcard}");
}

#[tokio::test]
async fn a_file_for_a_group_reaches_its_members() {
    let sim = Sim::start().await.expect("starts");
    let (budi, client) = budi_and_the_shops_client(&sim).await;
    let group = sim.create_group("Team", SHOP, &[BUDI]).await;
    let image = || OutgoingMedia::new(MediaKind::Image, &b"for all"[..]);
    let id = budi.send_to_group(group.id(), image()).await.expect("sent");
    let message = client.message(&id).await;
    let image_message = message.image_message.as_option().expect("an image");
    assert_eq!(downloaded(&client, image_message).await, b"for all");
    let shop = sim.phone(SHOP).await;
    let shown = shop.wait_for(DEADLINE, |shown| shown.id == id).await;
    assert_eq!(shown.expect("shown").fields["size"], json!(7));

    let strange = sim.create_group("Others", SHOP, &[]).await;
    let refused = budi.send_to_group(strange.id(), image()).await;
    assert!(matches!(refused, Err(SendError::NotAMember { .. })));
    let too_large = OutgoingMedia::new(MediaKind::Document, vec![0; (100 << 20) + 100]);
    let refused = budi.send(SHOP, too_large).await;
    assert!(matches!(refused, Err(SendError::File(_))), "{refused:?}");
}

#[tokio::test]
async fn every_kind_is_sent_over_the_control_api() {
    let sim = Sim::start().await.expect("starts");
    let (_, client) = budi_and_the_shops_client(&sim).await;
    let ask = async |body: Value| {
        let url = format!("{}/control/phones/{BUDI}/send", sim.http_url());
        let answer = plain_http().post(url).json(&body).send().await;
        let answer = answer.expect("answered");
        let status = answer.status();
        let body: Value = answer.json().await.expect("JSON");
        (status, body)
    };
    let sent = async |mut body: Value| -> wa::Message {
        body["to"] = json!(SHOP);
        let (status, answer) = ask(body).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        client.message(answer["id"].as_str().expect("an id")).await
    };
    // The file is larger than the default body limit.
    let data = vec![3; 4 << 20];
    let file = json!({
        "kind": "document", "base64": STANDARD.encode(&data), "mimetype": "text/csv", "file_name": "list.csv",
    });
    let message = sent(json!({ "media": file })).await;
    let document = message.document_message.as_option().expect("a document");
    assert_eq!(document.mimetype.as_deref(), Some("text/csv"));
    assert_eq!(downloaded(&client, document).await, data);
    let voice = json!({ "kind": "audio", "base64": "AAEC", "voice": true });
    let message = sent(json!({ "media": voice })).await;
    assert_eq!(
        message.audio_message.as_option().expect("audio").ptt,
        Some(true)
    );
    let place = json!({ "latitude": 1.5, "longitude": 2.5 });
    let message = sent(json!({ "location": place })).await;
    assert!(message.location_message.is_set());
    let card = json!({ "name": "Cici", "numbers": ["6283333333333"] });
    let message = sent(json!({ "contact": card })).await;
    assert!(message.contact_message.is_set());

    // The protobuf encoding of a text: field 1, four bytes.
    let raw = STANDARD.encode(b"\x0a\x04halo");
    let message = sent(json!({ "raw": raw, "id": "an id of one's own" })).await;
    assert_eq!(message.conversation.as_deref(), Some("halo"));
    let listed = json!({ "list": { "id": "1700000000", "to": [SHOP] }, "text": "promo" });
    let (status, answer) = ask(listed).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let message = client.message(answer["id"].as_str().expect("an id")).await;
    assert_eq!(message.conversation.as_deref(), Some("promo"));

    for bad in [
        json!({ "to": SHOP }),
        json!({ "to": SHOP, "raw": "?" }),
        json!({ "to": SHOP, "raw": "AAEC" }),
        json!({ "to": SHOP, "list": { "id": "1", "to": [SHOP] }, "text": "a" }),
        json!({ "to": SHOP, "text": "a", "location": place }),
        json!({ "text": "to no one" }),
        json!({ "to": SHOP, "media": { "kind": "image", "base64": "?" } }),
        json!({ "to": SHOP, "media": { "kind": "hologram", "base64": "AAEC" } }),
        json!({ "to": SHOP, "media": { "kind": "image", "url": "http://localhost/" } }),
    ] {
        let (status, answer) = ask(bad.clone()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{bad}: {answer}");
    }
}
