//! Which machine this is, for the head of the results.

use std::fs;
use std::process::Command;

/// Processor, number of them, memory, system.
pub fn describe() -> String {
    let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processors.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let count = processors.lines().filter(|line| line.starts_with("processor")).count();
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = memory.lines().next().and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    let system = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "{count} × {}, {} GiB, Linux {}",
        model.unwrap_or("unknown processor"),
        kib.unwrap_or(0) / (1 << 20),
        system.trim(),
    )
}

/// Processes that ran or wanted to, on the average of the last minute.
pub fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').next().unwrap_or("unknown").to_owned()
}

/// The first line that a program says.
pub fn first_line(command: &mut Command) -> String {
    let Ok(output) = command.output() else { return "unknown version".to_owned() };
    let said = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&said).lines().next().unwrap_or("unknown version").to_owned()
}
