//! The server's side of the Noise handshake, and the server's keys.
//!
//! The client selects one of three patterns. XX is for the first connection. IK is for a client
//! that already knows the server's static key; the first message then contains the login.
//! `XXfallback` follows an IK attempt with a wrong server key. In all patterns, the prologue is
//! `WA` and two bytes of version. The certificate chain is like the real chain, but below the
//! simulator's own root: the root signs an intermediate certificate, and the intermediate signs a
//! leaf certificate with the static key.

use rand::rngs::StdRng;
use wacore::handshake::{HandshakeError as NoiseFault, NoiseCipher, NoiseHandshake};
use wacore_binary::consts::{NOISE_PATTERN_IK, NOISE_PATTERN_XX, NOISE_PATTERN_XXFALLBACK};
use wacore_libsignal::protocol::KeyPair;
use waproto::buffa::{Message as _, MessageField};
use waproto::whatsapp as wa;
use waproto::whatsapp::cert_chain::{NoiseCertificate, noise_certificate::Details};

use crate::seed::Seed;

/// The reason why a handshake ended without a session.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandshakeError {
    #[error("the client's handshake message could not be read: {0}")]
    Unreadable(&'static str),
    /// Stanzas in another dictionary would be noise to one side or to both.
    #[error("the client asks for token dictionary {0}; this server speaks 2 and 3")]
    Dictionary(u8),
    #[error("the handshake could not be decrypted: {0}")]
    Noise(#[from] NoiseFault),
    #[error("the connection ended during the handshake")]
    Gone,
}

/// The simulator's Noise keys and certificate chain.
///
/// All keys are derived from the seed, so a client with the pinned static key can connect again
/// after a restart.
pub(crate) struct ServerKeys {
    static_key: KeyPair,
    root: [u8; 32],
    chain: Vec<u8>,
}

impl ServerKeys {
    /// Derives the root, intermediate and static key from the seed, and signs the chain.
    ///
    /// The certificates are valid from 2023 to 2093, because tests move the clock.
    pub(crate) fn new(seed: Seed) -> Self {
        const NOT_BEFORE: u64 = 1_700_000_000;
        const NOT_AFTER: u64 = 3_900_000_000;
        const INTERMEDIATE_SERIAL: u32 = 1;

        let mut rng = seed.rng("server keys");
        let root = KeyPair::generate(&mut rng);
        let intermediate = KeyPair::generate(&mut rng);
        let static_key = KeyPair::generate(&mut rng);
        let mut certificate = |issuer: &KeyPair, issuer_serial: u32, serial: u32, key: &KeyPair| {
            let details = Details {
                serial: Some(serial),
                issuer_serial: Some(issuer_serial),
                key: Some(key.public_key.public_key_bytes().to_vec()),
                not_before: Some(NOT_BEFORE),
                not_after: Some(NOT_AFTER),
            }
            .encode_to_vec();
            // Signing fails only for a key of another type, and `generate` never creates such a
            // key.
            let signature = issuer
                .private_key
                .calculate_signature(&details, &mut rng)
                .map(|s| s.to_vec())
                .unwrap_or_default();
            NoiseCertificate {
                details: Some(details),
                signature: Some(signature),
            }
        };
        let chain = wa::CertChain {
            intermediate: MessageField::some(certificate(
                &root,
                0,
                INTERMEDIATE_SERIAL,
                &intermediate,
            )),
            leaf: MessageField::some(certificate(
                &intermediate,
                INTERMEDIATE_SERIAL,
                2,
                &static_key,
            )),
        }
        .encode_to_vec();
        Self {
            root: public_bytes(&root),
            static_key,
            chain,
        }
    }

    /// The static public key, pinned by clients.
    pub(crate) fn public(&self) -> [u8; 32] {
        public_bytes(&self.static_key)
    }

    /// The public key that signed the intermediate certificate.
    pub(crate) fn root(&self) -> [u8; 32] {
        self.root
    }
}

/// The result of a handshake: the ciphers for the server, and the identity of the client.
pub(crate) struct Secured {
    pub(crate) write: NoiseCipher,
    pub(crate) read: NoiseCipher,
    /// The client's Noise static key. A login is valid only with the key used at the pairing.
    pub(crate) client_key: [u8; 32],
    pub(crate) payload: wa::ClientPayload,
    pub(crate) pattern: Pattern,
}

/// The pattern of a completed handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pattern {
    /// First connection, three messages.
    Xx,
    /// Reconnection with a known server key, two messages.
    Ik,
    /// Reconnection with a server key refused by the server.
    XxFallback,
}

