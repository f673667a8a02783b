//! What an engine says of its own load, in one form for all engines.

use super::prometheus::{Sample, samples};

/// State of an engine; none where it does not tell. Totals count since the engine's start
/// and may fall back to zero with it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct EngineState {
    /// Requests that are being generated.
    pub running: Option<f64>,
    /// Requests that wait for a place.
    pub waiting: Option<f64>,
    /// Share of the KV cache in use, 0..1; the fullest one where there are several.
    pub kv_cache_used_ratio: Option<f64>,
    /// Prompt tokens, cached ones included, where the engine counts them.
    pub prompt_tokens_total: Option<f64>,
    /// Tokens generated.
    pub generation_tokens_total: Option<f64>,
    /// Requests thrown out of the running batch for want of memory.
    pub preemptions_total: Option<f64>,
    /// Prompt tokens (or blocks) looked up in the prefix cache.
    pub prefix_cache_queries_total: Option<f64>,
    /// Those that were there.
    pub prefix_cache_hits_total: Option<f64>,
    /// Hits by queries, 0..1: as told, or over the engine's whole life.
    pub prefix_cache_hit_ratio: Option<f64>,
    /// Tokens drafted by speculative decoding.
    pub drafted_tokens_total: Option<f64>,
    /// Drafted tokens that were accepted.
    pub accepted_tokens_total: Option<f64>,
}

/// How several series of one metric (replicas within an engine, labels) become one number.
#[derive(Clone, Copy, Debug)]
pub(super) enum Combine {
    /// Series of the first name that is there are added.
    Sum,
    /// Series of the first name that is there, the largest.
    Max,
    /// Series of all names are added.
    All,
}

/// Where a field comes from: of these names the first that is there, because versions
/// that rename a metric serve both names for a while; or all of them together.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) names: &'static [&'static str],
    pub(super) field: fn(&mut EngineState) -> &mut Option<f64>,
    pub(super) combine: Combine,
}

impl Source {
    pub(super) const fn sum(names: &'static [&'static str], field: fn(&mut EngineState) -> &mut Option<f64>) -> Self {
        Self { names, field, combine: Combine::Sum }
    }

    pub(super) const fn all(names: &'static [&'static str], field: fn(&mut EngineState) -> &mut Option<f64>) -> Self {
        Self { names, field, combine: Combine::All }
    }

    pub(super) const fn max(names: &'static [&'static str], field: fn(&mut EngineState) -> &mut Option<f64>) -> Self {
        Self { names, field, combine: Combine::Max }
    }
}

/// Reads Prometheus text.
pub(super) fn read(body: &[u8], sources: &[Source]) -> EngineState {
    let mut state = EngineState::default();
    let mut rank = vec![usize::MAX; sources.len()];
    for sample in samples(body).filter(|s| s.value.is_finite() && is_first_rank(s)) {
        for (source, rank) in sources.iter().zip(&mut rank) {
            let Some(place) = source.names.iter().position(|name| *name == sample.name) else { continue };
            let place = if matches!(source.combine, Combine::All) { 0 } else { place };
            let slot = (source.field)(&mut state);
            if place < *rank {
                (*rank, *slot) = (place, Some(sample.value));
            } else if place == *rank {
                let held = slot.unwrap_or(0.0);
                *slot = Some(match source.combine {
                    Combine::Sum | Combine::All => held + sample.value,
                    Combine::Max => held.max(sample.value),
                });
            }
        }
    }
    state.with_ratio()
}

/// Tensor and pipeline ranks run the same requests and may each report them.
fn is_first_rank(sample: &Sample<'_>) -> bool {
    ["tp_rank", "pp_rank"].iter().all(|key| sample.label(key).is_none_or(|rank| rank == "0"))
}

impl EngineState {
    /// Works the hit ratio out where only its parts were told.
    pub(super) fn with_ratio(mut self) -> Self {
        if let (None, Some(hits), Some(queries)) =
            (self.prefix_cache_hit_ratio, self.prefix_cache_hits_total, self.prefix_cache_queries_total)
            && queries > 0.0
        {
            self.prefix_cache_hit_ratio = Some((hits / queries).clamp(0.0, 1.0));
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCES: &[Source] = &[
        Source::sum(&["running", "old_running"], |s| &mut s.running),
        Source::max(&["used"], |s| &mut s.kv_cache_used_ratio),
        Source::sum(&["hits"], |s| &mut s.prefix_cache_hits_total),
        Source::sum(&["queries"], |s| &mut s.prefix_cache_queries_total),
    ];

    #[test]
    fn series_are_combined_and_a_renamed_metric_counts_once() {
        let body = b"old_running 9\nrunning{engine=\"0\"} 1\nrunning{engine=\"1\"} 2\nold_running 9\n\
            running{tp_rank=\"1\"} 50\nused{engine=\"0\"} 0.2\nused{engine=\"1\"} 0.7\nused NaN\nhits 3\nqueries 4\n";
        let expected = EngineState {
            running: Some(3.0),
            kv_cache_used_ratio: Some(0.7),
            prefix_cache_hits_total: Some(3.0),
            prefix_cache_queries_total: Some(4.0),
            prefix_cache_hit_ratio: Some(0.75),
            ..EngineState::default()
        };
        assert_eq!(read(body, SOURCES), expected);
    }
}
