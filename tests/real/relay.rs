//! A relay of bytes in front of the engine that knows when a connection to it was closed: what
//! the engine sees of a client, or of Weir, that leaves.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The relay; it ends when this is dropped.
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

/// One connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// What came from the side that connected.
    pub(crate) sent: Vec<u8>,
    /// When that side left.
    pub(crate) left_at: Option<Instant>,
}

impl Relay {
    pub(crate) async fn before(engine: SocketAddr) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let task = tokio::spawn(accept(listener, engine, seen.clone()));
        Self { address, seen, task }
    }

    /// The connection that carried this text.
    pub(crate) fn carrying(&self, text: &str) -> Option<Seen> {
        let seen = self.seen.lock().unwrap();
        seen.iter().find(|seen| seen.sent.windows(text.len()).any(|window| window == text.as_bytes())).cloned()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, engine: SocketAddr, seen: Arc<Mutex<Vec<Seen>>>) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let (downstream, _) = listener.accept().await.unwrap();
        let upstream = TcpStream::connect(engine).await.unwrap();
        downstream.set_nodelay(true).unwrap();
        upstream.set_nodelay(true).unwrap();
        let number = {
            let mut seen = seen.lock().unwrap();
            seen.push(Seen::default());
            seen.len() - 1
        };
        connections.spawn(carry(downstream, upstream, number, seen.clone()));
    }
}

async fn carry(downstream: TcpStream, upstream: TcpStream, number: usize, seen: Arc<Mutex<Vec<Seen>>>) {
    let ((from_client, to_client), (from_engine, to_engine)) = (downstream.into_split(), upstream.into_split());
    let note = |bytes: &[u8]| seen.lock().unwrap()[number].sent.extend_from_slice(bytes);
    tokio::select! {
        () = copy(from_client, to_engine, note) => seen.lock().unwrap()[number].left_at = Some(Instant::now()),
        () = copy(from_engine, to_client, |_| ()) => {}
    }
}

/// Until either side is gone; leaving drops all halves, which closes both connections.
async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, note: impl Fn(&[u8])) {
    let mut bytes = vec![0; 64 << 10];
    while let Ok(length @ 1..) = from.read(&mut bytes).await {
        note(&bytes[..length]);
        if to.write_all(&bytes[..length]).await.is_err() {
            return;
        }
    }
}
