//! Programs under measurement: started here, ended here, and their use of processor and
//! memory as Linux counts it (`/proc`, see proc(5)).

use std::collections::HashMap;
use std::fs;
use std::io::Result;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// A program that ends when this is dropped.
pub struct Process {
    child: Child,
}

/// Name of the threads that serve requests in Weir; what the others do, no client waits for.
const PATH_THREADS: &str = "weir-path";

/// What a program and its children used.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Processor time of the program itself.
    pub own: Duration,
    /// Processor time of those of its threads that carry [`PATH_THREADS`] in their name.
    pub path: Duration,
    /// Processor time of its children.
    pub children: Duration,
    /// Resident bytes of the program itself.
    pub own_bytes: u64,
    /// Resident bytes of its children.
    pub children_bytes: u64,
}

struct Entry {
    id: u32,
    parent: u32,
    processor: Duration,
    bytes: u64,
}

impl Process {
    /// Starts a program; what it says goes to a file or nowhere.
    pub fn start(mut command: Command, said: Option<fs::File>) -> Result<Self> {
        let stderr = said.map_or_else(Stdio::null, Stdio::from);
        Ok(Self { child: command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr).spawn()? })
    }

    /// Takes over a child that was started otherwise.
    pub fn of(child: Child) -> Self {
        Self { child }
    }

    /// Whether it runs.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// What it and its children used so far.
    pub fn usage(&self) -> Usage {
        let mut usage = Usage { path: path_threads(self.child.id()), ..Usage::default() };
        for entry in family(self.child.id()) {
            if entry.id == self.child.id() {
                (usage.own, usage.own_bytes) = (entry.processor, entry.bytes);
            } else {
                usage.children += entry.processor;
                usage.children_bytes += entry.bytes;
            }
        }
        usage
    }

    /// The most bytes that it ever had resident, without its children.
    pub fn peak_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        kib.unwrap_or(0) << 10
    }

    /// Waits until it and its children hardly work, at most for `limit`.
    pub fn settle(&self, limit: Duration) {
        const LOOK: Duration = Duration::from_millis(200);
        let (began, mut before) = (Instant::now(), self.usage());
        while began.elapsed() < limit {
            std::thread::sleep(LOOK);
            let now = self.usage();
            let worked = (now.own + now.children).saturating_sub(before.own + before.children);
            if worked <= LOOK / 10 {
                return;
            }
            before = now;
        }
    }

    /// Asks it to end and waits a while; then ends it and its children.
    pub fn stop(&mut self) {
        let family = family(self.child.id());
        let ask = |signal: &str, id: u32| {
            // A process that is gone already needs no signal.
            let _ = Command::new("kill").args([signal, &id.to_string()]).stderr(Stdio::null()).status();
        };
        if self.is_alive() {
            ask("-TERM", self.child.id());
        }
        let began = Instant::now();
        while self.is_alive() && began.elapsed() < Duration::from_secs(10) {
            std::thread::sleep(Duration::from_millis(10));
        }
        if self.is_alive() {
            family.iter().for_each(|entry| ask("-KILL", entry.id));
        }
        // Nothing could be done about a fault here.
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A process and everything below it.
fn family(root: u32) -> Vec<Entry> {
    let entries: HashMap<u32, Entry> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|folder| folder.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(process)
        .map(|entry| (entry.id, entry))
        .collect();
    let below = |mut id: u32| {
        // Process trees are shallow; a loop can only come from a process that ended meanwhile.
        for _ in 0..32 {
            if id == root {
                return true;
            }
            match entries.get(&id) {
                Some(entry) => id = entry.parent,
                None => return false,
            }
        }
        false
    };
    let ids: Vec<u32> = entries.keys().copied().filter(|&id| below(id)).collect();
    let mut entries = entries;
    ids.iter().filter_map(|id| entries.remove(id)).collect()
}

fn path_threads(id: u32) -> Duration {
    let threads = fs::read_dir(format!("/proc/{id}/task")).into_iter().flatten();
    let stats = threads.filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("stat")).ok());
    stats.filter(|stat| stat.contains(PATH_THREADS)).filter_map(|stat| Some(entry(id, &stat)?.processor)).sum()
}

fn process(id: u32) -> Option<Entry> {
    entry(id, &fs::read_to_string(format!("/proc/{id}/stat")).ok()?)
}

fn entry(id: u32, stat: &str) -> Option<Entry> {
    // The name, in brackets, may hold anything: what is counted comes after it.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |field: usize| fields.get(field).and_then(|text| text.parse::<u64>().ok());
    let ticks = number(11)? + number(12)?;
    let processor = Duration::from_secs_f64(ticks as f64 / ticks_per_second());
    Some(Entry { id, parent: u32::try_from(number(1)?).ok()?, processor, bytes: number(21)? * page_bytes() })
}

fn ticks_per_second() -> f64 {
    static TICKS: OnceLock<u64> = OnceLock::new();
    *TICKS.get_or_init(|| getconf("CLK_TCK").unwrap_or(100)) as f64
}

fn page_bytes() -> u64 {
    static BYTES: OnceLock<u64> = OnceLock::new();
    *BYTES.get_or_init(|| getconf("PAGESIZE").unwrap_or(4096))
}

fn getconf(name: &str) -> Option<u64> {
    let output = Command::new("getconf").arg(name).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}
