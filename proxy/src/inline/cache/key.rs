//! The key of a request: everything that may change its answer, and whose it is.
//!
//! Pure. The full key is injective, each part with its length before it; its BLAKE3 finds
//! an entry, and the full key is compared before the entry is given. A field that is added
//! to [`Request`] or [`Facts`] does not compile here before it is decided about.

use bytes::Bytes;
use http::header::{self, HeaderName};

use super::canonical::{canonical, length};
use super::config::{Mode, RoutePolicy};
use crate::exchange::cached::Bypass;
use crate::exchange::{Api, ExchangeId, Facts, Name, Request};

/// A key, cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    digest: [u8; 32],
    full: Bytes,
    tenant_epoch: u64,
    route_epoch: u64,
}

/// What of the key is not in the request.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// Whose answer it is.
    pub tenant: &'a Name,
    /// The route that took the request; its policy may change what is answered.
    pub route: &'a Name,
    /// [`super::Epochs::tenant`] as the request came.
    pub tenant_epoch: u64,
    /// [`super::Epochs::route`] as the request came.
    pub route_epoch: u64,
    /// Identity of the engine that would be asked ([`super::Engine::identity`]).
    pub engine: u64,
    /// Which of several answers, see [`variant`].
    pub variant: u32,
    /// Whether answers cut at their limit are taken ([`RoutePolicy::keep_cut`]).
    pub keep_cut: bool,
    /// Headers that the route's policy adds ([`RoutePolicy::vary_names`]).
    pub vary: &'a [HeaderName],
    /// Larger requests are not looked at ([`super::Config::max_request_bytes`]).
    pub max_request_bytes: usize,
}

/// Changes when the form of keys does, so that a shared store never mixes two forms.
const FORM: u8 = 1;

/// Headers that may change the answer, or tell whose it is. The keys among them are there
/// only where no tenants are configured, and then they are the engine's to judge.
static ALWAYS: [HeaderName; 10] = [
    header::AUTHORIZATION,
    header::COOKIE,
    header::ORIGIN,
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("api-key"),
    HeaderName::from_static("openai-organization"),
    HeaderName::from_static("openai-project"),
    HeaderName::from_static("openai-beta"),
    HeaderName::from_static("anthropic-version"),
    HeaderName::from_static("anthropic-beta"),
];

/// Whether a header is in every key.
pub(super) fn is_always(name: &HeaderName) -> bool {
    ALWAYS.contains(name)
}

/// Whether the answer may be kept at all. Of a route whose mode is not [`Mode::Off`].
pub(super) fn policy(request: &Request, policy: &RoutePolicy) -> Result<(), Bypass> {
    match request.api {
        // A vector is no matter of chance.
        Api::Embeddings => return Ok(()),
        Api::Models | Api::Opaque => return Err(Bypass::Api),
        Api::Chat | Api::Completions | Api::Responses | Api::Messages => {}
    }
    let facts = &request.facts;
    if facts.stateful {
        Err(Bypass::Stateful)
    } else if facts.choices > 1 {
        Err(Bypass::Choices)
    } else if is_sampled(request) && policy.mode != Mode::All {
        Err(Bypass::Sampled)
    } else {
        Ok(())
    }
}

/// Whether the answer is drawn by lot.
fn is_sampled(request: &Request) -> bool {
    request.api != Api::Embeddings && !request.facts.greedy && !request.facts.seeded
}

/// Which of the answers kept for one request is this one's: by the random tail of its id
/// where the answer is drawn by lot, and the only one else.
pub(super) fn variant(request: &Request, policy: &RoutePolicy) -> u32 {
    if policy.mode != Mode::All || !is_sampled(request) {
        return 0;
    }
    let ExchangeId(id) = request.id;
    let (_, tail) = id.as_u64_pair();
    // Less than `variants`, which is a u32.
    (tail % u64::from(policy.variants.max(1))) as u32
}

