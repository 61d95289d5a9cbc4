//! The wire log: the newest stanzas between the server and its clients.
//!
//! The log keeps the decrypted stanzas in binary form. The text of a stanza is built only for a
//! reader, so that a load test does not spend time on a log without readers.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;
use wacore_binary::node::NodeContentRef;
use wacore_binary::util::unpack_bytes;
use wacore_binary::{NodeRef, OwnedNodeRef};

/// The number of stanzas in the log.
const KEPT: usize = 500;
/// The limit of the stanzas' total size in bytes.
const KEPT_BYTES: usize = 8 << 20;
/// The number of stanzas that a slow reader can be behind.
const BACKLOG: usize = 1024;
/// The limit of a stanza's text in bytes, because some stanzas list thousands of devices or keys.
const MAX_TEXT: usize = 16 << 10;
/// The number of shown bytes of a payload.
const SHOWN_BYTES: usize = 12;
/// The name of a connection before the login.
pub(crate) const UNPAIRED: &str = "unpaired";

/// The sender of a stanza.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sender {
    /// The client.
    Device,
    /// The simulator.
    Server,
}

/// A stanza on the wire, as text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WireStanza {
    /// The number of the stanza, counted from 1. A gap means that the reader was too slow.
    pub number: u64,
    /// Milliseconds since 1970.
    pub at_ms: u64,
    /// `number:device`, or `unpaired` for a connection without a login.
    pub device: String,
    /// The sender.
    pub from: Sender,
    /// True if the server ignored the stanza, because the device is stalled or the login was
    /// refused.
    pub ignored: bool,
    /// Its size before encryption, in token dictionary 3.
    pub bytes: usize,
    /// The node in an XML-like form. A payload is shown by its length and first bytes.
    pub text: String,
}

/// A stanza in the log.
#[derive(Debug)]
pub(crate) struct LoggedStanza {
    number: u64,
    at_ms: u64,
    device: Arc<str>,
    from: Sender,
    ignored: bool,
    wire: Bytes,
}

/// The newest stanzas, and the channel for new stanzas.
pub(crate) struct WireLog {
    ring: Mutex<Ring>,
    live: broadcast::Sender<Arc<LoggedStanza>>,
}

#[derive(Default)]
struct Ring {
    kept: VecDeque<Arc<LoggedStanza>>,
    bytes: usize,
    last: u64,
}

impl Default for WireLog {
    fn default() -> Self {
        Self {
            ring: Mutex::default(),
            live: broadcast::Sender::new(BACKLOG),
        }
    }
}

impl WireLog {
    /// Keeps a stanza: its flag byte and the node, decrypted, in token dictionary 3.
    pub(crate) fn keep(
        &self,
        at_ms: u64,
        device: Arc<str>,
        from: Sender,
        ignored: bool,
        wire: Bytes,
    ) {
        let mut ring = self.ring.lock();
        ring.last += 1;
        ring.bytes += wire.len();
        let kept = Arc::new(LoggedStanza {
            number: ring.last,
            at_ms,
            device,
            from,
            ignored,
            wire,
        });
        ring.kept.push_back(Arc::clone(&kept));
        while ring.kept.len() > KEPT || ring.bytes > KEPT_BYTES {
            let Some(oldest) = ring.kept.pop_front() else {
                break;
            };
            ring.bytes -= oldest.wire.len();
        }
        // The stanza is sent under the lock, so that a reader that starts now gets the stanza
        // exactly once. An error means that there is no reader.
        let _ = self.live.send(kept);
    }

    /// Returns the logged stanzas, oldest first, and a receiver for the following stanzas.
    pub(crate) fn follow(
        &self,
    ) -> (
        Vec<Arc<LoggedStanza>>,
        broadcast::Receiver<Arc<LoggedStanza>>,
    ) {
        let ring = self.ring.lock();
        (ring.kept.iter().cloned().collect(), self.live.subscribe())
    }
}

impl LoggedStanza {
    /// Returns the stanza as text.
    pub(crate) fn read(&self) -> WireStanza {
        let node = unpack_bytes(BytesMut::from(&self.wire[..])).and_then(OwnedNodeRef::new);
        let mut text = String::new();
        match node {
            Ok(node) => write_node(&mut text, node.get()),
            Err(error) => {
                let _ = write!(text, "<!-- the stanza cannot be parsed: {error} -->");
            }
        }
        WireStanza {
            number: self.number,
            at_ms: self.at_ms,
            device: self.device.to_string(),
            from: self.from,
            ignored: self.ignored,
            bytes: self.wire.len(),
            text,
        }
    }
}

