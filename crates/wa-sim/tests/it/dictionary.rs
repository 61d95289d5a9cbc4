//! Clients that announce token dictionary 2. The client of these tests has its own codec.

use std::collections::BTreeMap;

use bytes::{Buf as _, BytesMut};
use wacore::companion_reg::CompanionWebClientType;
use wacore::handshake::NoiseCipher;
use wacore::pair::{DeviceState, PairUtils};
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Node, NodeContent, SERVER_JID};
use wacore_libsignal::protocol::KeyPair;
use waproto::whatsapp as wa;

use wa_sim::{PhoneSpec, Sim};

use crate::handshake::Peer;

const SHOP: &str = "6281111111111";
const BUDI: &str = "6282222222222";
const HEADER: [u8; 4] = *b"WA\x06\x02";

#[tokio::test]
async fn a_client_of_dictionary_2_is_linked_logs_in_and_gets_a_call() {
    let sim = Sim::start().await.expect("starts");
    let shop = sim.add_phone(PhoneSpec::new(SHOP, "Shop")).await;
    let budi = sim.add_phone(PhoneSpec::new(BUDI, "Budi")).await;
    let mut rng = rand::rng();
    let keys = DeviceState {
        identity_key: KeyPair::generate(&mut rng),
        noise_key: KeyPair::generate(&mut rng),
        adv_secret_key: [5; 32],
    };

    let registration = wa::ClientPayload::default();
    let mut client = OldClient::connect(&sim, &keys.noise_key, &registration).await;
    let codes = client.stanza("iq").await;
    assert_eq!(codes.attrs["xmlns"], "md");
    client.send(&result(&codes)).await;
    let code = String::from_utf8(codes.child("pair-device").children[0].bytes.clone());
    let code = code.expect("a code of ASCII");
    let qr = PairUtils::make_qr_data(&keys, &code, CompanionWebClientType::Chrome);
    let sign = async {
        let success = client.stanza("iq").await;
        let pair_success = success.child("pair-success");
        let device = pair_success.child("device");
        assert_eq!(device.attrs["jid"], format!("{SHOP}:1@s.whatsapp.net"));
        let identity = &pair_success.child("device-identity").bytes;
        let (signed, index) = PairUtils::do_pair_crypto(&keys, identity).expect("the link is good");
        let id = &success.attrs["id"];
        client
            .send(&PairUtils::build_pair_success_response(id, signed, index))
            .await;
        client.stanza("stream:error").await
    };
    let (device, restart) = tokio::join!(shop.scan(&qr), sign);
    let device = device.expect("the code is accepted");
    assert_eq!(restart.attrs["code"], "515");

    let login = wa::ClientPayload {
        username: SHOP.parse().ok(),
        device: Some(1),
        ..Default::default()
    };
    let mut client = OldClient::connect(&sim, &keys.noise_key, &login).await;
    let success = client.stanza("success").await;
    assert_eq!(success.attrs["lid"], format!("{}:1@lid", shop.lid()));
    let devices = sim.devices().await;
    assert!(devices[0].id == device.id && devices[0].connected);

    client.send(&question("passive", "set", "active")).await;
    assert_eq!(client.stanza("iq").await.attrs["type"], "result");
    assert_eq!(
        client.stanza("ib").await.child("offline").attrs["count"],
        "0"
    );

    budi.call(SHOP, true).await.expect("rings");
    let call = client.stanza("call").await;
    assert_eq!(call.attrs["notify"], "Budi");
    let parts = &call.child("offer").children;
    let parts: Vec<_> = parts.iter().map(|part| part.tag.as_str()).collect();
    assert_eq!(parts, ["audio", "video"]);
}

