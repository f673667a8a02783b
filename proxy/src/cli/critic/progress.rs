//! Progress on stderr, and the clock that costs are measured by.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// How often a terminal is drawn.
const REDRAW: Duration = Duration::from_millis(100);
/// How often a log gets a line.
const LINE: Duration = Duration::from_secs(15);
/// Width of the bar, in letters.
const WIDTH: usize = 30;

/// A bar on a terminal, now and then a line elsewhere.
pub(super) struct Progress {
    name: String,
    is_terminal: bool,
    begun: Instant,
    drawn: Instant,
}

impl Progress {
    /// Progress of something of that name.
    pub(super) fn new(name: &str) -> Self {
        let now = Instant::now();
        Self { name: name.to_owned(), is_terminal: std::io::stderr().is_terminal(), begun: now, drawn: now }
    }

    /// So many are done.
    pub(super) fn step(&mut self, done: usize, of: usize) {
        if done <= 1 {
            // What was done before the first case took its own time.
            self.begun = Instant::now();
        }
        let pause = if self.is_terminal { REDRAW } else { LINE };
        if self.drawn.elapsed() < pause {
            return;
        }
        self.drawn = Instant::now();
        let line = line(&self.name, done, of, self.begun.elapsed());
        // What cannot be shown is no reason to stop.
        let _ = match self.is_terminal {
            true => write!(std::io::stderr(), "\r\x1b[2K{line}"),
            false => writeln!(std::io::stderr(), "{line}"),
        };
    }

    /// Takes the bar away.
    pub(super) fn end(&self) {
        if self.is_terminal {
            let _ = write!(std::io::stderr(), "\r\x1b[2K");
        }
    }
}

fn line(name: &str, done: usize, of: usize, elapsed: Duration) -> String {
    let share = if of == 0 { 1.0 } else { done as f64 / of as f64 };
    let full = (share * WIDTH as f64) as usize;
    let bar: String = (0..WIDTH).map(|at| if at < full { '█' } else { '·' }).collect();
    let left = if done == 0 { 0.0 } else { elapsed.as_secs_f64() * (1.0 - share) / share };
    format!("{name} {bar} {done}/{of}, {left:.0} s left")
}

/// Processor time of this thread.
#[allow(unsafe_code)]
pub(super) fn thread_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a timespec of ours that lives through the call.
    let done = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    if done != 0 {
        return Duration::ZERO;
    }
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_it_is_and_how_long_it_takes() {
        let line = line("grounding", 25, 100, Duration::from_secs(10));
        assert!(line.starts_with("grounding ███████·") && line.ends_with("25/100, 30 s left"), "{line}");
        assert!(super::line("a", 0, 0, Duration::ZERO).ends_with("0/0, 0 s left"));
    }

    #[test]
    fn the_clock_counts_work_and_not_waiting() {
        let before = thread_time();
        let mut sum = 0_u64;
        while thread_time() < before + Duration::from_millis(2) {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        assert!(sum > 0);
    }
}
