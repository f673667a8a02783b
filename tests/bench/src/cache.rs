//! What a cache of answers gives and costs: repeated requests against nginx's `proxy_cache`,
//! and requests that no cache can know against the same Weir with its cache off.
//!
//! Its programs are started anew and only for this: what earlier loads left behind in a
//! process would be on one side of the comparison only.

use std::io::Result;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use crate::connection::Heed;
use crate::load::{Load, Pace};
use crate::options::Options;
use crate::plan::{self, Measure, Samples, Unit};
use crate::requests::Requests;
use crate::target::{self, Folder, Kind, Target, WEIR_UNCACHED};

/// One request, again and again.
pub const HIT: &str = "hit";
/// A hundred requests in turn.
pub const FEW: &str = "hit of 100";
/// No request twice.
pub const MISS: &str = "miss";

/// What was measured.
pub struct Cache {
    /// The results.
    pub samples: Samples,
    /// Where nginx kept its answers.
    pub kept: String,
    /// What Weir said against turning its cache off, where it has none.
    pub refusal: Option<String>,
    /// Rounds of the measure of misses.
    pub miss_rounds: usize,
    /// Length of its windows.
    pub miss_window: Duration,
}

/// Starts everything and measures it.
pub fn go(options: &Options, engine: SocketAddr, folder: &Path) -> Result<Cache> {
    let memory = Folder::in_memory()?;
    let refusal = target::cache_refusal(options, folder)?;
    let mut targets = target::nginx_cache(options, engine, &folder.join("nginx-cache"), &memory.0)?;
    targets.push(target::weir(options, engine, &folder.join("cache-on"), Kind::Defaults)?.0);
    let mut samples = plan::go(&hits(options.window), &targets, options.rounds)?;
    let with = targets.pop();
    // nginx's processes would only stand by.
    drop(targets);
    let without = uncached(options, engine, folder, refusal.is_none())?;
    let pair: Vec<Target> = with.into_iter().chain([without]).collect();
    let (miss_rounds, miss_window) = (options.miss_rounds, options.window / 2);
    samples.extend(plan::go(&[misses(miss_window)], &pair, miss_rounds)?);
    Ok(Cache { samples, kept: memory.0.display().to_string(), refusal, miss_rounds, miss_window })
}

fn uncached(options: &Options, engine: SocketAddr, folder: &Path, has_cache: bool) -> Result<Target> {
    let kind = if has_cache { Kind::CacheOff } else { Kind::Defaults };
    let (target, _) = target::weir(options, engine, &folder.join("cache-off"), kind)?;
    Ok(Target { name: WEIR_UNCACHED, ..target })
}

/// The measures of repeated requests.
pub fn hits(window: Duration) -> Vec<Measure> {
    vec![
        measure(
            HIT,
            "64 connections as in `closed`, one request with a temperature of 0 again and again",
            Requests::few(1),
            window,
        ),
        measure(FEW, "The same with 100 such requests in turn", Requests::few(100), window),
    ]
}

/// The measure of requests that are never repeated.
pub fn misses(window: Duration) -> Measure {
    measure(
        MISS,
        "64 connections as in `closed`, a temperature of 0, and a number in each prompt that no other has",
        Requests::numbered(),
        window,
    )
}

fn measure(name: &'static str, what: &str, requests: Requests, window: Duration) -> Measure {
    let load = Load { requests, connections: 64, pace: Pace::Closed, heed: Heed::Cache, warm: window / 4, window };
    // Windows are short here, and what is not counted of a request's work would be lost to its figure.
    Measure { name, what: what.to_owned(), unit: Unit::Request, load, rest: Duration::from_secs(5) }
}
