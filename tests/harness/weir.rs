//! The real program `weir` in a process of its own, with its own data.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};

use crate::client::{Client, Response, request};
use crate::llama::Places;
use crate::wait;

/// A debug build on a loaded machine, with its store's first start.
const START_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(60);
/// Lines kept of what it says.
const MAX_LINES: usize = 100_000;

/// How to start it.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    config: String,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

/// The program, running. It is killed when this is dropped.
pub struct Weir {
    setup: Setup,
    folder: Arc<TempDir>,
    process: Child,
    said: Arc<Said>,
    /// The data port.
    pub data: SocketAddr,
    /// The console port.
    pub console: SocketAddr,
    /// The console's address as it was printed, with the first login at the first start.
    pub console_url: String,
    /// The admin token. It is printed at the first start only, and kept here.
    pub token: String,
}

#[derive(Default)]
struct Said {
    stdout: Mutex<Vec<String>>,
    stderr: Mutex<Vec<String>>,
}

impl Setup {
    /// With a configuration file of this text. Ports and the data folder are the harness's.
    pub fn config(text: impl Into<String>) -> Self {
        Self { config: text.into(), ..Self::default() }
    }

    /// Without a file, in front of one engine.
    pub fn engine(url: &str) -> Self {
        Self::default().argument("--engine").argument(url)
    }

    /// With one more argument after `serve`.
    pub fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// With an environment variable.
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts it and waits until it is ready.
    pub async fn start(self) -> Weir {
        let folder = tempfile::Builder::new().prefix("weir-test-").tempdir();
        self.start_in(folder.expect("a temporary folder can be made")).await
    }

    /// Starts it in a folder that the test has prepared; its data lies in `data` there.
    pub async fn start_in(self, folder: TempDir) -> Weir {
        Weir::start_in(self, Arc::new(folder), String::new()).await
    }
}

/// The program: `$WEIR_BIN`, or what `cargo build` left beside this test.
///
/// # Panics
/// Where there is none.
pub fn program() -> PathBuf {
    if let Some(named) = std::env::var_os("WEIR_BIN") {
        return named.into();
    }
    let test = std::env::current_exe().expect("a process knows its program");
    let folder = test.parent().and_then(Path::parent).expect("tests lie in target/<profile>/deps");
    let program = folder.join("weir");
    assert!(program.exists(), "{} is missing: run `cargo build --workspace`, or set WEIR_BIN", program.display());
    program
}

impl Weir {
    /// The program in front of one engine, on defaults.
    pub async fn before(engine_url: &str) -> Self {
        Setup::engine(engine_url).start().await
    }

    async fn start_in(setup: Setup, folder: Arc<TempDir>, token: String) -> Self {
        let (mut process, said) = spawn(&setup, folder.path());
        let none = ([0, 0, 0, 0], 0).into();
        let found = wait::until_asked("weir prints its ports", START_LIMIT, async || {
            if let Some(status) = process.try_wait().expect("a child can be asked") {
                panic!("weir ended at its start ({status})\n{}", said.all());
            }
            Some((said.after("listening ")?, said.after("console ")?))
        });
        let (data, console_url) = found.await;
        let data = data.parse().unwrap_or_else(|_| panic!("'listening {data}' is no address\n{}", said.all()));
        let console_url = console_url.split(' ').next().unwrap_or_default().to_owned();
        let console = authority(&console_url).unwrap_or(none);
        let token = console_url.split_once("token=").map_or(token, |(_, token)| token.to_owned());
        let mut weir = Self { setup, folder, process, said, data, console, console_url, token };
        weir.until_ready().await;
        weir
    }

    async fn until_ready(&mut self) {
        let console = self.console;
        wait::until_asked("weir is ready", START_LIMIT, async || {
            if let Some(status) = self.process.try_wait().expect("a child can be asked") {
                panic!("weir ended before it was ready ({status})\n{}", self.said.all());
            }
            let ready = Client::connect(console).await.ok()?.get("/readyz").await.ok()?;
            (ready.status() == 200).then_some(())
        })
        .await;
    }

