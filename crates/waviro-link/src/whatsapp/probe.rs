//! Checks if a server can be reached and is the expected server, with a dial but without a login.
//! Used by `waviro doctor`, and before a redial of a server with a wrong key.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use futures::{SinkExt as _, StreamExt as _};
use tokio_websockets::{Error, Message};
use whatsapp_rust::bytes::Bytes;
use whatsapp_rust::wacore::framing::{FrameDecoder, encode_frame};
use whatsapp_rust::wacore::handshake::{
    HandshakeError, IkHandshakeState, IkServerHelloOutcome, XxHandshakeState,
    build_handshake_header,
};
use whatsapp_rust::wacore::store::device::Device;
use whatsapp_rust::wacore_binary::consts::WA_CONN_HEADER;

use super::handles::WhatsAppConfig;
use super::race::{Progress, race};
use super::target::{Socket, Target, interrupted};
use super::tls;
use crate::{DialFailure, DialStep, LinkError};

/// The timeout of a probe. A healthy dial takes less than a second.
const WITHIN: Duration = Duration::from_secs(10);

/// The result of a dial over each address family.
#[derive(Debug)]
pub struct Probe {
    /// The addresses of the server's name.
    pub addresses: Result<Vec<SocketAddr>, DialFailure>,
    /// The results, one for each family with an address.
    pub families: Vec<FamilyProbe>,
}

/// The result of a dial over one address family.
#[derive(Debug)]
pub struct FamilyProbe {
    /// True for IPv6, false for IPv4.
    pub is_v6: bool,
    /// The address that answered, or the failed step; all earlier steps succeeded.
    pub outcome: Result<SocketAddr, DialFailure>,
}

/// Dials over each address family: DNS, TCP, TLS, the upgrade, and the Noise handshake until the
/// server has proved its identity. Does not log in and sends no data of a device.
///
/// # Errors
/// [`LinkError::Refused`] with a text about an unusable `ca_file`.
pub async fn probe(config: &WhatsAppConfig) -> Result<Probe, LinkError> {
    let tls = tls::client_config(config.ca_file.as_deref())?;
    let target = Target::new(config.url.clone(), config.server_key, tls);
    let resolving = tokio::time::timeout(WITHIN, target.resolve());
    let resolved = resolving.await;
    let addresses = resolved.unwrap_or(Err(DialFailure::Silent(DialStep::Dns)));
    let known: Vec<_> = addresses.iter().flatten().copied().collect();
    let (target, known) = (&target, &known);
    let families = [true, false].map(|is_v6| async move {
        let own = known.iter().filter(|address| address.is_ipv6() == is_v6);
        let own: Vec<_> = own.copied().collect();
        if own.is_empty() {
            return None;
        }
        let attempt = |address, progress: Arc<Progress>| async move {
            let socket = target.open_at(address, Arc::clone(&progress)).await?;
            progress.begin(DialStep::Handshake);
            prove(socket, target.server_key).await?;
            Ok(address)
        };
        let outcome = race(&own, WITHIN, attempt).await;
        Some(FamilyProbe { is_v6, outcome })
    });
    let families = join_all(families).await.into_iter().flatten().collect();
    Ok(Probe {
        addresses,
        families,
    })
}

/// Makes the server prove its identity, and closes the connection.
///
/// Without a key, the function runs Noise XX up to the server's hello, with a certificate chain
/// that must be signed by WhatsApp's root. The client's next message, with the client's identity,
/// is not sent. With a key, the function runs Noise IK with an empty payload.
pub(super) async fn prove(
    mut socket: Socket,
    server_key: Option<[u8; 32]>,
) -> Result<(), DialFailure> {
    let mut handshake = Handshake::new(server_key).map_err(|_| DialFailure::ServerKey)?;
    let hello = handshake.hello().map_err(|_| DialFailure::ServerKey)?;
    let (header, _) = build_handshake_header(None);
    let frame = encode_frame(&hello, Some(&header)).map_err(|_| DialFailure::ServerKey)?;
    let sent = socket.send(Message::binary(Bytes::from(frame))).await;
    sent.map_err(|error| gone(&error))?;
    let mut frames = FrameDecoder::new();
    while let Some(message) = socket.next().await {
        let message = message.map_err(|error| gone(&error))?;
        if message.is_binary() {
            frames.feed(&Bytes::from(message.into_payload()));
            if let Some(answer) = frames.decode_frame() {
                return if handshake.proves(&answer) {
                    Ok(())
                } else {
                    Err(DialFailure::ServerKey)
                };
            }
        }
    }
    Err(DialFailure::Closed(DialStep::Handshake))
}

/// The client's side of the handshake, up to the server's proof.
enum Handshake {
    Xx(Box<XxHandshakeState>),
    Ik(Box<IkHandshakeState>),
}

impl Handshake {
    fn new(server_key: Option<[u8; 32]>) -> Result<Self, HandshakeError> {
        let identity = Device::new().noise_key;
        let (payload, prologue) = (Vec::new(), &WA_CONN_HEADER);
        Ok(match server_key {
            None => Self::Xx(Box::new(XxHandshakeState::new(
                identity, payload, prologue,
            )?)),
            Some(key) => Self::Ik(Box::new(IkHandshakeState::new(
                identity, key, payload, prologue,
            )?)),
        })
    }

    fn hello(&mut self) -> Result<Vec<u8>, HandshakeError> {
        match self {
            Self::Xx(state) => state.build_client_hello(),
            Self::Ik(state) => state.build_client_hello(),
        }
    }

    fn proves(self, answer: &[u8]) -> bool {
        match self {
            Self::Xx(mut state) => state
                .read_server_hello_and_build_client_finish(answer)
                .is_ok(),
            Self::Ik(state) => matches!(
                state.read_server_hello(answer),
                Ok(IkServerHelloOutcome::Continue(_))
            ),
        }
    }
}

fn gone(error: &Error) -> DialFailure {
    let closed = DialFailure::Closed(DialStep::Handshake);
    match error {
        Error::Io(error) => interrupted(error, DialStep::Handshake).unwrap_or(closed),
        _ => closed,
    }
}
