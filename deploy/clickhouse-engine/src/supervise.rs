//! Keeps one child alive: start, wait for its line, watch, restart with
//! growing pauses, stop.
//!
//! The child learns of a stop, and of this process's death, by the end of its
//! standard input; nothing else is relied on. It runs in a process group of
//! its own, so that Ctrl-C reaches the parent alone and a drain can still
//! write to the store.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::child::{Phase, Status, Stopped};
use crate::spec::{Announcement, Spec};
use crate::stderr::{Lines, forward};

/// A child that lived this long had no trouble starting.
const SETTLED: Duration = Duration::from_secs(60);

/// The pipes of a dead child close at once.
const OUTPUT_ENDS_WITHIN: Duration = Duration::from_secs(1);

/// What to run and how patiently.
pub(crate) struct Policy {
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<OsString>,
    pub(crate) start_within: Duration,
    pub(crate) restart_after: Duration,
    pub(crate) restart_after_at_most: Duration,
}

/// Owner of the child.
pub(crate) struct Supervisor {
    policy: Policy,
    spec: Spec,
    status: watch::Sender<Status>,
    stop: mpsc::Receiver<Duration>,
    port: watch::Sender<Option<u16>>,
}

/// A child with the pipe whose end stops it.
struct Life {
    child: Child,
    stdin: ChildStdin,
    /// Copies the child's output to the log and keeps its last line; ends
    /// with the child.
    output: JoinSet<Option<String>>,
    began: Instant,
}

/// How a life ended.
enum End {
    Stopped(Stopped),
    Died { reason: String, settled: bool },
}

impl Supervisor {
    pub(crate) fn new(
        policy: Policy,
        spec: Spec,
        status: watch::Sender<Status>,
        stop: mpsc::Receiver<Duration>,
        port: watch::Sender<Option<u16>>,
    ) -> Self {
        Self { policy, spec, status, stop, port }
    }

    /// Runs until a stop is asked for.
    pub(crate) async fn run(mut self) -> Stopped {
        let mut pause = self.policy.restart_after;
        loop {
            let (reason, settled) = match self.live().await {
                End::Stopped(stopped) => return self.stopped(stopped),
                End::Died { reason, settled } => (reason, settled),
            };
            if settled {
                pause = self.policy.restart_after;
            }
            tracing::warn!(reason, pause_s = pause.as_secs_f64(), "the embedded store ended, it is started again");
            self.status.send_modify(|status| {
                status.phase = Phase::Restarting;
                status.restarts += 1;
                status.pid = None;
                status.last_error = Some(reason);
            });
            if timeout(pause, self.stop.recv()).await.is_ok() {
                return self.stopped(Stopped::Killed);
            }
            pause = (pause * 2).min(self.policy.restart_after_at_most);
        }
    }

    fn stopped(&self, stopped: Stopped) -> Stopped {
        self.status.send_modify(|status| {
            status.phase = Phase::Stopped;
            status.pid = None;
        });
        stopped
    }

    async fn live(&mut self) -> End {
        let (mut life, stdout) = match self.start().await {
            Ok(started) => started,
            Err(reason) => return End::Died { reason, settled: false },
        };
        let mut lines = Lines::new(BufReader::new(stdout));
        tokio::select! {
            announced = timeout(self.policy.start_within, announcement(&mut lines)) => {
                let failure = match announced {
                    Ok(Some(Announcement::Port(port))) => {
                        self.ready(port, &life);
                        None
                    }
                    Ok(Some(Announcement::Error(reason))) => Some(reason),
                    Ok(None) => Some(format!("it ended while starting ({})", exit(&mut life.child).await)),
                    Err(_) => Some(format!("no answer within {} s", self.policy.start_within.as_secs())),
                };
                if let Some(reason) = failure {
                    // Fails only for a child that has just ended by itself.
                    let _ = life.child.kill().await;
                    return End::Died { reason: with_last_words(reason, life.output).await, settled: false };
                }
            }
            asked = self.stop.recv() => return End::Stopped(end(life, asked).await),
        }
        life.output.spawn(forward(lines));
        tokio::select! {
            status = life.child.wait() => {
                let reason = status.map_or_else(|error| error.to_string(), described);
                let settled = life.began.elapsed() > SETTLED;
                End::Died { reason: with_last_words(reason, life.output).await, settled }
            }
            asked = self.stop.recv() => End::Stopped(end(life, asked).await),
        }
    }

    fn ready(&mut self, port: u16, life: &Life) {
        self.spec.port = port;
        self.port.send_replace(Some(port));
        let pid = life.child.id();
        tracing::info!(port, pid, start_s = life.began.elapsed().as_secs_f64(), "the embedded store serves");
        self.status.send_modify(|status| {
            status.phase = Phase::Ready;
            status.pid = pid;
        });
    }

    async fn start(&self) -> Result<(Life, ChildStdout), String> {
        let began = Instant::now();
        let mut child = Command::new(&self.policy.program)
            .args(&self.policy.args)
            // Moments without a zone mean the same on every machine.
            .env("TZ", "UTC")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("{} cannot be run: {error}", self.policy.program.display()))?;
        let (Some(mut stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err("its pipes are missing".into());
        };
        let mut line = serde_json::to_vec(&self.spec).map_err(|error| error.to_string())?;
        line.push(b'\n');
        // A child that is gone already shows itself when its first line is awaited.
        let _ = stdin.write_all(&line).await;
        let mut output = JoinSet::new();
        output.spawn(forward(Lines::new(BufReader::new(stderr))));
        Ok((Life { child, stdin, output, began }, stdout))
    }
}

/// The child's line about its start; `None` when its output ended without.
async fn announcement(lines: &mut Lines<BufReader<ChildStdout>>) -> Option<Announcement> {
    loop {
        if let Ok(announcement) = serde_json::from_str(&lines.next().await?) {
            return Some(announcement);
        }
    }
}

async fn end(life: Life, asked: Option<Duration>) -> Stopped {
    let Life { mut child, stdin, mut output, .. } = life;
    drop(stdin);
    let within = asked.unwrap_or_default();
    let stopped = match timeout(within, child.wait()).await {
        Ok(Ok(status)) if status.success() => Stopped::Clean,
        Ok(_) => Stopped::Killed,
        Err(_) => {
            // Fails only for a child that has just ended by itself.
            let _ = child.kill().await;
            Stopped::Killed
        }
    };
    let _ = timeout(OUTPUT_ENDS_WITHIN, async { while output.join_next().await.is_some() {} }).await;
    stopped
}

/// The engine says on standard error why it does not start.
async fn with_last_words(mut reason: String, mut output: JoinSet<Option<String>>) -> String {
    // A process that the child started could hold the pipes open.
    let rest = async {
        while let Some(line) = output.join_next().await {
            if let Ok(Some(line)) = line {
                reason = format!("{reason}: {line}");
            }
        }
    };
    let _ = timeout(OUTPUT_ENDS_WITHIN, rest).await;
    reason
}

async fn exit(child: &mut Child) -> String {
    match timeout(Duration::from_secs(5), child.wait()).await {
        Ok(Ok(status)) => described(status),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "its output is closed".into(),
    }
}

fn described(status: ExitStatus) -> String {
    format!("the child ended with {status}")
}