#[tokio::test]
async fn a_stanza_that_is_no_stanza_ends_the_connection_of_a_dictionary_2_client() {
    let sim = Sim::start().await.expect("starts");
    let registration = wa::ClientPayload::default();
    // Nested nodes, nested JIDs, an unknown tag, a stanza that ends too soon, and no stanza.
    let nodes = [&[0][..], &[248, 2, 30, 248, 1].repeat(10_000)].concat();
    let jids = [&[0, 248, 1][..], &[250].repeat(100_000)].concat();
    for stanza in [
        &[0, 248, 1, 240][..],
        &[0, 248, 3, 30],
        &nodes,
        &jids,
        &[0],
        &[],
    ] {
        let key = KeyPair::generate(&mut rand::rng());
        let mut client = OldClient::connect(&sim, &key, &registration).await;
        client.stanza("iq").await;
        client.send_bytes(stanza.to_vec()).await;
        client.peer.expect_end().await;
    }
    let key = KeyPair::generate(&mut rand::rng());
    let mut client = OldClient::connect(&sim, &key, &registration).await;
    client.stanza("iq").await;
}

fn question(xmlns: &str, kind: &str, child: &'static str) -> Node {
    NodeBuilder::new("iq")
        .attr("to", SERVER_JID)
        .attr("id", "27.1-1")
        .attr("xmlns", xmlns)
        .attr("type", kind)
        .children([NodeBuilder::new(child).build()])
        .build()
}

fn result(question: &Element) -> Node {
    NodeBuilder::new("iq")
        .attr("to", question.attrs["from"].as_str())
        .attr("id", question.attrs["id"].as_str())
        .attr("type", "result")
        .build()
}

/// A connection whose stanzas are in dictionary 2.
struct OldClient {
    peer: Peer,
    write: NoiseCipher,
    read: NoiseCipher,
    sent: u32,
    received: u32,
    dictionary: Dictionary,
}

impl OldClient {
    async fn connect(sim: &Sim, key: &KeyPair, payload: &wa::ClientPayload) -> Self {
        let mut peer = Peer::connect(sim).await;
        let (write, read) = peer.log_in(sim, &HEADER, key, payload).await;
        Self {
            peer,
            write,
            read,
            sent: 0,
            received: 0,
            dictionary: Dictionary::read(),
        }
    }

    async fn send(&mut self, node: &Node) {
        let mut bytes = vec![0];
        self.dictionary.write_node(node, &mut bytes);
        self.send_bytes(bytes).await;
    }

    async fn send_bytes(&mut self, mut bytes: Vec<u8>) {
        self.write
            .encrypt_in_place_with_counter(self.sent, &mut bytes)
            .expect("encrypts");
        self.sent += 1;
        self.peer.send(&bytes, None).await;
    }

    /// Reads the next stanza, which must have this tag.
    async fn stanza(&mut self, tag: &str) -> Element {
        let mut frame: BytesMut = self.peer.frame().await;
        self.read
            .decrypt_in_place_with_counter(self.received, &mut frame)
            .expect("decrypts");
        self.received += 1;
        let mut rest = &frame[..];
        assert_eq!(rest.get_u8(), 0, "the stanza is not compressed");
        let element = self.dictionary.element(&mut rest);
        assert!(rest.is_empty(), "{element:?} and {} bytes", rest.len());
        assert_eq!(element.tag, tag, "{element:?}");
        element
    }
}

/// A node as a client of dictionary 2 decodes it.
#[derive(Debug, Default)]
struct Element {
    tag: String,
    attrs: BTreeMap<String, String>,
    children: Vec<Self>,
    bytes: Vec<u8>,
}

impl Element {
    fn child(&self, tag: &str) -> &Self {
        let child = self.children.iter().find(|child| child.tag == tag);
        child.unwrap_or_else(|| panic!("no {tag} in {self:?}"))
    }
}

struct Dictionary {
    singles: Vec<&'static str>,
    doubles: Vec<&'static str>,
}

impl Dictionary {
    fn read() -> Self {
        let lines = include_str!("../../src/dictionary/version2.txt").lines();
        let mut singles: Vec<_> = std::iter::once("")
            .chain(lines.filter(|line| !line.starts_with('#')))
            .collect();
        let doubles = singles.split_off(236);
        Self { singles, doubles }
    }

