//! Who may come in: one admin token, and sessions in memory.
//!
//! Promises: the token itself is never kept, only its BLAKE3 hash (a fast hash is right
//! here: the token is 256 random bits, not a password); compares take constant time;
//! sessions, and the addresses whose refused tries are counted, are bounded.
//! Users with passwords or single sign-on will be further variants of [`Proof`].
//!
//! On disk: `weir-login v1`, a newline, the hash in 64 hex digits, a newline; mode 0600.

use std::collections::HashMap;
use std::io::Write;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

const HEADER: &str = "weir-login v1";
/// Addresses whose refused tries are counted at a time.
const MAX_ADDRESSES: usize = 1024;
const TRY_WINDOW: Duration = Duration::from_secs(60);

/// The lock of the console. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Login {
    token: blake3::Hash,
    table: Arc<Mutex<Table>>,
}

/// The admin token, shown once to the operator when it is made.
#[derive(Debug)]
pub struct FreshToken(pub String);

/// What a caller shows to come in.
#[derive(Clone, Copy, Debug)]
pub enum Proof<'a> {
    /// The admin token.
    Token(&'a str),
}

/// Why the token's file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Reading or writing failed.
    #[error("the console's token file {path}: {fault}")]
    File {
        /// The file.
        path: String,
        /// What happened.
        fault: std::io::Error,
    },
    /// The file holds something else.
    #[error("{0} is no token file of Weir: remove it, and a new token is made at the next start")]
    Foreign(String),
    /// The system gives no random bytes.
    #[error("the system gives no random bytes: {0}")]
    Random(getrandom::Error),
}

/// Outcome of a try to come in.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// The session id for the cookie.
    Welcome(String),
    /// Wrong proof.
    Refused,
    /// Too many wrong proofs from this address within a minute; the proof was not looked at.
    TooMany,
}

#[derive(Debug, Default)]
struct Table {
    /// By hash of the session id, so that a lookup tells nothing by its time.
    sessions: HashMap<blake3::Hash, Instant>,
    tries: HashMap<IpAddr, (Instant, u32)>,
}

/// Limits of sessions and tries, from the console's configuration.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) session_ttl: Duration,
    pub(super) max_sessions: usize,
    pub(super) attempts: u32,
}

impl Login {
    /// Reads the token's hash, or makes a token where the file is not there yet.
    pub fn load_or_create(path: &Path) -> Result<(Self, Option<FreshToken>), Error> {
        let file_fault = |fault| Error::File { path: path.display().to_string(), fault };
        match std::fs::read_to_string(path) {
            Ok(text) => {
                let hash = text.strip_prefix(HEADER).and_then(|rest| blake3::Hash::from_hex(rest.trim()).ok());
                let token = hash.ok_or_else(|| Error::Foreign(path.display().to_string()))?;
                Ok((Self { token, table: Arc::default() }, None))
            }
            Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => {
                let fresh = random_hex().map_err(Error::Random)?;
                let login = Self::of_token(&fresh);
                write_private(path, &format!("{HEADER}\n{}\n", login.token.to_hex())).map_err(file_fault)?;
                Ok((login, Some(FreshToken(fresh))))
            }
            Err(fault) => Err(file_fault(fault)),
        }
    }

    /// A lock that opens to this token; for tokens that come from the environment, and for tests.
    pub fn of_token(token: &str) -> Self {
        Self { token: blake3::hash(token.as_bytes()), table: Arc::default() }
    }

    /// Whether the proof is right. For requests that carry it themselves (`Authorization: Bearer`).
    pub(super) fn accepts(&self, proof: Proof<'_>) -> bool {
        let Proof::Token(token) = proof;
        // `blake3::Hash` compares in constant time.
        blake3::hash(token.trim().as_bytes()) == self.token
    }

    /// Tries a proof from an address; counts refusals.
    pub(super) fn enter(&self, proof: Proof<'_>, from: IpAddr, now: Instant, limits: Limits) -> Answer {
        let from = network(from);
        let mut table = self.table();
        if table.tries_within_window(from, now) >= limits.attempts {
            return Answer::TooMany;
        }
        if !self.accepts(proof) {
            table.count_refusal(from, now);
            return Answer::Refused;
        }
        match random_hex() {
            Ok(id) => {
                table.begin(&id, now, limits);
                Answer::Welcome(id)
            }
            Err(fault) => {
                tracing::error!(%fault, "no random bytes for a session");
                Answer::Refused
            }
        }
    }

    /// Whether too many wrong proofs came from this address within a minute.
    pub(super) fn is_blocked(&self, from: IpAddr, now: Instant, limits: Limits) -> bool {
        self.table().tries_within_window(network(from), now) >= limits.attempts
    }

    /// Counts a wrong proof that came without a login form.
    pub(super) fn refuse(&self, from: IpAddr, now: Instant) {
        self.table().count_refusal(network(from), now);
    }

