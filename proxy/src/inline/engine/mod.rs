//! The engine client: which replica is asked, how often, and how long it may take.
//!
//! Promises: connect, first-token, inter-token and total time each have their limit;
//! another replica or engine is tried only before the commit point; a client's 4xx never
//! counts against an engine; dropping the answer closes the connection to the engine at once.
//!
//! Must not know: tenants, routes, caching, what is in the answer.

mod ask;
mod body;
pub mod breaker;
pub mod config;
pub mod dialect;
pub mod metrics;
mod pool;
pub mod probe;
mod replica;
mod wire;

use std::sync::Arc;
use std::time::Instant;

pub use ask::{Commit, Plan, Reply, ask};
pub use body::Body;
pub use config::Config;
pub use metrics::Metrics;
pub use pool::set_worker;
pub use replica::{Replica, strip_hop_by_hop};

use crate::exchange::{Error, Kind, Name};

/// An engine: equal replicas behind one name.
pub struct Engine {
    /// Its name.
    pub name: Name,
    /// How it is to be treated.
    pub config: Config,
    /// Its replicas.
    pub replicas: Vec<Arc<Replica>>,
}

impl Engine {
    /// An engine from its configuration.
    pub fn new(name: Name, config: Config, metrics: &Metrics) -> Result<Self, Error> {
        let replica = |url: &String| {
            let address = config::Address::parse(url).map_err(|problem| Error::new(Kind::Internal, problem))?;
            let metrics = metrics.replica(&name, &address.authority);
            Replica::new(name.clone(), &config, address, metrics).map(Arc::new)
        };
        let replicas = config.replicas.iter().map(replica).collect::<Result<_, _>>()?;
        Ok(Self { name, config, replicas })
    }

    /// The least loaded replica that may be called and was not tried yet; healthy ones first.
    fn choose(&self, tried: &[Arc<Replica>], now: Instant) -> Option<&Arc<Replica>> {
        let untried = |replica: &&Arc<Replica>| !tried.iter().any(|t| Arc::ptr_eq(t, replica));
        let load = |replica: &&Arc<Replica>| (!replica.is_healthy(), replica.in_flight());
        self.replicas.iter().filter(untried).filter(|replica| replica.admits(now)).min_by_key(load)
    }
}
