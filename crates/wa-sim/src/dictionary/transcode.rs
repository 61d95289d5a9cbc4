//! Rewrites a binary node from one token dictionary to the other. All other bytes are copied.
//!
//! Both versions share the binary encoding, with two exceptions. Clients of version 2 cannot decode
//! the tags `INTEROP_JID` and `FB_JID` (read in Baileys 6.7.18). The simulator has no accounts of
//! other networks and never needs the two tags. Both directions refuse them.
//!
//! The domain byte of an `AD_JID` is no token and is copied. Baileys 6.7.18 decodes the domains
//! 0 and 128 as `s.whatsapp.net`, and all others as `lid`.

use std::sync::LazyLock;

use wacore_binary::token::{
    AD_JID, BINARY_8, BINARY_20, BINARY_32, DICTIONARY_0, DICTIONARY_3, HEX_8, JID_PAIR, LIST_8,
    LIST_16, LIST_EMPTY, NIBBLE_8,
};

use super::DictionaryError;
use super::tokens::{Table, version_three, version_two};

/// `wacore-binary` accepts the same depth of nodes. Real stanzas have fewer than 20 levels.
const MAX_DEPTH: usize = 128;
/// `wacore-binary` unpacks no larger stanza. The bound is needed because a token of two bytes can
/// become a string of fifty bytes.
const MAX_BYTES: usize = 16 << 20;

/// Writes a node of version 2 in version 3.
pub(super) fn to_three(node: &[u8], out: &mut Vec<u8>) -> Result<(), DictionaryError> {
    static TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(&version_two(), &version_three()));
    transcode(node, &TABLE, out)
}

/// Writes a node of version 3 in version 2.
pub(super) fn to_two(node: &[u8], out: &mut Vec<u8>) -> Result<(), DictionaryError> {
    static TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(&version_three(), &version_two()));
    transcode(node, &TABLE, out)
}

fn transcode(node: &[u8], table: &Table, out: &mut Vec<u8>) -> Result<(), DictionaryError> {
    let mut transcoder = Transcoder {
        rest: node,
        table,
        out,
    };
    transcoder.node(0)?;
    match transcoder.rest.len() {
        0 => Ok(()),
        left => Err(DictionaryError::Leftover(left)),
    }
}

struct Transcoder<'a> {
    rest: &'a [u8],
    table: &'a Table,
    out: &'a mut Vec<u8>,
}

impl<'a> Transcoder<'a> {
    fn node(&mut self, depth: usize) -> Result<(), DictionaryError> {
        check_depth(depth)?;
        let tag = self.byte()?;
        let size = self.list(tag)?;
        if size == 0 {
            return Err(DictionaryError::EmptyNode);
        }
        // The tag, a name and a value for each attribute, and content if the size is even.
        let has_content = size % 2 == 0;
        for _ in 0..size - usize::from(has_content) {
            let tag = self.byte()?;
            self.value(tag, depth)?;
        }
        if !has_content {
            return Ok(());
        }
        let tag = self.byte()?;
        if !matches!(tag, LIST_8 | LIST_16) {
            return self.value(tag, depth);
        }
        for _ in 0..self.list(tag)? {
            self.node(depth + 1)?;
        }
        Ok(())
    }

    /// Copies the start of a list and returns the number of its elements.
    fn list(&mut self, tag: u8) -> Result<usize, DictionaryError> {
        let width = match tag {
            LIST_EMPTY => 0,
            LIST_8 => 1,
            LIST_16 => 2,
            other => return Err(DictionaryError::UnknownTag(other)),
        };
        self.put(&[tag])?;
        self.copy_number(width)
    }

