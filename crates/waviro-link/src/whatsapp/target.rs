//! The server to dial, and the steps to open a WebSocket: DNS, TCP, TLS, the upgrade. Each step has
//! its own failures.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::{CertificateError, ClientConfig};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_websockets::upgrade::Error as UpgradeError;
use tokio_websockets::{ClientBuilder, Connector, Error, MaybeTlsStream, WebSocketStream};
use url::Url;
use whatsapp_rust::wacore::net::WHATSAPP_WEB_ORIGIN;

use super::race::{Progress, interleaved, race};
use crate::{DialFailure, DialStep};

/// A WebSocket to WhatsApp.
pub(super) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// The server for all devices of the process.
#[derive(Clone)]
pub(super) struct Target {
    url: Url,
    /// The server's Noise key, if the server is not WhatsApp's own.
    pub(super) server_key: Option<[u8; 32]>,
    tls: Arc<ClientConfig>,
}

impl Target {
    pub(super) fn new(url: Url, server_key: Option<[u8; 32]>, tls: Arc<ClientConfig>) -> Self {
        Self {
            url,
            server_key,
            tls,
        }
    }

    /// Returns the host in the form for a resolver, without brackets.
    fn host(&self) -> &str {
        let host = self.url.host_str().unwrap_or_default();
        host.trim_matches(['[', ']'])
    }

    fn port(&self) -> u16 {
        self.url.port_or_known_default().unwrap_or(443)
    }

    /// Returns true if the server must present a certificate.
    fn is_secure(&self) -> bool {
        self.url.scheme() == "wss"
    }

    /// Opens a WebSocket. Returns at the latest after `within`.
    pub(super) async fn open(&self, within: Duration) -> Result<Socket, DialFailure> {
        let began = tokio::time::Instant::now();
        let resolving = tokio::time::timeout(within, self.resolve());
        let addresses = resolving
            .await
            .unwrap_or(Err(DialFailure::Silent(DialStep::Dns)))?;
        let left = within.saturating_sub(began.elapsed());
        self.open_among(&addresses, left).await
    }

    /// Opens a WebSocket to the first address that answers.
    async fn open_among(
        &self,
        addresses: &[SocketAddr],
        within: Duration,
    ) -> Result<Socket, DialFailure> {
        let attempt = |address, progress| self.open_at(address, progress);
        race(addresses, within, attempt).await
    }

    /// Returns the server's addresses in the order of the attempts.
    pub(super) async fn resolve(&self) -> Result<Vec<SocketAddr>, DialFailure> {
        let found = tokio::net::lookup_host((self.host(), self.port())).await;
        let found = found.map_err(|error| DialFailure::Dns(error.to_string()))?;
        let addresses = interleaved(found);
        if addresses.is_empty() {
            return Err(DialFailure::Dns("the name has no address".to_owned()));
        }
        Ok(addresses)
    }

    /// Opens a WebSocket to this address.
    pub(super) async fn open_at(
        &self,
        address: SocketAddr,
        progress: Arc<Progress>,
    ) -> Result<Socket, DialFailure> {
        let tcp = connect(address).await?;
        progress.begin(DialStep::Tls);
        let stream = self.secure(tcp).await?;
        progress.begin(DialStep::Upgrade);
        self.upgrade(stream).await
    }

    /// Adds TLS to an open connection, if the URL asks for TLS.
    async fn secure(&self, tcp: TcpStream) -> Result<MaybeTlsStream<TcpStream>, DialFailure> {
        let connector = if self.is_secure() {
            Connector::Rustls(TlsConnector::from(Arc::clone(&self.tls)))
        } else {
            Connector::Plain
        };
        let secured = connector.wrap(self.host(), tcp).await;
        secured.map_err(|error| tls_failure(&error))
    }

    /// Upgrades an open connection to a WebSocket.
    async fn upgrade(&self, stream: MaybeTlsStream<TcpStream>) -> Result<Socket, DialFailure> {
        let uri = self.url.as_str().parse();
        let uri = uri.map_err(|_| DialFailure::NotWebSocket)?;
        let builder = ClientBuilder::from_uri(uri).add_header(
            http::header::ORIGIN,
            http::HeaderValue::from_static(WHATSAPP_WEB_ORIGIN),
        );
        let builder = builder.map_err(|error| upgrade_failure(&error))?;
        let upgraded = builder.connect_on(stream).await;
        let (socket, _) = upgraded.map_err(|error| upgrade_failure(&error))?;
        Ok(socket)
    }
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Target")
            .field("url", &self.url.as_str())
            .finish_non_exhaustive()
    }
}

/// Opens a TCP connection to this address.
async fn connect(address: SocketAddr) -> Result<TcpStream, DialFailure> {
    let tcp = TcpStream::connect(address).await;
    let tcp = tcp.map_err(|error| tcp_failure(&error))?;
    // With Nagle's algorithm, a frame would wait up to 40 ms for the delayed ack of the previous
    // frame.
    tcp.set_nodelay(true).map_err(|error| tcp_failure(&error))?;
    Ok(tcp)
}

fn tcp_failure(error: &io::Error) -> DialFailure {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => DialFailure::Refused,
        // A machine without IPv6 has no address to dial from.
        io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::AddrNotAvailable => DialFailure::NoRoute,
        io::ErrorKind::TimedOut => DialFailure::Silent(DialStep::Tcp),
        _ => DialFailure::Tcp(error.to_string()),
    }
}

