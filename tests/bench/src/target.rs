//! What is measured: the engine alone, nginx before it, Weir before it.

use std::fs;
use std::io::{BufRead, BufReader, Error, Result};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::connection::{Connection, Heed};
use crate::engine::number_after;
use crate::http;
use crate::options::Options;
use crate::process::{Process, Usage};
use crate::requests::Chat;

/// The longest that a start may take.
const START_LIMIT: Duration = Duration::from_secs(30);

/// One way to the engine.
#[derive(Clone)]
pub struct Target {
    /// Name in the tables.
    pub name: &'static str,
    /// Where requests go.
    pub address: SocketAddr,
    /// The engine behind it.
    pub engine: SocketAddr,
    /// Where `/metrics` is, for Weir.
    pub console: Option<SocketAddr>,
    /// The proxy; none where there is none.
    pub process: Option<Arc<Process>>,
}

/// Names, in the order of the tables.
pub const DIRECT: &str = "direct";
/// nginx that writes its access log.
pub const NGINX: &str = "nginx";
/// nginx that writes no log.
pub const NGINX_SILENT: &str = "nginx, no log";
/// nginx that answers from its cache and writes its access log.
pub const NGINX_CACHE: &str = "nginx, cache";
/// nginx that answers from its cache and writes no log.
pub const NGINX_CACHE_SILENT: &str = "nginx, cache, no log";
/// Weir that records to ClickHouse.
pub const WEIR: &str = "weir";
/// Weir whose ClickHouse does not answer.
pub const WEIR_ALONE: &str = "weir, store down";
/// Weir that keeps no answers.
pub const WEIR_UNCACHED: &str = "weir, cache off";

/// A route that takes everything and caches nothing.
const CACHE_OFF: &str = "[[routes]]\nname = \"all\"\nengines = [\"default\"]\n[routes.cache]\nmode = \"off\"\n";

impl Target {
    /// What the proxy used so far.
    pub fn usage(&self) -> Usage {
        self.process.as_ref().map(|process| process.usage()).unwrap_or_default()
    }

    /// Requests that have come to the engine; 0 where it does not say.
    pub fn engine_calls(&self) -> f64 {
        let page = http::get(self.engine, "/calls").unwrap_or_default();
        number_after(page.as_bytes(), b"\"calls\":") as f64
    }

    /// The most that the proxy itself ever had resident, in bytes.
    pub fn peak_bytes(&self) -> u64 {
        self.process.as_ref().map_or(0, |process| process.peak_bytes())
    }

    /// nginx has a master that does nothing: all its processes are the proxy.
    pub fn counts_children(&self) -> bool {
        self.name.starts_with(NGINX)
    }

    /// Waits until background work is done, at most for `limit`.
    pub fn settle(&self, limit: Duration) {
        if let Some(process) = &self.process {
            process.settle(limit);
        }
    }

    /// Sum of a metric of Weir's over its series; 0 where it has none.
    pub fn metric(&self, name: &str) -> f64 {
        let Some(text) = self.console.and_then(|console| http::get(console, "/metrics").ok()) else { return 0.0 };
        let values = text.lines().filter_map(|line| {
            let (series, value) = line.strip_prefix(name)?.rsplit_once(' ')?;
            (series.is_empty() || series.starts_with('{')).then(|| value.parse::<f64>().ok())?
        });
        values.sum()
    }
}

/// Starts the fake engine.
pub fn engine() -> Result<(Process, SocketAddr)> {
    let mut child = Command::new(std::env::current_exe()?).arg("engine").stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout).read_line(&mut line)?;
    }
    let address = line.trim().parse().map_err(Error::other)?;
    Ok((Process::of(child), address))
}

/// The engine without a proxy.
pub fn direct(engine: SocketAddr) -> Target {
    Target { name: DIRECT, address: engine, engine, console: None, process: None }
}

/// Starts nginx with a port that logs and one that does not.
pub fn nginx(options: &Options, engine: SocketAddr, folder: &Path) -> Result<Vec<Target>> {
    let front = Front { config: include_str!("../nginx.conf").to_owned(), names: [NGINX, NGINX_SILENT] };
    start_nginx(options, engine, folder, front)
}

/// Starts nginx as a cache, with a port that logs and one that does not; answers lie in `kept`.
pub fn nginx_cache(options: &Options, engine: SocketAddr, folder: &Path, kept: &Path) -> Result<Vec<Target>> {
    let config = include_str!("../nginx-cache.conf").replace("CACHE", &kept.display().to_string());
    start_nginx(options, engine, folder, Front { config, names: [NGINX_CACHE, NGINX_CACHE_SILENT] })
}