    /// A string, a JID, or bytes.
    fn value(&mut self, tag: u8, depth: usize) -> Result<(), DictionaryError> {
        match tag {
            LIST_EMPTY => self.put(&[tag]),
            BINARY_8 | BINARY_20 | BINARY_32 => {
                self.put(&[tag])?;
                let length = match tag {
                    BINARY_8 => self.copy_number(1)?,
                    // The upper four bits have no meaning.
                    BINARY_20 => self.copy_number(3)? & 0xF_FFFF,
                    _ => self.copy_number(4)?,
                };
                self.copy(length)
            }
            HEX_8 | NIBBLE_8 => {
                self.put(&[tag])?;
                // The upper bit marks an odd number of characters.
                let length = self.copy_number(1)? & 0x7F;
                self.copy(length)
            }
            JID_PAIR => {
                self.put(&[tag])?;
                self.jid_part(depth)?;
                self.jid_part(depth)
            }
            AD_JID => {
                self.put(&[tag])?;
                // The domain and the device.
                self.copy(2)?;
                self.jid_part(depth)
            }
            DICTIONARY_0..=DICTIONARY_3 => {
                let page = usize::from(tag - DICTIONARY_0);
                let index = usize::from(self.byte()?);
                self.token(tag, usize::from(DICTIONARY_0) + page * 256 + index)
            }
            1..DICTIONARY_0 => self.token(tag, usize::from(tag)),
            unknown => Err(DictionaryError::UnknownTag(unknown)),
        }
    }

    /// The encoding allows a JID as a part of a JID.
    fn jid_part(&mut self, depth: usize) -> Result<(), DictionaryError> {
        check_depth(depth + 1)?;
        let tag = self.byte()?;
        self.value(tag, depth + 1)
    }

    fn token(&mut self, tag: u8, position: usize) -> Result<(), DictionaryError> {
        let table = self.table;
        let bytes = table
            .get(position)
            .ok_or(DictionaryError::UnknownTag(tag))?;
        self.put(bytes)
    }

    fn byte(&mut self) -> Result<u8, DictionaryError> {
        let (first, rest) = self
            .rest
            .split_first()
            .ok_or(DictionaryError::UnexpectedEnd)?;
        self.rest = rest;
        Ok(*first)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], DictionaryError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or(DictionaryError::UnexpectedEnd)?;
        self.rest = rest;
        Ok(taken)
    }

    fn copy(&mut self, length: usize) -> Result<(), DictionaryError> {
        let bytes = self.take(length)?;
        self.put(bytes)
    }

    /// Copies a big-endian number of at most four bytes and returns the number.
    fn copy_number(&mut self, width: usize) -> Result<usize, DictionaryError> {
        let bytes = self.take(width)?;
        self.put(bytes)?;
        Ok(bytes
            .iter()
            .fold(0, |number, byte| (number << 8) | usize::from(*byte)))
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), DictionaryError> {
        if self.out.len() + bytes.len() > MAX_BYTES {
            return Err(DictionaryError::TooLarge);
        }
        self.out.extend_from_slice(bytes);
        Ok(())
    }
}

