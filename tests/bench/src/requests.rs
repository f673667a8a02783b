//! What is sent: one request again and again, a few in turn, or each with a number of its own.
//!
//! Everything is laid out before the load begins; a thread that sends only patches digits.

use std::sync::atomic::{AtomicU64, Ordering};

/// Digits of the number that makes a request distinct; enough never to come round.
const DIGITS: usize = 12;

/// The next number, over all measures and targets of this process: none is sent twice.
static NUMBER: AtomicU64 = AtomicU64::new(0);

/// The requests of a load, as bytes.
#[derive(Clone, Debug)]
pub enum Requests {
    /// One after the other, then from the start again.
    InTurn(Vec<Vec<u8>>),
    /// One whose bytes from here on hold a number that no other has.
    Numbered {
        /// The request.
        bytes: Vec<u8>,
        /// Where its number is.
        at: usize,
    },
}

/// One chat request before it is bytes.
#[derive(Clone, Copy, Debug)]
pub struct Chat<'a> {
    /// What the engine shall do, see [`crate::engine`].
    pub wish: &'a str,
    /// Text of the user's message; nothing in it needs escaping.
    pub prompt: &'a str,
    /// Whether the answer is a stream, as JSON.
    pub stream: bool,
    /// As JSON; `0` makes the answer repeatable, so that a cache may keep it.
    pub temperature: &'a str,
}

impl Requests {
    /// One request, again and again.
    pub fn same(request: Vec<u8>) -> Self {
        Self::InTurn(vec![request])
    }

    /// A request that answers repeatably, so many times, each with another number in its prompt.
    pub fn few(count: usize) -> Self {
        let one = |number: usize| repeatable(&format!("{number:0DIGITS$}"));
        Self::InTurn((0..count).map(one).collect())
    }

    /// A request that answers repeatably, with a number that was never sent before each time.
    pub fn numbered() -> Self {
        let place = "#".repeat(DIGITS);
        let bytes = repeatable(&place);
        let at = crate::engine::find(&bytes, place.as_bytes()).unwrap_or(bytes.len());
        Self::Numbered { bytes, at }
    }

    /// The request of a turn. `buffer` belongs to the thread that sends and to this alone.
    pub fn bytes<'a>(&'a self, turn: u64, buffer: &'a mut Vec<u8>) -> &'a [u8] {
        match self {
            Self::InTurn(requests) => match requests.len() {
                0 => &[],
                length => &requests[turn as usize % length],
            },
            Self::Numbered { bytes, at } => {
                if buffer.len() != bytes.len() {
                    buffer.clone_from(bytes);
                }
                let mut number = NUMBER.fetch_add(1, Ordering::Relaxed);
                for digit in buffer[*at..].iter_mut().take(DIGITS).rev() {
                    *digit = b'0' + (number % 10) as u8;
                    number /= 10;
                }
                buffer
            }
        }
    }
}

/// A request like that of `closed`, with a mark in its prompt and a temperature of 0.
fn repeatable(mark: &str) -> Vec<u8> {
    let prompt = format!("{mark} {}", words(200 - mark.len() - 1));
    Chat { wish: "json", prompt: &prompt, stream: false, temperature: "0" }.bytes()
}

/// So many bytes of plain words.
pub fn words(bytes: usize) -> String {
    "what is a weir and how does it hold a river back without stopping it ".chars().cycle().take(bytes).collect()
}

impl Chat<'_> {
    /// The request as HTTP/1.1 has it.
    pub fn bytes(&self) -> Vec<u8> {
        let Self { wish, prompt, stream, temperature } = self;
        let body = format!(
            concat!(
                r#"{{"model":"bench","stream":{},"temperature":{},"max_tokens":256,"messages":["#,
                r#"{{"role":"system","content":"You answer in short sentences."}},{{"role":"user","content":"{}"}}]}}"#
            ),
            stream, temperature, prompt
        );
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n\
             Accept: application/json\r\nUser-Agent: weir-bench\r\nx-bench: {wish}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        [head, body].concat().into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn numbered_requests_are_all_distinct_and_of_one_length() {
        let requests = Requests::numbered();
        let (mut one, mut other, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
        let length = requests.bytes(0, &mut one).len();
        for turn in 0..500 {
            for buffer in [&mut one, &mut other] {
                let bytes = requests.bytes(turn, buffer);
                assert_eq!(bytes.len(), length);
                assert!(!String::from_utf8_lossy(bytes).contains('#'), "the number is not filled in");
                assert!(seen.insert(bytes.to_vec()), "sent twice");
            }
        }
    }

    #[test]
    fn a_few_requests_come_in_turn_and_again() {
        let requests = Requests::few(100);
        let mut buffer = Vec::new();
        let mut turn = |turn| requests.bytes(turn, &mut buffer).to_vec();
        let first: HashSet<_> = (0..100).map(&mut turn).collect();
        assert_eq!(first.len(), 100);
        assert_eq!(turn(3), turn(103));
    }
}
