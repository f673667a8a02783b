//! Whose request it is and which route takes it.
//!
//! Must not know: engines beyond their names, what happens to the request after.

mod rate;
pub mod route;
pub mod tenant;

use std::sync::Arc;

pub use tenant::{Seat, Tenants};

use crate::exchange::{Error, Kind, Name, Request};

/// Who and where.
#[derive(Debug)]
pub struct Identity {
    /// Name of the tenant.
    pub tenant: Name,
    /// Position of the route in the configuration.
    pub route: usize,
    /// Held while the exchange lasts.
    pub seat: Seat,
}

/// Tenants and routes.
#[derive(Debug)]
pub struct Directory {
    /// The tenants.
    pub tenants: Arc<Tenants>,
    /// The routes, in order.
    pub routes: Vec<route::Config>,
}

impl Directory {
    /// Identifies a request. Takes Weir's API key out of its headers.
    ///
    /// Errors: [`Kind::Unauthorized`], [`Kind::NoRoute`], [`Kind::RateLimited`].
    pub fn identify(&self, request: &mut Request) -> Result<Identity, Error> {
        let tenant = self.tenants.of(&mut request.headers)?;
        let route = self.routes.iter().position(|route| route.takes(request, &tenant.name));
        let route = route.ok_or_else(|| no_route(request))?;
        let seat = tenant.enter()?;
        Ok(Identity { tenant: tenant.name.clone(), route, seat })
    }
}

fn no_route(request: &Request) -> Error {
    let model = request.facts.model.as_deref().unwrap_or("none");
    let shown: String = model.chars().filter(|c| !c.is_control()).take(80).collect();
    Error::new(Kind::NoRoute, format!("no route takes model '{shown}' on {}", request.target.path()))
}
