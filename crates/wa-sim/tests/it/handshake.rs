//! The handshake patterns XX and `XXfallback`, with the initiator of the library. The certificate
//! chain is verified under the simulator's root.

use futures::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio_websockets::{ClientBuilder, Message};
use wacore::framing::{FrameDecoder, encode_frame};
use wacore::handshake::{NoiseCipher, NoiseHandshake, build_handshake_header};
use wacore_binary::OwnedNodeRef;
use wacore_binary::consts::{
    NOISE_PATTERN_IK, NOISE_PATTERN_XX, NOISE_PATTERN_XXFALLBACK, WA_CONN_HEADER,
};
use wacore_binary::util::unpack_bytes;
use wacore_libsignal::protocol::{KeyPair, PublicKey};
use waproto::buffa::{Message as _, MessageField};
use waproto::whatsapp as wa;

use wa_sim::{Sim, SimEvent};

use crate::client::DEADLINE;

#[tokio::test]
async fn xx_shows_a_chain_that_verifies_under_the_simulators_root() {
    let sim = Sim::start().await.expect("starts");
    for routing in [None, Some(&b"edge routing"[..])] {
        let mut peer = Peer::connect(&sim).await;
        let ephemeral = KeyPair::generate(&mut rand::rng());
        let mut noise = NoiseHandshake::new(NOISE_PATTERN_XX, &WA_CONN_HEADER).expect("noise");
        noise.authenticate(ephemeral.public_key.public_key_bytes());
        peer.send(
            &client_hello(&ephemeral, None, None),
            Some(&build_handshake_header(routing).0),
        )
        .await;
        let cipher = peer.finish_xx(&sim, noise, &ephemeral).await;
        peer.expect_codes(cipher).await;
    }
}

#[tokio::test]
async fn ik_under_a_key_that_is_not_the_servers_falls_back_to_xx() {
    let sim = Sim::start().await.expect("starts");
    let mut peer = Peer::connect(&sim).await;
    let (ephemeral, own) = (
        KeyPair::generate(&mut rand::rng()),
        KeyPair::generate(&mut rand::rng()),
    );
    let stale = KeyPair::generate(&mut rand::rng());
    let mut ik = NoiseHandshake::new(NOISE_PATTERN_IK, &WA_CONN_HEADER).expect("noise");
    ik.authenticate(stale.public_key.public_key_bytes());
    ik.authenticate(ephemeral.public_key.public_key_bytes());
    let stale = stale.public_key.public_key_bytes();
    ik.mix_shared_secret(ephemeral.private_key.serialize(), stale)
        .expect("es");
    let encrypted_static = ik.encrypt(own.public_key.public_key_bytes()).expect("s");
    ik.mix_shared_secret(own.private_key.serialize(), stale)
        .expect("ss");
    let payload = ik
        .encrypt(&wa::ClientPayload::default().encode_to_vec())
        .expect("payload");
    let hello = client_hello(&ephemeral, Some(encrypted_static), Some(payload));
    peer.send(&hello, Some(&WA_CONN_HEADER)).await;

    let mut noise = NoiseHandshake::new(NOISE_PATTERN_XXFALLBACK, &WA_CONN_HEADER).expect("noise");
    noise.authenticate(ephemeral.public_key.public_key_bytes());
    let cipher = peer.finish_xx(&sim, noise, &ephemeral).await;
    peer.expect_codes(cipher).await;
}

#[tokio::test]
async fn the_same_seed_gives_the_same_server_key() {
    let first = Sim::builder().seed(7).start().await.expect("starts");
    let second = Sim::builder().seed(7).start().await.expect("starts");
    let third = Sim::builder().seed(8).start().await.expect("starts");
    assert_eq!(first.server_key(), second.server_key());
    assert_ne!(first.server_key(), third.server_key());
}

