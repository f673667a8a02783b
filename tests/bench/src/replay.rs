//! Real traces, sent at their own times to the engine alone and to a Weir of their own.

use std::io::Result;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::connection::Heed;
use crate::load::{Load, Pace};
use crate::options::Options;
use crate::plan::{self, Measure, Sample, Unit};
use crate::requests::Requests;
use crate::target::{self, Kind};
use crate::trace::{self, Script, Source};

/// Most requests at a time; the traces stay far below it.
const CONNECTIONS: usize = 256;

/// One trace and what came of it.
pub struct Replay {
    /// The trace.
    pub source: Source,
    /// What was sent, without the requests themselves.
    pub script: Script,
    /// Without a proxy.
    pub direct: Sample,
    /// Through Weir.
    pub weir: Sample,
    /// The most that Weir itself had resident, in bytes.
    pub peak_bytes: u64,
}

/// Replays the traces below the folder that `WEIR_DATA` names; a reason where it cannot.
pub fn go(options: &Options, engine: SocketAddr, folder: &Path) -> Result<std::result::Result<Vec<Replay>, String>> {
    let Some(data) = std::env::var_os("WEIR_DATA").filter(|value| !value.is_empty()).map(PathBuf::from) else {
        return Ok(Err("`WEIR_DATA` names no folder with traces".to_owned()));
    };
    let mut replays = Vec::new();
    for (number, source) in trace::SOURCES.into_iter().enumerate() {
        let mut script = match trace::script(&data, &source, options.replay) {
            Ok(script) => script,
            Err(fault) => return Ok(Err(fault.to_string())),
        };
        let measure = measure(&source, &mut script);
        let direct = plan::measured(0, &measure, &target::direct(engine))?;
        let (target, _) = target::weir(options, engine, &folder.join(format!("trace-{number}")), Kind::Defaults)?;
        let weir = plan::measured(0, &measure, &target)?;
        replays.push(Replay { source, script, direct, weir, peak_bytes: target.peak_bytes() });
    }
    Ok(Ok(replays))
}

/// Takes the requests out of the script.
fn measure(source: &Source, script: &mut Script) -> Measure {
    let load = Load {
        requests: Requests::InTurn(std::mem::take(&mut script.requests)),
        connections: CONNECTIONS,
        pace: Pace::At(script.moments.clone()),
        heed: Heed::Cache,
        // All that is seen counts.
        warm: Duration::ZERO,
        window: Duration::ZERO,
    };
    // As long as it may take to write the last records.
    let rest = Duration::from_secs(5);
    Measure { name: source.name, what: String::new(), unit: Unit::Request, load, rest }
}
