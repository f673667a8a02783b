//! What the page says of replayed traces.

use std::fmt::Write;

use super::figures::mib;
use crate::connection::Served;
use crate::load::quantile_us;
use crate::plan::Unit;
use crate::replay::Replay;
use crate::trace::{BLOCK_BYTES, BLOCK_TOKENS, EVENT_TOKENS, EVENT_US, MAX_EVENTS};

/// The tables of traces, or why there are none.
pub(super) fn section(replays: Result<&[Replay], &String>) -> String {
    let mut text = String::from("## Traces of real services\n\n");
    let replays = match replays {
        Ok(replays) => replays,
        Err(reason) => return text + &format!("Not replayed: {reason}.\n\n"),
    };
    text += &words();
    text += SENT_HEAD;
    replays.iter().for_each(|replay| text += &sent(replay));
    text += "\n";
    text += SEEN_HEAD;
    replays.iter().for_each(|replay| text += &seen(replay));
    text + "\n"
}

fn words() -> String {
    let token_us = EVENT_US / EVENT_TOKENS;
    format!(
        "\
- Requests come at the trace's own times, **faster** by a factor; one after the other straight to the engine and through a Weir of its own with all defaults.
- Answers are streams: an event for each {EVENT_TOKENS} tokens of the trace's answer, at most {MAX_EVENTS}, {EVENT_US} µs apart.
  At these factors {token_us} µs a token are what 15 to 20 ms are in reality. The engine takes no time for prompts.
- Prompts are {BLOCK_BYTES} bytes for each {BLOCK_TOKENS} tokens, an eighth of what English would take.
  Mooncake's are built from its block hashes: equal hashes, equal text, so its **repeats** are real.
  Azure's trace says nothing of its prompts: each is taken for the only one of its kind, and what is seen is what the cache costs.
- No trace tells a temperature. All requests have 0 here, the best case for a cache; answers live as long as a Weir keeps them by default, not compressed.
- **no cache**: answers that say nothing of a cache, or that it does not take them. **first**: µs from when a request should have left to its first event.
  **events**: all that came, of direct's. **peak**: the most that Weir itself had resident, from its start on. **faults**: direct's, then Weir's.

"
    )
}

fn sent(replay: &Replay) -> String {
    let (script, count) = (&replay.script, replay.script.moments.len().max(1));
    format!(
        "| {} | {:.0} s | {:.0} | {:.1} s | {} | {} | {:.0} | {:.0} |\n",
        replay.source.name,
        script.span.as_secs_f64(),
        replay.source.factor,
        replay.weir.outcome.seconds,
        script.moments.len(),
        script.repeats,
        script.bytes as f64 / count as f64,
        script.events as f64 / count as f64,
    )
}

fn seen(replay: &Replay) -> String {
    let (direct, weir) = (&replay.direct.outcome, &replay.weir.outcome);
    let served = |from: Served| weir.served[from as usize];
    let mut text = format!(
        "| {} | {} | {} | {} | {} | {:.0} |",
        replay.source.name,
        served(Served::Hit),
        served(Served::Collapsed),
        served(Served::Miss),
        served(Served::Bypass) + served(Served::Unsaid),
        replay.weir.calls,
    );
    for share in [0.5, 0.99] {
        let first = |sorted| quantile_us(sorted, share);
        let _ = write!(text, " {:.0} | {:.0} |", first(&direct.firsts), first(&weir.firsts));
    }
    let _ = writeln!(
        text,
        " {:.1} | {:.1} | {:.1} | {:.3} | {:.0} | {}, {} |",
        replay.weir.whole_cost_us(Unit::Request),
        replay.weir.path_cost_us(Unit::Request),
        mib(replay.peak_bytes),
        weir.all_events as f64 / direct.all_events.max(1) as f64,
        replay.weir.lost_records,
        direct.faults,
        weir.faults,
    );
    text
}

const SENT_HEAD: &str = "\
| trace | real time | faster | took | requests | repeats | bytes/request | events/answer |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
";

const SEEN_HEAD: &str = "\
| trace | hits | collapsed | misses | no cache | engine calls | first p50, direct | weir | first p99, direct | weir | CPU µs/request, all in | path | peak, MiB | events | lost | faults |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::load::Outcome;
    use crate::plan::Sample;
    use crate::trace::{SOURCES, Script};

    #[test]
    fn what_is_not_replayed_is_said_with_its_reason() {
        let reason = "`WEIR_DATA` names no folder with traces".to_owned();
        let text = section(Err(&reason));
        assert_eq!(text, format!("## Traces of real services\n\nNot replayed: {reason}.\n\n"));
    }

    #[test]
    fn a_row_counts_answers_by_where_they_came_from() {
        let outcome = |served| Outcome { all_events: 50, served, ..Outcome::default() };
        let replay = Replay {
            source: SOURCES[0],
            script: Script { moments: vec![Duration::ZERO; 10], repeats: 4, ..Script::default() },
            direct: Sample { outcome: outcome([10, 0, 0, 0, 0]), ..Sample::default() },
            weir: Sample { outcome: outcome([1, 3, 1, 4, 1]), calls: 6.0, lost_records: 2.0, ..Sample::default() },
            peak_bytes: 3 << 20,
        };
        let text = section(Ok(&[replay]));
        assert!(text.contains("| Mooncake conversation | 3 | 1 | 4 | 2 | 6 |"), "{text}");
        assert!(text.contains("| 3.0 | 1.000 | 2 | 0, 0 |"), "{text}");
    }
}