    /// The folder of its data.
    pub fn data_folder(&self) -> PathBuf {
        data_folder(self.folder.path())
    }

    /// Id of its process.
    pub fn id(&self) -> u32 {
        self.process.id().expect("it is not waited for before it is stopped")
    }

    /// What it said, for a message or to look for a line.
    pub fn said(&self) -> String {
        self.said.all()
    }

    /// A `GET` on the console port, as its admin.
    pub async fn ask_console(&self, target: &str) -> Response {
        let mut client = Client::connect(self.console).await.expect("the console takes connections");
        let (host, authorization) = (self.console.to_string(), format!("Bearer {}", self.token));
        let headers = [("Host", host.as_str()), ("Authorization", authorization.as_str())];
        client.send(&request("GET", target, &headers, b"")).await.expect("a request can be sent");
        client.response().await.unwrap_or_else(|fault| panic!("no answer to {target}: {fault}\n{}", self.said()))
    }

    /// All metrics, in the text format.
    pub async fn metrics(&self) -> String {
        self.ask_console("/metrics").await.text()
    }

    /// Sum of a metric's series that have all of these labels, as in `route="default"`; none where no series has.
    pub async fn metric(&self, name: &str, labels: &[&str]) -> Option<f64> {
        sum_of(&self.metrics().await, name, labels)
    }

    /// Replaces the configuration file, as an editor does.
    pub fn write_config(&mut self, text: &str) {
        text.clone_into(&mut self.setup.config);
        write_config(self.folder.path(), text);
    }

    /// Sends a signal, as in `libc::SIGHUP`.
    pub fn signal(&self, signal: i32) {
        let id = self.id().to_string();
        let status = std::process::Command::new("kill").arg(format!("-{signal}")).arg(id).status();
        assert!(status.is_ok_and(|status| status.success()), "the process is there to be signalled");
    }

    /// Ends it without warning and starts it again on the same data, perhaps on other ports.
    pub async fn kill_and_restart(mut self) -> Self {
        self.kill().await;
        self.start_again().await
    }

    /// Asks it to end, waits for it, and starts it again on the same data.
    pub async fn restart(mut self) -> Self {
        self.terminate().await;
        self.start_again().await
    }

    /// Starts it again on the same data, after its end.
    pub async fn start_again(self) -> Self {
        Self::start_in(self.setup.clone(), self.folder.clone(), self.token.clone()).await
    }

    /// `kill -9`.
    pub async fn kill(&mut self) {
        self.process.kill().await.expect("a child can be killed");
    }

    /// Asks it to end (SIGTERM) and waits for it.
    ///
    /// # Panics
    /// Where it does not end in time.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.signal(libc::SIGTERM);
        self.ended().await
    }

    /// Waits for its end.
    pub async fn ended(&mut self) -> ExitStatus {
        let ended = tokio::time::timeout(STOP_LIMIT, self.process.wait()).await;
        let ended = ended.unwrap_or_else(|_| panic!("weir has not ended after {STOP_LIMIT:?}\n{}", self.said.all()));
        ended.expect("a child can be waited for")
    }
}

impl Drop for Weir {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("what weir said:\n{}", self.said.all());
        }
    }
}

impl Said {
    fn after(&self, start: &str) -> Option<String> {
        let lines = self.stdout.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        lines.iter().find_map(|line| line.strip_prefix(start)).map(|rest| rest.trim().to_owned())
    }

    fn all(&self) -> String {
        let lines =
            |lines: &Mutex<Vec<String>>| lines.lock().unwrap_or_else(std::sync::PoisonError::into_inner).join("\n");
        format!("{}\n{}", lines(&self.stdout), lines(&self.stderr))
    }
}

/// Sum of a metric's series that have all of these labels, in the Prometheus text format.
pub fn sum_of(metrics: &str, name: &str, labels: &[&str]) -> Option<f64> {
    let values = metrics.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        let (series, value) = rest.rsplit_once(' ')?;
        let whole_name = series.is_empty() || series.starts_with('{');
        (whole_name && labels.iter().all(|label| series.contains(label))).then(|| value.parse::<f64>().ok()).flatten()
    });
    values.reduce(|sum, value| sum + value)
}