#[tokio::test]
async fn nonsense_on_the_socket_ends_that_connection_only() {
    let sim = Sim::start().await.expect("starts");
    for nonsense in [
        &b"GET / HTTP/1.1\r\n"[..],
        b"WA\x06\x03\x00\x00\x05hello",
        b"ED\x00\x01\xff\xff\xff",
    ] {
        let mut peer = Peer::connect(&sim).await;
        peer.socket
            .send(Message::binary(nonsense.to_vec()))
            .await
            .expect("sent");
        let _ = peer.socket.close().await;
    }
    let mut peer = Peer::connect(&sim).await;
    let ephemeral = KeyPair::generate(&mut rand::rng());
    let mut noise = NoiseHandshake::new(NOISE_PATTERN_XX, &WA_CONN_HEADER).expect("noise");
    noise.authenticate(ephemeral.public_key.public_key_bytes());
    peer.send(&client_hello(&ephemeral, None, None), Some(&WA_CONN_HEADER))
        .await;
    peer.finish_xx(&sim, noise, &ephemeral).await;
}

#[tokio::test]
async fn a_client_that_asks_for_another_token_dictionary_is_told_so_and_answered_in_none() {
    let sim = Sim::start().await.expect("starts");
    for other in [0, 1, 4, 255] {
        let mut events = sim.events();
        let mut peer = Peer::connect(&sim).await;
        let ephemeral = KeyPair::generate(&mut rand::rng());
        let header = [b'W', b'A', 6, other];
        peer.send(&client_hello(&ephemeral, None, None), Some(&header))
            .await;
        let answer = peer.socket.next().await.expect("open").expect("a message");
        let (_, reason) = answer.as_close().expect("a close frame");
        let dictionary = format!("token dictionary {other}");
        assert!(reason.contains(&dictionary), "{reason}");
        let failed = events.recv().await.expect("an event");
        assert!(
            matches!(&failed, SimEvent::HandshakeFailed { reason } if reason.contains(&dictionary)),
            "{failed:?}"
        );
    }
}

/// A client that sends and receives frames.
pub struct Peer {
    socket: tokio_websockets::WebSocketStream<TcpStream>,
    frames: FrameDecoder,
}

impl Peer {
    pub async fn connect(sim: &Sim) -> Self {
        let tcp = TcpStream::connect(sim.addr()).await.expect("connects");
        let uri = sim.ws_url().parse().expect("a URL");
        let (socket, _) = ClientBuilder::from_uri(uri)
            .connect_on(tcp)
            .await
            .expect("upgrades");
        Self {
            socket,
            frames: FrameDecoder::new(),
        }
    }

    pub async fn send(&mut self, payload: &[u8], header: Option<&[u8]>) {
        let frame = encode_frame(payload, header).expect("fits");
        // Sends the frame in two parts, because a frame can span several WebSocket messages.
        let (first, second) = frame.split_at(frame.len() / 2);
        for part in [first, second] {
            self.socket
                .send(Message::binary(part.to_vec()))
                .await
                .expect("sent");
        }
    }

    pub async fn frame(&mut self) -> bytes::BytesMut {
        loop {
            if let Some(frame) = self.frames.decode_frame() {
                return frame;
            }
            let message = self.socket.next().await.expect("open").expect("a message");
            self.frames.feed(message.as_payload());
        }
    }

    /// Waits until the server ends the connection.
    pub async fn expect_end(&mut self) {
        let end = async { while let Some(Ok(_)) = self.socket.next().await {} };
        tokio::time::timeout(DEADLINE, end)
            .await
            .expect("the server hangs up");
    }

    /// XX under this header. Returns the cipher for writing and the cipher for reading.
    pub async fn log_in(
        &mut self,
        sim: &Sim,
        header: &[u8],
        key: &KeyPair,
        payload: &wa::ClientPayload,
    ) -> (NoiseCipher, NoiseCipher) {
        let ephemeral = KeyPair::generate(&mut rand::rng());
        let mut noise = NoiseHandshake::new(NOISE_PATTERN_XX, header).expect("noise");
        noise.authenticate(ephemeral.public_key.public_key_bytes());
        self.send(&client_hello(&ephemeral, None, None), Some(header))
            .await;
        self.finish(sim, noise, &ephemeral, key, payload).await
    }

    async fn finish_xx(
        &mut self,
        sim: &Sim,
        noise: NoiseHandshake,
        ephemeral: &KeyPair,
    ) -> NoiseCipher {
        let own = KeyPair::generate(&mut rand::rng());
        let payload = wa::ClientPayload::default();
        self.finish(sim, noise, ephemeral, &own, &payload).await.1
    }