    /// Whether a session of this id is open.
    pub(super) fn knows(&self, session: &str, now: Instant) -> bool {
        let ends = self.table().sessions.get(&blake3::hash(session.as_bytes())).copied();
        ends.is_some_and(|ends| now < ends)
    }

    /// Ends a session.
    pub(super) fn leave(&self, session: &str) {
        self.table().sessions.remove(&blake3::hash(session.as_bytes()));
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Every change is one map operation: a panic elsewhere leaves nothing half done.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn begin(&mut self, id: &str, now: Instant, limits: Limits) {
        self.sessions.retain(|_, ends| now < *ends);
        if self.sessions.len() >= limits.max_sessions {
            let oldest = self.sessions.iter().min_by_key(|(_, ends)| **ends).map(|(id, _)| *id);
            oldest.and_then(|id| self.sessions.remove(&id));
        }
        self.sessions.insert(blake3::hash(id.as_bytes()), now + limits.session_ttl);
    }

    fn tries_within_window(&self, from: IpAddr, now: Instant) -> u32 {
        self.tries.get(&from).filter(|(began, _)| now < *began + TRY_WINDOW).map_or(0, |(_, count)| *count)
    }

    fn count_refusal(&mut self, from: IpAddr, now: Instant) {
        if self.tries.len() >= MAX_ADDRESSES && !self.tries.contains_key(&from) {
            self.tries.retain(|_, (began, _)| now < *began + TRY_WINDOW);
            if self.tries.len() >= MAX_ADDRESSES {
                return;
            }
        }
        let entry = self.tries.entry(from).or_insert((now, 0));
        if now >= entry.0 + TRY_WINDOW {
            *entry = (now, 0);
        }
        entry.1 += 1;
    }
}

/// Whom a refusal is counted against: the address, or the /64 of IPv6, which one host holds whole.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) & !u128::from(u64::MAX)).into()),
    }
}

fn random_hex() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(blake3::Hash::from(bytes).to_hex().to_string())
}

/// Writes beside the place and renames, so that a crash leaves the old file or the new one.
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let beside = path.with_extension("new");
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&beside, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { session_ttl: Duration::from_secs(60), max_sessions: 2, attempts: 3 };
    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn welcome(login: &Login, token: &str, now: Instant) -> String {
        match login.enter(Proof::Token(token), HERE, now, LIMITS) {
            Answer::Welcome(id) => id,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_token_is_shown_once_and_opens_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data/console-token");
        let (_, fresh) = Login::load_or_create(&path).unwrap();
        let token = fresh.unwrap().0;
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains(&token), "the token itself must not be on disk");
        let (again, none) = Login::load_or_create(&path).unwrap();
        assert!(none.is_none());
        assert!(again.accepts(Proof::Token(&token)));
        assert!(!again.accepts(Proof::Token(&token[1..])));
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_foreign_file_is_never_taken_for_a_token() {
        let folder = tempfile::tempdir().unwrap();
        for text in ["", "weir-login v1\n", "weir-login v1\nzz", "something"] {
            let path = folder.path().join("token");
            std::fs::write(&path, text).unwrap();
            assert!(matches!(Login::load_or_create(&path), Err(Error::Foreign(_))), "{text:?}");
        }
    }

    #[test]
    fn a_session_holds_until_it_ends() {
        let (login, now) = (Login::of_token("secret"), Instant::now());
        let id = welcome(&login, "secret", now);
        assert!(login.knows(&id, now));
        assert!(!login.knows("other", now));
        assert!(!login.knows(&id, now + LIMITS.session_ttl));
        login.leave(&id);
        assert!(!login.knows(&id, now));
    }

    #[test]
    fn one_session_too_many_ends_the_oldest() {
        let (login, now) = (Login::of_token("secret"), Instant::now());
        let ids: Vec<_> = (0..3).map(|i| welcome(&login, "secret", now + Duration::from_secs(i))).collect();
        let open: Vec<_> = ids.iter().map(|id| login.knows(id, now)).collect();
        assert_eq!(open, [false, true, true]);
    }

    #[test]
    fn wrong_tokens_are_refused_and_then_not_even_read() {
        let (login, now) = (Login::of_token("secret"), Instant::now());
        for _ in 0..LIMITS.attempts {
            assert_eq!(login.enter(Proof::Token("guess"), HERE, now, LIMITS), Answer::Refused);
        }
        assert_eq!(login.enter(Proof::Token("secret"), HERE, now, LIMITS), Answer::TooMany);
        let elsewhere = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
        assert_eq!(login.enter(Proof::Token("guess"), elsewhere, now, LIMITS), Answer::Refused);
        welcome(&login, "secret", now + TRY_WINDOW);
    }

    #[test]
    fn counted_addresses_are_bounded() {
        let (login, now) = (Login::of_token("secret"), Instant::now());
        for i in 0..(MAX_ADDRESSES as u32 + 50) {
            login.refuse(IpAddr::V4(i.into()), now);
        }
        assert_eq!(login.table().tries.len(), MAX_ADDRESSES);
    }
}
