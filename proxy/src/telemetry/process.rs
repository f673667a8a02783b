//! The process's own figures, read from `/proc/self` at each scrape.
//!
//! Names are those of the Prometheus client guidelines
//! (<https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics>), which
//! dashboards everywhere know, so they lack our prefix. Off Linux nothing is told.

use prometheus::core::{Collector, Desc};
use prometheus::{Counter, Gauge, proto::MetricFamily};

/// Reads memory, CPU time, file descriptors and threads.
#[derive(Debug)]
pub struct Process {
    resident: Gauge,
    virtual_size: Gauge,
    cpu: Counter,
    open_fds: Gauge,
    max_fds: Gauge,
    threads: Gauge,
    started: Gauge,
}

/// What one reading gives.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Reading {
    resident_bytes: f64,
    virtual_bytes: f64,
    cpu_seconds: f64,
    open_fds: f64,
    threads: f64,
}

impl Process {
    /// The collector, to be registered.
    ///
    /// # Errors
    /// Never in practice: the names are fixed and valid.
    pub fn new() -> prometheus::Result<Self> {
        let process = Self {
            resident: Gauge::new("process_resident_memory_bytes", "Resident memory.")?,
            virtual_size: Gauge::new("process_virtual_memory_bytes", "Virtual memory.")?,
            cpu: Counter::new("process_cpu_seconds_total", "User and system CPU time spent.")?,
            open_fds: Gauge::new("process_open_fds", "Open file descriptors.")?,
            max_fds: Gauge::new("process_max_fds", "Most file descriptors that may be open.")?,
            threads: Gauge::new("process_threads", "Threads.")?,
            started: Gauge::new("process_start_time_seconds", "Start of the process, Unix time.")?,
        };
        let now = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH);
        process.started.set(now.map_or(0.0, |age| age.as_secs_f64()));
        process
            .max_fds
            .set(std::fs::read_to_string("/proc/self/limits").ok().and_then(|text| max_fds(&text)).unwrap_or(0.0));
        Ok(process)
    }

    fn all(&self) -> [&dyn Collector; 7] {
        [&self.resident, &self.virtual_size, &self.cpu, &self.open_fds, &self.max_fds, &self.threads, &self.started]
    }
}

impl Collector for Process {
    fn desc(&self) -> Vec<&Desc> {
        self.all().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let Some(reading) = read() else { return Vec::new() };
        self.resident.set(reading.resident_bytes);
        self.virtual_size.set(reading.virtual_bytes);
        self.cpu.inc_by((reading.cpu_seconds - self.cpu.get()).max(0.0));
        self.open_fds.set(reading.open_fds);
        self.threads.set(reading.threads);
        self.all().into_iter().flat_map(Collector::collect).collect()
    }
}

fn read() -> Option<Reading> {
    let mut reading = stat(&std::fs::read_to_string("/proc/self/stat").ok()?)?;
    reading.open_fds = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count) as f64;
    Some(reading)
}

/// Reads `/proc/[pid]/stat` (proc_pid_stat(5)). The program's name stands in parentheses and
/// may hold anything, so fields are counted from the last one: utime is field 14, stime 15,
/// num_threads 20, vsize 23, rss 24, all counted from 1, and field 3 follows the name.
fn stat(text: &str) -> Option<Reading> {
    let fields: Vec<&str> = text.get(text.rfind(')')? + 1..)?.split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
    Some(Reading {
        cpu_seconds: (field(14)? + field(15)?) / ticks(),
        threads: field(20)?,
        virtual_bytes: field(23)?,
        resident_bytes: field(24)? * page_bytes(),
        open_fds: 0.0,
    })
}

/// The soft limit of `Max open files` in `/proc/self/limits`.
fn max_fds(text: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix("Max open files"))?.split_whitespace().next()?.parse().ok()
}

#[allow(unsafe_code)]
fn ticks() -> f64 {
    // SAFETY: sysconf takes a constant and touches no memory of ours.
    unsafe { libc::sysconf(libc::_SC_CLK_TCK) as f64 }
}

#[allow(unsafe_code)]
fn page_bytes() -> f64 {
    // SAFETY: sysconf takes a constant and touches no memory of ours.
    unsafe { libc::sysconf(libc::_SC_PAGESIZE) as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_spaces_does_not_shift_the_fields() {
        let numbers = (4..=52).map(|n| n.to_string()).collect::<Vec<_>>().join(" ");
        let reading = stat(&format!("7 (a) b (c)) S {numbers}")).unwrap();
        assert_eq!(reading.threads, 20.0);
        assert_eq!(reading.virtual_bytes, 23.0);
        assert_eq!(reading.cpu_seconds, 29.0 / ticks());
        assert_eq!(max_fds("Limit  Soft\nMax open files            1024                 4096 files\n"), Some(1024.0));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_scrape_tells_of_this_very_process() {
        let registry = prometheus::Registry::new();
        registry.register(Box::new(Process::new().unwrap())).unwrap();
        let families = registry.gather();
        let value = |name: &str| {
            let family = families.iter().find(|family| family.name() == name).unwrap();
            family.get_metric()[0].get_gauge().get_value()
        };
        assert!(value("process_resident_memory_bytes") > 1e5);
        assert!(value("process_open_fds") >= 3.0 && value("process_open_fds") <= value("process_max_fds"));
        assert!(value("process_threads") >= 1.0);
    }
}
