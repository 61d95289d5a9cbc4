//! A connection: reads and writes frames over a WebSocket, and performs the handshake and the
//! login.
//!
//! Each connection has two tasks. The reader handles stanzas in order of arrival. The writer takes
//! stanzas from a queue, encrypts them, and sends all waiting stanzas in one WebSocket message.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use bytes::{Bytes, BytesMut};
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt as _, StreamExt as _};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use wacore::framing::{FrameDecoder, append_frame_into, encode_frame};
use wacore::handshake::NoiseCipher;
use wacore_binary::OwnedNodeRef;
use wacore_binary::util::unpack_bytes;

use crate::dictionary::Dictionary;
use crate::handshake::{self, HandshakeError, Secured, Step};
use crate::login::{self, Admission};
use crate::pairing;
use crate::stanza;
use crate::stanza::linked::Linked;
use crate::world::World;
use crate::world::event::SimEvent;
use crate::world::link::{Link, Outgoing, Wire};
use crate::world::wire::Sender;

/// The time limit for the whole handshake. A slower client is disconnected.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(20);
/// The highest number of frames in one WebSocket message.
const BATCH: usize = 64;
/// The time between the server's close and the drop of the socket, if the client does not close.
const CLOSE_DEADLINE: Duration = Duration::from_millis(500);

/// How long a client of dictionary 2 gets to derive its keys after the handshake. Baileys 6.7.18
/// derives them asynchronously, loses a frame that arrives in between, and then fails to decrypt.
/// A real network is slower than the derivation, but the loopback interface is faster.
const KEY_DERIVATION: Duration = Duration::from_millis(100);

/// Serves a WebSocket until the connection ends.
pub(crate) async fn serve(socket: WebSocket, world: Arc<World>, wire: Arc<Wire>) {
    let (mut sink, stream) = socket.split();
    let mut frames = Frames::new(stream);
    let handshake =
        tokio::time::timeout(HANDSHAKE_DEADLINE, secure(&mut frames, &mut sink, &world));
    let secured = tokio::select! {
        secured = handshake => match secured {
            Ok(Ok(secured)) => secured,
            Ok(Err(error)) => {
                if let HandshakeError::Dictionary(_) = error {
                    tracing::warn!(%error, "client refused");
                    let frame = CloseFrame { code: close_code::PROTOCOL, reason: error.to_string().into() };
                    let _ = sink.send(Message::Close(Some(frame))).await;
                }
                tracing::debug!(%error, "handshake failed");
                world.emit(|| SimEvent::HandshakeFailed { reason: error.to_string() });
                return;
            }
            Err(_) => return,
        },
        () = world.stop.cancelled() => return,
    };
    let (secured, dictionary) = secured;
    match dictionary {
        Dictionary::Two => tokio::select! {
            () = world.pause(KEY_DERIVATION) => {}
            () = world.stop.cancelled() => return,
        },
        Dictionary::Three => {}
    }
    let Secured {
        write,
        read,
        client_key,
        payload,
        pattern,
    } = secured;

    let (out, outgoing) = mpsc::unbounded_channel();
    let hang_up = world.stop.child_token();
    let link = Link::new(out, Arc::clone(&wire), hang_up.clone());
    let reading = (read, dictionary);
    let writer = world.tasks.spawn(write_frames(
        sink,
        outgoing,
        (write, dictionary),
        Arc::clone(&world),
        Arc::clone(&wire),
        hang_up.clone(),
    ));

    match login::admit(&world, &client_key, &payload, pattern) {
        Admission::Pair => {
            let unpaired = pairing::begin(&world, link.clone(), client_key, &payload);
            let heard = |frame: &[u8]| listen(&world, &wire, frame, false);
            read_stanzas(&mut frames, reading, &hang_up, heard, |node| {
                pairing::handle(&world, &unpaired, node);
            })
            .await;
            pairing::end(&world, &unpaired);
        }
        Admission::Login(account, companion) => {
            let _ = wire.device.set(companion.name.clone());
            let _ = wire.called.set(companion.name.as_str().into());
            let linked = Linked::begin(&world, account, companion, link.clone(), pattern);
            let heard = |frame: &[u8]| listen(&world, &wire, frame, linked.is_stalled());
            read_stanzas(&mut frames, reading, &hang_up, heard, |node| {
                stanza::handle(&linked, node);
            })
            .await;
            linked.end();
        }
        Admission::Refused(name, failure) => {
            let _ = wire.called.set(name.into());
            link.send(&failure);
            link.close();
            let heard = |frame: &[u8]| listen(&world, &wire, frame, true);
            read_stanzas(&mut frames, reading, &hang_up, heard, |_| ()).await;
        }
    }
    hang_up.cancel();
    // The socket is dropped (and reset, if requested) only after the drop of both halves.
    let _ = writer.await;
}

