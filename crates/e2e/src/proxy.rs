//! A TCP relay between the gateway and the simulator that can break the link as real networks do.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::spawn;

/// The relay's treatment of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Forwards all bytes.
    Pass,
    /// Keeps connections open and forwards nothing, like an expired NAT entry.
    Stall,
    /// Forwards only the client's bytes. The server accepts a message, and its ack is lost.
    Deaf,
    /// Forwards only the server's bytes. Messages arrive, and the client's acks are lost.
    Mute,
    /// Resets every open connection and each new connection.
    Refuse,
}

/// A relay in front of one simulator.
pub struct Proxy {
    addr: SocketAddr,
    mode: watch::Sender<(Mode, u64)>,
    refused: Arc<AtomicUsize>,
    server: JoinHandle<()>,
}

impl Proxy {
    /// Starts a relay to `target`.
    pub async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = listener.local_addr().expect("an address");
        let mode = watch::Sender::new((Mode::Pass, 0));
        let refused = Arc::new(AtomicUsize::new(0));
        let (watching, counting) = (mode.subscribe(), Arc::clone(&refused));
        let server = spawn(async move {
            while let Ok((from, _)) = listener.accept().await {
                let mode = watching.clone();
                if mode.borrow().0 == Mode::Refuse {
                    counting.fetch_add(1, Ordering::SeqCst);
                    reset(&from);
                    continue;
                }
                drop(spawn(relay(from, target, mode)));
            }
        });
        Self {
            addr,
            mode,
            refused,
            server,
        }
    }

    /// Returns the URL that the gateway uses as WhatsApp.
    #[must_use]
    pub fn wss_url(&self) -> String {
        format!("wss://{}/ws/chat", self.addr)
    }

    /// Changes the mode for all connections.
    pub fn set(&self, mode: Mode) {
        self.mode.send_modify(|state| state.0 = mode);
    }

    /// Resets every open connection; the mode decides about new connections.
    pub fn cut(&self) {
        self.mode.send_modify(|state| state.1 += 1);
    }

    /// Returns the number of refused connections.
    #[must_use]
    pub fn refused(&self) -> usize {
        self.refused.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn relay(from: TcpStream, target: SocketAddr, mut mode: watch::Receiver<(Mode, u64)>) {
    let Ok(to) = TcpStream::connect(target).await else {
        return reset(&from);
    };
    let cuts = mode.borrow().1;
    let _ = (from.set_nodelay(true), to.set_nodelay(true));
    let (mut from_read, mut from_write) = from.into_split();
    let (mut to_read, mut to_write) = to.into_split();
    let (there, back) = (mode.clone(), mode.clone());
    tokio::select! {
        () = pump(&mut from_read, &mut to_write, there, &[Mode::Pass, Mode::Deaf]) => {}
        () = pump(&mut to_read, &mut from_write, back, &[Mode::Pass, Mode::Mute]) => {}
        _ = mode.wait_for(|(mode, count)| *mode == Mode::Refuse || *count != cuts) => {}
    }
    reset(from_read.as_ref());
    reset(to_read.as_ref());
    // Dropping a write half would send FIN before the RST.
    from_write.forget();
    to_write.forget();
}

async fn pump(
    from: &mut (impl AsyncReadExt + Unpin),
    to: &mut (impl AsyncWriteExt + Unpin),
    mut mode: watch::Receiver<(Mode, u64)>,
    passes: &[Mode],
) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let Ok(read @ 1..) = from.read(&mut buffer).await else {
            return;
        };
        // During a stall the bytes already read wait here, as in a dead router.
        if mode
            .wait_for(|(mode, _)| passes.contains(mode))
            .await
            .is_err()
        {
            return;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

/// Makes the close of the socket send RST instead of FIN, so the peer sees an error instead of an
/// orderly end.
fn reset(socket: &TcpStream) {
    let _ = socket.set_zero_linger();
}
