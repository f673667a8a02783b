//! Epochs of routes and tenants: a number in every key, raised to flush at once.
//!
//! Raising it makes all keys made before unreachable, however many there are. Reading takes
//! no lock. Epochs live as long as the process; so do the entries.

use std::collections::HashMap;

use arc_swap::ArcSwap;

use crate::exchange::Name;

/// The epochs that were raised; all others are 0.
#[derive(Debug, Default)]
pub struct Epochs {
    routes: Raised,
    tenants: Raised,
}

/// Names are configured ones, and few are ever flushed: the map is copied to raise one.
type Raised = ArcSwap<HashMap<Name, u64>>;

impl Epochs {
    /// The epoch of a route.
    pub fn route(&self, name: &Name) -> u64 {
        read(&self.routes, name)
    }

    /// The epoch of a tenant.
    pub fn tenant(&self, name: &Name) -> u64 {
        read(&self.tenants, name)
    }

    /// Makes all that was kept for a route unreachable. The name must be one that is
    /// configured: each is remembered.
    pub fn flush_route(&self, name: &Name) {
        raise(&self.routes, name);
    }

    /// Makes all that was kept for a tenant unreachable. The name must be one that is
    /// configured: each is remembered.
    pub fn flush_tenant(&self, name: &Name) {
        raise(&self.tenants, name);
    }
}

fn read(raised: &Raised, name: &Name) -> u64 {
    let raised = raised.load();
    // Most deployments never flush: spare them the hash.
    if raised.is_empty() { 0 } else { raised.get(name).copied().unwrap_or(0) }
}

fn raise(raised: &Raised, name: &Name) {
    raised.rcu(|old| {
        let mut new = HashMap::clone(old);
        *new.entry(name.clone()).or_default() += 1;
        new
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flush_raises_one_name_of_one_kind() {
        let epochs = Epochs::default();
        let [a, b] = ["a", "b"].map(|name| Name::new(name).unwrap());
        epochs.flush_route(&a);
        epochs.flush_route(&a);
        epochs.flush_tenant(&b);
        assert_eq!([epochs.route(&a), epochs.route(&b), epochs.tenant(&a), epochs.tenant(&b)], [2, 0, 0, 1]);
    }

    #[test]
    fn flushes_at_the_same_time_all_count() {
        let epochs = Epochs::default();
        let name = Name::new("a").unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..100).for_each(|_| epochs.flush_route(&name)));
            }
        });
        assert_eq!(epochs.route(&name), 400);
    }
}
