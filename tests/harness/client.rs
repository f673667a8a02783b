//! A client that hides nothing: the bytes of each read as they came, and when.

use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::wait::PATIENCE;
use crate::wire::{Framing, Head, chunks};

/// Bytes of one read and when they came.
#[derive(Clone, Debug)]
pub struct Read {
    /// When.
    pub at: Instant,
    /// What.
    pub bytes: Vec<u8>,
}

/// How a response ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// As its framing says.
    Whole,
    /// The connection was closed (FIN) before that.
    Closed,
    /// The connection was cut (RST) before that.
    Reset,
}

/// A response as it came.
#[derive(Clone, Debug)]
pub struct Response {
    /// Status line and headers.
    pub head: Head,
    /// The bytes after the head, chunk lengths and all.
    pub raw_body: Vec<u8>,
    /// The content: without chunks, still compressed where it was.
    pub body: Vec<u8>,
    /// The contents of its chunks; one piece where it is not chunked.
    pub pieces: Vec<Vec<u8>>,
    /// How it ended.
    pub ending: Ending,
    /// Each read, the head's included.
    pub reads: Vec<Read>,
}

impl Response {
    /// The status.
    pub fn status(&self) -> u16 {
        self.head.status()
    }

    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    /// The content as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The content as JSON.
    ///
    /// # Panics
    /// Where it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|fault| panic!("no JSON ({fault}): {}", self.text()))
    }
}

/// One connection.
pub struct Client {
    stream: TcpStream,
    unread: Vec<u8>,
    reads: Vec<Read>,
    host: String,
}

