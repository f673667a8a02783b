//! With real processes: each test runs itself again as a child, told apart by a variable.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use super::*;

const CHILD: &str = "WEIR_SPOOL_TEST_DIRECTORY";

/// Runs one test of this file again in a process of its own, over a shell line that ends in `"$@"`.
fn child(test: &str, directory: &Path, shell: &str) -> Child {
    let mut command = Command::new("sh");
    command.args(["-c", shell, "sh"]).arg(std::env::current_exe().unwrap());
    command.args(["--exact", &format!("background::spool::tests::process::{test}"), "--nocapture"]);
    command.env(CHILD, directory).stdout(Stdio::piped()).spawn().unwrap()
}

/// Writes records, three a flush, and says after each flush what is acknowledged, until a flush fails.
fn write_until_the_end(directory: &Path) {
    let mut spool = open(Config { max_bytes: ByteSize::mib(64), segment_bytes: ByteSize::mib(1), ..small(directory) });
    for n in 1..=u64::MAX {
        let _ = spool.writer.append(&payload(n)).unwrap();
        if n % 3 > 0 {
            continue;
        }
        let line = match spool.writer.flush() {
            Ok(done) => format!("flushed {}", done.last_seq),
            Err(fault) => format!("failed {}", fault.source.reason().as_str()),
        };
        writeln!(std::io::stdout(), "\n{line}").unwrap();
        if line.starts_with("failed") {
            return;
        }
    }
}

/// Follows a child's words: the last number it said was flushed, and the reason of its end.
fn follow(child: &mut Child, kill_at: u64) -> (u64, Option<String>) {
    let (mut flushed, mut failed) = (0, None);
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        match line.unwrap().split_once(' ') {
            Some(("flushed", n)) => flushed = n.parse().unwrap(),
            Some(("failed", reason)) => failed = Some(reason.to_owned()),
            _ => {}
        }
        if flushed >= kill_at {
            // SIGKILL, again for every line that was on its way; the second one finds nobody.
            let _ = child.kill();
        }
    }
    child.wait().unwrap();
    (flushed, failed)
}

#[test]
fn what_was_flushed_survives_kill_9() {
    if let Some(directory) = std::env::var_os(CHILD) {
        return write_until_the_end(Path::new(&directory));
    }
    let directory = place();
    let mut writer = child("what_was_flushed_survives_kill_9", directory.path(), "exec \"$@\"");
    let (flushed, _) = follow(&mut writer, 3000);
    assert!(flushed >= 3000);
    let spool = open(small(directory.path()));
    let (records, lost) = drain(&spool.reader);
    assert!(records.len() as u64 >= flushed, "{} of {flushed}", records.len());
    assert_eq!(records, numbered(1..=records.len() as u64));
    assert!(lost.len() <= 3, "only the flush in which it died: {lost:?}");
}

#[test]
fn a_limit_of_the_operating_system_takes_nothing_that_was_flushed() {
    if let Some(directory) = std::env::var_os(CHILD) {
        return write_until_the_end(Path::new(&directory));
    }
    let directory = place();
    // RLIMIT_FSIZE in blocks of 512 bytes; without its signal, so that write(2) fails with EFBIG.
    let shell = "trap '' XFSZ; ulimit -f 64; exec \"$@\"";
    let mut writer = child("a_limit_of_the_operating_system_takes_nothing_that_was_flushed", directory.path(), shell);
    let (flushed, failed) = follow(&mut writer, u64::MAX);
    assert_eq!(failed.as_deref(), Some("no_space"));
    assert!(flushed > 100);
    let spool = open(small(directory.path()));
    assert_eq!(drain(&spool.reader), (numbered(1..=flushed), vec![]), "nothing torn is left behind");
}

/// A file system of its own of 1 MiB, unmounted in the end.
struct Tmpfs(tempfile::TempDir);

impl Tmpfs {
    fn mount() -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=1m", "none"]).arg(directory.path()).stderr(Stdio::null());
        mount.status().is_ok_and(|status| status.success()).then_some(Self(directory))
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        Command::new("umount").arg(self.0.path()).status().unwrap();
    }
}

#[test]
fn on_a_full_file_system_the_spool_refuses_and_heals() {
    // Mounting takes root. Without it the limit of the test above is the real one that is met.
    let Some(disk) = Tmpfs::mount() else { return };
    let directory = disk.0.path().join("spool");
    let config = Config { max_bytes: ByteSize::mib(64), segment_bytes: ByteSize(64 << 10), ..small(&directory) };
    let mut spool = open(config);
    let mut flushed = 0;
    let fault = loop {
        let _ = spool.writer.append(&payload(flushed + 1)).unwrap();
        match spool.writer.flush() {
            Ok(done) => flushed = done.last_seq.0,
            Err(fault) => break fault,
        }
    };
    assert_eq!(fault.source.reason().as_str(), "no_space");
    assert!(flushed > 5000, "{flushed}");

    let batch = read(&spool.reader, 2000).unwrap().unwrap();
    spool.reader.core().acknowledge(batch.last_seq).unwrap();
    spool.writer.flush().unwrap();
    fill(&mut spool, flushed + 2..=flushed + 100);
    assert_eq!(drain(&spool.reader), (numbered(2001..=flushed + 100), vec![]));
}
