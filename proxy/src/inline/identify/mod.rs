//! Whose request it is and which route takes it.
//!
//! Must not know: engines beyond their names, what happens to the request after.

mod rate;
pub mod route;
pub mod tenant;

use std::sync::Arc;

pub use tenant::{Seat, Tenant, Tenants};

use http::HeaderMap;

use crate::exchange::{Error, Kind, Request};

/// Tenants and routes.
#[derive(Debug)]
pub struct Directory {
    /// The tenants.
    pub tenants: Arc<Tenants>,
    /// The routes, in order.
    pub routes: Vec<route::Config>,
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

fn no_route(request: &Request) -> Error {
    let model = request.facts.model.as_deref().unwrap_or("none");
    let shown: String = model.chars().filter(|c| !c.is_control()).take(80).collect();
    Error::new(Kind::NoRoute, format!("no route takes model '{shown}' on {}", request.target.path()))
}
