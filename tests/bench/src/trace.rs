//! Traces of real services: when requests came, how long they and their answers were.
//!
//! Read from `$WEIR_DATA/traffic/*.jsonl`, one flat JSON object a line. Two shapes are known:
//! Mooncake's (<https://github.com/kvcache-ai/Mooncake>, `FAST25-release/traces`) with
//! `timestamp` in ms, `output_length` and `hash_ids`, one id for each 512 tokens of the
//! prompt, equal where text and all before it were equal; and Azure's of 2023
//! (<https://github.com/Azure/AzurePublicDataset>) with `t` in s, `input_tokens` and
//! `output_tokens` and nothing about what the prompts said.

use std::collections::HashMap;
use std::fs;
use std::io::{Error, ErrorKind, Result};
use std::path::Path;
use std::time::Duration;

use crate::requests::{Chat, words};

/// Bytes of prompt for each block of 512 tokens: an eighth of what English would take.
pub const BLOCK_BYTES: usize = 256;
/// Tokens of a block.
pub const BLOCK_TOKENS: usize = 512;
/// Tokens of the trace's answer that come in one event.
pub const EVENT_TOKENS: usize = 8;
/// Most events of an answer.
pub const MAX_EVENTS: usize = 128;
/// Between events, in microseconds.
pub const EVENT_US: usize = 2000;
/// Largest prompt.
pub const MAX_PROMPT_BYTES: usize = 64 << 10;
/// Largest file that is read.
const MAX_FILE_BYTES: u64 = 256 << 20;

/// A trace that is replayed.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// Name in the tables.
    pub name: &'static str,
    /// File in `traffic/`.
    pub file: &'static str,
    /// So many times faster than it was.
    pub factor: f64,
}

/// The traces. Each factor brings the file to about 25 s.
pub const SOURCES: [Source; 3] = [
    Source { name: "Mooncake conversation", file: "mooncake_conversation_first_half.jsonl", factor: 75.0 },
    Source { name: "Azure 2023 code", file: "azure2023_code_first_half.jsonl", factor: 60.0 },
    Source { name: "Azure 2023 conversation", file: "azure2023_conv_first_half.jsonl", factor: 70.0 },
];

/// One request as the trace has it.
#[derive(Clone, Debug, PartialEq)]
struct Arrival {
    /// Since the trace began.
    at: Duration,
    prompt: Prompt,
    output_tokens: usize,
}

/// What is known of a prompt.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Prompt {
    /// Its blocks: prompts with equal ids were equal.
    Blocks(Vec<u64>),
    /// Its tokens only; each is taken for the only one of its kind.
    Tokens { number: usize, tokens: usize },
}

/// A trace made ready to send.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// When each request leaves.
    pub moments: Vec<Duration>,
    /// The requests.
    pub requests: Vec<Vec<u8>>,
    /// How many of them were there before, byte for byte.
    pub repeats: usize,
    /// Time that the requests took to come in reality.
    pub span: Duration,
    /// Events of all answers, before their ends are marked.
    pub events: usize,
    /// Bytes of all requests.
    pub bytes: usize,
}

/// Reads the first part of a trace, as much as is replayed within `limit`.
pub fn script(folder: &Path, source: &Source, limit: Duration) -> Result<Script> {
    let place = folder.join("traffic").join(source.file);
    let told = |fault: Error| Error::new(fault.kind(), format!("{}: {fault}", place.display()));
    let length = fs::metadata(&place).map_err(told)?.len();
    if length > MAX_FILE_BYTES {
        return Err(Error::new(ErrorKind::InvalidData, format!("{}: larger than 256 MiB", place.display())));
    }
    let text = fs::read_to_string(&place).map_err(told)?;
    let arrivals = text.lines().enumerate().map(|(number, line)| {
        arrival(number, line).ok_or_else(|| Error::new(ErrorKind::InvalidData, format!("line {}", number + 1)))
    });
    let arrivals: Vec<Arrival> = arrivals.collect::<Result<_>>().map_err(told)?;
    Ok(compressed(&arrivals, source.factor, limit))
}

fn compressed(arrivals: &[Arrival], factor: f64, limit: Duration) -> Script {
    let mut script = Script::default();
    let mut first_events = HashMap::new();
    for arrival in arrivals {
        let moment = arrival.at.div_f64(factor);
        if moment > limit {
            break;
        }
        let own = arrival.output_tokens.div_ceil(EVENT_TOKENS).clamp(2, MAX_EVENTS);
        script.repeats += usize::from(first_events.contains_key(&arrival.prompt));
        // A repeatable answer is as long the second time, so a cache cannot change its length unseen.
        let events = *first_events.entry(&arrival.prompt).or_insert(own);
        let request = request(&arrival.prompt, events);
        script.span = arrival.at;
        script.events += events;
        script.bytes += request.len();
        script.moments.push(moment);
        script.requests.push(request);
    }
    script
}

/// Taken as repeatable: a trace does not say it, and so a cache has its best case.
fn request(prompt: &Prompt, events: usize) -> Vec<u8> {
    let wish = format!("events={events} pace_us={EVENT_US}");
    Chat { wish: &wish, prompt: &prompt.text(), stream: true, temperature: "0" }.bytes()
}

impl Prompt {
    /// A text that depends on nothing else, shortened to scale.
    fn text(&self) -> String {
        match self {
            Self::Blocks(ids) => {
                let most = MAX_PROMPT_BYTES / BLOCK_BYTES;
                // A prompt that is cut must still differ from all others: ids tell it from its start on,
                // and the last block's id stands for everything before it.
                let kept = ids.iter().take(most - 1).chain(ids.iter().skip(most - 1).next_back());
                kept.map(|&id| block(id, BLOCK_BYTES)).collect()
            }
            Self::Tokens { number, tokens } => {
                let bytes = (tokens * BLOCK_BYTES / BLOCK_TOKENS).clamp(16, MAX_PROMPT_BYTES);
                block(*number as u64, bytes)
            }
        }
    }
}