fn check_depth(depth: usize) -> Result<(), DictionaryError> {
    if depth < MAX_DEPTH {
        Ok(())
    } else {
        Err(DictionaryError::TooDeep)
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{RngExt as _, SeedableRng as _};
    use wacore_binary::builder::NodeBuilder;
    use wacore_binary::{Jid, Node, OwnedNodeRef, marshal};

    use super::super::tokens::Tokens;
    use super::{DictionaryError, to_three, to_two, version_three, version_two};

    type Transcode = fn(&[u8], &mut Vec<u8>) -> Result<(), DictionaryError>;

    fn run(transcode: Transcode, node: &[u8]) -> Result<Vec<u8>, DictionaryError> {
        let mut out = Vec::new();
        transcode(node, &mut out).map(|()| out)
    }

    fn bytes(hex: &str) -> Vec<u8> {
        let digits = hex.as_bytes().chunks(2);
        digits
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    fn node(version_three: &[u8]) -> Node {
        let node = OwnedNodeRef::new(version_three.to_vec()).expect("version 3 parses");
        node.to_owned_node()
    }

    /// Nodes that the encoder of Baileys 6.7.18 wrote, without the flag byte, and the same nodes.
    fn baileys_frames() -> [(Vec<u8>, Node); 4] {
        let iq = |to: &str, xmlns: &str, id: &str, child: &'static str| {
            NodeBuilder::new("iq")
                .attr("to", to)
                .attr("type", "get")
                .attr("xmlns", xmlns)
                .attr("id", id)
                .children([NodeBuilder::new(child).build()])
                .build()
        };
        let enc = NodeBuilder::new("enc")
            .attr("v", "2")
            .attr("type", "pkmsg")
            .bytes(vec![1, 2, 255]);
        let to = NodeBuilder::new("to")
            .attr("jid", "6281234567890:12@s.whatsapp.net")
            .children([enc.build()]);
        let message = NodeBuilder::new("message")
            .attr("id", "3EB0C431C26A1916E07A")
            .attr("to", "6281234567890@s.whatsapp.net")
            .attr("type", "text")
            .children([
                NodeBuilder::new("participants")
                    .children([to.build()])
                    .build(),
                NodeBuilder::new("device-identity")
                    .bytes(vec![7; 300])
                    .build(),
            ]);
        let item = NodeBuilder::new("item").attr("id", "1.2-3");
        let list = NodeBuilder::new("list").children([item.build()]);
        let receipt = NodeBuilder::new("receipt")
            .attr("id", "ABC")
            .attr("to", "99887766@lid")
            .attr("participant", "99887766:3@lid")
            .attr("type", "read")
            .children([list.build()]);
        let presence = NodeBuilder::new("presence")
            .attr("name", "Toko Baru")
            .attr("type", "available");
        [
            (
                bytes("f80a1e0e030431195f08ff8612345b678a1ff801f80150"),
                iq("s.whatsapp.net", "w:p", "12345.678-1", "ping"),
            ),
            (
                [
                    &bytes(
                        "f8080b08fb0a3eb0c431c26a1916e07a0efaff876281234567890f030426f802f8021bf801f8040e0f\
                         f7000cff876281234567890ff801f8061636330460fc030102ff\
                         f802fc0f6465766963652d6964656e74697479fd00012c",
                    )[..],
                    &[7; 300],
                ]
                .concat(),
                message.build(),
            ),
            (
                bytes("f8051a59fc09546f6b6f20426172750466"),
                presence.build(),
            ),
            (
                bytes(
                    "f80a0708fb82abcf0efaff0499887766fc036c696405f70103ff04998877660420f801f8026e\
                     f801f8032e08ff831b2a3f",
                ),
                receipt.build(),
            ),
        ]
    }

    #[test]
    fn frames_of_baileys_6_become_the_same_nodes_in_version_3() {
        for (frame, expected) in baileys_frames() {
            let stanza = run(to_three, &frame).expect("transcodes");
            let expected = node(&marshal(&expected).expect("marshals")[1..]);
            assert_eq!(node(&stanza), expected);
        }
    }

    #[test]
    fn stanzas_are_unchanged_after_a_round_trip_through_version_2() {
        let mut rng = StdRng::seed_from_u64(2);
        let known = version_three();
        let random = (0..500).map(|_| random_node(&mut rng, &known, 0));
        let frames = baileys_frames().into_iter().map(|(_, node)| node);
        for original in frames.chain(random) {
            let stanza = &marshal(&original).expect("marshals")[1..];
            let two = run(to_two, stanza).expect("version 3 transcodes");
            let three = run(to_three, &two).expect("version 2 transcodes");
            assert_eq!(node(&three), node(stanza));
        }
    }

    fn random_node(rng: &mut StdRng, known: &Tokens, depth: usize) -> Node {
        let text = |rng: &mut StdRng| match rng.random_range(0..6) {
            0 => "6281234567890-1.2".to_owned(),
            1 => "3EB0C431C26A19".to_owned(),
            2 => "é".repeat(rng.random_range(0..300)),
            _ => {
                let position = rng.random_range(0..known.len());
                known[position].unwrap_or("a string").to_owned()
            }
        };
        let tag = text(rng);
        let tag = if tag.is_empty() { "iq".to_owned() } else { tag };
        let mut builder = NodeBuilder::new_dynamic(tag);
        for name in [
            "id",
            "to",
            "web_product_list_message_enabled",
            "not a token",
        ] {
            builder = match rng.random_range(0..4) {
                0 => builder,
                1 => builder.attr(name, Jid::lid_device("99887766", rng.random_range(0..9))),
                2 => builder.attr(name, Jid::pn("6281234567890")),
                _ => builder.attr(name, text(rng)),
            };
        }
        match rng.random_range(0..3) {
            0 => builder.build(),
            1 => builder
                .bytes(vec![rng.random(); rng.random_range(0..70_000)])
                .build(),
            _ => {
                let count = if depth < 3 { rng.random_range(0..5) } else { 0 };
                let children = (0..count).map(|_| random_node(rng, known, depth + 1));
                builder.children(children.collect::<Vec<_>>()).build()
            }
        }
    }

    #[test]
    fn each_token_of_both_dictionaries_keeps_its_text() {
        assert_eq!(version_two().len(), 236 + 4 * 256);
        assert_eq!(version_three().len(), 236 + 4 * 256);
        for (from, to, there, back) in [
            (
                version_two(),
                version_three(),
                to_three as Transcode,
                to_two as Transcode,
            ),
            (version_three(), version_two(), to_two, to_three),
        ] {
            for (position, text) in from.iter().enumerate().skip(1) {
                let text = text.expect("each position has a token");
                let token = match position.checked_sub(236) {
                    None => vec![u8::try_from(position).expect("a byte")],
                    Some(double) => vec![
                        236 + u8::try_from(double / 256).expect("a page"),
                        u8::try_from(double % 256).expect("a byte"),
                    ],
                };
                let original = [&[248, 1], &token[..]].concat();
                let other = run(there, &original).expect("transcodes");
                let length = u8::try_from(text.len()).expect("a short token");
                let raw = [&[248, 1, 252, length], text.as_bytes()].concat();
                if to.contains(&Some(text)) {
                    assert_eq!(run(back, &other).expect("transcodes"), original, "{text}");
                } else {
                    assert_eq!(other, raw, "{text}");
                }
            }
        }
    }

    #[test]
    fn hostile_stanzas_are_refused_with_the_reason() {
        let nested_nodes = [248, 2, 30, 248, 1].repeat(1 << 20);
        let nested_jids = [&[248, 1][..], &[250].repeat(1 << 20)].concat();
        let tokens = [
            &[248, 2, 30, 249, 255, 255][..],
            &[248, 1, 30].repeat(65_535),
        ]
        .concat();
        for transcode in [to_three as Transcode, to_two] {
            let refused = |stanza: &[u8]| run(transcode, stanza).expect_err("refused");
            assert!(matches!(refused(&[]), DictionaryError::UnexpectedEnd));
            assert!(matches!(refused(&[248, 0]), DictionaryError::EmptyNode));
            assert!(matches!(refused(&[0, 30]), DictionaryError::EmptyNode));
            assert!(matches!(
                refused(&[248, 1, 30, 9]),
                DictionaryError::Leftover(1)
            ));
            assert!(matches!(refused(&nested_nodes), DictionaryError::TooDeep));
            assert!(matches!(refused(&nested_jids), DictionaryError::TooDeep));
            for length in [
                &[254, 255, 255, 255, 255][..],
                &[253, 255, 255, 255],
                &[252, 9],
                &[255, 255],
            ] {
                let stanza = [&[248, 1], length, b"short"].concat();
                assert!(matches!(refused(&stanza), DictionaryError::UnexpectedEnd));
            }
            for tag in (240..=246).chain([248, 249]) {
                let refusal = refused(&[248, 1, tag, 1, 1, 1, 1, 1, 1]);
                assert!(matches!(refusal, DictionaryError::UnknownTag(unknown) if unknown == tag));
            }
            assert!(run(transcode, &tokens).is_ok());
        }
        // One byte of version 2 and fifty of version 3.
        let long = version_two()
            .iter()
            .position(|text| text.is_some_and(|text| text == "media-for1-1.cdn.whatsapp.net"))
            .expect("a token of version 2 alone");
        assert_eq!(long, 236);
        let node = [&[248, 255][..], &[236, 0].repeat(255)].concat();
        let many = [&[248, 2, 30, 249, 255, 255][..], &node.repeat(65_535)].concat();
        let refusal = run(to_three, &many).expect_err("refused");
        assert!(matches!(refusal, DictionaryError::TooLarge));
    }

    #[test]
    fn no_damage_to_a_stanza_makes_the_transcoder_panic() {
        let mut rng = StdRng::seed_from_u64(3);
        for (frame, _) in baileys_frames() {
            for end in 0..frame.len() {
                assert!(run(to_three, &frame[..end]).is_err());
            }
            for _ in 0..20_000 {
                let mut damaged = frame.clone();
                for _ in 0..rng.random_range(1..4) {
                    let position = rng.random_range(0..damaged.len());
                    damaged[position] = rng.random();
                }
                for transcode in [to_three as Transcode, to_two] {
                    let _ = run(transcode, &damaged);
                }
            }
        }
    }
}
