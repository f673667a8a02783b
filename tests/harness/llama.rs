//! A real engine: llama.cpp with a small model, one for all tests of a process.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use serde::Deserialize;

use crate::repository;

/// The real engine. It ends with the process: its standard input ends then.
pub struct Llama {
    /// Base URL.
    pub url: String,
    /// Address.
    pub address: SocketAddr,
    /// Name of its model.
    pub model: String,
    process: Child,
}

/// What `setup.py paths --json` says.
#[derive(Debug, Deserialize)]
pub struct Places {
    /// The library of the embedded store.
    pub store_library: PathBuf,
    /// The Python that can serve a model.
    pub llama_python: PathBuf,
    /// The model.
    pub llama_model: PathBuf,
    /// The Python with the official clients.
    pub test_python: PathBuf,
    /// The official clients for Node.js.
    pub test_node_modules: PathBuf,
}

#[derive(Deserialize)]
struct Line {
    port: u16,
    url: String,
    model: String,
}

impl Places {
    /// Where everything from outside is.
    ///
    /// # Panics
    /// Where Python cannot be run.
    pub fn get() -> &'static Self {
        static PLACES: OnceLock<Places> = OnceLock::new();
        PLACES.get_or_init(|| {
            let setup = repository().join("deploy/setup/setup.py");
            let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
            let output = Command::new(&python).arg(&setup).args(["paths", "--json"]).output();
            let output = output.unwrap_or_else(|fault| panic!("{python} does not run: {fault}"));
            let faults = String::from_utf8_lossy(&output.stderr);
            serde_json::from_slice(&output.stdout).unwrap_or_else(|fault| panic!("{setup:?}: {fault}\n{faults}"))
        })
    }
}

/// `path`, or a panic that says how it is had.
///
/// # Panics
/// Where nothing is there.
pub fn there(path: &Path, target: &str) -> PathBuf {
    assert!(path.exists(), "{} is missing: run `make {target}` once", path.display());
    path.to_owned()
}

impl Llama {
    /// The engine, started at the first call.
    ///
    /// # Panics
    /// Where it is not set up or does not start; the message says what to do.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Llama> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(0))
    }

    /// An engine of one's own, to be killed; port 0 is any free one. Blocks until it answers.
    ///
    /// # Panics
    /// As [`Self::shared`].
    pub fn start(port: u16) -> Self {
        let places = Places::get();
        let mut process = Command::new(there(&places.llama_python, "llama"))
            .arg(repository().join("deploy/llama/server.py"))
            .arg("--model")
            .arg(there(&places.llama_model, "llama"))
            .args(["--alias", "smollm2", "--embeddings", "--stop-on-eof", "--port", &port.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the Python of the engine runs");
        let mut line = String::new();
        let stdout = process.stdout.take().expect("standard output is a pipe");
        // It gives up by itself after its own deadline, and the pipe ends.
        BufReader::new(stdout).read_line(&mut line).expect("a pipe can be read");
        let line: Line =
            serde_json::from_str(&line).unwrap_or_else(|_| panic!("llama.cpp did not start; its words are above"));
        let address = SocketAddr::from(([127, 0, 0, 1], line.port));
        Self { url: line.url, address, model: line.model, process }
    }

    /// Ends it as a crash does (`kill -9`).
    ///
    /// # Panics
    /// Where it was waited for before.
    pub fn kill(mut self) {
        self.process.kill().expect("a child can be killed");
        self.process.wait().expect("a child can be waited for");
    }
}
