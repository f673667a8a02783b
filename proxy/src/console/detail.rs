//! One exchange at a glance: its class, its waterfall, its attempts, its engine.

use serde::Serialize;

use super::content::Content;
use super::judged::Judged;
use super::rows::{Texts, Whole};
use super::{format, list};
use crate::exchange::Fingerprint;

/// What the store has of one exchange.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) whole: Whole,
    /// The exchange whose answer was given again, for a hit that it is still kept of.
    pub(super) source: Option<Whole>,
    /// Those of the source for a hit, which has none of its own. None where their time to live is over.
    pub(super) texts: Option<Texts>,
    /// The engine fingerprint as JSON; likewise.
    pub(super) fingerprint: Option<String>,
    /// What critics said; likewise.
    pub(super) judged: Judged,
}

/// Everything that the page shows.
#[derive(Debug, Serialize)]
pub(super) struct Detail {
    pub(super) whole: Whole,
    pub(super) source: Option<Whole>,
    pub(super) timings: Timings,
    pub(super) fingerprint: Vec<(&'static str, String)>,
    pub(super) content: Option<Content>,
    /// None where no critic said anything.
    pub(super) judged: Option<Judged>,
}

/// How it went, in time.
#[derive(Debug, Serialize)]
pub(super) struct Timings {
    pub(super) class: &'static str,
    pub(super) phases: Vec<Phase>,
    pub(super) attempts: Vec<Try>,
    /// Tokens per second from the first token to the last.
    pub(super) speed: Option<f64>,
}

/// One stretch of time; places are thousandths of the whole.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Phase {
    name: &'static str,
    start_us: u64,
    took_us: u64,
    x: f64,
    width: f64,
}

/// One try at an engine.
#[derive(Debug, Serialize)]
pub(super) struct Try {
    engine: String,
    replica: String,
    status: u16,
    error_kind: String,
    started_us: u64,
    took_us: u64,
    x: f64,
    width: f64,
}

impl Detail {
    pub(super) fn of(Facts { whole, source, texts, fingerprint, judged }: Facts) -> Self {
        let told = source.as_ref().unwrap_or(&whole);
        Self {
            timings: Timings::of(&whole),
            fingerprint: fingerprint.as_deref().map(fingerprint_fields).unwrap_or_default(),
            judged: Some(judged).filter(|judged| !judged.is_empty()),
            content: texts.map(|texts| Content::glance(told, &texts)),
            source,
            whole,
        }
    }
}

impl Timings {
    pub(super) fn of(whole: &Whole) -> Self {
        let streamed = whole.last_byte_us.saturating_sub(whole.first_token_us);
        let timed = whole.first_token_us > 0 && streamed > 0 && whole.completion_tokens > 1;
        Self {
            class: list::class(&whole.outcome, whole.status),
            phases: phases(whole),
            attempts: attempts(whole),
            speed: timed.then(|| f64::from(whole.completion_tokens - 1) / (streamed as f64 / 1e6)),
        }
    }
}

/// The stretches between the moments that were reached, in order.
fn phases(whole: &Whole) -> Vec<Phase> {
    let first_token = if whole.first_token_us > 0 { whole.first_token_us } else { whole.first_byte_us };
    let moments = [
        ("identify", whole.identified_us),
        ("queue", whole.admitted_us),
        ("connect", whole.sent_us),
        ("wait", first_token),
        ("stream", whole.last_byte_us),
        (if whole.last_byte_us > 0 { "finish" } else { "rest" }, whole.total_us),
    ];
    let mut phases = Vec::with_capacity(moments.len());
    let mut before = 0;
    for (name, at) in moments {
        if at < before || at == 0 {
            continue;
        }
        let (x, width) = place(before, at - before, whole.total_us);
        phases.push(Phase { name, start_us: before, took_us: at - before, x, width });
        before = at;
    }
    phases
}

fn attempts(whole: &Whole) -> Vec<Try> {
    let one = |(i, engine): (usize, &String)| {
        let at = |times: &[u64]| times.get(i).copied().unwrap_or(0);
        let (started_us, took_us) = (at(&whole.attempt_started_us), at(&whole.attempt_took_us));
        let (x, width) = place(started_us, took_us, whole.total_us);
        Try {
            engine: engine.clone(),
            replica: whole.attempt_replicas.get(i).cloned().unwrap_or_default(),
            status: whole.attempt_statuses.get(i).copied().unwrap_or(0),
            error_kind: whole.attempt_error_kinds.get(i).cloned().unwrap_or_default(),
            started_us,
            took_us,
            x,
            width,
        }
    };
    whole.attempt_engines.iter().enumerate().map(one).collect()
}

/// Place and width in thousandths; wide enough to be seen, and within the whole.
fn place(start: u64, took: u64, total: u64) -> (f64, f64) {
    let total = total.max(1) as f64;
    let width = (took as f64 / total * 1000.0).clamp(2.0, 1000.0);
    let x = (start as f64 / total * 1000.0).clamp(0.0, 1000.0 - width);
    (x.round(), width.round())
}

/// The fields of a fingerprint that are told, in order.
pub(super) fn fingerprint_fields(json: &str) -> Vec<(&'static str, String)> {
    let print: Fingerprint = match serde_json::from_str(json) {
        Ok(print) => print,
        // An older or newer Weir may have written other fields: then the digest has to do.
        Err(_) => return Vec::new(),
    };
    let context = if print.context_tokens > 0 { format::whole(print.context_tokens.into()) } else { String::new() };
    let fields = [
        ("version", print.version),
        ("model", print.model),
        ("quantisation", print.quantisation),
        ("template_hash", print.template_hash),
        ("context_tokens", context),
        ("flags", print.flags.join("  ")),
    ];
    fields.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(whole: &Whole) -> Vec<&'static str> {
        phases(whole).into_iter().map(|phase| phase.name).collect()
    }

    #[test]
    fn a_waterfall_has_the_stretches_that_were_reached() {
        let whole = Whole {
            identified_us: 100,
            admitted_us: 200,
            sent_us: 300,
            head_us: 350,
            first_byte_us: 400,
            first_token_us: 500,
            last_byte_us: 900,
            total_us: 1000,
            ..Whole::default()
        };
        assert_eq!(names(&whole), ["identify", "queue", "connect", "wait", "stream", "finish"]);
        let refused = Whole { identified_us: 100, total_us: 150, ..Whole::default() };
        assert_eq!(names(&refused), ["identify", "rest"]);
        let plain = Whole { first_token_us: 0, ..whole };
        assert_eq!(phases(&plain)[3], Phase { name: "wait", start_us: 300, took_us: 100, x: 300.0, width: 100.0 });
    }

    #[test]
    fn every_stretch_is_seen_and_within_the_box() {
        for (start, took, total) in [(0, 1, 1_000_000), (1_000_000, 0, 1_000_000), (5, 5, 0), (900, 500, 1000)] {
            let (x, width) = place(start, took, total);
            assert!(x >= 0.0 && width >= 2.0 && x + width <= 1000.0, "{x} {width}");
        }
    }
}