fn spawn(setup: &Setup, folder: &Path) -> (Child, Arc<Said>) {
    let mut command = Command::new(program());
    command.arg("serve").args(["--listen", "127.0.0.1:0", "--console-listen", "127.0.0.1:0", "--data-dir"]);
    command.arg(data_folder(folder));
    if !setup.config.is_empty() {
        command.arg("--config").arg(write_config(folder, &setup.config));
    }
    command.args(&setup.arguments);
    if std::env::var_os("WEIR_CHDB").is_none() {
        command.env("WEIR_CHDB", &Places::get().store_library);
    }
    command.envs(setup.environment.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut process = command.spawn().unwrap_or_else(|fault| panic!("{:?} does not run: {fault}", program()));
    let said = Arc::new(Said::default());
    tokio::spawn(listen(process.stdout.take(), said.clone(), |said| &said.stdout));
    tokio::spawn(listen(process.stderr.take(), said.clone(), |said| &said.stderr));
    (process, said)
}

async fn listen(pipe: Option<impl AsyncRead + Unpin>, said: Arc<Said>, of: fn(&Said) -> &Mutex<Vec<String>>) {
    let Some(pipe) = pipe else { return };
    let mut lines = BufReader::new(pipe).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let mut kept = of(&said).lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if kept.len() < MAX_LINES {
            kept.push(line);
        }
    }
}

fn data_folder(folder: &Path) -> PathBuf {
    folder.join("data")
}

fn write_config(folder: &Path, text: &str) -> PathBuf {
    let (new, place) = (folder.join("weir.toml.new"), folder.join("weir.toml"));
    std::fs::write(&new, text).expect("the temporary folder takes files");
    std::fs::rename(&new, &place).expect("a file can be renamed within its folder");
    place
}

/// The address in `http://127.0.0.1:8081/...`.
fn authority(url: &str) -> Option<SocketAddr> {
    url.strip_prefix("http://")?.split('/').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Answer, Engine};

    #[test]
    fn a_metric_is_summed_over_the_series_that_have_the_labels() {
        let text = "# HELP a_total x\na_total{k=\"1\",l=\"x\"} 2\na_total{k=\"2\",l=\"x\"} 3\na_total_more 9\nb 4.5\n";
        let table: [(&str, &[&str], Option<f64>); 5] = [
            ("a_total", &[], Some(5.0)),
            ("a_total", &["k=\"2\"", "l=\"x\""], Some(3.0)),
            ("a_total", &["k=\"7\""], None),
            ("b", &[], Some(4.5)),
            ("c", &[], None),
        ];
        for (name, labels, sum) in table {
            assert_eq!(sum_of(text, name, labels), sum, "{name} {labels:?}");
        }
    }

    #[tokio::test]
    async fn the_program_starts_answers_and_comes_back_on_its_data() {
        let engine = Engine::start(Answer::json("{}")).await;
        let mut weir = Weir::before(&engine.url()).await;
        let token = weir.token.clone();
        for restart in 0..3 {
            let mut client = Client::connect(weir.data).await.unwrap();
            let body = br#"{"messages":[{"role":"user","content":"hi"}]}"#;
            assert_eq!(client.post("/v1/chat/completions", body).await.unwrap().text(), "{}", "{}", weir.said());
            wait::until_asked("the exchange is counted", wait::PATIENCE, async || {
                weir.metric("weir_exchanges_total", &[]).await.filter(|count| *count == 1.0)
            })
            .await;
            assert_eq!(weir.token, token);
            weir = match restart {
                0 => weir.restart().await,
                _ => weir.kill_and_restart().await,
            };
        }
        assert!(weir.terminate().await.success(), "{}", weir.said());
        assert_eq!(engine.requests().len(), 3);
    }

    #[test]
    fn the_console_is_found_in_its_url() {
        let found = authority("http://127.0.0.1:81/login#token=abc");
        assert_eq!(found, Some(([127, 0, 0, 1], 81).into()));
        assert_eq!(authority("nowhere"), None);
    }
}