/// The server's step after the first message of the client.
pub(crate) enum Step {
    /// IK is complete: send the message, then use the session.
    Done(Vec<u8>, Box<Secured>),
    /// Send the message, then read the client's last message.
    Finish(Vec<u8>, Box<Pending>),
}

/// A handshake with XX or `XXfallback` before the client's last message.
pub(crate) struct Pending {
    noise: NoiseHandshake,
    ephemeral: KeyPair,
    pattern: Pattern,
}

/// Reads the client's first message, and returns the answer.
///
/// With `refuse_ik`, an IK attempt is answered as if the server's key had changed. The client then
/// continues with `XXfallback`.
pub(crate) fn respond(
    keys: &ServerKeys,
    prologue: &[u8],
    hello: &[u8],
    refuse_ik: bool,
    rng: &mut StdRng,
) -> Result<Step, HandshakeError> {
    let hello = waproto::codec::handshake_message_decode(hello)
        .ok()
        .and_then(|message| message.client_hello.into_option())
        .ok_or(HandshakeError::Unreadable("no client hello"))?;
    let client_ephemeral = hello
        .ephemeral
        .as_deref()
        .and_then(key32)
        .ok_or(HandshakeError::Unreadable("no ephemeral key of 32 bytes"))?;
    let (Some(encrypted_static), Some(encrypted_payload)) = (&hello.r#static, &hello.payload)
    else {
        return offer(
            keys,
            prologue,
            NOISE_PATTERN_XX,
            Pattern::Xx,
            &client_ephemeral,
            rng,
        );
    };
    if !refuse_ik
        && let Ok(opened) = open_ik(
            keys,
            prologue,
            &client_ephemeral,
            encrypted_static,
            encrypted_payload,
        )
    {
        return accept_ik(keys, opened, &client_ephemeral, rng);
    }
    offer(
        keys,
        prologue,
        NOISE_PATTERN_XXFALLBACK,
        Pattern::XxFallback,
        &client_ephemeral,
        rng,
    )
}

/// Reads the client's last message of XX or `XXfallback`.
pub(crate) fn finish(pending: Pending, message: &[u8]) -> Result<Secured, HandshakeError> {
    let Pending {
        mut noise,
        ephemeral,
        pattern,
    } = pending;
    let finish = waproto::codec::handshake_message_decode(message)
        .ok()
        .and_then(|message| message.client_finish.into_option())
        .ok_or(HandshakeError::Unreadable("no client finish"))?;
    let encrypted_static = finish
        .r#static
        .ok_or(HandshakeError::Unreadable("no static key"))?;
    let encrypted_payload = finish
        .payload
        .ok_or(HandshakeError::Unreadable("no payload"))?;
    let client_key = key32(&noise.decrypt(&encrypted_static)?)
        .ok_or(HandshakeError::Unreadable("static key is not 32 bytes"))?;
    noise.mix_shared_secret(ephemeral.private_key.serialize(), &client_key)?;
    let payload = noise.decrypt(&encrypted_payload)?;
    secured(noise, client_key, &payload, pattern)
}

struct OpenedIk {
    noise: NoiseHandshake,
    client_key: [u8; 32],
    payload: Vec<u8>,
}

fn open_ik(
    keys: &ServerKeys,
    prologue: &[u8],
    client_ephemeral: &[u8; 32],
    encrypted_static: &[u8],
    encrypted_payload: &[u8],
) -> Result<OpenedIk, HandshakeError> {
    let own = keys.static_key.private_key.serialize();
    let mut noise = NoiseHandshake::new(NOISE_PATTERN_IK, prologue)?;
    noise.authenticate(&keys.public());
    noise.authenticate(client_ephemeral);
    noise.mix_shared_secret(own, client_ephemeral)?;
    let client_key = key32(&noise.decrypt(encrypted_static)?)
        .ok_or(HandshakeError::Unreadable("static key is not 32 bytes"))?;
    noise.mix_shared_secret(own, &client_key)?;
    let payload = noise.decrypt(encrypted_payload)?;
    Ok(OpenedIk {
        noise,
        client_key,
        payload,
    })
}

fn accept_ik(
    keys: &ServerKeys,
    opened: OpenedIk,
    client_ephemeral: &[u8; 32],
    rng: &mut StdRng,
) -> Result<Step, HandshakeError> {
    let OpenedIk {
        mut noise,
        client_key,
        payload,
    } = opened;
    let ephemeral = KeyPair::generate(rng);
    noise.authenticate(ephemeral.public_key.public_key_bytes());
    noise.mix_shared_secret(ephemeral.private_key.serialize(), client_ephemeral)?;
    noise.mix_shared_secret(ephemeral.private_key.serialize(), &client_key)?;
    let chain = noise.encrypt(&keys.chain)?;
    let hello = server_hello(&ephemeral, None, chain);
    Ok(Step::Done(
        hello,
        Box::new(secured(noise, client_key, &payload, Pattern::Ik)?),
    ))
}

fn offer(
    keys: &ServerKeys,
    prologue: &[u8],
    noise_name: &str,
    pattern: Pattern,
    client_ephemeral: &[u8; 32],
    rng: &mut StdRng,
) -> Result<Step, HandshakeError> {
    let mut noise = NoiseHandshake::new(noise_name, prologue)?;
    noise.authenticate(client_ephemeral);
    let ephemeral = KeyPair::generate(rng);
    noise.authenticate(ephemeral.public_key.public_key_bytes());
    noise.mix_shared_secret(ephemeral.private_key.serialize(), client_ephemeral)?;
    let encrypted_static = noise.encrypt(&keys.public())?;
    noise.mix_shared_secret(keys.static_key.private_key.serialize(), client_ephemeral)?;
    let chain = noise.encrypt(&keys.chain)?;
    let hello = server_hello(&ephemeral, Some(encrypted_static), chain);
    Ok(Step::Finish(
        hello,
        Box::new(Pending {
            noise,
            ephemeral,
            pattern,
        }),
    ))
}

fn secured(
    noise: NoiseHandshake,
    client_key: [u8; 32],
    payload: &[u8],
    pattern: Pattern,
) -> Result<Secured, HandshakeError> {
    let payload = wa::ClientPayload::decode_from_slice(payload)
        .map_err(|_| HandshakeError::Unreadable("the login payload is not a ClientPayload"))?;
    // `finish` names the ciphers from the initiator's side.
    let (read, write) = noise.finish()?;
    Ok(Secured {
        write,
        read,
        client_key,
        payload,
        pattern,
    })
}

fn server_hello(ephemeral: &KeyPair, encrypted_static: Option<Vec<u8>>, chain: Vec<u8>) -> Vec<u8> {
    waproto::codec::handshake_message_to_vec(&wa::HandshakeMessage {
        server_hello: MessageField::some(wa::handshake_message::ServerHello {
            ephemeral: Some(ephemeral.public_key.public_key_bytes().to_vec()),
            r#static: encrypted_static,
            payload: Some(chain),
            ..Default::default()
        }),
        ..Default::default()
    })
}

fn key32(bytes: &[u8]) -> Option<[u8; 32]> {
    bytes.try_into().ok()
}

fn public_bytes(pair: &KeyPair) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(pair.public_key.public_key_bytes());
    out
}