async fn secure(
    frames: &mut Frames,
    sink: &mut SplitSink<WebSocket, Message>,
    world: &World,
) -> Result<(Secured, Dictionary), HandshakeError> {
    let prologue = frames.prologue().await?;
    let [_, _, _, version] = prologue;
    let dictionary =
        Dictionary::from_version(version).ok_or(HandshakeError::Dictionary(version))?;
    let hello = frames.next().await.ok_or(HandshakeError::Gone)?;
    let step = handshake::respond(
        &world.keys,
        &prologue,
        &hello,
        world.faults.refuse_ik(),
        &mut world.fork_rng(),
    )?;
    let (answer, pending) = match &step {
        Step::Done(answer, _) | Step::Finish(answer, _) => (answer.clone(), step),
    };
    let frame = encode_frame(&answer, None).map_err(|_| HandshakeError::Gone)?;
    sink.send(Message::Binary(frame.into()))
        .await
        .map_err(|_| HandshakeError::Gone)?;
    let secured = match pending {
        Step::Done(_, secured) => *secured,
        Step::Finish(_, pending) => {
            let finish = frames.next().await.ok_or(HandshakeError::Gone)?;
            handshake::finish(*pending, &finish)?
        }
    };
    Ok((secured, dictionary))
}

/// Adds a stanza from a client to the wire log. Returns whether the stanza is to be handled.
fn listen(world: &World, wire: &Wire, frame: &[u8], ignored: bool) -> bool {
    // The log keeps a copy, because a frame is a slice of a larger buffer and would keep the whole
    // buffer in memory.
    let kept = Bytes::copy_from_slice(frame);
    let now = world.now_ms();
    let log = &world.wire;
    log.keep(now, wire.called(), Sender::Device, ignored, kept);
    !ignored
}

/// Reads stanzas until the connection ends or is closed. A stanza is dropped if `heard` returns
/// `false`.
async fn read_stanzas(
    frames: &mut Frames,
    (cipher, dictionary): (NoiseCipher, Dictionary),
    hang_up: &CancellationToken,
    heard: impl Fn(&[u8]) -> bool,
    mut handle: impl FnMut(&OwnedNodeRef),
) {
    let mut counter = 0_u32;
    loop {
        let frame = tokio::select! {
            biased;
            () = hang_up.cancelled() => return,
            frame = frames.next() => frame,
        };
        let Some(mut frame) = frame else { return };
        if cipher
            .decrypt_in_place_with_counter(counter, &mut frame)
            .is_err()
        {
            tracing::debug!(counter, "frame cannot be decrypted; closing the connection");
            return;
        }
        counter = counter.wrapping_add(1);
        let frame = match dictionary.decode(frame) {
            Ok(frame) => frame,
            Err(error) => {
                tracing::debug!(%error, "client stanza cannot be transcoded; closing the connection");
                return;
            }
        };
        if !heard(&frame) {
            continue;
        }
        match unpack_bytes(frame).and_then(OwnedNodeRef::new) {
            Ok(node) => handle(&node),
            Err(error) => {
                tracing::debug!(%error, "stanza cannot be parsed; closing the connection");
                return;
            }
        }
    }
}

