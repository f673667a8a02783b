//! A fault in the configuration, said so that the reader can mend it.

/// One thing that is wrong with the configuration. Parts report all of theirs at once:
/// every part's `Config` has `fn faults(&self, path: &str) -> Vec<Fault>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Key path, as in `engines.primary.replicas[0]`.
    pub path: String,
    /// What is wrong, lower case.
    pub problem: String,
    /// What to write instead.
    pub cure: String,
}

impl Fault {
    /// A fault at a key path.
    pub fn new(path: impl Into<String>, problem: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { path: path.into(), problem: problem.into(), cure: cure.into() }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}; {}", self.path, self.problem, self.cure)
    }
}
