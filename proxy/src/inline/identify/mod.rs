//! Whose request it is and which route takes it.
//!
//! Must not know: engines beyond their names, what happens to the request after.

mod rate;
pub mod route;
pub mod tenant;

use std::sync::Arc;
use std::time::Duration;

pub use tenant::{Seat, Tenant, Tenants};

use http::{HeaderMap, HeaderName};

use crate::exchange::{Error, Kind, Request};

/// Tenants and routes.
#[derive(Debug)]
pub struct Directory {
    /// The tenants.
    pub tenants: Arc<Tenants>,
    /// The routes, in order.
    pub routes: Vec<route::Conditions>,
}

impl Directory {
    /// Whose request it is, by its head alone: nobody unknown gets a body read. Takes Weir's
    /// API key out of the headers.
    ///
    /// Errors: [`Kind::Unauthorized`].
    pub fn tenant(&self, headers: &mut HeaderMap) -> Result<Arc<Tenant>, Error> {
        self.tenants.of(headers)
    }

    /// Which route takes a request of that tenant, and a seat of the tenant's.
    ///
    /// Errors: [`Kind::NoRoute`], [`Kind::RateLimited`].
    pub fn route(&self, request: &Request, tenant: &Arc<Tenant>) -> Result<(usize, Seat), Error> {
        let route = self.routes.iter().position(|route| route.takes(request, &tenant.name));
        let route = route.ok_or_else(|| no_route(request))?;
        Ok((route, tenant.enter()?))
    }
}

/// How long the client waits, in seconds, by its own word.
const TIMEOUT: HeaderName = HeaderName::from_static("x-weir-timeout");

/// How long after arrival the client stops waiting: `x-weir-timeout`, in seconds. It is Weir's
/// and not the engine's: the header is taken out.
///
/// Errors: [`Kind::InvalidRequest`].
pub fn deadline(headers: &mut HeaderMap) -> Result<Option<Duration>, Error> {
    let Some(value) = headers.remove(TIMEOUT) else { return Ok(None) };
    let seconds = value.to_str().ok().and_then(|text| text.trim().parse::<f64>().ok());
    let deadline = seconds.filter(|seconds| *seconds > 0.0).and_then(|s| Duration::try_from_secs_f64(s).ok());
    let message = "the header x-weir-timeout must be a number of seconds above 0, such as 2.5";
    deadline.map(Some).ok_or_else(|| Error::new(Kind::InvalidRequest, message))
}

fn no_route(request: &Request) -> Error {
    let model = request.facts.model.as_deref().unwrap_or("none");
    let shown: String = model.chars().filter(|c| !c.is_control()).take(80).collect();
    Error::new(Kind::NoRoute, format!("no route takes model '{shown}' on {}", request.target.path()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_says_in_seconds_how_long_it_waits() {
        let read = |value: &'static str| {
            let mut headers = HeaderMap::from_iter([(TIMEOUT, http::HeaderValue::from_static(value))]);
            let deadline = deadline(&mut headers);
            assert!(headers.is_empty(), "it is no header of the engine's");
            deadline.map_err(|error| error.kind)
        };
        assert_eq!(read("2.5"), Ok(Some(Duration::from_millis(2500))));
        for bad in ["0", "-1", "soon", "", "NaN", "inf", "1e300"] {
            assert_eq!(read(bad), Err(Kind::InvalidRequest), "{bad}");
        }
        assert_eq!(deadline(&mut HeaderMap::new()).unwrap(), None);
    }
}