/// The key of a request. [`Bypass::TooLarge`] and [`Bypass::Unclear`] are its refusals.
pub fn key(request: &Request, scope: &Scope<'_>) -> Result<Key, Bypass> {
    let Request {
        // Identity and time of the exchange: no two share them.
        id: _,
        received_at: _,
        arrived: _,
        api,
        method,
        target,
        headers,
        body,
        // What a critique made of the body is Weir's own way to the answer.
        again: _,
        // How long its client waits changes no answer.
        deadline: _,
        facts:
            Facts {
                // All of them are read from the body, and stand in the key as they stand there,
                model: _,
                max_tokens: _,
                choices: _,
                greedy: _,
                seeded: _,
                stateful: _,
                formatted: _,
                // but for what decides the form of the answer only.
                stream: _,
                include_usage: _,
            },
    } = request;
    if body.len().saturating_add(target.as_str().len()) > scope.max_request_bytes {
        return Err(Bypass::TooLarge);
    }
    if headers
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
    {
        return Err(Bypass::Unclear);
    }
    let Scope { tenant, route, tenant_epoch, route_epoch, engine, variant, keep_cut, vary, max_request_bytes: _ } =
        *scope;
    let mut full = Vec::with_capacity(body.len() + body.len() / 8 + 512);
    full.push(FORM);
    for text in [tenant.as_str(), route.as_str(), method.as_str(), target.as_str()] {
        part(&mut full, text.as_bytes());
    }
    full.extend_from_slice(&engine.to_le_bytes());
    full.extend_from_slice(&tenant_epoch.to_le_bytes());
    full.extend_from_slice(&route_epoch.to_le_bytes());
    full.extend_from_slice(&variant.to_le_bytes());
    full.push(keep_cut.into());
    // A name of no letters ends the headers that are there.
    for name in ALWAYS.iter().filter(|name| headers.contains_key(*name)) {
        values(&mut full, name, headers);
    }
    part(&mut full, b"");
    // These are named though they are not there: an answer made before a header was added to
    // the policy is for every value of it, and so for none.
    length(&mut full, vary.len());
    vary.iter().for_each(|name| values(&mut full, name, headers));
    canonical(*api, body, &mut full).map_err(|_| Bypass::Unclear)?;
    let digest = *blake3::hash(&full).as_bytes();
    Ok(Key { digest, full: full.into(), tenant_epoch, route_epoch })
}

fn part(full: &mut Vec<u8>, bytes: &[u8]) {
    length(full, bytes.len());
    full.extend_from_slice(bytes);
}

fn values(full: &mut Vec<u8>, name: &HeaderName, headers: &http::HeaderMap) {
    part(full, name.as_str().as_bytes());
    let values = headers.get_all(name);
    length(full, values.iter().count());
    values.iter().for_each(|value| part(full, value.as_bytes()));
}

impl Key {
    /// BLAKE3 of the full key.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// The full key. Holds prompt text and may hold credentials: not for logs or pages.
    pub fn full(&self) -> &[u8] {
        &self.full
    }

    /// The beginning of the digest in hex, enough to tell entries apart.
    pub fn short(&self) -> String {
        blake3::Hash::from_bytes(self.digest).to_hex()[..16].to_owned()
    }

    /// [`Self::full`], to be held elsewhere.
    pub(super) fn full_shared(&self) -> Bytes {
        self.full.clone()
    }

    /// The same in memory of just its size, to be held for long. Made without, since most keys
    /// are gone with their exchange.
    pub(super) fn compact(&self) -> Self {
        Self { full: Bytes::copy_from_slice(&self.full), ..self.clone() }
    }

    /// Epoch of its tenant when it was made.
    pub fn tenant_epoch(&self) -> u64 {
        self.tenant_epoch
    }

    /// Epoch of its route when it was made.
    pub fn route_epoch(&self) -> u64 {
        self.route_epoch
    }

    /// A key with the digest of one and the full form of another, as a forger would make it.
    #[cfg(test)]
    pub(super) fn forged(&self, other: &Self) -> Self {
        Self { digest: self.digest, ..other.clone() }
    }
}

/// Without the prompt and the credentials that the full key holds.
impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Key").field(&self.short()).finish()
    }
}

#[cfg(test)]
#[path = "key_tests.rs"]
mod tests;