    fn element(&self, input: &mut &[u8]) -> Element {
        let size = match input.get_u8() {
            248 => usize::from(input.get_u8()),
            249 => usize::from(input.get_u16()),
            tag => panic!("{tag} begins no node"),
        };
        let mut element = Element {
            tag: self.text(input),
            ..Element::default()
        };
        for _ in 0..(size - 1) / 2 {
            let name = self.text(input);
            element.attrs.insert(name, self.text(input));
        }
        if size % 2 == 0 {
            match input[0] {
                248 | 249 => {
                    let count = match input.get_u8() {
                        248 => usize::from(input.get_u8()),
                        _ => usize::from(input.get_u16()),
                    };
                    element.children = (0..count).map(|_| self.element(input)).collect();
                }
                252 | 253 => element.bytes = raw(input),
                _ => element.bytes = self.text(input).into_bytes(),
            }
        }
        element
    }

    fn text(&self, input: &mut &[u8]) -> String {
        match input[0] {
            252 | 253 => return String::from_utf8(raw(input)).expect("UTF-8"),
            single @ 0..236 => {
                input.advance(1);
                return self.singles[usize::from(single)].to_owned();
            }
            _ => {}
        }
        match input.get_u8() {
            page @ 236..240 => {
                let index = usize::from(page - 236) * 256 + usize::from(input.get_u8());
                self.doubles[index].to_owned()
            }
            250 => format!("{}@{}", self.text(input), self.text(input)),
            247 => {
                let server = ["s.whatsapp.net", "lid"][usize::from(input.get_u8())];
                let device = input.get_u8();
                format!("{}:{device}@{server}", self.text(input))
            }
            packed @ (251 | 255) => {
                let alphabet = if packed == 251 {
                    "0123456789ABCDEF"
                } else {
                    "0123456789-."
                };
                let length = input.get_u8();
                let bytes = input.copy_to_bytes(usize::from(length & 127));
                let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
                let count = bytes.len() * 2 - usize::from(length >> 7);
                digits
                    .take(count)
                    .map(|digit| char::from(alphabet.as_bytes()[usize::from(digit)]))
                    .collect()
            }
            tag => panic!("{tag} begins no text of dictionary 2"),
        }
    }

    fn write_node(&self, node: &Node, out: &mut Vec<u8>) {
        let size = 1 + 2 * node.attrs.len() + usize::from(node.content.is_some());
        out.extend([248, u8::try_from(size).expect("a short list")]);
        self.write_text(&node.tag, out);
        for (name, value) in &node.attrs {
            self.write_text(name, out);
            self.write_text(&value.as_str(), out);
        }
        match &node.content {
            None => {}
            Some(NodeContent::String(text)) => self.write_text(text, out),
            Some(NodeContent::Bytes(bytes)) => {
                let [.., a, b, c] = bytes.len().to_be_bytes();
                out.extend([253, a, b, c]);
                out.extend_from_slice(bytes);
            }
            Some(NodeContent::Nodes(children)) => {
                out.extend([248, u8::try_from(children.len()).expect("a short list")]);
                for child in children {
                    self.write_node(child, out);
                }
            }
        }
    }

    fn write_text(&self, text: &str, out: &mut Vec<u8>) {
        let of = |tokens: &[&str]| tokens.iter().position(|token| *token == text);
        let byte = |number: usize| u8::try_from(number).expect("a byte");
        if let Some(single) = of(&self.singles) {
            out.push(byte(single));
        } else if let Some(double) = of(&self.doubles) {
            out.extend([236 + byte(double / 256), byte(double % 256)]);
        } else if let Some((user, server)) = text.split_once('@') {
            out.push(250);
            self.write_text(user, out);
            self.write_text(server, out);
        } else {
            out.extend([252, byte(text.len())]);
            out.extend_from_slice(text.as_bytes());
        }
    }
}

fn raw(input: &mut &[u8]) -> Vec<u8> {
    let length = match input.get_u8() {
        252 => usize::from(input.get_u8()),
        _ => input.get_uint(3).try_into().expect("a length"),
    };
    input.copy_to_bytes(length).to_vec()
}