fn tls_failure(error: &Error) -> DialFailure {
    let Error::Io(error) = error else {
        return DialFailure::Tls(error.to_string());
    };
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    match inner {
        Some(rustls::Error::InvalidCertificate(reason)) => certificate_failure(reason),
        Some(error) => DialFailure::Tls(error.to_string()),
        None => {
            interrupted(error, DialStep::Tls).unwrap_or_else(|| DialFailure::Tls(error.to_string()))
        }
    }
}

fn certificate_failure(reason: &CertificateError) -> DialFailure {
    match reason {
        CertificateError::UnknownIssuer => DialFailure::TlsUnknownCa,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            DialFailure::TlsWrongName
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            DialFailure::TlsExpired
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            DialFailure::TlsNotYetValid
        }
        other => DialFailure::Tls(other.to_string()),
    }
}

fn upgrade_failure(error: &Error) -> DialFailure {
    match error {
        Error::Upgrade(UpgradeError::DidNotSwitchProtocols(status)) => {
            DialFailure::UpgradeStatus(*status)
        }
        Error::Io(error) => {
            interrupted(error, DialStep::Upgrade).unwrap_or(DialFailure::NotWebSocket)
        }
        _ => DialFailure::NotWebSocket,
    }
}

/// Returns the failure if the peer closed the connection or stopped answering in this step.
pub(super) fn interrupted(error: &io::Error, step: DialStep) -> Option<DialFailure> {
    match error.kind() {
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::NotConnected => Some(DialFailure::Closed(step)),
        io::ErrorKind::TimedOut => Some(DialFailure::Silent(step)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;
    use tokio::net::{TcpListener, TcpSocket};

    use super::super::tls;
    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    fn target(url: &str) -> Target {
        let tls = tls::client_config(None).unwrap();
        Target::new(Url::parse(url).unwrap(), None, tls)
    }

    /// Returns an address with a full accept queue: the kernel drops further connections while the
    /// returned sockets live.
    async fn black_hole() -> (SocketAddr, TcpListener, Vec<TcpStream>) {
        let socket = TcpSocket::new_v6().unwrap();
        socket.bind("[::1]:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut waiting = Vec::new();
        loop {
            let one = TcpStream::connect(address);
            match tokio::time::timeout(Duration::from_millis(300), one).await {
                Ok(connected) => waiting.push(connected.unwrap()),
                Err(_) => return (address, listener, waiting),
            }
        }
    }

    #[tokio::test]
    async fn a_black_holed_ipv6_address_costs_a_quarter_of_a_second() {
        let (hole, _listener, _waiting) = black_hole().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let there = listener.local_addr().unwrap();
        let began = tokio::time::Instant::now();
        let connected = race(&[hole, there], LONG, |address, _| connect(address)).await;
        assert_eq!(connected.unwrap().peer_addr().unwrap(), there);
        let took = began.elapsed();
        assert!(took < Duration::from_secs(2), "{took:?}");
        let target = target("wss://localhost/ws/chat");
        let failed = target.open_among(&[hole], Duration::from_millis(500)).await;
        assert_eq!(failed.err(), Some(DialFailure::Silent(DialStep::Tcp)));
    }

    #[tokio::test]
    async fn an_address_that_accepts_but_never_answers_fails_in_the_next_step() {
        // The kernel accepts the connection, but no program does.
        let silent = TcpListener::bind("[::1]:0").await.unwrap();
        let address = silent.local_addr().unwrap();
        let within = Duration::from_millis(500);
        for (url, step) in [
            ("ws://localhost/ws/chat", DialStep::Upgrade),
            ("wss://localhost/ws/chat", DialStep::Tls),
        ] {
            let failed = target(url).open_among(&[address], within).await;
            assert_eq!(failed.err(), Some(DialFailure::Silent(step)));
        }
    }

    #[tokio::test]
    async fn a_plain_answer_and_a_closed_connection_are_different_tls_failures() {
        let target = target("wss://localhost/ws/chat");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let hanging_up = async {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut hello = [0; 4096];
            let _ = socket.read(&mut hello).await;
        };
        let addresses = [address];
        let (failed, ()) = tokio::join!(target.open_among(&addresses, LONG), hanging_up);
        assert_eq!(failed.err(), Some(DialFailure::Closed(DialStep::Tls)));
        let web = async {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut hello = [0; 4096];
            let _ = socket.read(&mut hello).await;
            let answer = b"HTTP/1.1 400 Bad Request\r\n\r\n";
            tokio::io::AsyncWriteExt::write_all(&mut socket, answer)
                .await
                .unwrap();
        };
        let (failed, ()) = tokio::join!(target.open_among(&addresses, LONG), web);
        assert!(matches!(failed.err(), Some(DialFailure::Tls(_))));
    }

    #[tokio::test]
    async fn a_name_that_does_not_exist_is_a_failure_of_dns() {
        // RFC 6761 guarantees that `.invalid` never resolves.
        let target = target("wss://nowhere.invalid/ws/chat");
        match target.open(LONG).await.err() {
            Some(DialFailure::Dns(words)) => assert!(!words.is_empty()),
            other => unreachable!("{other:?}"),
        }
    }
}