    /// Performs the initiator's part of XX after the hello, and verifies the certificates under the
    /// simulator's root.
    async fn finish(
        &mut self,
        sim: &Sim,
        mut noise: NoiseHandshake,
        ephemeral: &KeyPair,
        own: &KeyPair,
        payload: &wa::ClientPayload,
    ) -> (NoiseCipher, NoiseCipher) {
        let hello = waproto::codec::handshake_message_decode(&self.frame().await)
            .expect("a handshake message");
        let hello = hello.server_hello.into_option().expect("a server hello");
        let server_ephemeral: [u8; 32] = hello
            .ephemeral
            .expect("ephemeral")
            .try_into()
            .expect("32 bytes");
        noise.authenticate(&server_ephemeral);
        noise
            .mix_shared_secret(ephemeral.private_key.serialize(), &server_ephemeral)
            .expect("ee");
        let server_static: [u8; 32] = noise
            .decrypt(&hello.r#static.expect("static"))
            .expect("s")
            .try_into()
            .expect("32 bytes");
        assert_eq!(server_static, sim.server_key());
        noise
            .mix_shared_secret(ephemeral.private_key.serialize(), &server_static)
            .expect("es");
        verify_chain(
            &noise
                .decrypt(&hello.payload.expect("chain"))
                .expect("chain"),
            sim,
            &server_static,
        );

        let encrypted_static = noise.encrypt(own.public_key.public_key_bytes()).expect("s");
        noise
            .mix_shared_secret(own.private_key.serialize(), &server_ephemeral)
            .expect("se");
        let payload = noise.encrypt(&payload.encode_to_vec()).expect("payload");
        let finish = wa::HandshakeMessage {
            client_finish: MessageField::some(wa::handshake_message::ClientFinish {
                r#static: Some(encrypted_static),
                payload: Some(payload),
                ..Default::default()
            }),
            ..Default::default()
        };
        self.send(&waproto::codec::handshake_message_to_vec(&finish), None)
            .await;
        noise.finish().expect("split")
    }

    /// Expects six refs for an unpaired client.
    async fn expect_codes(&mut self, cipher: NoiseCipher) {
        let mut frame = self.frame().await;
        cipher
            .decrypt_in_place_with_counter(0, &mut frame)
            .expect("decrypts");
        let node = OwnedNodeRef::new(unpack_bytes(frame).expect("unpacks")).expect("a node");
        let codes = node
            .get_optional_child("pair-device")
            .expect("codes")
            .children()
            .expect("codes")
            .len();
        assert_eq!(codes, 6);
    }
}

fn verify_chain(chain: &[u8], sim: &Sim, server_static: &[u8; 32]) {
    let chain = waproto::codec::cert_chain_decode(chain).expect("a chain");
    let details =
        |bytes: &[u8]| waproto::codec::noise_certificate_details_decode(bytes).expect("details");
    let is_signed = |key: &[u8], certificate: &wa::cert_chain::NoiseCertificate| {
        let key = PublicKey::from_djb_public_key_bytes(key).expect("a key");
        key.verify_signature(
            certificate.details.as_deref().unwrap_or_default(),
            certificate.signature.as_deref().unwrap_or_default(),
        )
    };
    let (intermediate, leaf) = (&*chain.intermediate, &*chain.leaf);
    assert!(is_signed(&sim.root_key(), intermediate));
    let above = details(intermediate.details.as_deref().expect("details"));
    assert!(is_signed(above.key.as_deref().expect("key"), leaf));
    let below = details(leaf.details.as_deref().expect("details"));
    assert_eq!(above.issuer_serial, Some(0));
    assert_eq!(below.issuer_serial, above.serial);
    assert_eq!(below.key.as_deref(), Some(&server_static[..]));
}

fn client_hello(
    ephemeral: &KeyPair,
    encrypted_static: Option<Vec<u8>>,
    payload: Option<Vec<u8>>,
) -> Vec<u8> {
    waproto::codec::handshake_message_to_vec(&wa::HandshakeMessage {
        client_hello: MessageField::some(wa::handshake_message::ClientHello {
            ephemeral: Some(ephemeral.public_key.public_key_bytes().to_vec()),
            r#static: encrypted_static,
            payload,
            ..Default::default()
        }),
        ..Default::default()
    })
}
