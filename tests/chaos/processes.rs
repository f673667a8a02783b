//! Other processes, as /proc shows them (proc(5)).

use std::fs;

use harness::wait;

/// The store that runs as a child of this Weir, once there is one other than `not`.
pub(crate) async fn store_child(weir: u32, not: Option<u32>) -> u32 {
    wait::until("weir has a store child", || {
        let children = fs::read_dir("/proc").ok()?.flatten();
        let ids = children.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        ids.filter(|id| Some(*id) != not).find(|id| parent(*id) == Some(weir) && is_store(*id))
    })
    .await
}

/// Waits until a process is gone; one that nobody waits for (a zombie) is gone, too.
pub(crate) async fn gone(id: u32) {
    wait::until_true(&format!("process {id} is gone"), || state(id).is_none_or(|state| state == 'Z')).await;
}

/// `kill -9`.
pub(crate) fn kill(id: u32) {
    let killed = std::process::Command::new("kill").arg("-9").arg(id.to_string()).status();
    assert!(killed.is_ok_and(|status| status.success()), "process {id} is there to be killed");
}

/// Memory of a process that is in RAM.
pub(crate) fn resident_bytes(id: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).expect("the process is there");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")).and_then(|kib| kib.parse::<u64>().ok());
    kib.expect("a live process has memory") << 10
}

fn is_store(id: u32) -> bool {
    fs::read(format!("/proc/{id}/cmdline"))
        .is_ok_and(|line| line.split(|b| *b == 0).any(|word| word == b"store-engine"))
}

fn state(id: u32) -> Option<char> {
    stat(id)?.0.chars().next()
}

fn parent(id: u32) -> Option<u32> {
    stat(id)?.1.parse().ok()
}

/// State and parent: the fields behind the name, which may hold anything but ends in ')'.
fn stat(id: u32) -> Option<(String, String)> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.to_owned(), fields.next()?.to_owned()))
}
