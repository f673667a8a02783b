//! How many exchanges are in flight, and how many may wait for a place.
//!
//! Must not know: whose exchange it is, what it asks.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use prometheus::{IntGauge, Opts, Registry};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::exchange::{Error, Fault, Kind, Period};

/// Limits of concurrency.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Exchanges at an engine at one time. Engines batch: keep this above what they run at once.
    pub max_in_flight: usize,
    /// Exchanges that may wait for a place; further ones are answered with 429.
    pub max_queue: usize,
    /// How long an exchange may wait for a place before it is answered with 429.
    pub queue_timeout: Period,
}

impl Default for Config {
    fn default() -> Self {
        Self { max_in_flight: 1024, max_queue: 1024, queue_timeout: Period::secs(30) }
    }
}

impl Config {
    /// What is wrong with the values.
    pub fn faults(&self, path: &str) -> Vec<Fault> {
        let fault = Fault::new(format!("{path}.max_in_flight"), "is 0, nothing would be served", "use 1 or more");
        if self.max_in_flight == 0 { vec![fault] } else { Vec::new() }
    }
}

/// Metrics of admission.
#[derive(Clone, Debug)]
pub struct Metrics {
    in_flight: IntGauge,
    waiting: IntGauge,
}

impl Metrics {
    /// Registers the metrics.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let in_flight = IntGauge::with_opts(Opts::new("weir_in_flight", "Exchanges that hold a place now"))?;
        let waiting = IntGauge::with_opts(Opts::new("weir_queue_depth", "Exchanges that wait for a place now"))?;
        registry.register(Box::new(in_flight.clone()))?;
        registry.register(Box::new(waiting.clone()))?;
        Ok(Self { in_flight, waiting })
    }

    /// Exchanges that wait for a place now.
    pub fn waiting(&self) -> usize {
        usize::try_from(self.waiting.get()).unwrap_or_default()
    }
}

/// The gate.
#[derive(Debug)]
pub struct Admission {
    places: Arc<Semaphore>,
    config: Config,
    metrics: Metrics,
}

/// A place in flight, given back when dropped.
#[derive(Debug)]
pub struct Place {
    _permit: OwnedSemaphorePermit,
    in_flight: IntGauge,
}

/// A body that holds its place until it is dropped.
#[derive(Debug)]
pub struct Held<B> {
    body: B,
    _place: Place,
}

/// One that waits; counted until dropped, also when its client leaves.
struct Waiter<'a>(&'a IntGauge);

impl Admission {
    /// A gate with these limits.
    pub fn new(config: Config, metrics: Metrics) -> Self {
        Self { places: Arc::new(Semaphore::new(config.max_in_flight)), config, metrics }
    }

    /// Takes a place, waiting for one in line if need be.
    pub async fn enter(&self) -> Result<Place, Error> {
        let permit = match self.places.clone().try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => self.wait().await?,
        };
        self.metrics.in_flight.inc();
        Ok(Place { _permit: permit, in_flight: self.metrics.in_flight.clone() })
    }

    async fn wait(&self) -> Result<OwnedSemaphorePermit, Error> {
        let full = |message| Error::new(Kind::Overloaded, message).retry_after(Duration::from_secs(1));
        if self.metrics.waiting.get() >= self.config.max_queue as i64 {
            return Err(full("all places are taken and the queue is full; try again shortly"));
        }
        self.metrics.waiting.inc();
        let _waiter = Waiter(&self.metrics.waiting);
        match tokio::time::timeout(*self.config.queue_timeout, self.places.clone().acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(full("no place became free in time; try again shortly")),
        }
    }
}

impl Place {
    /// Binds the place to an answer's body.
    pub fn held_by<B>(self, body: B) -> Held<B> {
        Held { body, _place: self }
    }
}

impl<B: http_body::Body + Unpin> http_body::Body for Held<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.in_flight.dec();
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(max_in_flight: usize, max_queue: usize) -> Admission {
        let config = Config { max_in_flight, max_queue, queue_timeout: Period::secs(5) };
        Admission::new(config, Metrics::register(&Registry::new()).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn beyond_the_queue_it_refuses_at_once_and_within_it_in_time() {
        let gate = Arc::new(gate(1, 1));
        let place = gate.enter().await.unwrap();
        let second = tokio::spawn({
            let gate = gate.clone();
            async move { gate.enter().await.map(drop) }
        });
        tokio::task::yield_now().await;
        assert_eq!(gate.enter().await.unwrap_err().kind, Kind::Overloaded);
        drop(place);
        second.await.unwrap().unwrap();
        let _held = gate.enter().await.unwrap();
        let late = gate.enter().await.unwrap_err();
        assert!(late.message.contains("in time"), "{}", late.message);
        assert_eq!(gate.metrics.waiting.get(), 0);
    }
}
