//! Runs a program to its end or to a limit, and leaves nothing of its process group behind.
//!
//! One thread, no waiting without a deadline: both pipes are polled. The program learns
//! nothing of the case before its limits stand.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::ioctl_fionbio;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

/// What a program may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Wall time until it is killed.
    pub(super) time: Duration,
    /// Bytes that are read of its output.
    pub(super) output_bytes: usize,
    /// Address space of each process; 0 for no limit.
    pub(super) memory_bytes: u64,
}

/// How it ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// With status 0, and it wrote this.
    Said(Vec<u8>),
    /// With another status.
    Badly(ExitStatus),
    /// It was killed for its time.
    TooLate,
    /// It was killed for its output.
    TooMuch,
}

/// A child that does not outlive this value, nor do those of its group.
struct Group {
    child: Child,
    ended: bool,
}

/// How a conversation over the pipes ended.
enum Talk {
    Said(Vec<u8>),
    TooLate,
    TooMuch,
}

const PAUSE: Duration = Duration::from_millis(2);
const PIECE_BYTES: usize = 16 << 10;

/// Runs it with `input` on stdin.
pub(super) fn run(mut command: Command, input: &[u8], limits: Limits) -> std::io::Result<Ended> {
    let deadline = Instant::now() + limits.time;
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
    let mut group = Group { child: command.spawn()?, ended: false };
    limit(&group.child, limits)?;
    let (stdin, stdout) = (group.child.stdin.take(), group.child.stdout.take());
    let (Some(stdin), Some(stdout)) = (stdin, stdout) else {
        return Err(std::io::Error::other("its pipes are not there"));
    };
    let output = match talk(stdin, stdout, input, limits.output_bytes, deadline)? {
        Talk::Said(output) => output,
        Talk::TooLate => return Ok(Ended::TooLate),
        Talk::TooMuch => return Ok(Ended::TooMuch),
    };
    // Its output has ended, so it is as good as gone: a short wait, not a second poll.
    while !has_ended(&group.child)? {
        if Instant::now() >= deadline {
            return Ok(Ended::TooLate);
        }
        std::thread::sleep(PAUSE);
    }
    let status = group.end()?;
    Ok(if status.success() { Ended::Said(output) } else { Ended::Badly(status) })
}

/// Writes the input and reads the output, whichever is ready.
fn talk(
    stdin: ChildStdin,
    mut stdout: ChildStdout,
    input: &[u8],
    most: usize,
    deadline: Instant,
) -> std::io::Result<Talk> {
    ioctl_fionbio(&stdin, true)?;
    ioctl_fionbio(&stdout, true)?;
    let (mut stdin, mut left, mut output) = (Some(stdin), input, Vec::new());
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let Some(time) = deadline.checked_duration_since(Instant::now()).filter(|time| !time.is_zero()) else {
            return Ok(Talk::TooLate);
        };
        wait(stdin.as_ref(), &stdout, time)?;
        stdin = match stdin {
            Some(pipe) => feed(pipe, &mut left)?,
            None => None,
        };
        match stdout.read(&mut piece) {
            Ok(0) => return Ok(Talk::Said(output)),
            Ok(length) if output.len() + length > most => return Ok(Talk::TooMuch),
            Ok(length) => output.extend_from_slice(&piece[..length]),
            Err(error) if is_later(&error) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Waits until one of the pipes is ready or the time is up.
fn wait(stdin: Option<&ChildStdin>, stdout: &ChildStdout, time: Duration) -> std::io::Result<()> {
    let mut pipes = vec![PollFd::new(stdout, PollFlags::IN)];
    pipes.extend(stdin.map(|stdin| PollFd::new(stdin, PollFlags::OUT)));
    let time = Timespec::try_from(time).ok();
    match poll(&mut pipes, time.as_ref()) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Writes what the pipe takes; gives the pipe back while there is more.
fn feed(mut pipe: ChildStdin, left: &mut &[u8]) -> std::io::Result<Option<ChildStdin>> {
    match pipe.write(left) {
        Ok(length) => {
            *left = &left[length..];
            Ok((!left.is_empty()).then_some(pipe))
        }
        // It may judge without reading all of its case.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(None),
        Err(error) if is_later(&error) => Ok(Some(pipe)),
        Err(error) => Err(error),
    }
}

fn is_later(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

/// Set from outside, which needs no unsafe code between fork and exec. Until its input comes,
/// the program knows nothing that could make it use memory.
#[cfg(target_os = "linux")]
fn limit(child: &Child, limits: Limits) -> std::io::Result<()> {
    use rustix::process::{Resource, Rlimit, prlimit};
    let both = |value| Rlimit { current: Some(value), maximum: Some(value) };
    prlimit(pid(child), Resource::Core, both(0))?;
    if limits.memory_bytes > 0 {
        prlimit(pid(child), Resource::As, both(limits.memory_bytes))?;
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn limit(_: &Child, limits: Limits) -> std::io::Result<()> {
    match limits.memory_bytes {
        0 => Ok(()),
        _ => Err(std::io::Error::other("memory is limited on Linux only: set max_memory_bytes to 0")),
    }
}

fn pid(child: &Child) -> Option<Pid> {
    Pid::from_raw(i32::try_from(child.id()).unwrap_or_default())
}

/// Whether it has ended; its number stays taken until it is waited for.
fn has_ended(child: &Child) -> std::io::Result<bool> {
    let Some(pid) = pid(child) else { return Ok(true) };
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    match waitid(WaitId::Pid(pid), options) {
        Ok(status) => Ok(status.is_some()),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

impl Group {
    /// Kills what is left of the group, then lets go of the number of its first process, by which
    /// the group is named: the other way round another program's group could have it by then.
    fn end(&mut self) -> std::io::Result<ExitStatus> {
        if !self.ended
            && let Some(group) = pid(&self.child)
        {
            // An error says that nobody is left.
            let _ = kill_process_group(group, Signal::KILL);
        }
        self.ended = true;
        self.child.wait()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Only a process that somebody else waited for cannot be waited for: then nothing is left to do.
        let _ = self.end();
    }
}