fn write_node(text: &mut String, node: &NodeRef<'_>) {
    if text.len() > MAX_TEXT {
        // A single mark at the end is enough: the parent node continues with the next child.
        if !text.ends_with('…') {
            text.push('…');
        }
        return;
    }
    let tag = node.tag.as_ref();
    text.push('<');
    escape(text, tag);
    for (name, value) in node.attrs_iter() {
        text.push(' ');
        escape(text, name.as_ref());
        text.push_str("=\"");
        escape(text, &value.as_str());
        text.push('"');
    }
    let Some(content) = &node.content else {
        text.push_str("/>");
        return;
    };
    text.push('>');
    match content {
        NodeContentRef::Nodes(children) => {
            for child in children {
                write_node(text, child);
            }
        }
        NodeContentRef::String(content) => escape(text, content.as_ref()),
        NodeContentRef::Bytes(bytes) => write_bytes(text, bytes),
    }
    text.push_str("</");
    escape(text, tag);
    text.push('>');
}

/// Writes a payload: as text if the payload is short and printable (refs, numbers), otherwise the
/// length and the first bytes.
fn write_bytes(text: &mut String, bytes: &[u8]) {
    let is_readable = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
    if let Ok(readable) = std::str::from_utf8(bytes)
        && bytes.len() <= 64
        && bytes.iter().all(is_readable)
    {
        escape(text, readable);
        return;
    }
    let _ = write!(text, "[{} bytes", bytes.len());
    for byte in bytes.iter().take(SHOWN_BYTES) {
        let _ = write!(text, " {byte:02x}");
    }
    text.push_str(if bytes.len() > SHOWN_BYTES {
        " …]"
    } else {
        "]"
    });
}

fn escape(text: &mut String, raw: &str) {
    for character in raw.chars() {
        match character {
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            '&' => text.push_str("&amp;"),
            '"' => text.push_str("&quot;"),
            // A push name can contain control characters that move a terminal's cursor.
            character if character.is_control() => {
                let _ = write!(text, "&#x{:x};", u32::from(character));
            }
            character => text.push(character),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use wacore_binary::builder::NodeBuilder;
    use wacore_binary::{Node, marshal};

    use super::{KEPT, KEPT_BYTES, MAX_TEXT, Sender, WireLog};

    fn keep(log: &WireLog, node: &Node) {
        let wire = marshal(node).expect("marshals").into();
        log.keep(0, Arc::from("628:1"), Sender::Server, false, wire);
    }

    fn text(node: &Node) -> String {
        let log = WireLog::default();
        keep(&log, node);
        log.follow().0[0].read().text
    }

    #[test]
    fn a_node_reads_like_xml_with_its_payloads_cut_short() {
        let enc = NodeBuilder::new("enc")
            .attr("type", "msg")
            .bytes(vec![7; 300])
            .build();
        let node = NodeBuilder::new("message")
            .attr("id", "A&\"<")
            .children([enc, NodeBuilder::new("registration").bytes("ok").build()])
            .build();
        assert_eq!(
            text(&node),
            "<message id=\"A&amp;&quot;&lt;\"><enc type=\"msg\">[300 bytes 07 07 07 07 07 07 07 07 07 07 07 07 …]</enc>\
             <registration>ok</registration></message>"
        );
    }

    #[test]
    fn a_stanza_of_thousands_of_nodes_ends_in_time() {
        let child = || NodeBuilder::new("user").attr("jid", "1234567890").build();
        let node = NodeBuilder::new("usync")
            .children((0..10_000).map(|_| child()).collect::<Vec<_>>())
            .build();
        let text = text(&node);
        assert!(text.len() < MAX_TEXT + 200 && text.ends_with("…</usync>"));
    }

    #[test]
    fn a_full_log_drops_its_oldest_stanzas_by_count_and_size() {
        let log = WireLog::default();
        for _ in 0..KEPT + 3 {
            keep(&log, &NodeBuilder::new("ib").build());
        }
        let kept = log.follow().0;
        assert_eq!((kept.len(), kept[0].number), (KEPT, 4));
        let wire = Bytes::from(vec![0; KEPT_BYTES]);
        log.keep(0, Arc::from("628:1"), Sender::Device, false, wire);
        assert_eq!(log.follow().0.len(), 1);
    }
}