async fn write_frames(
    mut sink: SplitSink<WebSocket, Message>,
    mut outgoing: mpsc::UnboundedReceiver<Outgoing>,
    (cipher, dictionary): (NoiseCipher, Dictionary),
    world: Arc<World>,
    wire: Arc<Wire>,
    hang_up: CancellationToken,
) {
    let mut counter = 0_u32;
    let mut batch = Vec::with_capacity(BATCH);
    let mut scratch = Vec::new();
    loop {
        batch.clear();
        let mut closing = tokio::select! {
            count = outgoing.recv_many(&mut batch, BATCH) => count == 0,
            () = hang_up.cancelled() => {
                batch.extend(std::iter::from_fn(|| outgoing.try_recv().ok()));
                true
            }
        };
        if wire.reset.load(Ordering::Acquire) {
            break;
        }
        let is_stalled = wire
            .device
            .get()
            .is_some_and(|device| world.faults.is_stalled(device));
        let mut out = BytesMut::new();
        for item in batch.drain(..) {
            match item {
                Outgoing::Stanza(_) if is_stalled => {}
                Outgoing::Stanza(stanza) => {
                    scratch.clear();
                    if let Err(error) = dictionary.encode(&stanza, &mut scratch) {
                        tracing::warn!(%error, "server stanza cannot be transcoded");
                        continue;
                    }
                    if cipher
                        .encrypt_in_place_with_counter(counter, &mut scratch)
                        .is_err()
                        || append_frame_into(&scratch, None, &mut out).is_err()
                    {
                        closing = true;
                        break;
                    }
                    counter = counter.wrapping_add(1);
                    let now = world.now_ms();
                    let log = &world.wire;
                    log.keep(now, wire.called(), Sender::Server, false, stanza);
                }
                Outgoing::Close => {
                    closing = true;
                    break;
                }
            }
        }
        if !out.is_empty() && sink.send(Message::Binary(out.freeze())).await.is_err() {
            break;
        }
        if closing {
            let _ = sink.send(Message::Close(None)).await;
            // The reader detects the client's close. A client that does not answer is dropped after
            // the deadline.
            tokio::select! {
                () = hang_up.cancelled() => {}
                () = world.pause(CLOSE_DEADLINE) => {}
            }
            break;
        }
    }
    hang_up.cancel();
    if !wire.reset.load(Ordering::Acquire) {
        let _ = sink.close().await;
    }
}

/// Reads frames from WebSocket messages. A message can contain several frames, and a frame can span
/// several messages.
struct Frames {
    stream: SplitStream<WebSocket>,
    decoder: FrameDecoder,
}

impl Frames {
    fn new(stream: SplitStream<WebSocket>) -> Self {
        Self {
            stream,
            decoder: FrameDecoder::new(),
        }
    }

    /// Reads the bytes before the first frame: optionally `ED 00 01`, a 3-byte length and routing
    /// data, then `WA` and two bytes of version. Returns the last four bytes, the prologue of the
    /// handshake.
    async fn prologue(&mut self) -> Result<[u8; 4], HandshakeError> {
        const ROUTING: &[u8] = b"ED\x00\x01";
        let mut head = BytesMut::new();
        loop {
            if head.starts_with(ROUTING)
                && let &[_, _, _, _, a, b, c, ..] = &head[..]
            {
                let length = ROUTING.len() + 3 + u32::from_be_bytes([0, a, b, c]) as usize;
                if head.len() >= length {
                    let _ = head.split_to(length);
                    continue;
                }
            } else if head.starts_with(b"WA")
                && let &[w, a, major, minor, ..] = &head[..]
            {
                let _ = head.split_to(4);
                self.decoder.feed(&head);
                return Ok([w, a, major, minor]);
            } else if head.len() >= ROUTING.len() {
                return Err(HandshakeError::Unreadable(
                    "the connection starts with neither WA nor ED 00 01",
                ));
            }
            head.extend_from_slice(&self.bytes().await.ok_or(HandshakeError::Gone)?);
        }
    }

    async fn next(&mut self) -> Option<BytesMut> {
        loop {
            if let Some(frame) = self.decoder.decode_frame() {
                return Some(frame);
            }
            let bytes = self.bytes().await?;
            self.decoder.feed(&bytes);
        }
    }

    async fn bytes(&mut self) -> Option<Bytes> {
        loop {
            match self.stream.next().await {
                Some(Ok(Message::Binary(bytes))) => return Some(bytes),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                // The WebSocket library answers pings. Text messages are not part of the protocol.
                Some(Ok(_)) => {}
            }
        }
    }
}
