//! Tenants: who may use Weir, by API key, and how much.
//!
//! Keys are kept as BLAKE3 hashes only. A key is looked up by its hash, so that comparing
//! takes the same time whatever the key is.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::header::{self, HeaderMap, HeaderName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rate::Bucket;
use crate::exchange::{Error, Fault, Kind, Name};

/// One tenant. Metrics and records speak of it by its name, which is its key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// BLAKE3 hashes of its API keys in hex, as `weir key` prints them.
    pub key_hashes: Vec<String>,
    /// Requests per minute; no limit where left out.
    pub requests_per_minute: Option<u64>,
    /// Tokens per minute, prompt and completion together; no limit where left out. Charged
    /// when an answer is over, so a burst may go over once and is waited for after.
    pub tokens_per_minute: Option<u64>,
    /// Exchanges of this tenant at one time; no limit of its own where left out.
    pub max_in_flight: Option<usize>,
}

impl Config {
    /// What is wrong with the values.
    pub fn faults(&self, path: &str) -> Vec<Fault> {
        let mut faults = Vec::new();
        if self.key_hashes.is_empty() {
            let cure = "make one with `weir key` and write its hash here";
            faults.push(Fault::new(format!("{path}.key_hashes"), "is empty, nobody could be this tenant", cure));
        }
        for (i, hash) in self.key_hashes.iter().enumerate() {
            if blake3::Hash::from_hex(hash).is_err() {
                let cure = "write the 64 hex digits that `weir key` prints, never the key itself";
                faults.push(Fault::new(format!("{path}.key_hashes[{i}]"), "is no BLAKE3 hash", cure));
            }
        }
        let limits = [("requests_per_minute", self.requests_per_minute), ("tokens_per_minute", self.tokens_per_minute)];
        for (key, _) in limits.iter().filter(|(_, limit)| *limit == Some(0)) {
            faults.push(Fault::new(
                format!("{path}.{key}"),
                "is 0, nothing would pass",
                "use 1 or more, or leave it out",
            ));
        }
        faults
    }
}

/// A tenant and what it uses now.
#[derive(Debug)]
pub struct Tenant {
    /// Its name.
    pub name: Name,
    config: Config,
    requests: Option<Mutex<Bucket>>,
    tokens: Option<Mutex<Bucket>>,
    max_in_flight: usize,
    in_flight: AtomicUsize,
}

/// A tenant's exchange under way; dropped when it is over.
#[derive(Debug)]
pub struct Seat(Arc<Tenant>);

impl Tenant {
    fn new(name: Name, config: &Config) -> Self {
        let bucket = |limit: Option<u64>| limit.map(|limit| Mutex::new(Bucket::new(limit, Instant::now())));
        Self {
            name,
            config: config.clone(),
            requests: bucket(config.requests_per_minute),
            tokens: bucket(config.tokens_per_minute),
            max_in_flight: config.max_in_flight.unwrap_or(usize::MAX),
            in_flight: AtomicUsize::new(0),
        }
    }

    /// Everybody, where no tenants are configured.
    pub fn open(name: Name) -> Self {
        Self::new(name, &Config::default())
    }

    /// Lets an exchange begin, if the tenant's limits do.
    pub fn enter(self: &Arc<Self>) -> Result<Seat, Error> {
        let seat = Seat(self.clone());
        if self.in_flight.fetch_add(1, Ordering::Relaxed) >= self.max_in_flight {
            let message = format!("more than {} requests at one time; wait for one to finish", self.max_in_flight);
            return Err(limited(message, Duration::from_secs(1)));
        }
        let now = Instant::now();
        if let Some(tokens) = &self.tokens {
            let wait = lock(tokens).wait(1.0, now);
            if !wait.is_zero() {
                return Err(limited("the token rate of this key is used up; slow down".to_owned(), wait));
            }
        }
        if let Some(requests) = &self.requests {
            let mut requests = lock(requests);
            let wait = requests.wait(1.0, now);
            if !wait.is_zero() {
                return Err(limited("the request rate of this key is used up; slow down".to_owned(), wait));
            }
            requests.charge(1.0, now);
        }
        Ok(seat)
    }