/// So many bytes of words behind a number, at least the number.
fn block(number: u64, bytes: usize) -> String {
    let mark = format!("{number} ");
    let rest = words(bytes.saturating_sub(mark.len()));
    mark + &rest
}

fn arrival(number: usize, line: &str) -> Option<Arrival> {
    if let Some(ids) = list(line, "hash_ids") {
        let at = Duration::try_from_secs_f64(field(line, "timestamp")? / 1000.0).ok()?;
        return Some(Arrival { at, prompt: Prompt::Blocks(ids), output_tokens: whole(line, "output_length")? });
    }
    let prompt = Prompt::Tokens { number, tokens: whole(line, "input_tokens")? };
    let at = Duration::try_from_secs_f64(field(line, "t")?).ok()?;
    Some(Arrival { at, prompt, output_tokens: whole(line, "output_tokens")? })
}

/// What follows a key of a flat object.
fn value<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    Some(line.split_once(&format!("\"{key}\":"))?.1.trim_start())
}

fn field(line: &str, key: &str) -> Option<f64> {
    let value = value(line, key)?;
    let number: f64 = value[..value.find([',', '}'])?].trim().parse().ok()?;
    (number.is_finite() && number >= 0.0).then_some(number)
}

fn whole(line: &str, key: &str) -> Option<usize> {
    let number = field(line, key)?;
    (number.fract() == 0.0 && number < 1e9).then_some(number as usize)
}

fn list(line: &str, key: &str) -> Option<Vec<u64>> {
    let inner = value(line, key)?.strip_prefix('[')?.split_once(']')?.0;
    inner.split(',').map(|id| id.trim().parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOONCAKE: &str = r#"{"timestamp": 3000, "input_length": 1100, "output_length": 500, "hash_ids": [0, 1, 7]}"#;
    const AZURE: &str = r#"{"t": 0.052, "input_tokens": 3180, "output_tokens": 8}"#;

    fn blocks(at_ms: u64, ids: &[u64], output_tokens: usize) -> Arrival {
        Arrival { at: Duration::from_millis(at_ms), prompt: Prompt::Blocks(ids.to_vec()), output_tokens }
    }

    #[test]
    fn both_shapes_are_read() {
        assert_eq!(arrival(0, MOONCAKE), Some(blocks(3000, &[0, 1, 7], 500)));
        let prompt = Prompt::Tokens { number: 4, tokens: 3180 };
        assert_eq!(arrival(4, AZURE), Some(Arrival { at: Duration::from_millis(52), prompt, output_tokens: 8 }));
    }

    #[test]
    fn other_lines_are_refused() {
        let lines = [
            "",
            "{}",
            r#"{"t": 1.0, "input_tokens": 3}"#,
            r#"{"t": -1.0, "input_tokens": 3, "output_tokens": 2}"#,
            r#"{"t": 1.0, "input_tokens": 3.5, "output_tokens": 2}"#,
            r#"{"t": "now", "input_tokens": 3, "output_tokens": 2}"#,
            r#"{"timestamp": 1, "output_length": 5, "hash_ids": [1, x]}"#,
            r#"{"timestamp": 1, "hash_ids": [1, 2]}"#,
        ];
        for line in lines {
            assert_eq!(arrival(0, line), None, "{line}");
        }
    }

    #[test]
    fn prompts_are_equal_exactly_where_their_blocks_are() {
        let long: Vec<u64> = (0..1000).collect();
        let mut other = long.clone();
        other[999] = 1001;
        let lists: [&[u64]; 7] = [&[0], &[0, 1], &[0, 12], &[1, 0], &[0, 1, 2], &long, &other];
        let texts = lists.map(|ids| Prompt::Blocks(ids.to_vec()).text());
        for (ids, text) in lists.iter().zip(&texts) {
            assert_eq!(*text, Prompt::Blocks(ids.to_vec()).text());
            assert_eq!(texts.iter().filter(|other| *other == text).count(), 1, "{ids:?}");
            assert!(text.len() <= MAX_PROMPT_BYTES);
        }
        assert!(texts[4].starts_with(&texts[1]), "a shared prefix of blocks is a shared prefix of text");
    }

    #[test]
    fn a_script_is_compressed_cut_and_counts_its_repeats() {
        let arrivals = [
            blocks(0, &[0, 1], 500),
            blocks(4000, &[0, 2], 1),
            blocks(8000, &[0, 1], 90_000),
            blocks(9000, &[0, 1], 1),
            blocks(20_001, &[0, 1], 1),
        ];
        let script = compressed(&arrivals, 10.0, Duration::from_secs(2));
        assert_eq!(script.moments, [0, 400, 800, 900].map(Duration::from_millis));
        assert_eq!((script.repeats, script.span), (2, Duration::from_secs(9)));
        assert_eq!(script.events, 63 + 2 + 63 + 63, "an answer is as long the second time");
        assert_eq!(script.requests.len(), 4);
    }

    #[test]
    fn prompts_without_blocks_are_all_distinct_and_to_scale() {
        let text = |number, tokens| Prompt::Tokens { number, tokens }.text();
        assert_ne!(text(1, 1000), text(2, 1000));
        assert_eq!((text(1, 1024).len(), text(1, 0).len()), (2 * BLOCK_BYTES, 16));
        assert_eq!(text(1, 1_000_000_000).len(), MAX_PROMPT_BYTES);
    }
}