/// A request with a body, as bytes. `Content-Length` is added, and `Host` where missing.
pub fn request(method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{method} {target} HTTP/1.1\r\n");
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        bytes.push_str("Host: weir.test\r\n");
    }
    for (name, value) in headers {
        bytes.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() || method == "POST" {
        bytes.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    bytes.push_str("\r\n");
    let mut bytes = bytes.into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

impl Client {
    /// Connects.
    pub async fn connect(address: SocketAddr) -> Result<Self> {
        let stream = limited(TcpStream::connect(address)).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, unread: Vec::new(), reads: Vec::new(), host: address.to_string() })
    }

    /// One request over a connection of its own, with its response.
    ///
    /// # Panics
    /// Where there is no response; a test that expects that uses the steps one by one.
    pub async fn exchange(address: SocketAddr, request: &[u8]) -> Response {
        let mut client = Self::connect(address).await.expect("the port takes connections");
        client.send(request).await.expect("the request can be sent");
        client.response().await.expect("a response comes")
    }

    /// A JSON `POST` over this connection, with its response.
    pub async fn post(&mut self, target: &str, body: &[u8]) -> Result<Response> {
        let host = self.host.clone();
        let headers = [("Host", host.as_str()), ("Content-Type", "application/json")];
        self.send(&request("POST", target, &headers, body)).await?;
        self.response().await
    }

    /// A `GET` over this connection, with its response.
    pub async fn get(&mut self, target: &str) -> Result<Response> {
        let host = self.host.clone();
        self.send(&request("GET", target, &[("Host", &host)], b"")).await?;
        self.response().await
    }

    /// Sends bytes; more than one request may be in them.
    pub async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        limited(self.stream.write_all(bytes)).await
    }

    /// Sends bytes in pieces with pauses between them.
    pub async fn send_slowly(&mut self, bytes: &[u8], piece_bytes: usize, pause: Duration) -> Result<()> {
        for piece in bytes.chunks(piece_bytes) {
            self.send(piece).await?;
            tokio::time::sleep(pause).await;
        }
        Ok(())
    }

    /// The next response, to its end. A connection that ends before a head is an error.
    pub async fn response(&mut self) -> Result<Response> {
        let head = self.head().await?;
        let framing = head.response_framing();
        let ending = loop {
            if framing.whole(&self.unread).is_some() {
                break Ending::Whole;
            }
            match self.read().await {
                Ok(Some(_)) => {}
                Ok(None) if framing == Framing::UntilClose => break Ending::Whole,
                Ok(None) => break Ending::Closed,
                Err(fault) if fault.kind() == ErrorKind::ConnectionReset => break Ending::Reset,
                Err(fault) => return Err(fault),
            }
        };
        let length = framing.whole(&self.unread).unwrap_or(self.unread.len());
        let raw_body: Vec<u8> = self.unread.drain(..length).collect();
        let body = framing.content(&raw_body);
        let pieces = match framing {
            Framing::Chunked => chunks(&raw_body).0.into_iter().map(<[u8]>::to_vec).collect(),
            _ => vec![body.clone()],
        };
        Ok(Response { head, raw_body, body, pieces, ending, reads: std::mem::take(&mut self.reads) })
    }

    /// The next response's head; its body stays unread. An interim response (1xx) is skipped.
    pub async fn head(&mut self) -> Result<Head> {
        loop {
            if let Some(head) = Head::read(&self.unread) {
                self.unread.drain(..head.raw.len());
                if !(100..200).contains(&head.status()) {
                    return Ok(head);
                }
            } else if self.read().await?.is_none() {
                let text =
                    format!("closed before a response head; so far: {:?}", String::from_utf8_lossy(&self.unread));
                return Err(Error::new(ErrorKind::UnexpectedEof, text));
            }
        }
    }

    /// Reads until what has come contains `text`; everything that was not yet taken as a
    /// response's stays for [`Self::response`] or [`Self::head`].
    pub async fn until(&mut self, text: &str) -> Result<Instant> {
        while !self.unread.windows(text.len()).any(|window| window == text.as_bytes()) {
            if self.read().await?.is_none() {
                let text = format!("closed before '{text}' came: {:?}", String::from_utf8_lossy(&self.unread));
                return Err(Error::new(ErrorKind::UnexpectedEof, text));
            }
        }
        Ok(self.reads.last().map_or_else(Instant::now, |read| read.at))
    }

    /// What has come and was not yet taken as a response's.
    pub fn unread(&self) -> String {
        String::from_utf8_lossy(&self.unread).into_owned()
    }

    /// One read; none where the other side has closed in order.
    pub async fn read(&mut self) -> Result<Option<&Read>> {
        self.read_at_most(64 << 10).await
    }

    /// One read of few bytes: a slow reader is many of these with pauses.
    pub async fn read_at_most(&mut self, limit_bytes: usize) -> Result<Option<&Read>> {
        let mut bytes = vec![0; limit_bytes];
        let length = limited(self.stream.read(&mut bytes)).await?;
        if length == 0 {
            return Ok(None);
        }
        bytes.truncate(length);
        self.unread.extend_from_slice(&bytes);
        self.reads.push(Read { at: Instant::now(), bytes });
        Ok(self.reads.last())
    }

    /// Whether the other side closes without sending anything more.
    pub async fn is_closed(&mut self) -> bool {
        match self.read().await {
            Ok(read) => read.is_none(),
            Err(fault) => fault.kind() == ErrorKind::ConnectionReset,
        }
    }

    /// Makes the kernel's receive buffer small, so that a reader that does not read is felt soon.
    pub fn shrink_receive_buffer(&self) -> Result<()> {
        socket2::SockRef::from(&self.stream).set_recv_buffer_size(4096)
    }

    /// Leaves in order (FIN).
    pub fn hang_up(self) {}

    /// Leaves as a killed process or a lost network does (RST).
    pub fn reset(self) {
        let _ = socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
    }
}

/// Nothing on loopback takes longer unless it hangs.
async fn limited<T>(io: impl Future<Output = Result<T>>) -> Result<T> {
    let late = || Error::new(ErrorKind::TimedOut, format!("nothing happened for {PATIENCE:?}"));
    tokio::time::timeout(PATIENCE, io).await.unwrap_or_else(|_| Err(late()))
}