/// An nginx with a port that logs and one that does not.
struct Front {
    config: String,
    names: [&'static str; 2],
}

fn start_nginx(options: &Options, engine: SocketAddr, folder: &Path, front: Front) -> Result<Vec<Target>> {
    let (logging, silent) = (free_port()?, free_port()?);
    let config = front
        .config
        .replace("ENGINE", &engine.to_string())
        .replace("LOGGING", &logging.to_string())
        .replace("SILENT", &silent.to_string())
        .replace("WORKERS", &options.cores.to_string())
        .replace("FOLDER", &folder.display().to_string());
    fs::create_dir_all(folder)?;
    let place = folder.join("nginx.conf");
    fs::write(&place, config)?;
    let mut command = Command::new(&options.nginx);
    command.arg("-c").arg(&place).arg("-p").arg(folder).arg("-e").arg(folder.join("nginx-error.log"));
    let mut process = Process::start(command, Some(fs::File::create(folder.join("nginx.log"))?))?;
    for address in [logging, silent] {
        until_answers(address, &mut process)?;
    }
    let process = Arc::new(process);
    let targets = front.names.into_iter().zip([logging, silent]);
    Ok(targets
        .map(|(name, address)| Target { name, address, engine, console: None, process: Some(process.clone()) })
        .collect())
}

/// How Weir is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// All defaults: records to the embedded ClickHouse engine.
    Defaults,
    /// With a ClickHouse server that nobody reaches.
    StoreDown,
    /// All defaults but the cache.
    CacheOff,
}

/// Starts Weir; says how long it was from the start of the program to its first answer.
pub fn weir(options: &Options, engine: SocketAddr, folder: &Path, kind: Kind) -> Result<(Target, Duration)> {
    let (address, console) = (free_port()?, free_port()?);
    fs::create_dir_all(folder)?;
    let mut command = Command::new(&options.weir);
    command.args(["serve", "--engine", &format!("http://{engine}")]);
    command.args(["--listen", &address.to_string(), "--console-listen", &console.to_string()]);
    command.arg("--data-dir").arg(folder.join("data"));
    let name = match kind {
        Kind::Defaults => WEIR,
        Kind::StoreDown => {
            command.env("CLICKHOUSE_URL", "http://127.0.0.1:1");
            WEIR_ALONE
        }
        Kind::CacheOff => {
            let place = folder.join("cache-off.toml");
            fs::write(&place, CACHE_OFF)?;
            command.arg("--config").arg(place);
            WEIR_UNCACHED
        }
    };
    let said = fs::File::create(folder.join("weir.log"))?;
    let began = Instant::now();
    let mut process = Process::start(command, Some(said))?;
    let took = until_answers(address, &mut process).map(|()| began.elapsed()).map_err(|fault| {
        let said = fs::read_to_string(folder.join("weir.log")).unwrap_or_default();
        Error::other(format!("weir did not start ({fault}):\n{said}"))
    })?;
    Ok((Target { name, address, engine, console: Some(console), process: Some(Arc::new(process)) }, took))
}

/// What this Weir says against a configuration that turns its cache off; nothing where it has one.
pub fn cache_refusal(options: &Options, folder: &Path) -> Result<Option<String>> {
    let place = folder.join("cache-off.toml");
    fs::write(&place, CACHE_OFF)?;
    let mut command = Command::new(&options.weir);
    command.args(["check", "--engine", "http://127.0.0.1:1", "--config"]).arg(place);
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(None);
    }
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    let line = said.lines().find(|line| line.contains("cache")).unwrap_or("it does not say why");
    let line = line.split_once("cache-off.toml:").map_or(line, |(_, place)| place);
    Ok(Some(line.trim().to_owned()))
}

/// Time from the start of nginx to its first answer.
pub fn nginx_start(options: &Options, engine: SocketAddr, folder: &Path) -> Result<Duration> {
    let began = Instant::now();
    nginx(options, engine, folder).map(|_| began.elapsed())
}

fn until_answers(address: SocketAddr, process: &mut Process) -> Result<()> {
    let began = Instant::now();
    // Not repeatable: no cache shall know it.
    let request = Chat { wish: "json", prompt: "", stream: false, temperature: "0.2" }.bytes();
    loop {
        match Connection::open(address, Heed::Answer).and_then(|mut connection| connection.exchange(&request)) {
            Ok(_) => return Ok(()),
            Err(fault) if began.elapsed() > START_LIMIT || !process.is_alive() => return Err(fault),
            Err(_) => std::thread::sleep(Duration::from_micros(200)),
        }
    }
}

/// A port that was free a moment ago.
fn free_port() -> Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}

/// A folder of this run's, removed at its end.
pub struct Folder(pub PathBuf);

impl Folder {
    /// Makes it.
    pub fn make() -> Result<Self> {
        Self::within(&std::env::temp_dir(), "run")
    }

    /// Makes it in memory where the system has a place for that, else beside the other.
    pub fn in_memory() -> Result<Self> {
        Self::within(Path::new("/dev/shm"), "cache").or_else(|_| Self::within(&std::env::temp_dir(), "cache"))
    }

    fn within(parent: &Path, what: &str) -> Result<Self> {
        let place = parent.join(format!("weir-bench-{what}-{}", std::process::id()));
        fs::create_dir(&place)?;
        Ok(Self(place))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What stays behind lies in the system's temporary folder.
        let _ = fs::remove_dir_all(&self.0);
    }
}
