//! From a data directory to a running engine.
//!
//! Promises: one engine per directory (our own lock, released by the kernel
//! when its holder dies, so a dying predecessor is waited for instead of
//! failed on); readable by its owner alone; every start rewrites the config.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use super::execute::Sessions;
use crate::config;
use crate::library::{Connection, Library};
use crate::spec::Spec;

/// A booted engine.
pub(crate) struct Booted {
    pub(crate) sessions: Sessions,
    /// The engine lives as long as one session is open; this one runs nothing.
    pub(crate) anchor: Connection,
    /// Settings the engine knows; it would silently ignore others.
    pub(crate) setting_names: HashSet<String>,
}

/// Takes the directory for this process, waiting up to `wait` for another.
pub(crate) fn lock(data_dir: &Path, wait: Duration) -> Result<File, String> {
    let fault = |error: std::io::Error| format!("data directory {}: {error}", data_dir.display());
    fs::create_dir_all(data_dir).map_err(fault)?;
    fs::set_permissions(data_dir, fs::Permissions::from_mode(0o700)).map_err(fault)?;
    let file =
        OpenOptions::new().create(true).truncate(false).write(true).open(data_dir.join("lock")).map_err(fault)?;
    let began = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(fault(error)),
            Err(TryLockError::WouldBlock) if began.elapsed() >= wait => {
                return Err(format!(
                    "data directory {} is in use by another engine (waited {} s); stop it or choose another directory",
                    data_dir.display(),
                    wait.as_secs()
                ));
            }
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// Loads the library and opens the data directory.
pub(crate) fn boot(spec: &Spec) -> Result<Booted, String> {
    let config = config::write(&spec.data_dir, &spec.limits)
        .map_err(|error| format!("config file in {}: {error}", spec.data_dir.display()))?;
    // When memory runs out the store goes first, not the proxy; where the
    // system has no such file nothing is lost.
    let _ = fs::write("/proc/self/oom_score_adj", "500");
    let library = Library::load(&spec.library).map_err(|error| error.to_string())?;
    let arguments = vec![
        "weir".into(),
        format!("--path={}", spec.data_dir.join("data").display()),
        format!("--config-file={}", config.display()),
        "--implicit_select=0".into(),
    ];
    // The library prints its reason on standard error, which the parent adds.
    let mut anchor = library
        .connect(&arguments)
        .map_err(|_| format!("the engine could not open {}", spec.data_dir.join("data").display()))?;
    let names = anchor
        .query(b"SELECT name FROM system.settings", "TabSeparated", &[])
        .map_err(|error| format!("the engine does not answer: {error}"))?;
    let setting_names = String::from_utf8_lossy(&names.bytes).lines().map(String::from).collect();
    Ok(Booted { sessions: Sessions { library, arguments, limits: spec.limits.clone() }, anchor, setting_names })
}
