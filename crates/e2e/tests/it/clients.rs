//! The samples of the API document, sent unchanged by the clients for which they are written.
//!
//! The samples contain mistakes: blanks after the key, a `;` after the key, groups at the paths for
//! persons, contacts at the path for locations, and POST requests without a body. A copied sample
//! must work.

mod sample;

use axum::body::Bytes;
use e2e::files::Files;
use e2e::receiver::Receiver;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{CUSTOMER, OWNER, Shop, received, shown, shows_exactly};
use sample::{CLIENTS, Client, Places, Sample};

/// The sending endpoints and the type word in their documented answers. The sample media file is a
/// PDF, so its type is document.
const SENDS: [(&str, &str); 8] = [
    ("sendwa", "text"),
    ("sendmedia", "document"),
    ("sendlocation", "chat"),
    ("sendcontact", "vcard"),
    ("sendwatogroup", "chat"),
    ("sendmediatogroup", "document"),
    ("sendlocationtogroup", "chat"),
    ("sendcontacttogroup", "vcard"),
];

const PDF: &[u8] = b"%PDF-1.7\nbrosur";

/// A shop, its group, and the values for the placeholders in the samples.
struct Street {
    shop: Shop,
    group: String,
    receiver: Receiver,
    places: Places,
    _files: Files,
}

impl Street {
    async fn open() -> Self {
        let shop = Shop::open().await;
        let group = shop.sim.create_group("test", OWNER, &[CUSTOMER]).await;
        let receiver = Receiver::start().await;
        let media = Bytes::from_static(PDF);
        let files = Files::start(vec![("yourmedia.pdf", "application/pdf", media)]).await;
        let places = Places {
            gateway: shop.gateway.url(),
            key: shop.bot.key.clone(),
            person: CUSTOMER.to_owned(),
            group: group.id().to_owned(),
            notify: receiver.url().to_owned(),
            media: files.url("yourmedia.pdf"),
        };
        Self {
            shop,
            group: group.id().to_owned(),
            receiver,
            places,
            _files: files,
        }
    }

    fn sample(&self, endpoint: &str, client: Client, other_form: bool) -> Sample {
        let sample = Sample::of(endpoint, client, &self.places);
        if other_form {
            sample.at_the_other_form_of_its_path()
        } else {
            sample
        }
    }

    /// Sends an endpoint's sample. Checks the documented answer, the message on the phone, and the
    /// callbacks.
    async fn sends(&self, endpoint: &str, word: &str, sample: &Sample) -> String {
        let answer = sample.send().await;
        assert_eq!(answer.status, 200, "{sample:?} {answer:?}");
        let to_group = endpoint.ends_with("togroup");
        let to = if to_group {
            format!("{}@g.us", self.group)
        } else {
            format!("{CUSTOMER}@c.us")
        };
        let (id, message) = (answer.id(), &answer.body["message"]);
        let at = message["timestamp"].as_i64().unwrap();
        assert_eq!(
            answer.body,
            json!({"success": true, "message": {
                "id": id, "status": 0, "type": word, "timestamp": at, "from": format!("{OWNER}@c.us"), "to": to,
            }}),
            "{sample:?}"
        );
        let hexadecimal = |byte: u8| byte.is_ascii_digit() || (b'A'..=b'F').contains(&byte);
        assert!(
            id.len() == 20 && id.starts_with("3EB0") && id.bytes().all(hexadecimal),
            "{id}"
        );
        let shown = shown(&self.shop.customer, &id).await;
        assert!(
            at.abs_diff(shown.timestamp.cast_signed()) <= 60,
            "{at} {shown:?}"
        );
        let chat = if to_group { &self.group } else { OWNER };
        assert_eq!((shown.from.as_str(), shown.chat.as_str()), (OWNER, chat));
        shows_the_documents(endpoint, &serde_json::to_value(&shown).unwrap());
        let acks: &[i64] = if to_group { &[1] } else { &[1, 2, 3] };
        self.receiver.wait_acks(&id, acks).await;
        id
    }

    /// Sends the samples of the endpoints that query something.
    async fn asks(&self, client: Client, other_form: bool) {
        let groups = self.sample("groups", client, other_form).send().await;
        let list = groups.body["message"].as_array().unwrap();
        let spoken = list[0]["grouplastchat"].as_i64().unwrap();
        assert_eq!(
            (groups.status.as_u16(), &groups.body),
            (
                200,
                &json!({"success": true, "message": [
                    {"groupid": self.group, "groupname": "test", "grouplastchat": spoken},
                ]})
            )
        );
        let linked = self.sample("getqr", client, other_form).send().await;
        assert_eq!(
            (linked.status.as_u16(), linked.body),
            (
                200,
                json!({"success": true, "message": {
                    "isAuthenticated": true, "number": OWNER, "name": "Toko", "qrcode": "",
                }})
            )
        );
        let known = self.sample("checknumber", client, other_form).send().await;
        assert_eq!(
            (known.status.as_u16(), known.body),
            (200, json!({"success": true, "message": true}))
        );
    }

