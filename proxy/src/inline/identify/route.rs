//! Routes: which requests each takes.

use std::collections::BTreeMap;

use crate::exchange::{Api, Name, Request};

/// Which requests a route takes. All conditions that are given must hold; the first route
/// that fits takes the request.
#[derive(Clone, Debug)]
pub struct Conditions {
    /// Name by which metrics and records speak of it.
    pub name: Name,
    /// Values of `model` that it takes; `*` stands for any text. Empty: any model, or none.
    pub models: Vec<String>,
    /// Paths that it takes; `*` stands for any text. Empty: any path.
    pub paths: Vec<String>,
    /// Headers that must be there with these values; `*` stands for any text.
    pub headers: BTreeMap<String, String>,
    /// Tenants that may use it. Empty: any.
    pub tenants: Vec<Name>,
}

impl Conditions {
    /// Whether it takes a request of that tenant.
    pub fn takes(&self, request: &Request, tenant: &Name) -> bool {
        let any = |patterns: &[String], text: &str| patterns.is_empty() || patterns.iter().any(|p| fits(p, text));
        let header = |(name, pattern): (&String, &String)| {
            request.headers.get_all(name).iter().any(|value| value.to_str().is_ok_and(|text| fits(pattern, text)))
        };
        // A list of models names none of them.
        (request.api == Api::Models || any(&self.models, request.facts.model.as_deref().unwrap_or_default()))
            && any(&self.paths, request.target.path())
            && self.headers.iter().all(header)
            && (self.tenants.is_empty() || self.tenants.contains(tenant))
    }
}

/// Whether a text fits a pattern in which `*` stands for any text. Linear but for the
/// number of stars.
fn fits(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        let table = [
            ("a", "a", true),
            ("a", "ab", false),
            ("*", "", true),
            ("llama-*", "llama-3", true),
            ("llama-*", "qwen", false),
            ("*-q4", "m-q4", true),
            ("a*b*c", "aXbYc", true),
            ("a*b*c", "ac", false),
            ("a*a", "a", false),
            ("/v1/*", "/v1/chat/completions", true),
        ];
        for (pattern, text, expected) in table {
            assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
        }
    }
}
