//! A lean engine: answers at once, so that what is measured is the proxy before it.
//!
//! What it does with a `POST` is said in a header, which every proxy passes on:
//! `x-bench: json`, or `x-bench: events=200 pace_us=1000` for a stream. One thread for each
//! connection and one write for each event, as a real engine writes. `GET /calls` says how
//! many such requests there were.

use std::io::{BufWriter, Read, Result, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Header that says what is wanted.
const WISH: &[u8] = b"x-bench: ";

/// Requests with a wish so far: what a cache in front has not answered itself.
static CALLS: AtomicU64 = AtomicU64::new(0);

/// Serves until the process is killed; says its port on the first line of stdout.
pub fn serve() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{}", listener.local_addr()?)?;
    stdout.flush()?;
    let json: &'static [u8] = answer().leak();
    for stream in listener.incoming() {
        let stream = stream?;
        std::thread::Builder::new().stack_size(256 << 10).spawn(move || {
            // A client that leaves ends its thread.
            let _ = Connection { stream, buffer: vec![0; 256 << 10], filled: 0 }.run(json);
        })?;
    }
    Ok(())
}

struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    filled: usize,
}

enum Wish {
    Json,
    Health,
    Calls,
    Events { count: usize, pace: Duration },
}

impl Connection {
    fn run(mut self, json: &[u8]) -> Result<()> {
        self.stream.set_nodelay(true)?;
        while let Some(wish) = self.request()? {
            if matches!(wish, Wish::Json | Wish::Events { .. }) {
                CALLS.fetch_add(1, Ordering::Relaxed);
            }
            match wish {
                Wish::Json => self.stream.write_all(json)?,
                Wish::Health => self.page(r#"{"object":"list","data":[{"id":"bench","object":"model"}]}"#)?,
                // Whoever asks this reads to the end of the connection.
                Wish::Calls => return self.page(&format!(r#"{{"calls":{}}}"#, CALLS.load(Ordering::Relaxed))),
                Wish::Events { count, pace } => self.stream_events(count, pace)?,
            }
        }
        Ok(())
    }

    fn page(&mut self, body: &str) -> Result<()> {
        let length = body.len();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}");
        self.stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes())
    }

    /// Reads one request whole; none at the end of the connection.
    fn request(&mut self) -> Result<Option<Wish>> {
        loop {
            let seen = &self.buffer[..self.filled];
            if let Some(end) = find(seen, b"\r\n\r\n") {
                let head = seen[..end].to_ascii_lowercase();
                let whole = end + 4 + number_after(&head, b"content-length: ");
                if self.buffer.len() < whole {
                    self.buffer.resize(whole, 0);
                }
                while self.filled < whole {
                    let read = self.stream.read(&mut self.buffer[self.filled..])?;
                    if read == 0 {
                        return Ok(None);
                    }
                    self.filled += read;
                }
                self.buffer.copy_within(whole..self.filled, 0);
                self.filled -= whole;
                return Ok(Some(wish_of(&head)));
            }
            let read = self.stream.read(&mut self.buffer[self.filled..])?;
            if read == 0 {
                return Ok(None);
            }
            self.filled += read;
        }
    }

    fn stream_events(&mut self, count: usize, pace: Duration) -> Result<()> {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
        self.stream.write_all(head.as_bytes())?;
        let event = chunk(&event(r#"{"content":" weir"}"#, "null"));
        let mut due = Instant::now();
        for _ in 1..count {
            if !pace.is_zero() {
                due += pace;
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
            }
            self.stream.write_all(&event)?;
        }
        let mut end = BufWriter::new(&self.stream);
        end.write_all(&chunk(&last_event()))?;
        end.write_all(&chunk(b"data: [DONE]\n\n"))?;
        end.write_all(b"0\r\n\r\n")
    }
}

fn wish_of(head: &[u8]) -> Wish {
    let Some(at) = find(head, WISH) else {
        return if head.starts_with(b"get /calls ") { Wish::Calls } else { Wish::Health };
    };
    let value = &head[at + WISH.len()..];
    match number_after(value, b"events=") {
        0 => Wish::Json,
        count => Wish::Events { count, pace: Duration::from_micros(number_after(value, b"pace_us=") as u64) },
    }
}

/// A completion of 1 KB, as the OpenAI API has it.
fn answer() -> Vec<u8> {
    let sentence = "The weir holds the river back and lets us see how much of it there is. ";
    let content = sentence.repeat(9);
    let body = format!(
        concat!(
            r#"{{"id":"chatcmpl-bench","object":"chat.completion","created":1700000000,"model":"bench","#,
            r#""choices":[{{"index":0,"message":{{"role":"assistant","content":"{}"}},"logprobs":null,"#,
            r#""finish_reason":"stop"}}],"usage":{{"prompt_tokens":40,"completion_tokens":150,"total_tokens":190}}}}"#
        ),
        content.trim_end()
    );
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
    [head, body].concat().into_bytes()
}

fn event(delta: &str, finish: &str) -> Vec<u8> {
    format!(
        concat!(
            r#"data: {{"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1700000000,"model":"bench","#,
            r#""choices":[{{"index":0,"delta":{},"logprobs":null,"finish_reason":{}}}]}}"#,
            "\n\n"
        ),
        delta, finish
    )
    .into_bytes()
}

fn last_event() -> Vec<u8> {
    event("{}", r#""stop""#)
}

fn chunk(content: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", content.len()).as_bytes(), content, b"\r\n"].concat()
}

/// Where `needle` first is.
pub fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|window| window == needle)
}

/// The decimal number that follows `key`; 0 where it is missing.
pub fn number_after(bytes: &[u8], key: &[u8]) -> usize {
    let Some(at) = find(bytes, key) else { return 0 };
    let digits = bytes[at + key.len()..].iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |number, digit| number * 10 + usize::from(digit - b'0'))
}