    /// Sends all samples of one client, to both forms of each path.
    async fn serves(&self, client: Client) {
        let mut ids = Vec::new();
        for other_form in [false, true] {
            for (endpoint, word) in SENDS {
                let sample = self.sample(endpoint, client, other_form);
                ids.push(self.sends(endpoint, word, &sample).await);
            }
            self.asks(client, other_form).await;
        }
        shows_exactly(&self.shop.customer, &ids).await;
        assert_eq!(self.receiver.chunked(), 0);
    }
}

/// Checks that a phone shows the content of the documented bodies.
fn shows_the_documents(endpoint: &str, shown: &Value) {
    let endpoint = endpoint.trim_end_matches("togroup");
    match endpoint {
        "sendwa" => assert_eq!(
            (&shown["kind"], &shown["text"]),
            (&json!("text"), &json!("Test kirim text"))
        ),
        "sendmedia" => {
            assert_eq!(shown["kind"], "document", "{shown}");
            assert_eq!(shown["text"], "Test kirim text");
            assert_eq!(shown["sha256"], hex::encode(Sha256::digest(PDF)));
            assert_eq!(shown["file_name"], "yourmedia.pdf");
        }
        "sendlocation" => {
            assert_eq!(shown["kind"], "location", "{shown}");
            assert_eq!(shown["latitude"], 0.525_960);
            assert_eq!(shown["longitude"], 101.426_866);
            assert_eq!(shown["name"], "Kantor Pusat");
        }
        _ => {
            assert_eq!(shown["kind"], "contact", "{shown}");
            assert_eq!(shown["display_name"], "Test");
            let vcard = shown["vcard"].as_str().unwrap();
            for number in ["6281240000001", "6281250000002", "6281260000003"] {
                assert!(
                    vcard.contains(&format!("waid={number}:+{number}\n")),
                    "{vcard}"
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_pictured_request_of_the_document_works_unchanged() {
    Street::open().await.serves(Client::Plain).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_php_sample_of_the_document_works_unchanged() {
    Street::open().await.serves(Client::Php).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_curl_sample_of_the_document_works_unchanged() {
    Street::open().await.serves(Client::Curl).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_that_is_not_linked_gives_every_client_a_code_to_scan() {
    let street = Street::open().await;
    let bot = street.shop.gateway.add_bot("kedua").await;
    let places = Places {
        key: bot.key,
        ..street.places.clone()
    };
    for client in CLIENTS {
        let answer = Sample::of("getqr", client, &places).send().await;
        let code = answer.body["message"]["qrcode"].as_str().unwrap();
        assert!(code.starts_with("2@"), "{code}");
        assert_eq!(
            (answer.status.as_u16(), &answer.body),
            (
                200,
                &json!({"success": true, "message": {"isAuthenticated": false, "qrcode": code}})
            )
        );
        let refused = Sample::of("sendwa", client, &places).send().await;
        assert_eq!(
            (refused.status.as_u16(), refused.code()),
            (400, "not_connected")
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn documented_refusals_are_400_with_a_sentence_for_every_client() {
    let street = Street::open().await;
    let first = street.sample("sendwa", Client::Curl, false);
    let id = street.sends("sendwa", "text", &first).await;
    let wrong_key = Places {
        key: "salah".to_owned(),
        ..street.places.clone()
    };
    let stranger = Places {
        person: "6281399999999".to_owned(),
        ..street.places.clone()
    };
    let no_code = Places {
        person: "081300000001".to_owned(),
        ..street.places.clone()
    };
    for client in CLIENTS {
        for (places, code) in [
            // The same text to the same number again, although another client sends the text.
            (&street.places, "duplicate_message"),
            (&wrong_key, "invalid_secret_key"),
            (&stranger, "invalid_number"),
            (&no_code, "invalid_number"),
        ] {
            let refused = Sample::of("sendwa", client, places).send().await;
            assert_eq!(
                (refused.status.as_u16(), refused.code()),
                (400, code),
                "{refused:?}"
            );
            assert_eq!(refused.body["success"], false);
            assert!(
                refused.body["errorMessage"]
                    .as_str()
                    .unwrap()
                    .ends_with('.')
            );
        }
    }
    assert_eq!(received(&street.shop.customer).await.len(), 1, "only {id}");
}