    /// Charges the tokens of an exchange that is over.
    pub fn charge_tokens(&self, tokens: u64) {
        if let Some(bucket) = &self.tokens {
            lock(bucket).charge(tokens as f64, Instant::now());
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

fn lock(bucket: &Mutex<Bucket>) -> std::sync::MutexGuard<'_, Bucket> {
    bucket.lock().unwrap_or_else(PoisonError::into_inner)
}

fn limited(message: String, wait: Duration) -> Error {
    Error::new(Kind::RateLimited, message).retry_after(wait)
}

/// All tenants, by the hash of their keys.
#[derive(Debug, Default)]
pub struct Tenants {
    by_key: HashMap<blake3::Hash, Arc<Tenant>>,
    /// Set where no tenants are configured: everybody is this one, and keys are the engine's.
    open: Option<Arc<Tenant>>,
}

const KEY_HEADERS: [HeaderName; 3] =
    [header::AUTHORIZATION, HeaderName::from_static("x-api-key"), HeaderName::from_static("api-key")];

impl Tenants {
    /// Tenants from their configuration; with none, everybody is the tenant `default`.
    pub fn new(configs: &BTreeMap<Name, Config>, default: Name) -> Self {
        Self::following(&Self::default(), configs, default)
    }

    /// Tenants of a changed configuration: those whose own part did not change go on as they
    /// are, with what they have used.
    pub fn following(before: &Self, configs: &BTreeMap<Name, Config>, default: Name) -> Self {
        let mut by_key = HashMap::new();
        for (name, config) in configs {
            let known = before.by_key.values().find(|known| known.name == *name && known.config == *config);
            let tenant = known.cloned().unwrap_or_else(|| Arc::new(Tenant::new(name.clone(), config)));
            let hashes = config.key_hashes.iter().filter_map(|hash| blake3::Hash::from_hex(hash).ok());
            by_key.extend(hashes.map(|hash| (hash, tenant.clone())));
        }
        let open = configs.is_empty().then(|| Arc::new(Tenant::open(default)));
        Self { by_key, open }
    }

    /// Whose request it is. The key is taken out of the headers: it is Weir's, not the engine's.
    pub fn of(&self, headers: &mut HeaderMap) -> Result<Arc<Tenant>, Error> {
        if let Some(open) = &self.open {
            return Ok(open.clone());
        }
        let given = KEY_HEADERS.map(|name| headers.remove(name));
        let Some(value) = given.into_iter().flatten().next() else {
            return Err(Error::new(
                Kind::Unauthorized,
                "no API key; send `Authorization: Bearer KEY` or `x-api-key: KEY`",
            ));
        };
        let value = value.as_bytes();
        let key = value.strip_prefix(b"Bearer ").or(value.strip_prefix(b"bearer ")).unwrap_or(value);
        let tenant = self.by_key.get(&blake3::hash(key.trim_ascii()));
        tenant.cloned().ok_or_else(|| Error::new(Kind::Unauthorized, "this API key is not known here"))
    }

    /// The tenant of that name, for charging tokens.
    pub fn named(&self, name: &Name) -> Option<&Arc<Tenant>> {
        self.by_key.values().chain(&self.open).find(|tenant| tenant.name == *name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(key: &str) -> Config {
        Config { key_hashes: vec![blake3::hash(key.as_bytes()).to_string()], ..Config::default() }
    }

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    #[test]
    fn a_key_opens_its_own_tenant_and_never_reaches_the_engine() {
        let tenants = Tenants::new(&[(name("a"), config("ka")), (name("b"), config("kb"))].into(), name("default"));
        for (header, value, tenant) in
            [("authorization", "Bearer ka", "a"), ("x-api-key", "kb", "b"), ("api-key", "ka", "a")]
        {
            let mut headers = HeaderMap::new();
            headers.insert(header, value.parse().unwrap());
            assert_eq!(tenants.of(&mut headers).unwrap().name.as_str(), tenant);
            assert!(headers.is_empty());
        }
        for bad in ["Bearer kx", "Bearer ", "ka kb"] {
            let mut headers = HeaderMap::new();
            headers.insert("authorization", bad.parse().unwrap());
            assert_eq!(tenants.of(&mut headers).unwrap_err().kind, Kind::Unauthorized);
        }
        assert_eq!(tenants.of(&mut HeaderMap::new()).unwrap_err().kind, Kind::Unauthorized);
    }

    #[test]
    fn limits_refuse_with_the_time_to_wait() {
        let limited = Config { requests_per_minute: Some(2), max_in_flight: Some(1), ..config("ka") };
        let tenant = Arc::new(Tenant::new(name("a"), &limited));
        let seat = tenant.enter().unwrap();
        assert_eq!(tenant.enter().unwrap_err().kind, Kind::RateLimited);
        drop(seat);
        drop(tenant.enter().unwrap());
        let refused = tenant.enter().unwrap_err();
        assert!(refused.retry_after.unwrap() > Duration::from_secs(25), "{refused:?}");
        let tokens = Config { tokens_per_minute: Some(60), ..config("kt") };
        let tenant = Arc::new(Tenant::new(name("t"), &tokens));
        drop(tenant.enter().unwrap());
        tenant.charge_tokens(120);
        assert!(tenant.enter().unwrap_err().retry_after.unwrap() > Duration::from_secs(55));
    }
}
