//! A port in front of a server that can be closed: then it refuses, and what went through is cut.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// A way to a server, open or closed.
pub(crate) struct Gate {
    address: SocketAddr,
    target: SocketAddr,
    open: Option<JoinHandle<()>>,
}

impl Gate {
    /// A closed one on a port of its own.
    pub(crate) fn closed(target: SocketAddr) -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let bound = std::net::TcpListener::bind(any).expect("a loopback port can be had");
        let address = bound.local_addr().expect("a bound listener has an address");
        Self { address, target, open: None }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets connections through.
    pub(crate) fn open(&mut self) {
        let socket = TcpSocket::new_v4().expect("a socket can be had");
        socket.set_reuseaddr(true).expect("a socket takes SO_REUSEADDR");
        socket.bind(self.address).expect("nobody took the port meanwhile");
        let listener = socket.listen(64).expect("a bound socket can listen");
        self.open = Some(tokio::spawn(pass(listener, self.target)));
    }

    /// Refuses connections and cuts those that are there.
    pub(crate) async fn close(&mut self) {
        if let Some(open) = self.open.take() {
            open.abort();
            let _ = open.await;
        }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        if let Some(open) = &self.open {
            open.abort();
        }
    }
}

async fn pass(listener: TcpListener, target: SocketAddr) {
    // Dropped with this future, which cuts every connection.
    let mut connections = JoinSet::new();
    while let Ok((mut near, _)) = listener.accept().await {
        connections.spawn(async move {
            if let Ok(mut far) = TcpStream::connect(target).await {
                let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            }
        });
    }
}
